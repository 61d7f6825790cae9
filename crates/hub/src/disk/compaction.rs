//! Compaction: what is left of segments that are mostly trimmed is copied together, so that a few
//! old records do not keep everything around them on the disk.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};

use tidings_server::{
    cursor::Offset,
    log::{Hit, ReadError},
};

use super::{
    Kept, Location, State,
    compacted::{self, Head, RECORDS_AT},
    read::{self, Span},
    segment::{self, FORMAT, Segment},
    storage::Storage,
    trims::Trims,
};

// Written in pieces of this size, each synced on its own, so that the commits that run meanwhile
// never wait for more than one of them.
const PIECE_BYTES: usize = 256 << 10;

/// Neighbours that are to become one segment.
#[derive(Debug)]
pub(super) struct Plan {
    trims: Trims,
    sources: Vec<Arc<Segment>>,
    // The one behind them.
    next: Arc<Segment>,
    last: Offset,
    spans: Vec<Span>,
    hits: Vec<Hit<Location>>,
}

/// The segments that could not be compacted, such as one with a record that cannot be read, and
/// after which new segment each is tried again: the others do not wait for it.
#[derive(Debug, Default)]
pub(super) struct Failed(BTreeMap<u32, u32>);

impl Failed {
    // A disk that was full has room again by then, and a damaged one is not read all the time.
    const PASSED_OVER_FOR: u32 = 64;

    /// The segments of a plan could not be compacted while `active` was written.
    pub(super) fn add(&mut self, numbers: &[u32], active: u32) {
        let until = active.saturating_add(Self::PASSED_OVER_FOR);
        self.0.extend(numbers.iter().map(|&number| (number, until)));
    }

    /// Forgets those whose time has come; whether there were any.
    pub(super) fn forgive(&mut self, active: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|_, until| *until > active);
        self.0.len() < before
    }
}

/// The segment that takes their place.
#[derive(Debug)]
pub(super) struct Compacted {
    from: u32,
    segment: Arc<Segment>,
    bytes: u64,
    last: Offset,
    // Where the records lie in it, in order.
    places: Vec<(Offset, Location)>,
}

impl Kept {
    /// Whether less than half of what it takes on the disk is still kept.
    pub(super) fn is_wasteful(&self) -> bool {
        is_wasteful(self.live_bytes, self.file_bytes)
    }
}

fn is_wasteful(live_bytes: u64, file_bytes: u64) -> bool {
    2 * live_bytes < file_bytes.saturating_sub(RECORDS_AT)
}

impl Plan {
    /// The next neighbours to compact, of those before the segment `end`; what is left of them is
    /// at most `bytes_max`, or one's alone.
    ///
    /// As what is freed is more than what is copied, compaction writes no more than publishing
    /// does. Where it ends, no two neighbours are together mostly trimmed: the segments before
    /// the end take at most twice the bytes that are kept, and few files.
    pub(super) fn choose(state: &State, end: u32, bytes_max: u64, failed: &Failed) -> Option<Self> {
        let sealed = state.segments.partition_point(|kept| kept.segment.number < end);
        let passed_over = |kept: &Kept| failed.0.contains_key(&kept.segment.number);
        let is_due = |kept: &Kept| kept.is_wasteful() && !passed_over(kept);
        let wasteful = state.segments.range(..sealed).position(is_due)?;
        let kept = state.segments.get(wasteful)?;
        let (mut from, mut live, mut bytes) = (wasteful, kept.live_bytes, kept.file_bytes);
        while let Some(before) = from.checked_sub(1).and_then(|at| state.segments.get(at)) {
            let more = (live + before.live_bytes, bytes + before.file_bytes);
            if more.0 > bytes_max || !is_wasteful(more.0, more.1) || passed_over(before) {
                break;
            }
            (live, bytes) = more;
            from -= 1;
        }
        let after = from.checked_sub(1).and_then(|at| state.segments.get(at));
        let after = after.map_or(Offset::ZERO, |before| before.last);
        let hits: Vec<_> = state.index.between(after, kept.last).collect();
        let oldest = state.segments.front().map_or(1, |kept| kept.segment.number);
        Some(Self {
            trims: Trims::of(&state.index, oldest),
            sources: state
                .segments
                .range(from..=wasteful)
                .map(|s| Arc::clone(&s.segment))
                .collect(),
            next: Arc::clone(&state.segments.get(wasteful + 1)?.segment),
            last: kept.last,
            spans: read::spans(state, &hits),
            hits,
        })
    }

    /// The segments that it compacts.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.sources.iter().map(|source| source.number).collect()
    }

    /// Writes the segment, and puts it in place of its sources. After a crash at any point the
    /// sources are there, or it is.
    /// The sources that could not be removed are added to `left`.
    pub(super) fn run(
        &self,
        storage: &dyn Storage,
        left: &mut VecDeque<u32>,
    ) -> io::Result<Compacted> {
        let (Some(first), Some(last)) = (self.sources.first(), self.sources.last()) else {
            return Err(io::Error::other("nothing to compact"));
        };
        // First remembered, then forgotten: nothing that is left out comes back, or is missing in
        // silence.
        self.trims.write(storage)?;
        let (from, begin) = compacted::begin(first)?;
        let head = Head {
            from,
            chain: begin.chain,
            next_chain: compacted::begin(&self.next)?.1.chain,
            records: self.hits.len() as u32,
            first: begin.first,
            next: self.last.next(),
            body_bytes: self.hits.iter().map(|hit| hit.bytes).sum(),
        };
        let number = last.number;
        let name = Segment::name(number);
        let new_name = Segment::new_name(number);
        let made = self.write(storage, &new_name, head, number).and_then(|compacted| {
            storage.rename(&new_name, &name)?;
            storage.sync_dir()?;
            Ok(compacted)
        });
        let Ok(compacted) = made else {
            // It may take the very room that is missing. The next start removes it else.
            let _ = storage.remove(&new_name);
            return made;
        };
        // What is left of them stands in the new one.
        for source in self.sources.iter().filter(|source| source.number != number) {
            if storage.remove(&Segment::name(source.number)).is_err() {
                left.push_back(source.number);
            }
        }
        Ok(compacted)
    }

    fn write(
        &self,
        storage: &dyn Storage,
        new_name: &str,
        head: Head,
        number: u32,
    ) -> io::Result<Compacted> {
        let file = storage.create(new_name)?;
        let bytes = RECORDS_AT + u64::from(head.body_bytes);
        file.reserve(bytes)?;
        let mut checksum = crc32fast::Hasher::new();
        let mut places = Vec::with_capacity(self.hits.len());
        let mut at = RECORDS_AT;
        let mut piece = Vec::new();
        let mut written = at;
        read::fetch_bytes(&self.spans, |hit, record| -> Result<(), ReadError> {
            places.push((hit.offset, Location { segment: number, at: at as u32 }));
            at += record.len() as u64;
            checksum.update(record);
            piece.extend_from_slice(record);
            if piece.len() >= PIECE_BYTES {
                let piece_bytes = piece.len() as u64;
                file.write_at(&piece, written)
                    .and_then(|()| file.sync())
                    .map_err(|error| read::store_error(error.to_string()))?;
                written += piece_bytes;
                piece.clear();
            }
            Ok(())
        })
        .map_err(|error| io::Error::other(error.to_string()))?;
        if at != bytes {
            return Err(io::Error::other("records are missing that were to be copied"));
        }
        file.write_at(&piece, written)?;
        file.write_at(&head.to_bytes(&checksum), segment::HEADER_BYTES as u64)?;
        file.write_at(&segment::header(FORMAT, number, bytes as u32), 0)?;
        file.sync()?;
        let segment = Segment { number, file, zeroed_bytes: bytes, is_compacted: true };
        let segment = Arc::new(segment);
        Ok(Compacted { from: head.from, segment, bytes, last: self.last, places })
    }
}

impl State {
    /// Goes on with the new segment in place of its sources. Who reads from those has them open.
    pub(super) fn take_compacted(&mut self, compacted: Compacted) {
        let Compacted { from, segment, bytes, last, places } = compacted;
        let number = segment.number;
        let start = self.segments.partition_point(|kept| kept.segment.number < from);
        let end = self.segments.partition_point(|kept| kept.segment.number <= number);
        // All of it may have been trimmed meanwhile, and removed.
        if end
            .checked_sub(1)
            .and_then(|at| self.segments.get(at))
            .is_none_or(|kept| kept.segment.number != number)
        {
            return;
        }
        let live_bytes = self.index.relocate(places);
        let mut rest = self.segments.split_off(end);
        self.segments.truncate(start);
        self.segments.push_back(Kept { segment, last, live_bytes, file_bytes: bytes });
        self.segments.append(&mut rest);
    }
}
