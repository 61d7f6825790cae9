//! Reads: what to fetch is chosen in the state, and fetched from the stream or a cache of it.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::stream::{DirectGetErrorKind, RawMessageErrorKind};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use quick_cache::{Weighter, sync::Cache};
use tidings_server::{
    cursor::Offset,
    log::ReadError,
    record::{SharedRecord, Timestamp},
};

use super::{
    connect::Link,
    message::{Message, Place},
    state::Location,
};

/// The records of the messages that were read last.
#[derive(Debug)]
pub(super) struct Reading {
    link: Link,
    cache: Cache<u64, Records, ByBytes>,
}

type Records = Arc<[SharedRecord]>;

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<u64, Records> for ByBytes {
    fn weight(&self, _: &u64, records: &Records) -> u64 {
        // What an entry takes besides its records.
        let own = 100 + 8 * records.len();
        (own + records.iter().map(|record| record.memory_bytes()).sum::<usize>()) as u64
    }
}

// Why there is nothing to keep.
enum Missed {
    Gone,
    Unread(ReadError),
}

/// A message as it stands in the stream.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) payload: Bytes,
}

impl Reading {
    // What is live shares its records with the fan-out's tail, so that they are there once.
    const CACHE_BYTES_MAX: u64 = 32 << 20;
    // Requests under way for one read.
    const TOGETHER: usize = 64;
    // A server that has just begun to lead may not have it yet.
    const TRIES: u32 = 3;
    const TRY_EVERY: Duration = Duration::from_millis(200);

    pub(super) fn new(link: Link) -> Self {
        let cache = Cache::with_weighter(10_000, Self::CACHE_BYTES_MAX, ByBytes);
        Self { link, cache }
    }

    /// Keeps the records of a message that has just come.
    pub(super) fn keep(&self, place: Place, records: &[SharedRecord]) {
        let kept: Records =
            records.iter().filter(|record| record.new.kind.is_kept()).cloned().collect();
        if !kept.is_empty() {
            self.cache.insert(place.sequence, kept);
        }
    }

    /// The records at these places, in their order; those whose messages are not in the stream are
    /// left out.
    ///
    /// # Errors
    /// [`ReadError`] if a server does not answer.
    pub(super) async fn records(
        &self,
        places: impl IntoIterator<Item = (Offset, Location)>,
    ) -> Result<Vec<SharedRecord>, ReadError> {
        let mut messages: Vec<(u64, Vec<Offset>)> = Vec::new();
        for (offset, location) in places {
            let (sequence, _) = Place::of(location);
            match messages.last_mut() {
                Some((last, offsets)) if *last == sequence => offsets.push(offset),
                _ => messages.push((sequence, vec![offset])),
            }
        }
        let fetches = messages.into_iter().map(async |(sequence, offsets)| {
            let fetched = self.cache.get_or_insert_async(&sequence, self.fetch(sequence)).await;
            let records = match fetched {
                Ok(records) => records,
                Err(Missed::Gone) => return Ok(Vec::new()),
                Err(Missed::Unread(error)) => return Err(error),
            };
            let at = |offset| records.binary_search_by_key(offset, |record| record.offset);
            let found: Vec<_> = offsets
                .iter()
                .filter_map(|offset| records.get(at(offset).ok()?))
                .cloned()
                .collect();
            Ok(found)
        });
        let mut fetches = stream::iter(fetches).buffered(Self::TOGETHER);
        let mut found = Vec::new();
        while let Some(records) = fetches.next().await {
            found.extend(records?);
        }
        Ok(found)
    }

    async fn fetch(&self, sequence: u64) -> Result<Records, Missed> {
        let found = find(&self.link, sequence).await.map_err(Missed::Unread)?;
        let Found { place, payload } = found.ok_or(Missed::Gone)?;
        let message = Message::parse(&payload).map_err(|error| {
            let text = format!("message {sequence} of the stream cannot be read: {error}");
            Missed::Unread(store_error(text))
        })?;
        let records = message.records(place).into_iter();
        Ok(records.filter(|record| record.new.kind.is_kept()).collect())
    }
}

/// The message at `sequence`, if the stream holds it.
pub(super) async fn find(link: &Link, sequence: u64) -> Result<Option<Found>, ReadError> {
    // Any server that has the stream answers at once; but one that lags may not have it yet.
    match link.stream.direct_get(sequence).await {
        Ok(message) if message.sequence == sequence => {
            return Ok(Some(Found { place: place(&message), payload: message.payload }));
        }
        Ok(_) => {}
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
        Err(error) => return Err(store_error(error.to_string())),
    }
    for tries in 0.. {
        match link.stream.get_raw_message(sequence).await {
            Ok(message) => {
                return Ok(Some(Found { place: place(&message), payload: message.payload }));
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                if tries == Reading::TRIES {
                    break;
                }
                tokio::time::sleep(Reading::TRY_EVERY).await;
            }
            Err(error) => return Err(store_error(error.to_string())),
        }
    }
    Ok(None)
}

pub(super) fn place(message: &async_nats::jetstream::message::StreamMessage) -> Place {
    at(message.sequence, message.time.unix_timestamp_nanos())
}

/// Where a message stands that the stream took at this moment, in nanoseconds since the Unix epoch.
pub(super) fn at(sequence: u64, time_ns: i128) -> Place {
    let ns = time_ns.max(0).unsigned_abs();
    let unix_ms = u64::try_from(ns / 1_000_000).unwrap_or(u64::MAX);
    let rest_ns = (ns % 1_000_000) as u32;
    Place { sequence, time: Timestamp { unix_ms }, rest_ns }
}

pub(super) fn store_error(cause: String) -> ReadError {
    ReadError::Store { cause: cause.into() }
}
