//! Checkpoints in the stream: how they are written, and found.

use async_nats::jetstream::{
    context::PublishErrorKind, message::PublishMessage, stream::LastRawMessageErrorKind,
};
use tidings_server::{cursor::Epoch, log::ReadError};

use super::{
    checkpoint::{Checkpoint, Memory, Parts},
    connect::Link,
    error::told,
    limits::Limits,
    message::{self, Message},
    reading::store_error,
    state::State,
    subject::Subjects,
};

const PART_BYTES_MAX: usize = 256 << 10;

/// The newest checkpoint of the stream, if it has one.
pub(super) async fn newest_checkpoint(
    link: &Link,
    subjects: &Subjects,
) -> Result<Option<Checkpoint>, ReadError> {
    match link.stream.get_last_raw_message_by_subject(&subjects.checkpoint).await {
        Ok(found) => {
            let not_ours = |error: String| {
                let sequence = found.sequence;
                store_error(format!("message {sequence} of the stream is no checkpoint: {error}"))
            };
            let message = Message::parse(&found.payload);
            match message.map_err(|error| not_ours(error.to_string()))? {
                Message::Checkpoint(json) => {
                    Checkpoint::parse(&json).map(Some).map_err(|error| not_ours(error.to_string()))
                }
                _ => Err(not_ours("it says something else".to_owned())),
            }
        }
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(store_error(told(&error))),
    }
}

/// How large a part of a memory, or of what is carried, is at most: the servers may take less in
/// one message.
pub(super) fn part_bytes_max(link: &Link) -> usize {
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

/// Publishes a message, and says where it stands.
pub(super) async fn publish(
    link: &Link,
    subject: &str,
    payload: bytes::Bytes,
) -> Result<u64, String> {
    let ack = link.jetstream.publish(subject.to_owned(), payload).await;
    let ack = ack.map_err(|error| told(&error))?.await.map_err(|error| told(&error))?;
    Ok(ack.sequence)
}
