//! Segments: the files that hold the frames.

use std::{io, sync::Arc};

use super::{
    pace::Pace,
    storage::{File, Storage},
};

/// A segment's header: magic, format version, number, prepared length, checksum.
pub(super) const HEADER_BYTES: usize = 24;
/// The format of the directory and all its files.
pub(super) const FORMAT: u32 = 3;
// The oldest that is read. What is written is of the present format, and the manifest says so
// before anything else is written: from then on older versions refuse the directory.
const FORMAT_MIN: u32 = 1;

const MAGIC: [u8; 8] = *b"\xf7tidings";
const SUFFIX: &str = ".log";
const NEW: &str = ".new";
const DAMAGED: &str = ".damaged";
// Zeros are written in pieces of this size, each synced on its own, so that the commits that
// run meanwhile never wait for more than one of them.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// A file of frames.
#[derive(Debug)]
pub(super) struct Segment {
    /// Rises by one from a segment to the next.
    pub(super) number: u32,
    pub(super) file: Arc<dyn File>,
    /// How many bytes are zeroed: up to there a commit changes no metadata.
    pub(super) zeroed_bytes: u64,
    /// Whether it is compacted, and has no frames.
    pub(super) is_compacted: bool,
}

impl Segment {
    /// The file name of the segment `number`.
    pub(super) fn name(number: u32) -> String {
        format!("{number:010}{SUFFIX}")
    }

    /// The file name of the segment `number` while it is not yet ready.
    pub(super) fn new_name(number: u32) -> String {
        format!("{}{NEW}", Self::name(number))
    }

    /// The number in a segment's file name.
    pub(super) fn number_of(name: &str) -> Option<u32> {
        let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
        (Self::name(number) == name).then_some(number)
    }

    /// Whether `name` is of a segment that was not yet ready.
    pub(super) fn is_new(name: &str) -> bool {
        name.strip_suffix(NEW).is_some_and(|name| Self::number_of(name).is_some())
    }

    /// Makes the segment `number` with `bytes` of zeros, durable, ready to be written, in place of
    /// one of that number. It gets its name last: a segment is there whole or not at all.
    ///
    /// Without a pace it is made at once.
    pub(super) fn prepare(
        storage: &dyn Storage,
        number: u32,
        bytes: u64,
        pace: Option<&Pace>,
    ) -> io::Result<Self> {
        let name = Self::name(number);
        let new_name = Self::new_name(number);
        let file = storage.create(&new_name)?;
        let made = file.reserve(bytes).and_then(|()| {
            zero(&*file, 0, bytes, pace)?;
            file.write_at(&header(FORMAT, number, bytes as u32), 0)?;
            file.sync()?;
            storage.rename(&new_name, &name)?;
            storage.sync_dir()
        });
        if let Err(error) = made {
            // It may take the very room that is missing. If that fails too, or it has its name
            // already, it is made anew, or removed by the next start.
            let _ = storage.remove(&new_name);
            return Err(error);
        }
        Ok(Self { number, file, zeroed_bytes: bytes, is_compacted: false })
    }

    /// The segment with zeros again from `from`, where it was cut off, up to `bytes`.
    pub(super) fn refill(&self, from: u64, bytes: u64) -> io::Result<Self> {
        zero(&*self.file, from, bytes, None)?;
        let file = Arc::clone(&self.file);
        Ok(Self { number: self.number, file, zeroed_bytes: bytes, is_compacted: false })
    }

    /// The length that segment `number` was prepared with, if the file starts with its header; the
    /// format, if it is one that this version does not know.
    pub(super) fn read_header(
        file: &dyn File,
        number: u32,
    ) -> io::Result<Result<Option<u64>, u32>> {
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0)?;
        let format = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if bytes[..8] == MAGIC && checksum(&bytes) == bytes[20..] && format > FORMAT {
            return Ok(Err(format));
        }
        let prepared = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        let valid = read == HEADER_BYTES
            && format >= FORMAT_MIN
            && bytes == header(format, number, prepared);
        Ok(Ok(valid.then_some(u64::from(prepared))))
    }
}

/// A file name for what is set aside of the segment `number`, not among `taken`.
pub(super) fn damaged_name(number: u32, taken: &[String]) -> String {
    let name = Segment::name(number);
    (1..)
        .map(|copy: u32| match copy {
            1 => format!("{name}{DAMAGED}"),
            _ => format!("{name}.{copy}{DAMAGED}"),
        })
        .find(|name| !taken.contains(name))
        .unwrap_or(name + DAMAGED)
}

fn zero(file: &dyn File, from: u64, to: u64, pace: Option<&Pace>) -> io::Result<()> {
    let mut at = from;
    while at < to {
        if pace.is_some_and(|pace| !pace.wait(at, to)) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let piece = ZEROS.len().min((to - at) as usize);
        file.write_at(&ZEROS[..piece], at)?;
        file.sync()?;
        at += piece as u64;
    }
    Ok(())
}

pub(super) fn header(format: u32, number: u32, prepared_bytes: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    bytes[12..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..20].copy_from_slice(&prepared_bytes.to_le_bytes());
    let checksum = checksum(&bytes);
    bytes[20..].copy_from_slice(&checksum);
    bytes
}

fn checksum(header: &[u8; HEADER_BYTES]) -> [u8; 4] {
    crc32fast::hash(&header[..20]).to_le_bytes()
}
