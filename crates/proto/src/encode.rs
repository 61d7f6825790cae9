//! Events to bytes.
//!
//! Each function appends one whole frame, a blank line included, to a buffer that the caller can
//! reuse. Encoding cannot fail and nothing can be injected into it: [`EventId`] and [`EventName`]
//! hold no line end, and data and comments are split at every CR, LF and CRLF, so that no text
//! reaches the wire outside a field of its own. Data comes back with its line ends as LF.
//!
//! ```
//! use tidings_proto::{EventId, encode};
//!
//! let mut out = Vec::new();
//! encode::event(&mut out, Some(&EventId::new("7")?), None, None, "two\nlines");
//! assert_eq!(out, b"id: 7\ndata: two\ndata: lines\n\n");
//! # Ok::<(), tidings_proto::event::InvalidEventId>(())
//! ```

use alloc::vec::Vec;
use core::time::Duration;

use crate::event::{EventId, EventName};

/// Appends one event as a frame: its id, type, reconnection time and data, in this order.
///
/// Empty data writes an empty `data` field, so that the event is dispatched all the same; an empty
/// id writes an empty `id` field, which makes the reader forget its last event id. `retry` is
/// written in whole milliseconds, rounded down, at most [`u64::MAX`].
///
/// Cost: two passes over `data`, and at most one growth of `out`.
///
/// Standard: WHATWG HTML, "Parsing an event stream".
pub fn event(
    out: &mut Vec<u8>,
    id: Option<&EventId>,
    name: Option<&EventName>,
    retry: Option<Duration>,
    data: &str,
) {
    let id = id.map(EventId::as_str);
    let name = name.map(EventName::as_str);
    let lines = 1 + line_ends(data);
    out.reserve(
        id.map_or(0, |id| ID.len() + id.len() + 1)
            + name.map_or(0, |name| EVENT.len() + name.len() + 1)
            + retry.map_or(0, |_| RETRY_BYTES_MAX)
            + lines * (DATA.len() + 1)
            + data.len()
            + 1,
    );
    if let Some(id) = id {
        field(out, ID, id.as_bytes());
    }
    if let Some(name) = name {
        field(out, EVENT, name.as_bytes());
    }
    if let Some(time) = retry {
        retry_field(out, time);
    }
    if lines == 1 {
        field(out, DATA, data.as_bytes());
    } else {
        for_each_line(data, |line| field(out, DATA, line));
    }
    out.push(b'\n');
}

/// Appends a comment as a frame: a line each for the lines of `text`, and a blank line.
///
/// The text follows its colon as it is, without a space between; a reader that shows comments gets
/// exactly these lines back. The blank line makes the comment a frame of its own, so that it goes
/// between any two others, and readers that cut the stream at blank lines see a heartbeat at once.
///
/// Standard: WHATWG HTML, "Authoring notes", which suggests comments against proxies that drop
/// idle connections.
///
/// ```
/// let mut out = Vec::new();
/// tidings_proto::encode::comment(&mut out, "");
/// assert_eq!(out, b":\n\n");
/// ```
pub fn comment(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + (1 + line_ends(text)) * 2 + 1);
    for_each_line(text, |line| {
        out.push(b':');
        out.extend_from_slice(line);
        out.push(b'\n');
    });
    out.push(b'\n');
}

/// Appends a frame that only sets the reader's reconnection time.
///
/// `time` is written in whole milliseconds, rounded down, at most [`u64::MAX`]. No event is
/// dispatched.
///
/// Standard: the `retry` field of WHATWG HTML, "Interpreting an event stream".
///
/// ```
/// let mut out = Vec::new();
/// tidings_proto::encode::retry(&mut out, std::time::Duration::from_secs(3));
/// assert_eq!(out, b"retry: 3000\n\n");
/// ```
pub fn retry(out: &mut Vec<u8>, time: Duration) {
    out.reserve(RETRY_BYTES_MAX + 1);
    retry_field(out, time);
    out.push(b'\n');
}

/// Writes one field. The space after the colon keeps a value that starts with one whole; without
/// a value there is nothing to keep.
fn field(out: &mut Vec<u8>, prefix: &[u8], value: &[u8]) {
    if value.is_empty() {
        out.extend_from_slice(prefix.trim_ascii_end());
    } else {
        out.extend_from_slice(prefix);
        out.extend_from_slice(value);
    }
    out.push(b'\n');
}

fn retry_field(out: &mut Vec<u8>, time: Duration) {
    let mut milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (milliseconds % 10) as u8;
        milliseconds /= 10;
        count += 1;
        if milliseconds == 0 {
            break;
        }
    }
    field(out, RETRY, digits.get(DIGITS_MAX - count..).unwrap_or_default());
}

/// How many more lines than one `text` may need: CRLF counts twice, which only reserves too much.
fn line_ends(text: &str) -> usize {
    memchr::memchr2_iter(b'\r', b'\n', text.as_bytes()).count()
}

fn for_each_line(text: &str, mut write: impl FnMut(&[u8])) {
    let mut rest = text.as_bytes();
    while let Some((line, after)) =
        memchr::memchr2(b'\r', b'\n', rest).and_then(|end| rest.split_at_checked(end))
    {
        write(line);
        rest = match after {
            [b'\r', b'\n', next @ ..] | [_, next @ ..] => next,
            [] => after,
        };
    }
    write(rest);
}

const ID: &[u8] = b"id: ";
const EVENT: &[u8] = b"event: ";
const RETRY: &[u8] = b"retry: ";
const DATA: &[u8] = b"data: ";

/// Decimal digits of `u64::MAX`.
const DIGITS_MAX: usize = 20;
/// The longest `retry` line.
const RETRY_BYTES_MAX: usize = RETRY.len() + DIGITS_MAX + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_come_in_a_fixed_order() {
        let id = EventId::new("1").unwrap();
        let name = EventName::new("n").unwrap();
        let time = Some(Duration::from_millis(50));
        assert_eq!(
            encoded(|out| event(out, Some(&id), Some(&name), time, "d")),
            "id: 1\nevent: n\nretry: 50\ndata: d\n\n"
        );
    }

    #[test]
    fn empty_data_still_writes_a_data_line() {
        assert_eq!(encoded(|out| event(out, None, None, None, "")), "data:\n\n");
    }

    #[test]
    fn an_empty_id_resets() {
        let id = EventId::default();
        assert_eq!(encoded(|out| event(out, Some(&id), None, None, "x")), "id:\ndata: x\n\n");
    }

    #[test]
    fn a_leading_space_survives() {
        assert_eq!(encoded(|out| event(out, None, None, None, " x")), "data:  x\n\n");
        assert_eq!(encoded(|out| event(out, None, None, None, " ")), "data:  \n\n");
    }

    #[test]
    fn data_is_split_at_all_three_line_ends() {
        assert_eq!(
            encoded(|out| event(out, None, None, None, "a\rid: 9\nb\r\n\r\nc\n")),
            "data: a\ndata: id: 9\ndata: b\ndata:\ndata: c\ndata:\n\n"
        );
    }

    #[test]
    fn comments_are_split_at_all_three_line_ends() {
        assert_eq!(encoded(|out| comment(out, " a\rdata: x\r\n\nb")), ": a\n:data: x\n:\n:b\n\n");
    }

    #[test]
    fn retry_is_in_whole_milliseconds_and_saturates() {
        for (time, text) in [
            (Duration::ZERO, "retry: 0\n\n"),
            (Duration::from_micros(1_999), "retry: 1\n\n"),
            (Duration::from_millis(u64::MAX), "retry: 18446744073709551615\n\n"),
            (Duration::MAX, "retry: 18446744073709551615\n\n"),
        ] {
            assert_eq!(encoded(|out| retry(out, time)), text);
        }
    }
}
