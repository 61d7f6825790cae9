//! Offsets, epochs and cursors: places in a log.

use std::fmt;

use tidings_proto::event::EventId;

/// The place of a record in its log: rises by at least one from a record to the next.
///
/// The first record has offset 1, so that 0 is the place before every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The place before the first record that a log can ever have.
    pub const ZERO: Self = Self(0);

    /// The next offset.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The offset before this one; zero stays zero.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of one incarnation of a log.
///
/// A log whose start cannot prove that nothing visible was lost takes a new epoch, so that an
/// offset is never used twice for different events. Written as base 36.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    // 36^8: eight characters on the wire, 41 bits of chance.
    const VALUES: u64 = 36u64.pow(8);

    /// An epoch from chance; `seed` must be uniformly random.
    pub fn from_random(seed: u64) -> Self {
        Self(seed % Self::VALUES)
    }

    /// The number behind the name, for storing it.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The epoch that was stored as `bits`.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0u8; 13];
        let mut rest = self.0;
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = char::from_digit((rest % 36) as u32, 36).map_or(b'0', |c| c as u8);
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        f.write_str(std::str::from_utf8(&digits[start..]).unwrap_or_default())
    }
}

/// A place in an incarnation of a log, as one short string: the `id:` on the wire.
///
/// The text is `#`, the epoch, `-`, the offset; to everybody else it is opaque.
/// A cursor stands *after* the record of its offset. If its reader was told of a gap that reaches
/// further than that, `-` and how far follow: whoever comes back with it is not told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The incarnation of the log.
    pub epoch: Epoch,
    /// The last record that is behind the cursor.
    pub offset: Offset,
    // Zero, or after the offset.
    told: Offset,
}

impl Cursor {
    /// The character that every cursor, and no publisher's id, starts with.
    pub const PREFIX: char = '#';

    /// The place after the record at `offset`.
    pub fn new(epoch: Epoch, offset: Offset) -> Self {
        Self { epoch, offset, told: Offset::ZERO }
    }

    /// The same place for a reader that was told of gaps up to `told`.
    #[must_use]
    pub fn with_told(self, told: Offset) -> Self {
        Self { told: if told > self.offset { told } else { Offset::ZERO }, ..self }
    }

    /// How far its reader was told of gaps after the place; zero if of none.
    pub fn told(&self) -> Offset {
        self.told
    }

    /// The last place that its reader knows anything of.
    pub fn reaches(&self) -> Offset {
        self.offset.max(self.told)
    }

    /// Reads a cursor; `None` if `text` is not one that this version writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, place) = text.strip_prefix(Self::PREFIX)?.split_once('-')?;
        let epoch = Epoch(u64::from_str_radix(epoch, 36).ok()?);
        let (offset, told) = place.split_once('-').unwrap_or((place, "0"));
        let cursor = Self::new(epoch, Offset(offset.parse().ok()?));
        let cursor = cursor.with_told(Offset(told.parse().ok()?));
        // One spelling a cursor: what parses but is written otherwise is not ours.
        (cursor.to_string() == text).then_some(cursor)
    }

    /// The cursor as an event id.
    pub fn to_event_id(self) -> EventId {
        EventId::new(self.to_string()).expect("a cursor has only letters, digits, '#' and '-'")
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}-{}", self.epoch, self.offset)?;
        match self.told {
            Offset::ZERO => Ok(()),
            told => write!(f, "-{told}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        for (bits, offset) in [(0, 0), (35, 1), (36, 2), (Epoch::VALUES - 1, u64::MAX)] {
            let cursor = Cursor::new(Epoch::from_bits(bits), Offset(offset));
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            let told = cursor.with_told(Offset(u64::MAX));
            assert_eq!(Cursor::parse(&told.to_string()), Some(told));
            assert_eq!(told != cursor, offset < u64::MAX);
        }
        let cursor = Cursor::new(Epoch::from_bits(36), Offset(7));
        assert_eq!(cursor.to_string(), "#10-7");
        assert_eq!(cursor.with_told(Offset(9)).to_string(), "#10-7-9");
        assert_eq!(cursor.with_told(Offset(7)), cursor);
    }

    #[test]
    fn other_texts_are_no_cursors() {
        let texts = "# 10-7 #10 #10- #-7 #10-07 #010-7 #10-+7 #1O!-7 #A-1 #10-7- #10-7-0 #10-7-7 \
                     #10-7-6 #10-7-08 #10-7-+8 #10-7-8-9 #10--8 #10-7-x #10-7-8-";
        for text in texts.split(' ').chain([""]) {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
