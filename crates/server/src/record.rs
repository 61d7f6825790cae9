//! Records: events as a log keeps them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use smallvec::SmallVec;
use tidings_proto::event::{EventId, EventName};

use crate::{
    cursor::{Cursor, Epoch, Offset},
    idempotency::{Fingerprint, Key, Once},
    topic::{Topic, is_control_or_format},
};

/// A publisher's own id of an event.
///
/// It has at most [`PublisherId::BYTES_MAX`] bytes, never starts with `#`, is not empty and not
/// `earliest`, and has no control or format characters and no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublisherId(EventId);

impl PublisherId {
    /// The longest publisher's id, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Checks `id` and makes a publisher's id of it.
    ///
    /// # Errors
    /// [`PublisherIdError`] says which rule the id breaks; it is the publisher's to mend.
    pub fn new(id: impl Into<String>) -> Result<Self, PublisherIdError> {
        let id = id.into();
        if id.is_empty() {
            return Err(PublisherIdError::Empty);
        }
        if id.len() > Self::BYTES_MAX {
            return Err(PublisherIdError::TooLong { bytes: id.len() });
        }
        if id.starts_with(Cursor::PREFIX) || id == EARLIEST {
            return Err(PublisherIdError::Reserved);
        }
        if id.starts_with(' ') || id.ends_with(' ') {
            return Err(PublisherIdError::Space);
        }
        if let Some(character) = id.chars().find(|&c| is_control_or_format(c)) {
            return Err(PublisherIdError::Control { character });
        }
        EventId::new(id).map(Self).map_err(|_| PublisherIdError::Control { character: '\0' })
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id as it goes on the wire.
    pub fn as_event_id(&self) -> &EventId {
        &self.0
    }
}

/// The id with which a subscriber asks for all there is.
pub const EARLIEST: &str = "earliest";

/// Why a text is no publisher's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherIdError {
    /// The text is empty.
    #[error("an id must not be empty; leave it out to get one from the log")]
    Empty,
    /// The text is longer than [`PublisherId::BYTES_MAX`].
    #[error("an id has at most {} bytes, this one has {bytes}", PublisherId::BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text starts with `#` or is `earliest`.
    #[error("an id must not start with '#' and must not be 'earliest'")]
    Reserved,
    /// The text has a space at an end.
    #[error("an id must not begin or end with a space")]
    Space,
    /// The text has a control or format character.
    #[error("an id must not contain control or format characters (found {character:?})")]
    Control {
        /// The first one.
        character: char,
    },
}

/// The topics of an event: one or more, none twice, the first the one it was published to.
pub type Topics = SmallVec<[Topic; 1]>;

/// What a record is to those who follow its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// An event, kept in the log.
    #[default]
    Event,
    /// An event for those who are live, which no log keeps: it has no place and no id, is in no
    /// read, and is never missed. Whoever was not there, or fell behind the shared tail, does not
    /// get it and is not told. It does not open a topic that has ended; append an
    /// [`Opened`](Self::Opened) before it.
    Ephemeral,
    /// The end of its topics, until an event is published to them or they are opened. It has no
    /// data and is not sent; the streams of those who follow no other topic end.
    Ended,
    /// Opens its topics again. It has no data and is not sent.
    Opened,
}

impl Kind {
    /// Whether the record is an event, for subscribers to see.
    pub fn is_event(self) -> bool {
        matches!(self, Self::Event | Self::Ephemeral)
    }

    /// Whether a log gives the record a place, and keeps it.
    pub fn is_kept(self) -> bool {
        self != Self::Ephemeral
    }
}

/// What a publisher hands in: an event before the log has given it a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What it is: nearly always an event.
    pub kind: Kind,
    /// Where it is published.
    pub topics: Topics,
    /// Its event type; `None` is the default, `message`.
    pub event: Option<EventName>,
    /// The publisher's own id, if it gave one.
    pub id: Option<PublisherId>,
    /// The reconnection time that it sets in its subscribers.
    pub retry: Option<Duration>,
    /// Whether only subscribers with a grant for one of its topics may see it.
    pub private: bool,
    /// Its data.
    pub data: Box<str>,
    /// Its idempotency key, if it has one; of an ephemeral event it is not looked at. Boxed, as few
    /// events have one, and it would add 32 bytes to each.
    pub once: Option<Box<Once>>,
}

impl NewRecord {
    /// A public event with data alone, and without a key.
    pub fn new(topic: Topic, data: impl Into<Box<str>>) -> Self {
        Self {
            kind: Kind::Event,
            topics: SmallVec::from_iter([topic]),
            event: None,
            id: None,
            retry: None,
            private: false,
            data: data.into(),
            once: None,
        }
    }

    /// A mark of this kind on a topic: its end, or its opening.
    pub fn mark(kind: Kind, topic: Topic) -> Self {
        Self { kind, ..Self::new(topic, "") }
    }

    /// Its idempotency key, if it has one.
    pub fn key(&self) -> Option<Key> {
        self.once.as_ref().map(|once| once.key)
    }

    /// The event, as it is now, under the idempotency key `key`: a log appends it only once.
    #[must_use]
    pub fn once(mut self, key: Key) -> Self {
        self.once = Some(Box::new(Once { key, fingerprint: Fingerprint::of(&self) }));
        self
    }
}

/// An event as a log keeps it.
///
/// Its bytes on the wire are a pure function of the record and its log's epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log; of an ephemeral event, the place of the record before it.
    pub offset: Offset,
    /// When the log took it.
    pub time: Timestamp,
    /// What was published.
    pub new: NewRecord,
}

impl Record {
    /// The record's `id:` on the wire: the publisher's, or else its cursor in `epoch`, for a
    /// reader that was told of gaps up to `told`. An ephemeral event has none, so that its
    /// subscribers keep the id that they have.
    pub fn event_id(&self, epoch: Epoch, told: Offset) -> Option<EventId> {
        if !self.new.kind.is_kept() {
            return None;
        }
        Some(match &self.new.id {
            Some(id) => id.as_event_id().clone(),
            None => Cursor::new(epoch, self.offset).with_told(told).to_event_id(),
        })
    }

    /// About how many bytes the record holds in memory.
    pub fn memory_bytes(&self) -> usize {
        let id = self.new.id.as_ref().map_or(0, |id| id.as_str().len());
        let event = self.new.event.as_ref().map_or(0, |event| event.as_str().len());
        // Each publish brings its own copy of a topic's text, with the two counts of its `Arc`.
        let topic =
            |topic: &Topic| size_of::<Topic>() + 2 * size_of::<usize>() + topic.as_str().len();
        let topics: usize = self.new.topics.iter().map(topic).sum();
        let once = self.new.once.as_ref().map_or(0, |_| size_of::<Once>());
        size_of::<Self>() + self.new.data.len() + id + event + topics + once
    }
}

/// A record shared by all who read it.
pub type SharedRecord = Arc<Record>;

/// A moment, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
}

impl Timestamp {
    /// The present moment by the system's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The moment `age` before this one.
    pub fn before(self, age: Duration) -> Self {
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self { unix_ms: self.unix_ms.saturating_sub(age_ms) }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_holds_counts_its_topics() {
        let mut new = NewRecord::new(Topic::new("a").unwrap(), "data");
        new.topics.extend((0..100).map(|n| Topic::new(format!("{n:0512}")).unwrap()));
        let record = Record { offset: Offset(1), time: Timestamp::default(), new };
        let bytes = record.memory_bytes();
        assert!((100 * 512..2 * 100 * 512).contains(&bytes), "{bytes}");
    }

    #[test]
    fn publisher_ids_keep_off_the_reserved() {
        assert!(PublisherId::new("order-7").is_ok());
        assert!(PublisherId::new("a b ü").is_ok());
        assert_eq!(PublisherId::new(""), Err(PublisherIdError::Empty));
        assert_eq!(PublisherId::new("#a-1"), Err(PublisherIdError::Reserved));
        assert_eq!(PublisherId::new("earliest"), Err(PublisherIdError::Reserved));
        assert_eq!(PublisherId::new(" a"), Err(PublisherIdError::Space));
        assert_eq!(PublisherId::new("a "), Err(PublisherIdError::Space));
        assert_eq!(
            PublisherId::new("x".repeat(257)),
            Err(PublisherIdError::TooLong { bytes: 257 })
        );
        for bad in ["a\r\nb", "a\0", "\u{feff}a", "a\u{202e}"] {
            assert!(
                matches!(PublisherId::new(bad), Err(PublisherIdError::Control { .. })),
                "{bad:?}"
            );
        }
    }
}
