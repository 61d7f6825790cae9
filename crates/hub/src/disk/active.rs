//! The active segment: where frames are written, and what happens when that fails.

use std::{
    io,
    sync::{Arc, mpsc},
};

use tidings_server::cursor::Offset;

use super::{
    Kept, Location, Shared,
    compaction::{Compacted, Failed, Plan},
    frame,
    helper::{Helper, Spare, Task},
    manifest::{End, Left, Manifest},
    options::Durability,
    segment::{self, Segment},
    storage::{Lock, is_full},
    trims::Trims,
};

/// The first segment after a start: small, so that the start is quick.
pub(super) const FIRST_SEGMENT_BYTES: u64 = 4 << 20;

/// The end of the log, while it is open.
#[derive(Debug)]
pub(super) struct Active {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    // Where the next frame goes in the segment.
    at: u64,
    // Where the last acknowledged frame ends, and its checksum. The segment it is in may be the
    // one before.
    end: End,
    chain: u32,
    // As it was last written, but for the segments that the helper prepared since.
    manifest: Manifest,
    // The next segment, made ready by the helper.
    spare: Spare,
    helper: Helper,
    // What becomes of segments that are being compacted.
    compacting: Option<(Vec<u32>, mpsc::Receiver<io::Result<Compacted>>)>,
    not_compacted: Failed,
    _lock: Lock,
}

/// A frame to be written.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) records: u32,
    pub(super) first: Offset,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Arc<str>,
    /// Whether the group may be found after a restart all the same.
    pub(super) may_be_there: bool,
}

impl Active {
    /// Goes on after `end`: in the last segment if there is little in it, so that a log that is
    /// opened again and again does not become one of many small files; or else in a new one.
    pub(super) fn start(
        shared: Arc<Shared>,
        lock: Lock,
        mut helper: Helper,
        mut manifest: Manifest,
        (end, chain): (End, u32),
    ) -> io::Result<Self> {
        let storage = &*shared.storage;
        let bytes = FIRST_SEGMENT_BYTES.min(shared.options.segment_bytes);
        let last = shared.state.read().segments.back().map(|kept| Arc::clone(&kept.segment));
        let mut live_bytes = 0;
        let (segment, at, end_bytes) = match last {
            Some(last) if end.bytes < bytes / 2 && !last.is_compacted => {
                let kept = shared.state.write().segments.pop_back();
                live_bytes = kept.map_or(0, |kept| kept.live_bytes);
                (last.refill(end.bytes, bytes)?, end.bytes, bytes)
            }
            last => {
                let number = last.map_or(1, |last| last.number + 1);
                let segment = Segment::prepare(storage, number, bytes, None)?;
                (segment, segment::HEADER_BYTES as u64, end.bytes)
            }
        };
        manifest.left = Left::Open { end, bytes: end_bytes, prepared: segment.number };
        manifest.write(storage)?;
        let segment = Arc::new(segment);
        let kept = Kept { live_bytes, ..Kept::new(&segment, end.last) };
        shared.state.write().segments.push_back(kept);
        let spare = prepare_next(&mut helper, &manifest, &shared, &segment);
        Ok(Self {
            shared,
            segment,
            at,
            end,
            chain,
            manifest,
            spare,
            helper,
            compacting: None,
            not_compacted: Failed::default(),
            _lock: lock,
        })
    }

    /// The last acknowledged offset.
    pub(super) fn last(&self) -> Offset {
        self.end.last
    }

    /// Writes the frame in `buffer`, which was begun, and makes it as durable as was chosen.
    /// Gives its place.
    pub(super) fn write(
        &mut self,
        buffer: &mut Vec<u8>,
        group: &Group,
    ) -> Result<Location, Failure> {
        self.make_room(buffer.len())
            .map_err(|error| self.failure("prepare a segment in", &error, false))?;
        let checksum = frame::finish(buffer, self.at, group.records, group.first, self.chain);
        let written = self.segment.file.write_at(buffer, self.at).and_then(|()| self.sync());
        if let Err(error) = written {
            let may_be_there = self.withdraw().is_err();
            return Err(self.failure("write to", &error, may_be_there));
        }
        let place = Location { segment: self.segment.number, at: self.at as u32 };
        self.at += buffer.len() as u64;
        self.spare.used(self.at, self.segment.zeroed_bytes);
        self.chain = checksum;
        let last = Offset(group.first.0 + u64::from(group.records)).previous();
        if self.end.segment != self.segment.number {
            // Those before this one are done with.
            self.shared.state.write().may_compact = true;
        }
        self.end = End { segment: self.segment.number, bytes: self.at, last };
        Ok(place)
    }

    // For a frame of so many bytes.
    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        let end = |at| at + frame::padded_bytes(bytes, at) as u64;
        let header = segment::HEADER_BYTES as u64;
        if end(self.at) > self.segment.zeroed_bytes && self.at > header {
            self.roll()?;
        }
        if end(self.at) > self.segment.zeroed_bytes {
            // Larger than a segment: it gets one of its own, in place of the empty one.
            let (shared, number) = (Arc::clone(&self.shared), self.segment.number);
            let segment = Segment::prepare(&*shared.storage, number, end(self.at), None)?;
            self.segment = Arc::new(segment);
            let mut state = shared.state.write();
            state.segments.pop_back();
            state.segments.push_back(Kept::new(&self.segment, self.end.last));
        }
        Ok(())
    }

    // The manifest says of each segment that it is there before an event in it is acknowledged:
    // else nothing would tell when it was lost.
    fn prepare(&mut self, number: u32) -> io::Result<Segment> {
        let storage = &*self.shared.storage;
        let bytes = FIRST_SEGMENT_BYTES.min(self.shared.options.segment_bytes);
        let segment = Segment::prepare(storage, number, bytes, None)?;
        self.manifest = with_prepared(&self.manifest, number);
        self.manifest.write(storage)?;
        Ok(segment)
    }

    fn sync(&self) -> io::Result<()> {
        match self.shared.options.durability {
            Durability::Fsync => self.segment.file.sync(),
            Durability::Os => Ok(()),
        }
    }

    // A frame without its header is none, whatever else of it reaches the disk. Only if the
    // disk takes that can we say that nothing was appended.
    fn withdraw(&self) -> io::Result<()> {
        self.segment.file.write_at(&[0; frame::HEADER_BYTES], self.at)?;
        self.segment.file.sync()
    }

    fn roll(&mut self) -> io::Result<()> {
        let full = Arc::clone(&self.segment);
        // The spare may have failed long ago, and for its size: what is there now may do.
        let segment = self.spare.ready().or_else(|_| self.prepare(full.number + 1))?;
        self.take(segment);
        if self.shared.options.durability == Durability::Os {
            self.helper.start(Task::Sync(full));
        }
        Ok(())
    }

    fn take(&mut self, segment: Segment) {
        let segment = Arc::new(segment);
        self.spare = prepare_next(&mut self.helper, &self.manifest, &self.shared, &segment);
        self.shared.state.write().segments.push_back(Kept::new(&segment, self.end.last));
        self.segment = segment;
        self.at = segment::HEADER_BYTES as u64;
    }

    /// Goes on in a fresh segment after the last acknowledged record. What a failed write may
    /// have left behind it is superseded, and never read again.
    pub(super) fn reopen(&mut self) -> Result<(), Failure> {
        // The helper may be about to make the very file.
        self.spare.give_up();
        let unused = self.end.segment != self.segment.number;
        // A segment without an acknowledged record is made anew, with whatever is in it.
        let number = self.segment.number + u32::from(!unused);
        self.supersede(number).map_err(|error| self.failure("go on in", &error, false))
    }

    fn supersede(&mut self, number: u32) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let segment = self.prepare(number)?;
        // A frame without records whose chain is the last acknowledged frame: from here on the
        // scan ends the segment before it there.
        let mut buffer = Vec::new();
        frame::begin(&mut buffer);
        let at = segment::HEADER_BYTES as u64;
        let checksum = frame::finish(&mut buffer, at, 0, self.end.last.next(), self.chain);
        segment.file.write_at(&buffer, at)?;
        segment.file.sync()?;
        if number == self.segment.number {
            shared.state.write().segments.pop_back();
        }
        self.take(segment);
        self.chain = checksum;
        self.at = at + buffer.len() as u64;
        self.end = End { segment: number, bytes: self.at, last: self.end.last };
        Ok(())
    }

    /// Removes the segments whose records are all trimmed.
    pub(super) fn sweep(&mut self) {
        // The last acknowledged frame stays: the next start finds there how far the log came.
        let goes = |kept: &Kept, first| kept.last < first && kept.segment.number < self.end.segment;
        let mut numbers = Vec::new();
        let trims = {
            let state = self.shared.state.read();
            let first = state.index.first();
            if !state.segments.front().is_some_and(|kept| goes(kept, first)) {
                return;
            }
            Trims::of(&state.index, 0)
        };
        let mut state = self.shared.state.write();
        while state.segments.front().is_some_and(|kept| goes(kept, trims.first)) {
            numbers.extend(state.segments.pop_front().map(|kept| kept.segment.number));
        }
        let segment = state.segments.front().map_or(1, |kept| kept.segment.number);
        drop(state);
        let trims = Trims { segment, ..trims };
        self.helper.start(Task::Remove { trims, numbers });
    }

    /// Compacts segments of which most is trimmed, a few neighbours at a time.
    pub(super) fn compact(&mut self) {
        // Also what is begun here, if it is done in turn.
        for _ in 0..2 {
            if let Some((numbers, compacting)) = &self.compacting {
                match compacting.try_recv() {
                    Err(mpsc::TryRecvError::Empty) => return,
                    Err(mpsc::TryRecvError::Disconnected) => {}
                    Ok(Ok(compacted)) => self.shared.state.write().take_compacted(compacted),
                    Ok(Err(error)) => {
                        let dir = self.shared.options.dir.display();
                        tracing::warn!(
                            "{dir}: cannot compact segments {numbers:?}: {error}; trying again \
                             later"
                        );
                        self.not_compacted.add(numbers, self.segment.number);
                    }
                }
                self.compacting = None;
            }
            let again = self.not_compacted.forgive(self.segment.number);
            if !again && !self.shared.state.read().may_compact {
                return;
            }
            let bytes_max = self.shared.options.segment_bytes / 2;
            let plan = {
                let state = self.shared.state.read();
                Plan::choose(&state, self.end.segment, bytes_max, &self.not_compacted)
            };
            let Some(plan) = plan else {
                self.shared.state.write().may_compact = false;
                return;
            };
            let (answer, answered) = mpsc::sync_channel(1);
            let numbers = plan.numbers();
            self.helper.start(Task::Compact { plan, answer });
            self.compacting = Some((numbers, answered));
        }
    }

    /// Closes the log; after an error the next start finds it as after a crash.
    pub(super) fn close(self) -> io::Result<()> {
        let Self { shared, segment, end, manifest, spare, mut helper, _lock, .. } = self;
        let storage = &*shared.storage;
        spare.give_up();
        if !helper.finish() {
            return Err(io::Error::other("a segment could not be synced"));
        }
        segment.file.sync()?;
        let trims = {
            let state = shared.state.read();
            let oldest = state.segments.front().map_or(1, |kept| kept.segment.number);
            Trims::of(&state.index, oldest)
        };
        trims.write(storage)?;
        Manifest { left: Left::Closed(end), ..manifest }.write(storage)?;
        // Only now: what the manifest says is there must not be missing. What fails here is left
        // to the next start.
        match storage.remove(&Segment::name(segment.number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if end.segment == segment.number {
            segment.file.set_len(end.bytes)?;
            segment.file.sync()?;
        } else {
            storage.remove(&Segment::name(segment.number))?;
        }
        storage.sync_dir()
    }

    fn failure(&self, action: &str, error: &io::Error, may_be_there: bool) -> Failure {
        let dir = self.shared.options.dir.display();
        let advice = if is_full(error) { "free space there" } else { "see to the disk" };
        let cause =
            format!("cannot {action} {dir}: {error}; {advice} and the log goes on by itself");
        Failure { cause: cause.into(), may_be_there }
    }
}

fn prepare_next(
    helper: &mut Helper,
    manifest: &Manifest,
    shared: &Shared,
    segment: &Segment,
) -> Spare {
    let number = segment.number + 1;
    helper.prepare(number, next_bytes(shared, segment), with_prepared(manifest, number))
}

fn with_prepared(manifest: &Manifest, number: u32) -> Manifest {
    let mut manifest = manifest.clone();
    if let Left::Open { prepared, .. } = &mut manifest.left {
        *prepared = number;
    }
    manifest
}

// Each segment is twice as large as the one before, up to the chosen size.
fn next_bytes(shared: &Shared, segment: &Segment) -> u64 {
    shared.options.segment_bytes.min(2 * segment.zeroed_bytes.max(FIRST_SEGMENT_BYTES / 2))
}
