//! The stamp in the data of an event: which event it is, and when it was due.

use rustix::time::{ClockId, clock_gettime};

/// What the data of a published event begins with.
///
/// ```text
/// tidings-bench 5bd1e995a1c2f03d 9a3c11f0 0002 0000002a 00000a1b2c3d4e5f .........
///               run              boot     │    number   due, nanoseconds padding
///                                         publisher
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The run that it belongs to, so that what others publish meanwhile is not taken for ours.
    pub(super) run: u64,
    /// The boot of the machine whose clock `due_nanos` is of; 0 if that is not known.
    pub(super) boot: u32,
    /// Who of the run has published it.
    pub(super) publisher: u16,
    /// Its place among those of its publisher, counted from 0.
    pub(super) number: u32,
    /// When it was to be published, on the clock of [`now_nanos`].
    pub(super) due_nanos: u64,
}

impl Stamp {
    /// The data of an event: the stamp, and what is missing to `size` bytes.
    pub(super) fn data(&self, size: usize) -> String {
        let Self { run, boot, publisher, number, due_nanos } = self;
        let mut data =
            format!("{MARK}{run:016x} {boot:08x} {publisher:04x} {number:08x} {due_nanos:016x}");
        if size > data.len() {
            data.push(' ');
            data.extend(std::iter::repeat_n('.', size - data.len()));
        }
        data
    }

    /// The stamp in `data`, if there is one near its beginning: a server may wrap what it is given.
    pub(super) fn find(data: &str) -> Option<Self> {
        let data = data.as_bytes();
        let start = if data.starts_with(MARK.as_bytes()) {
            0
        } else {
            let front = &data[..data.len().min(SEARCHED_BYTES)];
            front.windows(MARK.len()).position(|part| part == MARK.as_bytes())?
        };
        let mut rest = &data[start + MARK.len()..];
        let run = hex(&mut rest, 16)?;
        let boot = u32::try_from(hex(&mut rest, 8)?).ok()?;
        let publisher = u16::try_from(hex(&mut rest, 4)?).ok()?;
        let number = u32::try_from(hex(&mut rest, 8)?).ok()?;
        let due_nanos = hex(&mut rest, 16)?;
        Some(Self { run, boot, publisher, number, due_nanos })
    }
}

/// Takes a number of this many digits off the front, and the space after it.
fn hex(rest: &mut &[u8], digits: usize) -> Option<u64> {
    let (number, after) = rest.split_at_checked(digits)?;
    let mut value = 0;
    for digit in number {
        value = value << 4 | u64::from(char::from(*digit).to_digit(16)?);
    }
    *rest = after.strip_prefix(b" ").unwrap_or(after);
    Some(value)
}

/// The monotonic clock of the machine, which all its processes share.
pub(super) fn now_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// What tells this boot of this machine from others, or 0 where the system does not say.
pub(super) fn boot() -> u32 {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

const MARK: &str = "tidings-bench ";
/// How far into the data a stamp is looked for.
const SEARCHED_BYTES: usize = 256;
/// The least that the data of an event can be.
pub(super) const STAMP_BYTES: usize = MARK.len() + 16 + 1 + 8 + 1 + 4 + 1 + 8 + 1 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp =
        Stamp { run: u64::MAX, boot: 7, publisher: 12, number: 345, due_nanos: 6_789_012 };

    #[test]
    fn a_stamp_is_found_again_in_data_of_any_size() {
        for size in [STAMP_BYTES, STAMP_BYTES + 1, STAMP_BYTES + 2, 100, 5_000] {
            let data = STAMP.data(size);
            assert_eq!(data.len(), size);
            assert_eq!(Stamp::find(&data), Some(STAMP));
            assert_eq!(Stamp::find(&format!("{{\"é\":\"{data}\"}}")), Some(STAMP));
        }
    }

    #[test]
    fn other_data_has_no_stamp() {
        let data = STAMP.data(STAMP_BYTES);
        for end in 0..STAMP_BYTES {
            assert_eq!(Stamp::find(&data[..end]), None, "{end}");
        }
        assert_eq!(
            Stamp::find(&data.replace("0000000c", "0000000x").replace(" 000c", " 00.c")),
            None
        );
        assert_eq!(Stamp::find(&format!("{}{data}", " ".repeat(SEARCHED_BYTES))), None);
    }
}
