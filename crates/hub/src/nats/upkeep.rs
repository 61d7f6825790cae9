//! The upkeep: what a hub does for the log besides appending to it. It gives up batches that were
//! not answered, trims by age, writes checkpoints, and deletes what they make superfluous.
//!
//! Any hub may do it at any time, and several at once do no harm. That only one does is a matter
//! of thrift: each waits for a moment of its own before it acts.

use std::time::Duration;

use async_nats::jetstream::stream;
use rand::RngExt as _;
use tidings_server::{
    cursor::Epoch,
    record::{SharedRecord, Timestamp},
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use super::{
    Shared, appender,
    checkpoints::{Taken, newest_checkpoint, part_bytes_max, publish, write},
    error::told,
    message,
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
// Each hub waits for a part of it before it does what any could.
const TURN: Duration = Duration::from_secs(2);

/// Looks after the log, until the task is aborted.
pub(super) async fn run(shared: &Shared) {
    tokio::join!(watch(shared), tick(shared), tidy(shared), sweep(shared));
}

fn looks(shared: &Shared) -> Interval {
    let every = if shared.options.eager_upkeep { LOOK_EVERY / 100 } else { LOOK_EVERY };
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

// Gives up batches that were not answered, and finds out when others may be.
async fn watch(shared: &Shared) {
    let mut looks = looks(shared);
    loop {
        looks.tick().await;
        let health = &shared.health;
        let expired = shared.pending.expire(Instant::now());
        if expired > 0 {
            tracing::warn!(batches = expired, "the stream did not say what became of them");
            health.set_stalled(Some("NATS does not confirm what is published"));
        }
        if health.is_stalled() {
            appender::probe(shared).await;
        }
    }
}

// Lets the time pass in the stream while nobody else writes to it, once something is too old.
async fn tick(shared: &Shared) {
    let mut looks = looks(shared);
    let mut turn = Turn::default();
    loop {
        looks.tick().await;
        let is_due = shared.latched().is_none() && shared.state.read().is_overdue(Timestamp::now());
        if turn.has_come(is_due, shared.options.eager_upkeep) {
            // Whether it was taken is seen when it comes.
            let _ = publish(&shared.link, &shared.subjects.tick, message::tick()).await;
        }
    }
}

// Clears the stream of what is trimmed.
async fn tidy(shared: &Shared) {
    let mut looks = looks(shared);
    let mut turn = Turn::default();
    let eager = shared.options.eager_upkeep;
    loop {
        looks.tick().await;
        if shared.latched().is_some() {
            continue;
        }
        let clearable = shared.state.read().held.clearable(eager);
        if turn.has_come(clearable.is_some(), eager)
            && let Some(before) = clearable
            && let Err(cause) = clear(shared, before).await
        {
            tracing::warn!(cause, "the stream could not be cleared yet of what is trimmed");
        }
    }
}

/// When it is this hub's turn to do what is due.
#[derive(Debug, Default)]
struct Turn(Option<Instant>);

impl Turn {
    fn has_come(&mut self, is_due: bool, eager: bool) -> bool {
        if !is_due {
            self.0 = None;
            return false;
        }
        let wait =
            if eager { Duration::ZERO } else { rand::rng().random_range(Duration::ZERO..TURN) };
        let turn = *self.0.get_or_insert_with(|| Instant::now() + wait);
        let has_come = Instant::now() >= turn;
        if has_come {
            self.0 = None;
        }
        has_come
    }
}

/// Carries what is kept in the messages before `before`, writes a checkpoint, and deletes what is
/// not needed after it.
async fn clear(shared: &Shared, before: u64) -> Result<(), String> {
    let kept = shared.state.read().kept_before(before);
    let count = kept.len();
    let records = shared.reading.records(kept).await.map_err(|error| error.to_string())?;
    // What was trimmed since may be deleted by now.
    if records.len() < count && shared.state.read().kept_before(before).len() > records.len() {
        return Err("records are missing in the stream".to_owned());
    }
    carry(shared, &records).await?;
    let (epoch, memory) = {
        let state = shared.state.read();
        (state.epoch, Taken::of(&state))
    };
    let (link, subjects) = (&shared.link, &shared.subjects);
    let written = write(link, subjects, epoch, &shared.limits, memory).await?;
    // Another hub was faster, and clears the stream.
    let Some(sequence) = written else { return Ok(()) };
    shared.has_folded(sequence).await;
    tracing::debug!(before, checkpoint = sequence, "the stream is cleared");
    delete(shared, epoch).await
}

// Deletes what the newest checkpoint does not need.
async fn delete(shared: &Shared, epoch: Epoch) -> Result<(), String> {
    let oldest = async || {
        let newest = newest_checkpoint(&shared.link, &shared.subjects).await;
        let newest = newest.map_err(|error| error.to_string())?;
        Ok::<_, String>(newest.filter(|newest| newest.epoch == epoch).map(|newest| newest.oldest))
    };
    let Some(before) = oldest().await? else { return Ok(()) };
    // A hub that is a little behind folds from the messages still.
    sleep(shared.options.clear_after).await;
    // Meanwhile the stream may have been deleted and made anew.
    if oldest().await?.is_none_or(|oldest| oldest < before) {
        return Ok(());
    }
    let info = shared.link.stream.get_info().await.map_err(|error| told(&error))?;
    let stream::State { first_sequence, last_sequence, .. } = info.state;
    // There must be something to delete, and something to keep: a server that is asked to delete
    // what is before its first message, where that is 1, deletes all.
    if before <= first_sequence || before > last_sequence {
        return Ok(());
    }
    let purge = shared.link.stream.purge().sequence(before);
    purge.await.map(|_| ()).map_err(|error| told(&error))
}

// Deletes what the checkpoint does not need with which the log was opened: it may be the opening's
// own, or that of a hub that ended before it came to it.
async fn sweep(shared: &Shared) {
    let epoch = shared.state.read().epoch;
    while let Err(cause) = delete(shared, epoch).await {
        tracing::debug!(cause, "what was superfluous at the start could not be deleted yet");
        sleep(TURN).await;
    }
}

// Puts the records in messages at the end of the stream, and waits until they are found there.
async fn carry(shared: &Shared, records: &[SharedRecord]) -> Result<(), String> {
    let mut rest = records;
    let mut last = 0;
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest.iter().take_while(|record| {
            bytes += crate::stored::encoded_bytes(&record.new);
            bytes <= part_bytes_max(&shared.link)
        });
        let (now, later) = rest.split_at(count.count().max(1));
        let payload = message::carried(now.iter().map(|record| &**record));
        last = publish(&shared.link, &shared.subjects.carried, payload).await?;
        rest = later;
    }
    shared.has_folded(last).await;
    Ok(())
}
