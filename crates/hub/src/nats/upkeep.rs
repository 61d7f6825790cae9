//! The upkeep: what a hub does for the log besides appending to it. It gives up batches that were
//! not answered, trims by age, writes checkpoints, and deletes what they make superfluous.
//!
//! Any hub may do it at any time, and several at once do no harm. That only one does is a matter
//! of thrift: each waits for a moment of its own before it acts.

use std::time::Duration;

use async_nats::jetstream::{context::PublishErrorKind, message::PublishMessage, stream};
use rand::RngExt as _;
use tidings_server::{
    cursor::Epoch,
    record::{SharedRecord, Timestamp},
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use super::{
    Shared, appender,
    checkpoint::{Checkpoint, Memory, Parts},
    connect::Link,
    follower::told,
    limits::Limits,
    message,
    opening::newest_checkpoint,
    state::State,
    subject::Subjects,
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
// Each hub waits for a part of it before it does what any could.
const TURN: Duration = Duration::from_secs(2);
// A part of a memory, or of what is carried, in one message.
const PART_BYTES_MAX: usize = 256 << 10;

/// Looks after the log, until the task is aborted.
pub(super) async fn run(shared: &Shared) {
    tokio::join!(watch(shared), tidy(shared), sweep(shared));
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

async fn tidy(shared: &Shared) {
    let mut looks = looks(shared);
    let mut tick = Turn::default();
    let mut checkpoint = Turn::default();
    loop {
        looks.tick().await;
        if shared.health.latched().is_some() {
            continue;
        }
        let eager = shared.options.eager_upkeep;
        if tick.has_come(shared.state.read().is_overdue(Timestamp::now()), eager) {
            let subject = shared.subjects.tick.clone();
            let tick = shared.link.jetstream.publish(subject, message::tick()).await;
            if let Ok(ack) = tick {
                // Whether it was taken is seen when it comes.
                let _ = ack.await;
            }
        }
        let clearable = shared.state.read().held.clearable(eager);
        if checkpoint.has_come(clearable.is_some(), eager)
            && let Some(before) = clearable
            && let Err(cause) = clear(shared, before).await
        {
            tracing::warn!(
                cause,
                "the stream could not be cleared of what is trimmed; \
                                   it is tried again"
            );
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
    let oldest = memory.oldest;
    let (link, subjects) = (&shared.link, &shared.subjects);
    let written = write(link, subjects, epoch, &shared.limits, memory).await?;
    // Another hub was faster, and clears the stream.
    let Some(sequence) = written else { return Ok(()) };
    shared.has_folded(sequence).await;
    tracing::debug!(before = oldest, checkpoint = sequence, "the stream is cleared");
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

// As far as the servers take messages of that size.
fn part_bytes_max(link: &Link) -> usize {
    PART_BYTES_MAX.min(link.client.max_payload().saturating_sub(message::HEADER_BYTES)).max(1)
}

/// What a checkpoint is written of.
pub(super) struct Taken {
    memory: Memory,
    oldest: u64,
    carried: Vec<u64>,
    through: u64,
    // The checkpoint before.
    checkpoint: u64,
}

impl Taken {
    pub(super) fn of(state: &State) -> Self {
        let (memory, oldest, carried) = state.memory();
        Self { memory, oldest, carried, through: state.through(), checkpoint: state.checkpoint() }
    }
}

/// Writes a checkpoint, and says where it stands; none if there is a newer one than was folded.
///
/// A checkpoint that came after one of a later state would ask for messages that are deleted by
/// that one's leave.
pub(super) async fn write(
    link: &Link,
    subjects: &Subjects,
    epoch: Epoch,
    limits: &Limits,
    Taken { memory, oldest, carried, through, checkpoint }: Taken,
) -> Result<Option<u64>, String> {
    let bytes = memory.to_bytes();
    let mut parts =
        Parts { sequences: Vec::new(), bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
    for part in bytes.chunks(part_bytes_max(link)) {
        let payload = message::state(part);
        parts.sequences.push(publish(link, &subjects.state, payload).await?);
    }
    let new = Checkpoint::new(epoch, limits.clone(), through, oldest, parts, carried);
    let publish = PublishMessage::build()
        .payload(message::checkpoint(&new.to_json()))
        .expected_last_subject_sequence(checkpoint);
    let sent = link.jetstream.send_publish(subjects.checkpoint.clone(), publish).await;
    match sent.map_err(|error| told(&error))?.await {
        Ok(ack) => Ok(Some(ack.sequence)),
        Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

async fn publish(link: &Link, subject: &str, payload: bytes::Bytes) -> Result<u64, String> {
    let ack = link.jetstream.publish(subject.to_owned(), payload).await;
    let ack = ack.map_err(|error| told(&error))?.await.map_err(|error| told(&error))?;
    Ok(ack.sequence)
}
