//! What is published: 100 bytes that say which event they are and when it was published, and can be
//! checked whole.

use rustix::time::{ClockId, clock_gettime};

/// The data of every event.
pub const PAYLOAD_BYTES: usize = 100;
/// The first byte of a payload, which is nowhere else: not in it, nor in what is around it.
pub const START: u8 = b'~';

const NUMBER: std::ops::Range<usize> = 1..11;
const NANOS: std::ops::Range<usize> = 11..31;

/// What a payload says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub number: u64,
    /// When it was published, by [`now`].
    pub nanos: u64,
}

/// The data of an event.
pub fn encode(number: u64, nanos: u64) -> String {
    let mut payload = format!("{}{number:010}{nanos:020}", char::from(START));
    payload.extend((NANOS.end..PAYLOAD_BYTES - 1).map(|at| char::from(filler(number, at))));
    payload.push('!');
    payload
}

/// What the payload says; `None` if a single byte of it is not as it was published.
pub fn decode(payload: &[u8]) -> Option<Said> {
    let payload: &[u8; PAYLOAD_BYTES] = payload.try_into().ok()?;
    let number = decimal(&payload[NUMBER])?;
    let nanos = decimal(&payload[NANOS])?;
    let mut rest = payload[NANOS.end..PAYLOAD_BYTES - 1].iter().zip(NANOS.end..);
    let is_whole = payload[0] == START && payload[PAYLOAD_BYTES - 1] == b'!';
    (is_whole && rest.all(|(&byte, at)| byte == filler(number, at)))
        .then_some(Said { number, nanos })
}

/// Nanoseconds of a clock that all processes of this machine share.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

// Letters without a pattern: a log that packs its messages gains nothing by the data.
fn filler(number: u64, at: usize) -> u8 {
    let mut mixed = (number << 8 | at as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    match ((mixed >> 40) % 62) as u8 {
        digit @ 0..10 => b'0' + digit,
        letter @ 10..36 => b'a' + letter - 10,
        letter => b'A' + letter - 36,
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_anywhere_is_noticed() {
        let payload = encode(7, 123).into_bytes();
        assert_eq!(payload.len(), PAYLOAD_BYTES);
        assert_eq!(decode(&payload), Some(Said { number: 7, nanos: 123 }));
        for at in (0..PAYLOAD_BYTES).filter(|at| !NANOS.contains(at)) {
            let mut wrong = payload.clone();
            wrong[at] = if wrong[at] == b'1' { b'2' } else { b'1' };
            assert_eq!(decode(&wrong), None, "{at}");
        }
    }
}
