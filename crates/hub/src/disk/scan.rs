//! The scan: reads the frames of the segments, rebuilds the index, and finds where the log
//! ends. It changes nothing.

use std::{io, ops::RangeInclusive, sync::Arc};

use tidings_server::{
    cursor::Offset,
    log::{Index, Keys, Place},
    record::Timestamp,
};

use crate::stored::{RecordError, Stored};

use super::{
    Kept, Location,
    compacted::{Head, RECORDS_AT},
    frame::{self, Header},
    manifest::{End, Left},
    options::Options,
    segment::{self, Segment},
    storage::{File, Storage},
    tail::{Next, Tail},
    trims::Trims,
    window::Window,
};

/// A segment file as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) number: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) bytes: u64,
    // The length it was prepared with, if its header is there.
    prepared_bytes: Option<u64>,
    // The first frame, if it is whole; without it no frame of the segment counts.
    first: Option<Header>,
    // If it is compacted.
    compacted: Option<Head>,
}

impl Found {
    /// Opens the segment `number`; the format, if it is one that this version does not know.
    pub(super) fn open(storage: &dyn Storage, number: u32) -> io::Result<Result<Self, u32>> {
        let file = storage.open(&Segment::name(number))?;
        let bytes = file.len()?;
        let mut found =
            Self { number, file, bytes, prepared_bytes: None, first: None, compacted: None };
        match Segment::read_header(&*found.file, number)? {
            Err(format) => return Ok(Err(format)),
            Ok(Some(prepared_bytes)) => {
                found.prepared_bytes = Some(prepared_bytes);
                found.compacted = Head::read(&*found.file, bytes)?;
                found.first = match &found.compacted {
                    Some(head) => Some(head.as_frame()),
                    None => found.window().frame(segment::HEADER_BYTES as u64)?,
                };
            }
            Ok(None) => {}
        }
        Ok(Ok(found))
    }

    /// The segments that it stands for.
    pub(super) fn stands_for(&self) -> RangeInclusive<u32> {
        self.compacted.map_or(self.number, |head| head.from)..=self.number
    }

    /// Whether anything but zeros stands from `from` on.
    pub(super) fn has_bytes(&self, from: u64) -> io::Result<bool> {
        let from = from.max(segment::HEADER_BYTES as u64);
        Ok(self.window().rest(from)?.is_some())
    }

    fn window(&self) -> Window<'_> {
        Window::new(&*self.file, self.bytes)
    }

    fn name(&self) -> String {
        Segment::name(self.number)
    }
}

/// What the scan found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) index: Index<Location>,
    pub(super) keys: Keys,
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

impl Scan {
    /// Scans `segments`, which are in order, of a log that remembers `trims`, was left as `left`
    /// says, wrote groups of up to `group_bytes_max`, and is now opened with `options`.
    pub(super) fn run(
        segments: &[Found],
        trims: Option<Trims>,
        left: &Left,
        group_bytes_max: u64,
        options: &Options,
    ) -> io::Result<Self> {
        let mark = left.mark();
        let first_segment = trims.as_ref().map_or(1, |trims| trims.segment);
        let trimmed_to = trims.as_ref().map_or(Offset(1), |trims| trims.first);
        let last = trimmed_to.previous().max(left.end().last);
        let mut index = Index::new(trimmed_to.previous()).with_rules(options.rules.clone());
        let mut furthest = Offset::ZERO;
        if let Some(trims) = trims {
            furthest = trims.furthest();
            index.restore_trims(trims.floor, trims.topics);
        }
        let mut scan = Self {
            index,
            keys: Keys::new(options.key_window),
            kept: Vec::new(),
            end: End::default(),
            chain: 0,
            time: Timestamp::default(),
            torn: false,
            damage: None,
        };
        scan.damage = missing(segments, first_segment, left.last_segment());
        // Past the end that is known, there is only what a close or a start left in haste.
        let number_max = mark.map_or(u32::MAX, |mark| mark.segment);
        let used: Vec<_> = segments
            .iter()
            .filter(|found| found.number <= number_max)
            .filter_map(|found| Some((found, found.first?)))
            .collect();
        if let Some((found, first)) = used.first()
            && first.first > trimmed_to
        {
            let last = first.first.previous();
            let what = format!("events {trimmed_to} to {last} are missing before {}", found.name());
            scan.damage(what);
            // Whoever asks for them is told that they are gone.
            scan.index.restore_trims(first.first.previous(), []);
        }
        for (at, (found, first)) in used.iter().enumerate() {
            let next = used.get(at + 1).map(|(_, first)| *first);
            let sealed = scan.segment(found, *first, next, trimmed_to, mark)?;
            if next.is_some() && !sealed {
                let (name, at) = (found.name(), scan.end.bytes);
                scan.damage(format!("{name} is damaged or cut off at byte {at}"));
                break;
            }
        }
        if used.is_empty() {
            scan.index.advance(last);
        }
        // The end of the log may be lost, and the memory of trims there not: the next records must
        // not pass for those.
        scan.index.advance(furthest);
        // Damage may have taken the records that were kept, and left older ones that were
        // already trimmed: the log goes on after the newest it knows of.
        scan.end.last = scan.index.last();
        if scan.kept.len() == used.len() {
            scan.check_end(segments, left, group_bytes_max)?;
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
        let mut window = found.window();
        let mut at = segment::HEADER_BYTES as u64;
        let (mut chain, mut expected) = (first.chain, first.first);
        let mut sealed = false;
        let mut live_bytes = 0;
        if let Some(head) = found.compacted {
            let bytes = window.bytes(RECORDS_AT, head.body_bytes as usize)?;
            live_bytes = self.records(bytes, &first, found.number, RECORDS_AT, trimmed_to)?;
            (at, chain, expected) = (found.bytes, head.next_chain, head.next);
            sealed = next.is_some_and(|next| next.follows(chain, expected));
        }
        while !sealed
            && found.compacted.is_none()
            && mark.is_none_or(|mark| (mark.segment, mark.bytes) != (found.number, at))
            && let Some(header) = window.frame(at)?
            && header.follows(chain, expected)
        {
            let body = at + frame::HEADER_BYTES as u64;
            let bytes = window.bytes(body, header.body_bytes as usize)?;
            live_bytes += self.records(bytes, &header, found.number, body, trimmed_to)?;
            at += header.frame_bytes();
            (chain, expected) = (header.checksum, header.next());
            sealed = next.is_some_and(|next| next.follows(chain, expected));
        }
        let last = expected.previous();
        self.chain = chain;
        self.end = End { segment: found.number, bytes: at, last };
        let zeroed_bytes = at;
        let file = Arc::clone(&found.file);
        let (number, is_compacted) = (found.number, found.compacted.is_some());
        let segment = Arc::new(Segment { number, file, zeroed_bytes, is_compacted });
        // Behind the end of the last one are zeros, which are cut off.
        let file_bytes = if next.is_some() { found.bytes } else { at };
        self.kept.push(Kept { segment, last, live_bytes, file_bytes });
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
    ) -> io::Result<u64> {
        let mut live_bytes = 0;
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
            if let Some(once) = stored.once {
                self.keys.push_stored(stored.offset, stored.time, once);
            }
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
            let is_kept = self
                .index
                .push_stored(place, stored.kind, topics, stored.id, !stored.id_reused)
                .map_err(|error| invalid(error.to_string()))?;
            live_bytes += if is_kept { u64::from(stored.bytes) } else { 0 };
        }
        Ok(live_bytes)
    }

    // The end is proved if it is where the log was closed, or if nothing stands behind it but a
    // write that was under way.
    fn check_end(
        &mut self,
        segments: &[Found],
        left: &Left,
        group_bytes_max: u64,
    ) -> io::Result<()> {
        let (end, known) = (self.end, left.end());
        let place = |end: End| (end.segment, end.bytes);
        let short = place(end) < place(known) || end.last < known.last;
        if short || left.mark().is_some_and(|mark| place(mark) != place(end)) {
            self.damage(format!(
                "{} is damaged, cut off, or missing at byte {} of the {} that it had at least",
                Segment::name(known.segment),
                if end.segment == known.segment { end.bytes } else { 0 },
                known.bytes,
            ));
        }
        let Left::Open { bytes, .. } = left else { return Ok(()) };
        let next =
            Next { chain: self.chain, first: self.index.last().next(), bytes_max: group_bytes_max };
        for found in segments.iter().filter(|found| found.number >= end.segment) {
            let prepared = found.prepared_bytes.map(|prepared| {
                let was_open = found.number == known.segment && found.compacted.is_none();
                if was_open { *bytes } else { prepared }
            });
            match prepared {
                None => self.damage(format!("the header of {} is damaged", found.name())),
                Some(prepared) if found.bytes < prepared => self.damage(format!(
                    "{} was cut off: it has {} bytes of {prepared}",
                    found.name(),
                    found.bytes
                )),
                Some(_) => {}
            }
            let from = segment::HEADER_BYTES as u64;
            let from = if found.number == end.segment { end.bytes.max(from) } else { from };
            match Tail::judge(&mut found.window(), from, next)? {
                Tail::Zeros => {}
                // At most one write was under way.
                Tail::Unfinished if !self.torn => self.torn = true,
                Tail::Unfinished | Tail::Damaged => {
                    self.damage(format!("{} is damaged at byte {from}", found.name()));
                }
            }
        }
        Ok(())
    }

    // What was found first is what the rest comes from.
    fn damage(&mut self, what: String) {
        self.damage.get_or_insert(what);
    }
}

// Which of the segments `first` to `last` are not there, in words.
fn missing(segments: &[Found], first: u32, last: u32) -> Option<String> {
    let there = |number: &u32| segments.iter().any(|found| found.stands_for().contains(number));
    let mut missing = (first..=last).filter(|number| !there(number));
    let number = missing.next()?;
    Some(match missing.count() {
        0 => format!("{} is missing", Segment::name(number)),
        more => format!("{} and {more} more segments are missing", Segment::name(number)),
    })
}
