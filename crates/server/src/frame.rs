//! Frames: records and notices as bytes on the wire.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tidings_proto::{encode, event::EventName};

use crate::{
    cursor::{Cursor, Epoch, Offset},
    record::Record,
};

/// How a stream writes its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// `text/event-stream`.
    #[default]
    EventStream,
    /// `application/x-ndjson`: a JSON object a line.
    JsonLines,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    /// A record's frame, which for a mark is nothing. The bytes are a pure function of the record
    /// and its log's epoch.
    pub fn record(self, out: &mut Vec<u8>, record: &Record, epoch: Epoch) {
        self.record_told(out, record, epoch, Offset::ZERO);
    }

    /// A record's frame for a reader that was told of gaps up to `told`.
    pub(crate) fn record_told(
        self,
        out: &mut Vec<u8>,
        record: &Record,
        epoch: Epoch,
        told: Offset,
    ) {
        if !record.new.kind.is_event() {
            return;
        }
        let id = record.event_id(epoch, told);
        let new = &record.new;
        match self {
            Self::EventStream => {
                encode::event(out, id.as_ref(), new.event.as_ref(), new.retry, &new.data);
            }
            Self::JsonLines => {
                let mut line = json!({
                    "event": new.event.as_ref().map_or("message", EventName::as_str),
                    "topics": new.topics.iter().map(|topic| topic.as_str()).collect::<Vec<_>>(),
                    "time_ms": record.time.unix_ms,
                    "data": &*new.data,
                });
                match id {
                    Some(id) => line["id"] = json!(id.as_str()),
                    None => line["ephemeral"] = json!(true),
                }
                if let Some(retry) = new.retry {
                    line["retry_ms"] = json!(retry.as_millis() as u64);
                }
                if new.private {
                    line["private"] = json!(true);
                }
                json_line(out, &line);
            }
        }
    }

    /// A notice of the stream itself: an event whose type starts with `tidings.`.
    pub(crate) fn notice(
        self,
        out: &mut Vec<u8>,
        name: &'static str,
        cursor: Cursor,
        retry: Option<Duration>,
        data: &serde_json::Value,
    ) {
        let id = cursor.to_event_id();
        match self {
            Self::EventStream => {
                let name = notice_name(name);
                encode::event(out, Some(&id), Some(&name), retry, &data.to_string());
            }
            Self::JsonLines => {
                json_line(out, &json!({ "id": id.as_str(), "event": name, "data": data }));
            }
        }
    }

    /// The reconnection time alone.
    pub(crate) fn retry(self, out: &mut Vec<u8>, time: Duration) {
        match self {
            Self::EventStream => encode::retry(out, time),
            Self::JsonLines => {}
        }
    }

    /// What a heartbeat starts with: a comment, or an empty line between the JSON lines.
    pub(crate) fn heartbeat(self, out: &mut Vec<u8>) {
        match self {
            Self::EventStream => out.extend_from_slice(b":\n\n"),
            Self::JsonLines => out.push(b'\n'),
        }
    }
}

/// The event type of the notice that tells where the stream stands.
pub const CURSOR: &str = "tidings.cursor";
/// The event type of the notice that tells of lost history.
pub const GAP: &str = "tidings.gap";
/// The beginning of the event types that belong to the hub.
pub const RESERVED_PREFIX: &str = "tidings.";

/// The whole body of an event stream that is refused for the moment: an `EventSource` gives up
/// for good on any status but 200, so it is told to come back after `retry` instead.
pub fn refusal(retry: Duration) -> Bytes {
    let mut out = Vec::new();
    encode::retry(&mut out, retry);
    out.into()
}

fn notice_name(name: &'static str) -> EventName {
    EventName::new(name).expect("the notices' names have no line ends")
}

fn json_line(out: &mut Vec<u8>, line: &serde_json::Value) {
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
}

/// The id with which a subscriber asked to resume, as it may be told back to it.
pub(crate) fn requested(id: &str) -> &str {
    let mut end = id.len().min(REQUESTED_BYTES_MAX);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    &id[..end]
}

const REQUESTED_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{NewRecord, PublisherId, Timestamp},
        topic::Topic,
    };

    fn record(new: NewRecord) -> Record {
        Record { offset: Offset(7), time: Timestamp { unix_ms: 1_000 }, new }
    }

    fn frame(format: Format, record: &Record) -> String {
        let mut out = Vec::new();
        format.record(&mut out, record, Epoch::from_bits(36));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_has_its_cursor_as_id_unless_the_publisher_gave_one() {
        let mut new = NewRecord::new(Topic::new("t").unwrap(), "a\nb");
        let plain = frame(Format::EventStream, &record(new.clone()));
        assert_eq!(plain, "id: #10-7\ndata: a\ndata: b\n\n");
        new.id = Some(PublisherId::new("mine").unwrap());
        new.event = Some(EventName::new("join").unwrap());
        new.retry = Some(Duration::from_millis(1_500));
        let full = frame(Format::EventStream, &record(new));
        assert_eq!(full, "id: mine\nevent: join\nretry: 1500\ndata: a\ndata: b\n\n");
    }

    #[test]
    fn json_lines_carry_the_same_event() {
        let new = NewRecord::new(Topic::new("t").unwrap(), "a\n\"b");
        let line = frame(Format::JsonLines, &record(new));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            json!({"id": "#10-7", "event": "message", "topics": ["t"], "time_ms": 1000, "data": "a\n\"b"})
        );
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
    }

    #[test]
    fn a_long_requested_id_is_cut_between_characters() {
        assert_eq!(requested("short"), "short");
        assert_eq!(requested(&"ü".repeat(200)).len(), 256);
        assert_eq!(requested(&format!("x{}", "ü".repeat(200))).len(), 255);
    }
}
