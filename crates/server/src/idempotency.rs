//! Idempotency keys: an event that is published again under its key is not published twice.
//!
//! A publisher that got no answer cannot know whether its event was taken. It sends it again
//! under the same key, and the log answers where the event stands already:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidings_server::{
//!     cursor::Offset,
//!     idempotency::Key,
//!     log::{Log as _, MemoryLog, Retention, Taken},
//!     record::NewRecord,
//!     topic::Topic,
//! };
//!
//! let log = MemoryLog::new(Retention::default(), rand::random());
//! let order = NewRecord::new(Topic::new("orders")?, "7").once(Key::new("shop", "order-7")?);
//! let first = log.append(order.clone().into()).await?;
//! let again = log.append(order.into()).await?;
//! assert_eq!(first.records[0], Taken::Appended(Offset(1)));
//! assert_eq!(again.records[0], Taken::Repeated(Offset(1)));
//! # Ok(())
//! # }
//! ```

use std::fmt;

use sha2::{Digest, Sha256};

use crate::record::{Kind, NewRecord};

/// A publisher's idempotency key within its scope.
///
/// It keeps a digest of both: 128 bits of SHA-256. A key that is stored tells nobody what it was,
/// and keys of different scopes do not meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The longest key, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Checks `key` and makes the key of it that it is in `scope`.
    ///
    /// The scope says whose key it is: whoever shares a scope shares its keys. It may be any text,
    /// also none.
    ///
    /// # Errors
    /// [`KeyError`] says which rule the key breaks; it is the publisher's to mend.
    pub fn new(scope: &str, key: &str) -> Result<Self, KeyError> {
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.len() > Self::BYTES_MAX {
            return Err(KeyError::TooLong { bytes: key.len() });
        }
        if let Some(character) = key.chars().find(|character| !character.is_ascii_graphic()) {
            return Err(KeyError::Character { character });
        }
        let mut fields = Fields::default();
        fields.bytes(scope.as_bytes());
        fields.bytes(key.as_bytes());
        Ok(Self(fields.digest()))
    }

    /// The digest, for storing it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The key whose digest was stored.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Why a text is no idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is empty.
    #[error("an idempotency key must not be empty")]
    Empty,
    /// The text is longer than [`Key::BYTES_MAX`].
    #[error("an idempotency key has at most {} bytes, this one has {bytes}", Key::BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text has a character that is not visible ASCII.
    #[error("an idempotency key has only visible ASCII characters (found {character:?})")]
    Character {
        /// The first one.
        character: char,
    },
}

/// What was published under a key, to tell a repetition from another event: 128 bits of SHA-256
/// over all that a publisher says of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of an event. Its key is no part of it.
    pub fn of(record: &NewRecord) -> Self {
        // Fingerprints are stored: a new field may count only where it is set, or else events
        // from before it could not be repeated.
        let NewRecord { kind, topics, event, id, retry, private, data, once: _ } = record;
        let mut fields = Fields::default();
        fields.number(topics.len() as u64);
        topics.iter().for_each(|topic| fields.bytes(topic.as_str().as_bytes()));
        fields.optional(event.as_ref().map(|event| event.as_str().as_bytes()));
        fields.optional(id.as_ref().map(|id| id.as_str().as_bytes()));
        let retry = retry.map(|retry| retry.as_nanos().to_le_bytes());
        fields.optional(retry.as_ref().map(|retry| &retry[..]));
        fields.number(u64::from(*private));
        fields.bytes(data.as_bytes());
        match kind {
            Kind::Event => {}
            // Never repeated, as no log looks at its key.
            Kind::Ephemeral => fields.number(1),
            Kind::Ended => fields.number(2),
            Kind::Opened => fields.number(3),
        }
        Self(fields.digest())
    }

    /// The fingerprint's bytes, for storing it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The fingerprint that was stored.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Under which key an event is published once, and which event that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// The key.
    pub key: Key,
    /// The event.
    pub fingerprint: Fingerprint,
}

/// Hashes fields so that no two sequences of them are the same bytes.
#[derive(Default)]
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.number(u64::from(bytes.is_some()));
        self.bytes(bytes.unwrap_or_default());
    }

    fn digest(self) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.0.finalize()[..16]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidings_proto::event::EventName;

    use super::*;
    use crate::{record::PublisherId, topic::Topic};

    #[test]
    fn keys_are_visible_ascii_of_1_to_255_bytes() {
        for good in ["k", "8e03978e-40d5-43e8-bc93-6894a57f9324", "!\"~", &"x".repeat(255)] {
            assert!(Key::new("", good).is_ok(), "{good}");
        }
        assert_eq!(Key::new("", ""), Err(KeyError::Empty));
        assert_eq!(Key::new("", &"x".repeat(256)), Err(KeyError::TooLong { bytes: 256 }));
        for (bad, character) in [("a b", ' '), ("a\n", '\n'), ("\u{7f}", '\u{7f}'), ("ü", 'ü')] {
            assert_eq!(Key::new("", bad), Err(KeyError::Character { character }));
        }
    }

    #[test]
    fn scopes_keep_the_same_key_apart() {
        let key = Key::new("ann", "7").unwrap();
        assert_eq!(key, Key::new("ann", "7").unwrap());
        for other in [("bob", "7"), ("ann", "8"), ("", "ann7"), ("ann7", "7"), ("an", "n7")] {
            assert_ne!(key, Key::new(other.0, other.1).unwrap(), "{other:?}");
        }
    }

    #[test]
    fn every_field_but_the_key_counts() {
        let topic = |name| Topic::new(name).unwrap();
        let plain = NewRecord::new(topic("a"), "data");
        let mut others = vec![plain.clone(); 11];
        others[0].data = "Data".into();
        others[1].topics = [topic("b")].into_iter().collect();
        others[2].topics.push(topic("b"));
        others[3].event = Some(EventName::new("e").unwrap());
        others[4].id = Some(PublisherId::new("e").unwrap());
        others[5].retry = Some(Duration::ZERO);
        others[6].retry = Some(Duration::MAX);
        others[7].private = true;
        others[8].kind = Kind::Ephemeral;
        others[9].kind = Kind::Ended;
        others[10].kind = Kind::Opened;
        let mut fingerprints = vec![Fingerprint::of(&plain)];
        for other in &others {
            let fingerprint = Fingerprint::of(other);
            assert!(!fingerprints.contains(&fingerprint), "{other:?}");
            fingerprints.push(fingerprint);
        }
        let keyed = plain.clone().once(Key::new("", "k").unwrap());
        assert_eq!(keyed.once.as_ref().unwrap().fingerprint, Fingerprint::of(&plain));
        assert_eq!(Fingerprint::of(&keyed), Fingerprint::of(&plain));
    }

    /// They are stored, so that they must never change.
    #[test]
    fn digests_stay_what_they_are() {
        let key = Key::new("ann", "7").unwrap();
        assert_eq!(format!("{key:?}"), "Key(73802e66046f9d69fea9feea41f4a29b)");
        let record = NewRecord::new(Topic::new("a").unwrap(), "data");
        let fingerprint = format!("{:?}", Fingerprint::of(&record));
        assert_eq!(fingerprint, "Fingerprint(3c5a444b721ede7e3846f5d53df65f01)");
    }
}
