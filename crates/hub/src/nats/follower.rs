//! The follower: folds the messages of the stream, one after the other, for as long as the log is
//! open.
//!
//! It notices whatever is not as it left it. The newest message that it has folded must be there
//! still, and the very same; each that follows must be the next. So a stream that was deleted, made
//! anew or rolled back is never taken for the one that was followed: the log ends, and is opened
//! anew.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{
    Shared, checkpoints::newest_checkpoint, connect::Link, error::told, message::Place, opening,
    reading, state::Folded,
};

/// Why the stream is not followed any longer.
pub(super) enum Interruption {
    /// It cannot be at present.
    Away(String),
    /// What was folded is not there any longer: the stream is another one, or has lost something.
    Lost(String),
    /// The log is to be opened anew, and nothing is lost.
    Anew(String),
}

// Each message that the server has not heard of for two of them is missed.
const HEARTBEAT: Duration = Duration::from_secs(2);
// While no message comes, the connection is looked at so often,
const LOOK_EVERY: Duration = Duration::from_millis(100);
// and the server asked after so many looks.
const LOOKS_A_QUESTION: u32 = 20;
const AGAIN_MIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// The messages of a stream from one on.
pub(super) struct Messages {
    messages: push::Messages,
}

/// A message of the stream.
pub(super) struct Next {
    pub(super) place: Place,
    pub(super) payload: Bytes,
    /// How many there are after it.
    pub(super) pending: u64,
}

impl Messages {
    /// Those from `sequence` on, or else the first after it.
    pub(super) async fn from(link: &Link, sequence: u64) -> Result<Self, String> {
        let config = push::Config {
            deliver_subject: link.client.new_inbox(),
            deliver_policy: match sequence {
                0 => DeliverPolicy::All,
                start_sequence => DeliverPolicy::ByStartSequence { start_sequence },
            },
            // As an ordered consumer is: whatever goes wrong, it is made anew.
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: HEARTBEAT * 15,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let consumer = link.stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| told(&error))?;
        let messages = consumer.messages().await.map_err(|error| told(&error))?;
        Ok(Self { messages })
    }

    /// The next one.
    ///
    /// # Errors
    /// What stands in the way. Nothing is known then of those that were not given.
    pub(super) async fn next(&mut self) -> Result<Next, String> {
        let message = self.messages.next().await.ok_or("the connection ended")?;
        let message = message.map_err(|error| told(&error))?;
        let info = message.info().map_err(|error| error.to_string())?;
        let place = reading::at(info.stream_sequence, info.published.unix_timestamp_nanos());
        let pending = info.pending;
        Ok(Next { place, payload: message.message.payload, pending })
    }
}

/// Follows the stream until the log ends.
pub(super) async fn run(shared: &Shared) {
    let mut again = AGAIN_MIN;
    loop {
        let Err(interruption) = follow(shared, &mut again).await;
        match interruption {
            Interruption::Away(cause) => {
                tracing::debug!(cause, "the stream cannot be followed");
                shared.health.set_away(Some(&format!("NATS is away: {cause}")));
                tokio::time::sleep(again).await;
                again = (again * 2).min(AGAIN_MAX);
            }
            Interruption::Lost(cause) => {
                tracing::error!(
                    cause,
                    "the stream is not what was followed; beginning a new epoch"
                );
                shared.health.set_away(Some(&format!("the stream is not what it was: {cause}")));
                let epoch = shared.state.read().epoch;
                opening::leave_epoch(&shared.link, &shared.options, epoch).await;
                return shared.health.end(&cause);
            }
            Interruption::Anew(cause) => return shared.health.end(&cause),
        }
    }
}

async fn follow(
    shared: &Shared,
    again: &mut Duration,
) -> Result<std::convert::Infallible, Interruption> {
    let (epoch, last) = {
        let state = shared.state.read();
        (state.epoch, state.last)
    };
    if shared.link.is_gone(shared.options.site.stream.as_str()).await.map_err(Interruption::Away)? {
        return Err(Interruption::Lost("the stream is gone".to_owned()));
    }
    let checkpoint = newest_checkpoint(&shared.link, &shared.subjects).await;
    let checkpoint = checkpoint.map_err(|error| Interruption::Away(error.to_string()))?;
    let Some(checkpoint) = checkpoint else {
        return Err(Interruption::Lost("the stream has no checkpoint any longer".to_owned()));
    };
    if checkpoint.epoch != epoch {
        let cause = format!("the log is in epoch {} now", checkpoint.epoch);
        return Err(Interruption::Anew(cause));
    }
    if let Some(difference) = shared.limits.difference(&checkpoint.limits) {
        return Err(Interruption::Anew(format!("another hub changed the limits: {difference}")));
    }
    let connected = connects(shared);
    let from = last.map_or(0, |last| last.sequence);
    let mut messages = Messages::from(&shared.link, from).await.map_err(Interruption::Away)?;
    if let Some(last) = last {
        let next = first(shared, &mut messages, last).await?;
        let Next { place, pending, .. } = next;
        if place.sequence > last.sequence {
            // It may have been deleted, as it is in the checkpoint; and what is in none was lost.
            return Err(if checkpoint.through >= last.sequence {
                Interruption::Anew("a checkpoint has passed what was folded".to_owned())
            } else {
                Interruption::Lost(format!("message {} is gone", last.sequence))
            });
        }
        if place != last {
            return Err(Interruption::Lost(format!("message {} is another one", last.sequence)));
        }
        caught_up(shared, pending);
    }
    *again = AGAIN_MIN;
    loop {
        let Next { place, payload, pending } = next(shared, &mut messages, connected).await?;
        let expected = shared.state.read().through() + 1;
        if place.sequence != expected {
            // Anything may have happened; what, is found out by the next look.
            let cause = format!("message {} came in place of {expected}", place.sequence);
            return Err(missed(shared, expected, cause).await);
        }
        take(shared, place, &payload).await?;
        caught_up(shared, pending);
    }
}

// How many connections there have been.
fn connects(shared: &Shared) -> u64 {
    shared.link.client.statistics().connects.load(Relaxed)
}

// The next message. While none comes, it is asked for from time to time whether there is one: those
// that were sent while the connection was broken are not sent again.
async fn next(
    shared: &Shared,
    messages: &mut Messages,
    connected: u64,
) -> Result<Next, Interruption> {
    let mut was_behind = false;
    for look in 1_u32.. {
        if let Ok(next) = tokio::time::timeout(LOOK_EVERY, messages.next()).await {
            return next.map_err(Interruption::Away);
        }
        if connects(shared) != connected {
            return Err(Interruption::Away("the connection was made anew".to_owned()));
        }
        if !look.is_multiple_of(LOOKS_A_QUESTION) {
            continue;
        }
        let info = shared.link.stream.get_info().await;
        let state = info.map_err(|error| Interruption::Away(told(&error)))?.state;
        let through = shared.state.read().through();
        if state.last_sequence < through || state.first_sequence > through {
            return Err(Interruption::Away("the stream has lost messages".to_owned()));
        }
        // It may be on its way; but not for so long.
        let is_behind = state.last_sequence > through;
        if is_behind && was_behind {
            let cause = format!("message {} did not come", through + 1);
            return Err(Interruption::Away(cause));
        }
        was_behind = is_behind;
    }
    Err(Interruption::Away("no message came for very long".to_owned()))
}

// The first message that comes, which should be the last one that was folded.
async fn first(
    shared: &Shared,
    messages: &mut Messages,
    last: Place,
) -> Result<Next, Interruption> {
    let next = messages.next();
    tokio::pin!(next);
    // If it never comes, the stream may be shorter than it was.
    match tokio::time::timeout(HEARTBEAT, &mut next).await {
        Ok(next) => next.map_err(Interruption::Away),
        Err(_) => {
            let info = shared.link.stream.get_info().await;
            let info = info.map_err(|error| Interruption::Away(told(&error)))?;
            if info.state.last_sequence < last.sequence {
                let cause = format!(
                    "it ends at message {}, and {} was there",
                    info.state.last_sequence, last.sequence
                );
                return Err(Interruption::Lost(cause));
            }
            let found = reading::find(&shared.link, last.sequence).await;
            if found.map_err(|error| Interruption::Away(error.to_string()))?.is_none() {
                let cause = format!("message {} is gone", last.sequence);
                return Err(missed(shared, last.sequence, cause).await);
            }
            next.await.map_err(Interruption::Away)
        }
    }
}

// Whether a message that did not come is gone, or was only not delivered.
async fn missed(shared: &Shared, expected: u64, cause: String) -> Interruption {
    match reading::find(&shared.link, expected).await {
        Ok(Some(_)) => Interruption::Away(cause),
        Err(error) => Interruption::Away(error.to_string()),
        Ok(None) => {
            let checkpoint = newest_checkpoint(&shared.link, &shared.subjects).await;
            match checkpoint {
                Ok(Some(checkpoint)) if checkpoint.through >= expected => {
                    Interruption::Anew("a checkpoint has passed what was folded".to_owned())
                }
                Err(error) => Interruption::Away(error.to_string()),
                Ok(_) => Interruption::Lost(format!("message {expected} is gone")),
            }
        }
    }
}

fn caught_up(shared: &Shared, pending: u64) {
    shared.health.set_behind(pending);
    // While there is much to fold still, what is appended would have to wait for all of it.
    if pending <= 10_000 {
        shared.health.set_away(None);
    }
}

/// Folds a message, trims, hands on what is new, and says what became of the node's own.
async fn take(shared: &Shared, place: Place, payload: &Bytes) -> Result<(), Interruption> {
    let folded = shared.state.write().fold(place, payload);
    let folded = match folded {
        Ok(folded) => folded,
        Err(error) if error.is_newer() => {
            let cause =
                format!("message {} of the stream is not for this hub: {error}", place.sequence);
            return Err(Interruption::Anew(cause));
        }
        Err(error) => {
            let sequence = place.sequence;
            tracing::warn!(sequence, %error, "a message of the stream is passed over");
            Folded::default()
        }
    };
    let Folded { records, outcomes, checkpoint } = folded;
    // Readers may look between two goes.
    while shared.state.write().trim() {
        tokio::task::yield_now().await;
    }
    shared.reading.keep(place, &records);
    if !records.is_empty() {
        shared.feed.publish(records);
    }
    for outcome in outcomes.into_iter().filter(|outcome| outcome.node == shared.node) {
        shared.pending.answer(outcome.number, outcome.result);
    }
    shared.folded.send_replace(place.sequence);
    if let Some(checkpoint) = checkpoint {
        let epoch = shared.state.read().epoch;
        if checkpoint.epoch != epoch {
            let cause = format!("another hub began epoch {}", checkpoint.epoch);
            return Err(Interruption::Anew(cause));
        }
        if let Some(difference) = shared.limits.difference(&checkpoint.limits) {
            return Err(Interruption::Anew(format!(
                "another hub changed the limits: {difference}"
            )));
        }
        shared.state.write().clear(checkpoint.oldest);
    }
    Ok(())
}
