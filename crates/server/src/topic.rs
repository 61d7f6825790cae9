//! Topics: the names that events are published to.

use std::{fmt, sync::Arc};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use url::Url;

/// The name of what an event is about, compared byte for byte.
///
/// A topic is not empty, has at most [`Topic::BYTES_MAX`] bytes, no control or format
/// characters (Unicode `Cc`, `Cf`), no `*`, and does not resolve into the hub's own namespace
/// `/.well-known/mercure`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The longest topic, in bytes.
    pub const BYTES_MAX: usize = 512;

    /// Checks `name` and makes a topic of it.
    ///
    /// # Errors
    /// [`TopicError`] says which rule the name breaks; it is the caller's to mend.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, TopicError> {
        let name = name.into();
        if name.is_empty() {
            return Err(TopicError::Empty);
        }
        if name.len() > Self::BYTES_MAX {
            return Err(TopicError::TooLong { bytes: name.len() });
        }
        if let Some(character) = name.chars().find(|&c| is_control_or_format(c)) {
            return Err(TopicError::Control { character });
        }
        if name.contains('*') {
            return Err(TopicError::Wildcard);
        }
        if resolves_into_reserved(&name) {
            return Err(TopicError::Reserved);
        }
        Ok(Self(name))
    }

    /// The topic's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The text is empty.
    #[error("a topic must not be empty")]
    Empty,
    /// The text is longer than [`Topic::BYTES_MAX`].
    #[error("a topic has at most {} bytes, this one has {bytes}", Topic::BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text has a control or format character.
    #[error("a topic must not contain control or format characters (found {character:?})")]
    Control {
        /// The first one.
        character: char,
    },
    /// The text contains `*`.
    #[error("a topic must not contain '*'; to follow several topics use a pattern")]
    Wildcard,
    /// The text names something in the hub's own namespace.
    #[error("topics under /.well-known/mercure belong to the hub")]
    Reserved,
}

/// Whether `c` is a control or a format character (Unicode `Cc`, `Cf`).
pub(crate) fn is_control_or_format(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format)
}

const RESERVED: &str = "/.well-known/mercure";

fn resolves_into_reserved(name: &str) -> bool {
    // Only a name that spells both words can resolve there; parsing URLs is for those alone.
    if !(name.contains("well-known") && name.contains("mercure")) {
        return false;
    }
    let Ok(base) = Url::parse("http://hub.invalid/") else { return false };
    base.join(name).is_ok_and(|url| {
        url.host_str() == base.host_str()
            && url
                .path()
                .strip_prefix(RESERVED)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Topic {
    type Err = TopicError;
    fn from_str(s: &str) -> Result<Self, TopicError> {
        Self::new(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_topics() {
        for name in ["rooms/42", "https://example.com/books/1", "a b", "ü", "well-known", "/"] {
            assert_eq!(Topic::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn each_rule_has_its_own_error() {
        assert_eq!(Topic::new(""), Err(TopicError::Empty));
        assert_eq!(Topic::new("x".repeat(513)), Err(TopicError::TooLong { bytes: 513 }));
        assert_eq!(Topic::new("a\nb"), Err(TopicError::Control { character: '\n' }));
        assert_eq!(Topic::new("a\u{200b}b"), Err(TopicError::Control { character: '\u{200b}' }));
        assert_eq!(Topic::new("a*"), Err(TopicError::Wildcard));
        for name in [
            ".well-known/mercure",
            "/.well-known/mercure/subscriptions",
            "x/../.well-known/./mercure",
            ".well-known\\mercure",
            ".well-known/%2e/mercure?x",
        ] {
            assert_eq!(Topic::new(name), Err(TopicError::Reserved), "{name}");
        }
        assert!(Topic::new(".well-known/mercurial").is_ok());
    }
}
