//! The data of an event: a hundred bytes that say which event it is, and cannot be confused with
//! what a server puts around and between them.
//!
//! `~`, the number and the time as letters, a filling, `!`. None of the letters is a hexadecimal
//! digit, and there is no line end among them, so that a payload which a server has cut into
//! several chunks is put together again by leaving out what can only be the chunks' framing.

/// An event's data as it is sent.
pub type Payload = [u8; PAYLOAD_BYTES];

pub const PAYLOAD_BYTES: usize = 100;
/// What each payload starts with, and no server sends anywhere else.
pub const START: u8 = b'~';

/// The data of event `number`, published `nanos` after the load began.
pub fn encode(number: u64, nanos: u64) -> Payload {
    let mut payload = [b'w'; PAYLOAD_BYTES];
    payload[0] = START;
    write_letters(&mut payload[NUMBER], number);
    write_letters(&mut payload[NANOS], nanos);
    for (at, byte) in payload[FILLING].iter_mut().enumerate() {
        *byte = b'w' + (at % 4) as u8;
    }
    payload[PAYLOAD_BYTES - 1] = END;
    payload
}

/// The number of the event that `payload` is of, or none if it is no payload.
pub fn number(payload: &Payload) -> Option<u64> {
    let number = read_letters(&payload[NUMBER])?;
    let nanos = read_letters(&payload[NANOS])?;
    (*payload == encode(number, nanos)).then_some(number)
}

/// What `byte` is where a payload has begun and not ended.
pub fn kind(byte: u8) -> Kind {
    match byte {
        START | END | b'g'..=b'z' => Kind::Payload,
        b'\r' | b'\n' | b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => Kind::Framing,
        _ => Kind::Foreign,
    }
}

/// See [`kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Payload,
    /// What there is between two chunks.
    Framing,
    Foreign,
}

fn write_letters(letters: &mut [u8], value: u64) {
    let mut rest = value;
    for letter in letters.iter_mut().rev() {
        *letter = b'g' + (rest & 15) as u8;
        rest >>= 4;
    }
}

fn read_letters(letters: &[u8]) -> Option<u64> {
    letters.iter().try_fold(0, |value, letter| match letter {
        b'g'..=b'v' => Some(value << 4 | u64::from(letter - b'g')),
        _ => None,
    })
}

const END: u8 = b'!';
const NUMBER: std::ops::Range<usize> = 1..9;
const NANOS: std::ops::Range<usize> = 9..25;
const FILLING: std::ops::Range<usize> = 25..PAYLOAD_BYTES - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_which_event_it_is() {
        for event in [0, 1, 255, u64::from(u32::MAX)] {
            let payload = encode(event, u64::MAX - event);
            assert_eq!(number(&payload), Some(event));
            assert!(payload.iter().all(|byte| kind(*byte) == Kind::Payload));
        }
    }

    /// The time may be another one's: whoever knows which it was compares all of the payload.
    #[test]
    fn any_changed_byte_but_those_of_the_time_is_seen() {
        let payload = encode(1_234, 5_678);
        for at in (0..PAYLOAD_BYTES).filter(|at| !NANOS.contains(at)) {
            let mut changed = payload;
            changed[at] ^= 1;
            assert_ne!(number(&changed), Some(1_234), "at {at}");
        }
    }
}
