//! Reads: what to fetch is chosen under a short lock, and fetched outside it.

use std::sync::Arc;

use tidings_server::{
    cursor::Offset,
    log::{Hit, ReadError},
    record::Record,
};

use super::{Location, State, segment::Segment};
use crate::stored;

// Reading over a gap of this size costs less than another system call.
const GAP_BYTES: u64 = 4 << 10;
// One read takes this much at most, or a single record.
const SPAN_BYTES_MAX: u64 = 4 << 20;

/// Records that lie close together, to be read at once.
#[derive(Debug)]
pub(super) struct Span {
    segment: Arc<Segment>,
    from: u64,
    to: u64,
    hits: Vec<Hit<Location>>,
}

/// Joins the hits, which are in order, to spans. A record whose segment is gone is left out; that
/// cannot be while the index has it.
pub(super) fn spans(state: &State, hits: &[Hit<Location>]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for &hit in hits {
        let from = u64::from(hit.location.at);
        let to = from + u64::from(hit.bytes);
        if let Some(span) = spans.last_mut()
            && to <= span.from + SPAN_BYTES_MAX
            && span.segment.number == hit.location.segment
            && from <= span.to + GAP_BYTES
        {
            span.to = to;
            span.hits.push(hit);
        } else if let Some(segment) = state.segment(hit.location.segment) {
            spans.push(Span { segment, from, to, hits: vec![hit] });
        }
    }
    spans
}

/// Reads and checks the records of `spans`.
pub(super) fn fetch(spans: &[Span]) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::with_capacity(spans.iter().map(|span| span.hits.len()).sum());
    visit(spans, |_, _, record| {
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

/// Reads and checks the records of `spans`, and hands on the bytes of each.
pub(super) fn fetch_bytes(
    spans: &[Span],
    mut take: impl FnMut(&Hit<Location>, &[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    visit(spans, |hit, bytes, _| take(hit, bytes))
}

fn visit(
    spans: &[Span],
    mut take: impl FnMut(&Hit<Location>, &[u8], Record) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut buffer = Vec::new();
    for span in spans {
        buffer.resize((span.to - span.from) as usize, 0);
        let read = span.segment.file.read_at(&mut buffer, span.from).map_err(|error| {
            store_error(format!("{}: {error}", Segment::name(span.segment.number)))
        })?;
        for hit in &span.hits {
            let from = (u64::from(hit.location.at) - span.from) as usize;
            let bytes = buffer[..read].get(from..from + hit.bytes as usize).unwrap_or_default();
            let record = decode(bytes, hit.offset, span.segment.number)?;
            take(hit, bytes, record)?;
        }
    }
    Ok(())
}

fn decode(bytes: &[u8], offset: Offset, segment: u32) -> Result<Record, ReadError> {
    let name = || Segment::name(segment);
    let record = stored::decode(bytes).map_err(|error| {
        store_error(format!("event {offset} in {} is damaged: {error}", name()))
    })?;
    if record.offset == offset {
        Ok(record)
    } else {
        let found = record.offset;
        Err(store_error(format!("event {found} is in {} in place of {offset}", name())))
    }
}

/// Runs a read where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let task = tokio::task::spawn_blocking(read);
    task.await.unwrap_or_else(|error| Err(store_error(error.to_string())))
}

pub(super) fn store_error(cause: String) -> ReadError {
    ReadError::Store { cause: cause.into() }
}
