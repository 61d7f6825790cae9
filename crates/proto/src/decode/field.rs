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

impl Field {
    /// The only field whose name begins with `first`.
    pub(super) fn beginning_with(first: u8) -> Self {
        match first {
            b'd' => Self::Data,
            b'e' => Self::EventType,
            b'i' => Self::Id,
            b'r' => Self::Retry,
            b':' => Self::Comment,
            _ => Self::Unknown,
        }
    }

    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Self::Data => b"data",
            Self::EventType => b"event",
            Self::Id => b"id",
            Self::Retry => b"retry",
            Self::Comment | Self::Unknown => b"",
        }
    }
}

/// Splits a whole line that is not blank into its field and value.
#[inline(always)]
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
        // An empty reconnection time is ignored, so `retry` alone is as good as unknown.
        _ => (Field::Unknown, &[]),
    }
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

#[inline(always)]
fn without_space(value: &[u8]) -> &[u8] {
    match value {
        [b' ', rest @ ..] => rest,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
