//! The shared tail: the newest records, encoded once, for all who are live.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::{
    cursor::{Epoch, Offset},
    frame::Format,
    matcher::Filter,
    record::SharedRecord,
    subscription::{EventEnd, Piece, TailPlace, TailRead},
};

/// The newest records in a bounded number of bytes.
#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    bytes_max: usize,
    // Every record after this offset, up to `through`, is among the entries.
    base: Offset,
    through: Offset,
    // How many ephemeral events there were.
    ephemerals: u64,
    epoch: Epoch,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: SharedRecord,
    // Its offset; of an ephemeral event, that of the record before it.
    place: Offset,
    // How many ephemeral events there were with it.
    ephemerals: u64,
    // Encoded when the first subscriber of that format asks.
    event_stream: OnceLock<Bytes>,
    json_lines: OnceLock<Bytes>,
}

impl Entry {
    pub(super) fn is_kept(&self) -> bool {
        self.record.new.kind.is_kept()
    }

    // Along the tail first all are, then none is: so an ephemeral event that was heard, but comes
    // after records that are wanted, is not past.
    fn is_past(&self, place: TailPlace) -> bool {
        if self.is_kept() {
            return self.place <= place.after;
        }
        (self.place, self.ephemerals) <= (place.after, place.heard)
    }

    // The place right before it.
    fn before(&self) -> TailPlace {
        if self.is_kept() {
            return TailPlace { after: self.place.previous(), heard: self.ephemerals };
        }
        TailPlace { after: self.place, heard: self.ephemerals - 1 }
    }

    /// The place right after it.
    pub(super) fn after(&self) -> TailPlace {
        TailPlace { after: self.place, heard: self.ephemerals }
    }

    pub(super) fn frame(&self, format: Format, epoch: Epoch) -> &Bytes {
        let frame = match format {
            Format::EventStream => &self.event_stream,
            Format::JsonLines => &self.json_lines,
        };
        frame.get_or_init(|| {
            let mut out = Vec::new();
            format.record(&mut out, &self.record, epoch);
            out.into()
        })
    }

    // The record, the frame of an event stream, and their place in the ring.
    fn bytes(&self) -> usize {
        let data = self.record.new.data.as_bytes();
        let line_ends = memchr::memchr2_iter(b'\n', b'\r', data).count();
        let frame = data.len() + line_ends * "data: ".len();
        self.record.memory_bytes() + frame + size_of::<Self>() + 64
    }
}

impl Ring {
    // One look matches at most this many records, so that a subscriber of a quiet topic asks the
    // log's index instead of walking a busy tail.
    const SCAN_MAX: usize = 1_024;
    // What goes out in one write: frames are joined up to here.
    const CHUNK_BYTES: usize = 32 << 10;

    pub(super) fn new(epoch: Epoch, through: Offset, bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            base: through,
            through,
            ephemerals: 0,
            epoch,
        }
    }

    /// Appends records; those that are already here are passed over.
    pub(super) fn push(&mut self, records: impl IntoIterator<Item = SharedRecord>) {
        for record in records {
            if !record.new.kind.is_kept() {
                self.ephemerals += 1;
            } else if record.offset > self.through {
                self.through = record.offset;
            } else {
                continue;
            }
            let entry = Entry {
                record,
                place: self.through,
                ephemerals: self.ephemerals,
                event_stream: OnceLock::new(),
                json_lines: OnceLock::new(),
            };
            self.bytes += entry.bytes();
            self.entries.push_back(Arc::new(entry));
        }
        while self.bytes > self.bytes_max {
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= entry.bytes();
            self.base = entry.place;
        }
    }

    /// Notes that there is nothing more up to `through`.
    pub(super) fn skip_to(&mut self, through: Offset) {
        self.through = self.through.max(through);
    }

    /// Starts again after `through`: what came before is read from the log.
    pub(super) fn reset(&mut self, through: Offset) {
        self.entries.clear();
        self.bytes = 0;
        self.base = through;
        self.through = through;
    }

    pub(super) fn through(&self) -> Offset {
        self.through
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The end: whoever comes now has missed nothing of what is to come.
    pub(super) fn end(&self) -> TailPlace {
        TailPlace { after: self.through, heard: self.ephemerals }
    }

    #[cfg(feature = "engine")]
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The entry of an event that ended at `place`, if it is still here.
    #[cfg(feature = "engine")]
    pub(super) fn entry(&self, event: &EventEnd) -> Option<&Arc<Entry>> {
        let EventEnd { place, kept, .. } = *event;
        let from = self.entries.partition_point(|entry| entry.place < place.after);
        let mut there = self.entries.range(from..).take_while(|entry| entry.place == place.after);
        there.find(|entry| match kept {
            true => entry.is_kept(),
            false => !entry.is_kept() && entry.ephemerals == place.heard,
        })
    }

    /// The entries after `place`, at most `count_max` of them and little more than `bytes_max`, and
    /// the place up to which they reach; none if the ring does not reach back that far.
    #[cfg(feature = "engine")]
    pub(super) fn since(
        &self,
        place: TailPlace,
        count_max: usize,
        bytes_max: usize,
    ) -> Option<(Vec<Arc<Entry>>, TailPlace)> {
        if place.after < self.base {
            return None;
        }
        let from = self.entries.partition_point(|entry| entry.is_past(place));
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in self.entries.range(from..) {
            if entries.len() == count_max || bytes >= bytes_max {
                return Some((entries, entry.before()));
            }
            bytes += entry.record.new.data.len();
            entries.push(Arc::clone(entry));
        }
        Some((entries, self.end()))
    }

    /// What the filter matches after `place` and before `until`, up to a chunk of it.
    pub(super) fn read(
        &self,
        place: TailPlace,
        until: TailPlace,
        filter: &Filter,
        format: Format,
    ) -> TailRead {
        if place.after < self.base {
            return TailRead::Behind;
        }
        let from = self.entries.partition_point(|entry| entry.is_past(place));
        let mut hits: Vec<&Bytes> = Vec::new();
        let mut events = Vec::new();
        let end = TailPlace { after: until.after.max(place.after), heard: until.heard };
        let (mut bytes, mut last, mut through) = (0, None, end);
        let (mut marks, mut more) = (false, false);
        for (scanned, entry) in self.entries.range(from..).enumerate() {
            if !entry.is_past(until) {
                break;
            }
            let full = bytes >= Self::CHUNK_BYTES;
            if full || scanned == Self::SCAN_MAX {
                through = entry.before();
                // What the log does not have is to be found only here.
                if hits.is_empty() && !marks && through.heard == end.heard {
                    return TailRead::Behind;
                }
                more = true;
                break;
            }
            let kind = entry.record.new.kind;
            let heard = !kind.is_kept() && entry.ephemerals <= place.heard;
            if heard || !filter.matches(&entry.record) {
                continue;
            }
            if !kind.is_event() {
                marks = true;
                continue;
            }
            let frame = entry.frame(format, self.epoch);
            bytes += frame.len();
            hits.push(frame);
            let after = TailPlace { heard: entry.ephemerals.max(place.heard), ..entry.after() };
            events.push(EventEnd { at: bytes, place: after, kept: kind.is_kept() });
            if kind.is_kept() {
                last = Some(entry.place);
            }
        }
        let bytes = match hits.as_slice() {
            [] => Bytes::new(),
            // The usual case shares the bytes with every other subscriber.
            [frame] => (*frame).clone(),
            _ => hits
                .iter()
                .fold(Vec::with_capacity(bytes), |mut chunk, frame| {
                    chunk.extend_from_slice(frame);
                    chunk
                })
                .into(),
        };
        TailRead::Frames { piece: Piece { bytes, events, from: place }, last, through, marks, more }
    }
}
