//! Events on their way: those that wait, and those in the request under way.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tidings_client::{EventId, Message};

use super::key::{Key, Mint, Scope};

/// An event as a line of a batch.
#[derive(Debug)]
pub(super) struct Line {
    /// The object, without its key and its end.
    head: String,
    pub(super) key: Key,
    /// The id in force when it arrived.
    pub(super) id: EventId,
    /// The id in force before the next event: the cursor once this one is published.
    reached: EventId,
}

/// What goes to the hub in one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shipment {
    /// Lines of a batch.
    Batch(String),
    /// An event that as a line is larger than a batch, but need not be as it is.
    Event { event: Option<String>, data: String, key: String },
}

impl Shipment {
    /// How many events it has.
    pub(super) fn events(&self) -> usize {
        match self {
            Self::Batch(body) => body.lines().count(),
            Self::Event { .. } => 1,
        }
    }
}

/// What was in a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) events: u64,
    /// How many of them have counted keys.
    pub(super) counted: u64,
    /// The id that is reached with them.
    pub(super) reached: Option<EventId>,
}

/// The events in hand, in order. The first may be in a request under way.
///
/// Memory: a batch under way and as much again that waits, each at most 1,000 events and 1 MiB, and
/// one event more of whatever size the client accepts.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: VecDeque<Line>,
    bytes: usize,
    /// How many of the first are under way, and their bytes.
    sent: usize,
    sent_bytes: usize,
    /// How many may go into the next request, when a larger one was refused.
    next_max: Option<usize>,
}

/// The object without its key.
#[derive(Serialize, Deserialize)]
struct Draft<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    data: &'a str,
}

/// What of it is needed when the event goes by itself.
#[derive(Deserialize)]
struct Parts {
    event: Option<String>,
    data: String,
}

impl Line {
    pub(super) fn new(topic: &str, message: &Message, key: Key) -> Self {
        let name = &message.event_type;
        let event = (!name.is_default()).then(|| name.as_str());
        let draft = Draft { topic, event, data: &message.data };
        let mut head = serde_json::to_string(&draft).expect("strings are JSON");
        head.pop();
        let id = message.last_event_id.clone();
        Self { head, key, reached: id.clone(), id }
    }

    /// What it takes in a batch at most, whatever its key.
    fn bytes(&self) -> usize {
        self.head.len() + KEY_MEMBER.len() + KEY_BYTES_MAX + END.len()
    }

    /// The text of its key, if so many events were counted before it.
    fn key_text(&self, mint: &Mint, scope: &Scope) -> Cow<'_, str> {
        match &self.key {
            Key::Placed(text) | Key::Passing(text) => text.into(),
            Key::Counted => mint.counted(scope, self.id.as_str()).into(),
        }
    }

    /// How much further the count is after it.
    fn counted(&self) -> u64 {
        u64::from(self.key == Key::Counted)
    }

    fn write(&self, key: &str, body: &mut String) {
        // No character of a key is escaped.
        for part in [self.head.as_str(), KEY_MEMBER, key, END] {
            body.push_str(part);
        }
    }

    fn alone(&self, key: String) -> Shipment {
        let parts: Parts =
            serde_json::from_str(&format!("{}}}", self.head)).expect("it was written as JSON");
        Shipment::Event { event: parts.event, data: parts.data, key }
    }
}

impl Lines {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether less waits than goes into a request.
    pub(super) fn has_room(&self) -> bool {
        self.lines.len() - self.sent < BATCH_EVENTS_MAX
            && self.bytes - self.sent_bytes < BATCH_BYTES_MAX
    }

    pub(super) fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
    }

    /// The id in force has moved to `id`; false if no event is in hand after which to say so.
    pub(super) fn reach(&mut self, id: &EventId) -> bool {
        let last = self.lines.back_mut();
        last.map(|last| last.reached = id.clone()).is_some()
    }

    /// Those that are not under way, to give them other keys.
    pub(super) fn unsent_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        self.lines.range_mut(self.sent..)
    }

    /// The next request: as many of the first as go into one. `None` if there are none.
    ///
    /// `scope` has counted what is published, so that what is sent again has the same keys.
    pub(super) fn ship(&mut self, mint: &Mint, scope: &Scope) -> Option<Shipment> {
        let mut counted = scope.clone();
        let events_max = self.next_max.unwrap_or(BATCH_EVENTS_MAX);
        let mut body = String::new();
        (self.sent, self.sent_bytes) = (0, 0);
        for line in self.lines.iter().take(events_max) {
            if self.sent > 0 && self.sent_bytes + line.bytes() > BATCH_BYTES_MAX {
                break;
            }
            line.write(&line.key_text(mint, &counted), &mut body);
            counted.count_on(line.counted());
            self.sent += 1;
            self.sent_bytes += line.bytes();
        }
        let first = self.lines.front()?;
        let is_alone = body.len() > BATCH_BYTES_MAX;
        let alone = || first.alone(first.key_text(mint, scope).into_owned());
        Some(if is_alone { alone() } else { Shipment::Batch(body) })
    }

    /// The request under way is published.
    pub(super) fn published(&mut self) -> Published {
        self.next_max = None;
        let sent = std::mem::take(&mut self.sent);
        let mut published = Published { events: sent as u64, ..Published::default() };
        for line in self.lines.drain(..sent) {
            self.bytes -= line.bytes();
            published.counted += line.counted();
            published.reached = Some(line.reached);
        }
        self.sent_bytes = 0;
        published
    }

    /// The request under way was refused because of an event, the one at `line` if the hub says so:
    /// that event, if it is certain. If not, the next request is a smaller one.
    pub(super) fn refused(&mut self, line: Option<usize>) -> Option<&mut Line> {
        let sent = std::mem::take(&mut self.sent);
        self.sent_bytes = 0;
        if sent == 1 {
            return self.lines.front_mut();
        }
        self.next_max = Some(match line {
            // What stands before the line, and then the line by itself: it may also be refused for
            // where it stands, in a batch longer than the hub takes.
            Some(line) if line < sent => line.max(1),
            _ => sent / 2,
        });
        None
    }

    /// The request under way was refused because of the key of the event at `line`: that event, if
    /// it is certain. If not, the next request is a smaller one.
    pub(super) fn key_refused(&mut self, line: Option<usize>) -> Option<&mut Line> {
        match line {
            Some(line) if line < self.sent => {
                (self.sent, self.sent_bytes) = (0, 0);
                self.lines.get_mut(line)
            }
            _ => self.refused(None),
        }
    }

    /// Leaves out the first event, and says which id is reached without it.
    pub(super) fn leave_out(&mut self) -> Option<EventId> {
        self.next_max = None;
        let line = self.lines.pop_front()?;
        self.bytes -= line.bytes();
        Some(line.reached)
    }
}

const KEY_MEMBER: &str = ",\"idempotency_key\":\"";
const END: &str = "\"}\n";
const KEY_BYTES_MAX: usize = 255;
/// Events in a batch, at most: what a hub takes.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Bytes in a batch, at most: what a hub takes.
const BATCH_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn mint() -> Mint {
        Mint::new("n", "t", 0)
    }

    fn scope(count: u64) -> Scope {
        Scope { name: "s".to_owned(), count }
    }

    fn line(event: &str, data: &str, id: &str) -> Line {
        let key = mint().placed(id, 0);
        let message = Message::new(event.parse().unwrap(), data, id.parse().unwrap(), "http://h");
        Line::new("a\"b", &message, key)
    }

    fn lines(count: usize) -> Lines {
        let mut lines = Lines::default();
        for number in 0..count {
            lines.push(line("message", "x", &number.to_string()));
        }
        lines
    }

    fn ship(lines: &mut Lines) -> Option<Shipment> {
        lines.ship(&mint(), &scope(0))
    }

    fn published(events: u64, id: &str) -> Published {
        Published { events, counted: 0, reached: Some(id.parse().unwrap()) }
    }

    /// The ids in a batch.
    fn shipped(lines: &mut Lines) -> Vec<String> {
        let Some(Shipment::Batch(body)) = ship(lines) else { panic!("no batch") };
        let key = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["idempotency_key"].as_str().unwrap().split(':').nth(3).unwrap().to_owned()
        };
        body.lines().map(key).collect()
    }

    #[test]
    fn a_line_is_what_the_hub_reads() {
        let mut lines = Lines::default();
        lines.push(line("e", "two\nlines", "7"));
        lines.push(line("message", "\u{1f600}", "8"));
        assert_eq!(
            ship(&mut lines),
            Some(Shipment::Batch(
                concat!(
                    r#"{"topic":"a\"b","event":"e","data":"two\nlines","#,
                    r#""idempotency_key":"relay:n:t:7:0"}"#,
                    "\n",
                    r#"{"topic":"a\"b","data":"😀","idempotency_key":"relay:n:t:8:0"}"#,
                    "\n"
                )
                .to_owned()
            ))
        );
    }

    #[test]
    fn one_batch_waits_while_one_is_under_way() {
        let mut lines = lines(BATCH_EVENTS_MAX);
        assert!(!lines.has_room());
        assert_eq!(shipped(&mut lines).len(), BATCH_EVENTS_MAX);
        assert!(lines.has_room());
        for _ in 0..BATCH_EVENTS_MAX {
            assert!(lines.has_room());
            lines.push(line("e", "x", "more"));
        }
        assert!(!lines.has_room());
        assert_eq!(lines.published(), published(1_000, "999"));
        assert_eq!(lines.len(), 1_000);
        // By bytes as well.
        let mut lines = Lines::default();
        let third = "x".repeat(BATCH_BYTES_MAX / 3);
        for _ in 0..3 {
            assert!(lines.has_room());
            lines.push(line("e", &third, "1"));
        }
        assert!(!lines.has_room());
        assert_eq!(shipped(&mut lines).len(), 2);
        assert!(lines.has_room());
        lines.published();
        assert_eq!(shipped(&mut lines).len(), 1);
        lines.published();
        assert_eq!((lines.bytes, lines.len()), (0, 0));
        assert_eq!(ship(&mut lines), None);
    }

    #[test]
    fn what_is_too_large_as_a_line_goes_by_itself() {
        let data = "\"".repeat(BATCH_BYTES_MAX);
        let mut lines = Lines::default();
        lines.push(line("e", &data, "1"));
        lines.push(line("e", "x", "2"));
        let key = "relay:n:t:1:0".to_owned();
        assert_eq!(ship(&mut lines), Some(Shipment::Event { event: Some("e".into()), data, key }));
        assert_eq!(lines.published(), published(1, "1"));
        assert_eq!(shipped(&mut lines), ["2"]);
    }

    #[test]
    fn a_refusal_is_narrowed_down_to_its_event() {
        let mut lines = lines(5);
        ship(&mut lines);
        assert!(lines.refused(Some(2)).is_none());
        assert_eq!(shipped(&mut lines), ["0", "1"]);
        assert_eq!(lines.published(), published(2, "1"));
        assert_eq!(shipped(&mut lines), ["2", "3", "4"]);
        assert!(lines.refused(Some(0)).is_none());
        assert_eq!(shipped(&mut lines), ["2"]);
        assert_eq!(lines.refused(None).unwrap().id, "2");
        assert_eq!(lines.leave_out().unwrap(), "2");
        assert_eq!(shipped(&mut lines), ["3", "4"]);
        // Without a line, by halves.
        assert!(lines.refused(None).is_none());
        assert_eq!(shipped(&mut lines), ["3"]);
        lines.published();
        assert_eq!(shipped(&mut lines), ["4"]);
        // The line of a key is the one.
        let mut lines = super::tests::lines(3);
        ship(&mut lines);
        assert_eq!(lines.key_refused(Some(1)).unwrap().id, "1");
        assert_eq!(shipped(&mut lines), ["0", "1", "2"]);
        assert!(lines.key_refused(None).is_none());
        assert_eq!(shipped(&mut lines), ["0"]);
        assert_eq!(lines.key_refused(None).unwrap().id, "0");
    }

    #[test]
    fn counted_keys_count_what_was_published_and_what_stands_before() {
        let mut lines = Lines::default();
        for (id, key) in [("7", Key::Counted), ("7", Key::Passing("p".into()))] {
            lines.push(Line { key, ..line("e", "x", id) });
        }
        lines.push(Line { key: Key::Counted, ..line("e", "x", "8") });
        let keys = |lines: &mut Lines, count| {
            let Some(Shipment::Batch(body)) = lines.ship(&mint(), &scope(count)) else { panic!() };
            let key = |line: &str| line.split('"').rev().nth(1).unwrap().to_owned();
            body.lines().map(key).collect::<Vec<_>>()
        };
        let all = ["relay-count:n:t:s:5:7", "p", "relay-count:n:t:s:6:8"];
        assert_eq!(keys(&mut lines, 5), all);
        // In smaller requests they are the same.
        assert!(lines.refused(None).is_none());
        assert_eq!(keys(&mut lines, 5), all[..1]);
        assert_eq!(lines.published(), Published { counted: 1, ..published(1, "7") });
        assert_eq!(keys(&mut lines, 6), all[1..]);
        assert_eq!(lines.published(), Published { counted: 1, ..published(2, "8") });
        // By itself, too.
        let data = "\"".repeat(BATCH_BYTES_MAX);
        lines.push(Line { key: Key::Counted, ..line("e", &data, "9") });
        let Some(Shipment::Event { key, .. }) = lines.ship(&mint(), &scope(7)) else { panic!() };
        assert_eq!(key, "relay-count:n:t:s:7:9");
    }

    #[test]
    fn the_id_in_force_rides_on_the_last_event() {
        let mut lines = lines(2);
        ship(&mut lines);
        assert!(lines.reach(&"#9".parse().unwrap()));
        assert_eq!(lines.published(), published(2, "#9"));
        assert!(!lines.reach(&"#10".parse().unwrap()));
    }
}
