//! The manifest: what the directory is, which epoch the log has, and how it was last left.

use std::io;

use tidings_server::cursor::{Epoch, Offset};

use super::{options::Durability, segment::FORMAT, storage::Storage};

pub(super) const NAME: &str = "manifest";
const NEW_NAME: &str = "manifest.new";
const TITLE: &str = "tidings log";

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) epoch: Epoch,
    /// What was promised by the process that wrote it.
    pub(super) durability: Durability,
    /// Which directory it was written in; another one is a copy.
    pub(super) identity: String,
    /// How the log was left.
    pub(super) left: Left,
}

/// How a log was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It ends there exactly: it was closed, or a start found it so and got no further.
    Closed(End),
    /// It ends there, and what stands after that is damaged, and to be set aside.
    Damaged(End),
    /// It is written to, and ends there or later.
    Open {
        /// Where it ended when it was opened.
        end: End,
        /// The length that the segment of that end was then given, for what comes after it.
        bytes: u64,
        /// The last segment that was prepared. All up to it are there, unless they are trimmed.
        prepared: u32,
    },
}

impl Left {
    /// The end that the log has at least.
    pub(super) fn end(&self) -> End {
        let (Self::Closed(end) | Self::Damaged(end) | Self::Open { end, .. }) = *self;
        end
    }

    /// The end that the log has exactly.
    pub(super) fn mark(&self) -> Option<End> {
        (!matches!(self, Self::Open { .. })).then_some(self.end())
    }

    /// The last segment that must be there.
    pub(super) fn last_segment(&self) -> u32 {
        match self {
            Self::Closed(end) | Self::Damaged(end) => end.segment,
            Self::Open { prepared, .. } => *prepared,
        }
    }
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct End {
    /// The number of the last segment.
    pub(super) segment: u32,
    /// The bytes of it that are used.
    pub(super) bytes: u64,
    /// The last offset.
    pub(super) last: Offset,
}

/// Why there is no manifest to go by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ManifestError {
    Missing,
    Damaged,
    Newer(u32),
}

impl Manifest {
    /// Puts the manifest in place of the old one: after a crash one of the two is there.
    pub(super) fn write(&self, storage: &dyn Storage) -> io::Result<()> {
        replace(storage, NEW_NAME, NAME, self.to_text().as_bytes())
    }

    /// Reads the manifest.
    pub(super) fn read(storage: &dyn Storage) -> io::Result<Result<Self, ManifestError>> {
        let bytes = match read_all(storage, NAME) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(ManifestError::Missing));
            }
            Err(error) => return Err(error),
        };
        Ok(std::str::from_utf8(&bytes)
            .map_err(|_| ManifestError::Damaged)
            .and_then(Self::from_text))
    }

    fn to_text(&self) -> String {
        let Self { epoch, durability, identity, left } = self;
        let durability = match durability {
            Durability::Fsync => "fsync",
            Durability::Os => "os",
        };
        let End { segment, bytes, last } = left.end();
        let end = format!("{segment} {bytes} {last}");
        let left = match left {
            Left::Closed(_) => format!("closed {end}"),
            Left::Damaged(_) => format!("damaged {end}"),
            Left::Open { bytes, prepared, .. } => format!("open {end} {bytes} {prepared}"),
        };
        let text = format!(
            "{TITLE} {FORMAT}\nepoch {}\ndurability {durability}\nidentity {identity}\n{left}\n",
            epoch.to_bits()
        );
        let checksum = crc32fast::hash(text.as_bytes());
        format!("{text}checksum {checksum:08x}\n")
    }

    fn from_text(text: &str) -> Result<Self, ManifestError> {
        let damaged = || ManifestError::Damaged;
        // The first line is for every version to come: what follows may change.
        let title = text.lines().next().and_then(|line| line.strip_prefix(TITLE));
        let format: u32 =
            title.and_then(|format| format.trim().parse().ok()).ok_or_else(damaged)?;
        if format > FORMAT {
            return Err(ManifestError::Newer(format));
        }
        let (body, checksum) = text.rsplit_once("checksum ").ok_or_else(damaged)?;
        if checksum != format!("{:08x}\n", crc32fast::hash(body.as_bytes())) {
            return Err(ManifestError::Damaged);
        }
        let mut lines = body.lines().skip(1);
        let mut field = |name| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.map(str::trim_start).ok_or_else(damaged)
        };
        let epoch = field("epoch")?.parse().map_err(|_| ManifestError::Damaged)?;
        let durability = match field("durability")? {
            "fsync" => Durability::Fsync,
            "os" => Durability::Os,
            _ => return Err(ManifestError::Damaged),
        };
        let identity = field("identity")?.to_owned();
        let left = parse_left(field("")?).ok_or_else(damaged)?;
        Ok(Self { epoch: Epoch::from_bits(epoch), durability, identity, left })
    }
}

fn parse_left(line: &str) -> Option<Left> {
    let mut words = line.split(' ');
    let left = words.next()?;
    let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    let (&[segment, bytes, last], rest) = numbers.split_first_chunk()?;
    let end = End { segment: segment.try_into().ok()?, bytes, last: Offset(last) };
    match (left, rest) {
        ("closed", []) => Some(Left::Closed(end)),
        ("damaged", []) => Some(Left::Damaged(end)),
        ("open", &[bytes, prepared]) => {
            Some(Left::Open { end, bytes, prepared: prepared.try_into().ok()? })
        }
        _ => None,
    }
}

/// Writes `name` anew by way of `new_name`: after a crash it has its old or its new bytes.
pub(super) fn replace(
    storage: &dyn Storage,
    new_name: &str,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let file = storage.create(new_name)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    storage.rename(new_name, name)?;
    storage.sync_dir()
}

/// The bytes of the small file `name`.
pub(super) fn read_all(storage: &dyn Storage, name: &str) -> io::Result<Vec<u8>> {
    let file = storage.open(name)?;
    let mut bytes = vec![0; file.len()? as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_survives_its_text_and_no_changed_byte_passes() {
        let open = Manifest {
            epoch: Epoch::from_bits(77),
            durability: Durability::Os,
            identity: "12-34".to_owned(),
            left: Left::Open { end: End::default(), bytes: 8_192, prepared: 4 },
        };
        let end = End { segment: 3, bytes: 4_096, last: Offset(9) };
        let left = Left::Closed(end);
        let closed = Manifest { durability: Durability::Fsync, left, ..open.clone() };
        let damaged = Manifest { left: Left::Damaged(end), ..open.clone() };
        for manifest in [open, closed, damaged] {
            let text = manifest.to_text();
            assert_eq!(Manifest::from_text(&text), Ok(manifest));
            for at in 0..text.len() {
                let mut rotten = text.clone().into_bytes();
                rotten[at] ^= 1;
                let rotten = String::from_utf8(rotten).unwrap();
                assert!(Manifest::from_text(&rotten).is_err(), "{rotten}");
                assert!(Manifest::from_text(&text[..at]).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let newer = FORMAT + 1;
        let text = format!("tidings log {newer}\nwhatever\n");
        assert_eq!(Manifest::from_text(&text), Err(ManifestError::Newer(newer)));
    }
}
