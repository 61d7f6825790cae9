//! What a line says.

use core::time::Duration;

/// What the standard does with the value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Data,
    EventType,
    Id,
    Retry,
    Comment,
    Unknown,
}

/// Splits a whole line that is not blank into its field and value.
#[inline]
pub(super) fn split(line: &[u8]) -> (Field, &[u8]) {
    match line {
        [b'd', b'a', b't', b'a', b':', value @ ..] => (Field::Data, without_space(value)),
        [b':', text @ ..] => (Field::Comment, text),
        [b'i', b'd', b':', value @ ..] => (Field::Id, without_space(value)),
        [b'e', b'v', b'e', b'n', b't', b':', value @ ..] => {
            (Field::EventType, without_space(value))
        }
        [b'r', b'e', b't', b'r', b'y', b':', value @ ..] => (Field::Retry, without_space(value)),
        b"data" => (Field::Data, &[]),
        b"id" => (Field::Id, &[]),
        b"event" => (Field::EventType, &[]),
        b"retry" => (Field::Retry, &[]),
        _ => (Field::Unknown, &[]),
    }
}

/// What is known of a line by its first bytes: its field and where the value starts, once no
/// further byte could change that. [`HEAD_BYTES`] bytes are always enough.
pub(super) fn split_head(head: &[u8]) -> Option<(Field, usize)> {
    if let [b':', ..] = head {
        return Some((Field::Comment, 1));
    }
    for (field, name) in NAMES {
        match head.strip_prefix(name) {
            Some([b' ', ..]) => return Some((field, name.len() + 1)),
            Some([_, ..]) => return Some((field, name.len())),
            Some([]) => return None,
            None if name.starts_with(head) => return None,
            None => {}
        }
    }
    Some((Field::Unknown, 0))
}

/// A reconnection time: ASCII digits and nothing else, in milliseconds. Too large saturates.
pub(super) fn reconnection_time(value: &[u8]) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    let mut milliseconds = 0_u64;
    for byte in value {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        milliseconds = milliseconds.saturating_mul(10).saturating_add(digit.into());
    }
    Some(Duration::from_millis(milliseconds))
}

#[inline]
fn without_space(value: &[u8]) -> &[u8] {
    match value {
        [b' ', rest @ ..] => rest,
        _ => value,
    }
}

/// The longest name with its colon and space.
pub(super) const HEAD_BYTES: usize = 7;

const NAMES: [(Field, &[u8]); 4] = [
    (Field::Data, b"data:"),
    (Field::EventType, b"event:"),
    (Field::Id, b"id:"),
    (Field::Retry, b"retry:"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_agrees_with_the_whole_line() {
        for line in [
            "data: x",
            "data:x",
            "data:  x",
            "data:\tx",
            "data:",
            "data",
            "dat",
            "datas: x",
            "event: x",
            "event:x",
            "event",
            "id: x",
            "id:x",
            "id",
            "idx: 1",
            "retry: 5",
            "retry:5",
            "retry",
            ": x",
            ":x",
            ":",
            " data: x",
            "Data: x",
            "data : x",
            "x",
            "\u{feff}data: x",
        ] {
            let line = line.as_bytes();
            let (field, value) = split(line);
            for end in 1..=line.len() {
                match split_head(&line[..end]) {
                    Some((head, _)) if head == Field::Unknown => assert_eq!(field, head),
                    Some((head, start)) => assert_eq!((field, value), (head, &line[start..])),
                    None => assert!(end < HEAD_BYTES),
                }
            }
        }
    }

    #[test]
    fn reconnection_times() {
        let time = |text: &str| reconnection_time(text.as_bytes());
        assert_eq!(time("0"), Some(Duration::ZERO));
        assert_eq!(time("0050"), Some(Duration::from_millis(50)));
        assert_eq!(time("99999999999999999999999"), Some(Duration::from_millis(u64::MAX)));
        for text in ["", "+5", "-1", " 5", "5 ", "5a", "5.0", "0x5", "\u{663}"] {
            assert_eq!(time(text), None, "{text:?}");
        }
    }
}
