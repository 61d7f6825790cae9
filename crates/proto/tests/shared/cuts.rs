//! A decoder's reading of a stream that was cut into chunks.

use std::time::Duration;

use tidings_proto::Event;
use tidings_proto::decode::{DecodeError, Decoder, Item, Limits, OwnedItem};

use super::oracle::{Reading, Seen};

/// Reads the chunks of a stream with the borrowed interface.
pub fn read_chunks<'c>(
    decoder: &mut Decoder,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> (Reading, Option<DecodeError>) {
    let mut reading = Reading::default();
    let mut error = None;
    'chunks: for mut chunk in chunks {
        loop {
            match decoder.poll_item(&mut chunk) {
                Ok(Some(item)) => reading.seen.push(seen(item)),
                Ok(None) => break,
                Err(crossed) => {
                    error = Some(crossed);
                    break 'chunks;
                }
            }
        }
        assert!(chunk.is_empty(), "a chunk that yields no more is used up");
    }
    reading.last_event_id.push_str(decoder.last_event_id());
    (reading, error)
}

/// Reads the events of the chunks of a stream with the owned interface.
pub fn read_events<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Seen> {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = Vec::new();
    for mut chunk in chunks {
        while let Some(event) = decoder.poll_event(&mut chunk).expect("within the limits") {
            seen.push(seen_event(event));
        }
    }
    seen
}

/// Reads the chunks of a stream as items to keep.
pub fn read_owned_items<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Seen> {
    let mut decoder = Decoder::new(Limits::default()).with_comments();
    let mut seen = Vec::new();
    for mut chunk in chunks {
        while let Some(item) = decoder.poll_owned_item(&mut chunk).expect("within the limits") {
            seen.push(match item {
                OwnedItem::Event(event) => seen_event(event),
                OwnedItem::Comment(text) => Seen::Comment(text),
                OwnedItem::Retry(time) => seen_retry(time),
                other => unreachable!("an item this test does not know: {other:?}"),
            });
        }
    }
    seen
}

/// Cuts a stream at the positions given, which may repeat, so that there are empty chunks.
pub fn cut<'c>(stream: &'c [u8], positions: &[usize]) -> Vec<&'c [u8]> {
    let mut chunks = Vec::with_capacity(positions.len() + 1);
    let mut from = 0;
    for &position in positions {
        let to = position.clamp(from, stream.len());
        chunks.push(&stream[from..to]);
        from = to;
    }
    chunks.push(&stream[from..]);
    chunks
}

fn seen(item: Item<'_>) -> Seen {
    match item {
        Item::Event(event) => Seen::Event {
            event_type: event.event_type().to_owned(),
            data: event.data().to_owned(),
            last_event_id: event.last_event_id().to_owned(),
        },
        Item::Comment(text) => Seen::Comment(text.to_owned()),
        Item::Retry(time) => seen_retry(time),
        other => unreachable!("an item this test does not know: {other:?}"),
    }
}

fn seen_event(event: Event) -> Seen {
    Seen::Event {
        event_type: event.event_type.as_str().to_owned(),
        data: event.data,
        last_event_id: event.last_event_id.as_str().to_owned(),
    }
}

fn seen_retry(time: Duration) -> Seen {
    let milliseconds = time.as_millis().try_into();
    Seen::RetryMilliseconds(milliseconds.expect("a retry field saturates at u64::MAX"))
}
