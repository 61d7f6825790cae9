//! The appender: sends batches to the stream, and waits for none of them.
//!
//! What became of a batch is not the server's acknowledgement to say, but the stream's order: the
//! answer comes when the follower folds the message. The acknowledgement only tells early when a
//! message was refused.
//!
//! A batch has a message of its own while few are under way. Once more are, those that wait go
//! together: a message costs the servers much more than its bytes do.

use std::collections::VecDeque;

use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tidings_server::{
    log::{AppendError, Batch},
    record::NewRecord,
    topic::Topic,
};
use tokio::sync::Notify;

use super::{
    Shared,
    message::{self, BATCHES_HEADER_BYTES, Encoded, Place},
    pending::Answer,
};

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<One>,
    bytes: usize,
}

#[derive(Debug)]
struct One {
    number: u64,
    encoded: Encoded,
    // The first topic of all its records, if they have the same.
    topic: Option<Topic>,
}

type Numbers = SmallVec<[u64; 4]>;

// Batches whose outcome is not known, with those that wait to be sent.
const PENDING_MAX: usize = 100_000;
const QUEUE_BYTES_MAX: usize = 64 << 20;
// Messages whose acknowledgement is awaited.
const UNDER_WAY_MAX: usize = 256;
// With so many under way, batches that wait go together.
const TOGETHER_FROM: usize = 16;
const TOGETHER_BYTES_MAX: usize = 128 << 10;

/// Sends a batch, and waits for its outcome.
pub(super) async fn append(shared: &Shared, batch: Batch) -> Answer {
    let health = &shared.health;
    if health.is_closed() {
        return Err(AppendError::Closed);
    }
    if let Some(cause) = shared.latched() {
        return Err(AppendError::Latched { cause });
    }
    let bytes = Encoded::bytes_of(&batch.records);
    let bytes_max = shared.message_bytes_max() - BATCHES_HEADER_BYTES;
    if bytes > bytes_max || batch.records.len() > Place::RECORDS_MAX {
        return Err(AppendError::TooLarge { bytes, bytes_max });
    }
    if batch.records.is_empty() {
        let epoch = shared.state.read().epoch;
        return Ok(tidings_server::log::Appended::new(epoch, SmallVec::new()));
    }
    if shared.queue.state.lock().bytes > QUEUE_BYTES_MAX {
        return Err(AppendError::Overloaded);
    }
    let (number, answer) = shared.pending.begin(PENDING_MAX).ok_or(AppendError::Overloaded)?;
    let encoded = Encoded::new(number, &batch.records);
    shared.queue.push(One { number, encoded, topic: common_topic(&batch.records) });
    answer.await.unwrap_or_else(|_| Err(AppendError::Unknown { cause: "the log is gone".into() }))
}

fn common_topic(records: &[NewRecord]) -> Option<Topic> {
    let mut firsts = records.iter().map(|record| record.topics.first());
    let first = firsts.next()??;
    firsts.all(|topic| topic == Some(first)).then(|| first.clone())
}

impl Queue {
    fn push(&self, one: One) {
        {
            let mut state = self.state.lock();
            state.bytes += one.encoded.bytes.len();
            state.batches.push_back(one);
        }
        self.filled.notify_one();
    }

    // The next batches that go together; none if none waits.
    fn take(&self, bytes_max: usize) -> Vec<One> {
        let mut state = self.state.lock();
        let mut taken: Vec<One> = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        while let Some(next) = state.batches.front() {
            bytes += next.encoded.bytes.len();
            records += next.encoded.records;
            if !taken.is_empty() && (bytes > bytes_max || records > Place::RECORDS_MAX) {
                break;
            }
            taken.extend(state.batches.pop_front());
        }
        state.bytes -= taken.iter().map(|one| one.encoded.bytes.len()).sum::<usize>();
        taken
    }
}

/// Sends what is in the queue, until the task is aborted.
pub(super) async fn run(shared: &Shared) {
    let mut under_way = FuturesUnordered::<BoxFuture<'static, Acknowledged>>::new();
    loop {
        while under_way.len() < UNDER_WAY_MAX {
            let together = under_way.len() >= TOGETHER_FROM;
            let bytes_max = if together { TOGETHER_BYTES_MAX } else { 0 };
            let taken =
                shared.queue.take(bytes_max.min(shared.message_bytes_max() - BATCHES_HEADER_BYTES));
            if taken.is_empty() {
                break;
            }
            let numbers = taken.iter().map(|one| one.number).collect();
            match send(shared, &taken).await {
                Ok(ack) => under_way.push(acknowledged(ack, numbers).boxed()),
                Err(cause) => refuse(shared, numbers, &cause),
            }
        }
        tokio::select! {
            Some(Acknowledged { numbers, result }) = under_way.next() => match result {
                Ack::Taken => shared.health.set_stalled(None),
                Ack::Refused(cause) => refuse(shared, numbers, &cause),
                // It may be in the stream all the same.
                Ack::Unknown => {}
            },
            () = shared.queue.filled.notified(), if under_way.len() < UNDER_WAY_MAX => {}
        }
    }
}

async fn send(shared: &Shared, batches: &[One]) -> Result<PublishAckFuture, String> {
    let topic = batches.first().and_then(|one| one.topic.as_ref());
    let topic = topic.filter(|topic| batches.iter().all(|one| one.topic.as_ref() == Some(topic)));
    let subjects = &shared.subjects;
    let subject = topic.map_or_else(|| subjects.topics.clone(), |topic| subjects.topic(topic));
    let message = message::batches(shared.node, batches.iter().map(|one| &one.encoded));
    publish(shared, subject, message).await
}

async fn publish(
    shared: &Shared,
    subject: String,
    message: Bytes,
) -> Result<PublishAckFuture, String> {
    shared.link.jetstream.publish(subject, message).await.map_err(|error| error.to_string())
}

struct Acknowledged {
    numbers: Numbers,
    result: Ack,
}

enum Ack {
    Taken,
    // It is not in the stream.
    Refused(String),
    Unknown,
}

async fn acknowledged(ack: PublishAckFuture, numbers: Numbers) -> Acknowledged {
    let result = match ack.await {
        Ok(_) => Ack::Taken,
        Err(error) => match error.kind() {
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Ack::Unknown,
            PublishErrorKind::StreamNotFound => {
                Ack::Refused("no server answers for the stream: has it no leader?".to_owned())
            }
            _ => Ack::Refused(match std::error::Error::source(&error) {
                Some(cause) => cause.to_string(),
                None => error.to_string(),
            }),
        },
    };
    Acknowledged { numbers, result }
}

fn refuse(shared: &Shared, numbers: Numbers, cause: &str) {
    shared.health.set_stalled(Some(cause));
    for number in numbers {
        shared.pending.answer(number, Err(AppendError::Latched { cause: cause.into() }));
    }
}

/// Finds out whether the stream takes messages again.
pub(super) async fn probe(shared: &Shared) {
    let probe = publish(shared, shared.subjects.tick.clone(), message::tick()).await;
    match probe {
        Ok(ack) => {
            if let Acknowledged { result: Ack::Taken, .. } = acknowledged(ack, Numbers::new()).await
            {
                shared.health.set_stalled(None);
            }
        }
        Err(cause) => shared.health.set_stalled(Some(&cause)),
    }
}
