//! The counter: the classic server, which has no log. It counts on from the last id that it gave.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use tidings_proto::{EventId, EventName, encode};

use super::stream;
use crate::hub::Hub;

const RETRY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
const COUNTS: u32 = 3;
/// Where it begins anew. The ids of a client that counts this far have nine digits.
const LAST: u32 = 999_999_999;

/// `GET /demo/counter`: three numbers, `bye`, and the end of the connection.
pub(super) async fn count(State(hub): State<Hub>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").map_or(0, |id| number(id.as_bytes()));
    let numbers = (last + 1..=last + COUNTS).map(|n| (PAUSE, counted(n)));
    let retry = std::iter::once((Duration::ZERO, retry()));
    let bye = std::iter::once((PAUSE, bye()));
    stream::open(&hub, &headers, retry.chain(numbers).chain(bye))
}

/// The number that a `Last-Event-ID` stands for. Anybody may send anything: what is none of ours
/// is as good as no id, and never comes back in an answer.
fn number(id: &[u8]) -> u32 {
    let is_ours = matches!(id, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    let number = std::str::from_utf8(id).ok().filter(|_| is_ours).and_then(|id| id.parse().ok());
    number.filter(|number| *number <= LAST).unwrap_or_default()
}

fn retry() -> Vec<u8> {
    let mut frame = Vec::new();
    encode::retry(&mut frame, RETRY);
    frame
}

fn counted(number: u32) -> Vec<u8> {
    let text = number.to_string();
    let id = EventId::new(text.as_str()).ok();
    let mut frame = Vec::new();
    encode::event(&mut frame, id.as_ref(), None, None, &text);
    frame
}

// Without an id, so that the last one stays the last number.
fn bye() -> Vec<u8> {
    let name = EventName::new("bye").ok();
    let mut frame = Vec::new();
    encode::event(&mut frame, None, name.as_ref(), None, "see you in two seconds");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_of_its_own_is_counted_on_from() {
        assert_eq!([&b"1"[..], b"42", b"999999999"].map(number), [1, 42, LAST]);
        let foreign: [&[u8]; 9] =
            [b"", b"0", b"007", b"+7", b"-1", b"7 ", b"1000000000", b"99999999999", b"\xff"];
        for id in foreign {
            assert_eq!(number(id), 0, "{id:?}");
        }
    }
}
