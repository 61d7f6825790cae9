//! The scan: reads the frames of the segments, rebuilds the index, and finds where the log
//! ends. It changes nothing.

use std::{io, sync::Arc};

use tidings_server::{
    cursor::Offset,
    log::{Index, Place},
    record::Timestamp,
};

use super::{
    Kept, Location,
    frame::{self, Header},
    manifest::End,
    record::{RecordError, Stored},
    segment::{self, Segment},
    storage::{File, Storage},
    trims::Trims,
};

// Large enough that a read's own cost vanishes, small enough to stay in the processor's cache.
const WINDOW_BYTES: usize = 1 << 20;

/// A segment file as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) number: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) bytes: u64,
    // The first frame, if it is whole; without it no frame of the segment counts.
    first: Option<Header>,
}

impl Found {
    /// Opens the segment `number`; the format, if it is one that this version does not know.
    pub(super) fn open(storage: &dyn Storage, number: u32) -> io::Result<Result<Self, u32>> {
        let file = storage.open(&Segment::name(number))?;
        let bytes = file.len()?;
        let mut found = Self { number, file, bytes, first: None };
        match Segment::check_header(&*found.file, number)? {
            Err(format) => return Ok(Err(format)),
            Ok(true) => {
                found.first = Window::new(&found).frame(segment::HEADER_BYTES as u64)?;
            }
            Ok(false) => {}
        }
        Ok(Ok(found))
    }

    /// Whether anything but zeros stands from `from` on.
    pub(super) fn has_bytes(&self, from: u64) -> io::Result<bool> {
        let from = from.max(segment::HEADER_BYTES as u64);
        Ok(Window::new(self).rest(from)? != Rest::Zeros)
    }
}

/// What the scan found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) index: Index<Location>,
    /// The segments that are in use, in order.
    pub(super) kept: Vec<Kept>,
    /// Where the last of them ends.
    pub(super) end: End,
    /// The checksum of the last frame.
    pub(super) chain: u32,
    /// The time of the last record.
    pub(super) time: Timestamp,
    /// Whether the last write was cut off before it was acknowledged.
    pub(super) torn: bool,
    /// What is missing or no longer readable, in words for the operator.
    pub(super) damage: Option<String>,
}

/// What stands behind the last frame of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Zeros,
    Torn,
    // Frames that were written after one that is no longer there.
    Frames,
}

impl Scan {
    /// Scans `segments`, which are in order, of a log that remembers `trims` and was closed at
    /// `mark`, if it was closed.
    pub(super) fn run(
        segments: &[Found],
        trims: Option<Trims>,
        mark: Option<End>,
    ) -> io::Result<Self> {
        let trimmed_to = trims.as_ref().map_or(Offset(1), |trims| trims.first);
        let last = trimmed_to.previous().max(mark.map_or(Offset::ZERO, |mark| mark.last));
        let mut index = Index::new(trimmed_to.previous());
        if let Some(trims) = trims {
            index.restore_trims(trims.floor, trims.topics);
        }
        let mut scan = Self {
            index,
            kept: Vec::new(),
            end: End::default(),
            chain: 0,
            time: Timestamp::default(),
            torn: false,
            damage: None,
        };
        let used: Vec<_> =
            segments.iter().filter_map(|found| Some((found, found.first?))).collect();
        if let Some((found, first)) = used.first()
            && first.first > trimmed_to
        {
            scan.damage = Some(format!(
                "events {trimmed_to} to {} are missing before {}",
                first.first.previous(),
                Segment::name(found.number)
            ));
            // Whoever asks for them is told that they are gone.
            scan.index.restore_trims(first.first.previous(), []);
        }
        for (at, (found, first)) in used.iter().enumerate() {
            let next = used.get(at + 1).map(|(_, first)| *first);
            let sealed = scan.segment(found, *first, next, trimmed_to, mark)?;
            if next.is_some() && !sealed {
                let name = Segment::name(found.number);
                let at = scan.end.bytes;
                scan.damage = Some(format!("{name} is damaged or cut off at byte {at}"));
                break;
            }
        }
        if used.is_empty() {
            scan.index.advance(last);
        }
        // Damage may have taken the records that were kept, and left older ones that were
        // already trimmed: the log goes on after the newest it knows of.
        scan.end.last = scan.index.last();
        if scan.kept.len() == used.len() {
            scan.check_end(segments, mark)?;
        }
        Ok(scan)
    }

    // Whether it reached the place where the next segment goes on.
    fn segment(
        &mut self,
        found: &Found,
        first: Header,
        next: Option<Header>,
        trimmed_to: Offset,
        mark: Option<End>,
    ) -> io::Result<bool> {
        let mut window = Window::new(found);
        let mut at = segment::HEADER_BYTES as u64;
        let (mut chain, mut expected) = (first.chain, first.first);
        let mut sealed = false;
        while !sealed
            && mark.is_none_or(|mark| (mark.segment, mark.bytes) != (found.number, at))
            && let Some(header) = window.frame(at)?
            && header.follows(chain, expected)
        {
            let body = at + frame::HEADER_BYTES as u64;
            let bytes = window.bytes(body, header.body_bytes as usize)?;
            self.records(bytes, &header, found.number, body, trimmed_to)?;
            at += header.frame_bytes();
            (chain, expected) = (header.checksum, header.next());
            sealed = next.is_some_and(|next| next.follows(chain, expected));
        }
        let last = expected.previous();
        self.chain = chain;
        self.end = End { segment: found.number, bytes: at, last };
        let zeroed_bytes = at;
        let file = Arc::clone(&found.file);
        let segment = Arc::new(Segment { number: found.number, file, zeroed_bytes });
        self.kept.push(Kept { segment, last });
        self.index.advance(last);
        Ok(sealed)
    }

    fn records(
        &mut self,
        body: &[u8],
        header: &Header,
        segment: u32,
        at: u64,
        trimmed_to: Offset,
    ) -> io::Result<()> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut rest = body;
        for _ in 0..header.records {
            let why = |error: RecordError| {
                invalid(format!(
                    "event after {} in {}: {error}",
                    header.first,
                    Segment::name(segment)
                ))
            };
            let stored = Stored::parse(rest).map_err(why)?;
            let at = at + (body.len() - rest.len()) as u64;
            rest = &rest[stored.bytes as usize..];
            self.time = self.time.max(stored.time);
            if stored.offset < trimmed_to {
                continue;
            }
            let place = Place {
                offset: stored.offset,
                time: stored.time,
                bytes: stored.bytes,
                location: Location { segment, at: at as u32 },
            };
            let topics = stored.topics.iter().copied();
            self.index
                .push_stored(place, topics, stored.id, !stored.id_reused)
                .map_err(|error| invalid(error.to_string()))?;
        }
        Ok(())
    }

    fn check_end(&mut self, segments: &[Found], mark: Option<End>) -> io::Result<()> {
        if let Some(mark) = mark {
            if mark != self.end && self.damage.is_none() {
                self.damage = Some(format!(
                    "the log was closed after event {}, but only those up to {} are left",
                    mark.last, self.end.last
                ));
            }
            return Ok(());
        }
        for found in segments.iter().skip_while(|found| found.number < self.end.segment) {
            let end = self.end.bytes;
            let from = if found.number == self.end.segment { end } else { 0 };
            let rest = Window::new(found).rest(from.max(segment::HEADER_BYTES as u64))?;
            self.torn |= rest == Rest::Torn;
            if rest == Rest::Frames {
                let name = Segment::name(found.number);
                self.damage = Some(format!("{name} has events after a damaged place"));
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A part of a file, read in large pieces.
struct Window<'a> {
    file: &'a dyn File,
    file_bytes: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(found: &'a Found) -> Self {
        Self { file: &*found.file, file_bytes: found.bytes, start: 0, buffer: Vec::new() }
    }

    /// The `count` bytes at `at`; fewer only at the end of the file.
    fn bytes(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.file_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = count.min(left);
        if at < self.start || at + count as u64 > self.start + self.buffer.len() as u64 {
            self.buffer.resize(count.max(WINDOW_BYTES).min(left), 0);
            let read = self.file.read_at(&mut self.buffer, at)?;
            self.buffer.truncate(read);
            self.start = at;
        }
        let from = (at - self.start) as usize;
        let to = (from + count).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }

    /// The header of the frame at `at`, if the frame is whole.
    fn frame(&mut self, at: u64) -> io::Result<Option<Header>> {
        let Some(header) = Header::parse(self.bytes(at, frame::HEADER_BYTES)?) else {
            return Ok(None);
        };
        // A length that was made up by damage must not make us read far and wide.
        if at + header.frame_bytes() > self.file_bytes {
            return Ok(None);
        }
        let frame = self.bytes(at, header.frame_bytes() as usize)?;
        Ok(header.verifies(frame).then_some(header))
    }

    /// What the file has from `at` on.
    fn rest(&mut self, at: u64) -> io::Result<Rest> {
        let mut at = at;
        let mut rest = Rest::Zeros;
        loop {
            let piece = self.bytes(at, WINDOW_BYTES)?;
            if piece.is_empty() {
                return Ok(rest);
            }
            let piece_bytes = piece.len();
            if piece.iter().any(|&byte| byte != 0) {
                rest = Rest::Torn;
                let mut found = Vec::new();
                let mut from = 0;
                while let Some(magic) = frame::find_magic(piece, from) {
                    found.push(at + magic as u64);
                    from = magic + frame::ALIGN_BYTES;
                }
                for at in found {
                    if self.frame(at)?.is_some() {
                        return Ok(Rest::Frames);
                    }
                }
            }
            at += piece_bytes as u64;
        }
    }
}
