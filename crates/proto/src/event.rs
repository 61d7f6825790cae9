//! What an event is made of, in types that cannot hold what the wire cannot carry.

use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use smol_str::SmolStr;

/// An event as its reader receives it.
///
/// Meant by [dispatching the event](https://html.spec.whatwg.org/multipage/server-sent-events.html#dispatchMessage)
/// in WHATWG HTML. Cloning the type or the id allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// The event type: `message` unless the stream named another.
    pub event_type: EventName,
    /// The data lines joined by LF, without a final one. May be empty.
    pub data: String,
    /// The last event id of the stream when this event was dispatched, which is an earlier
    /// event's if this one brought none. Empty if there was never any.
    pub last_event_id: EventId,
}

/// The id of an event: any text without CR, LF and NUL.
///
/// It may be empty, which tells the reader to forget its last event id. Neither length nor
/// characters are restricted beyond that, but an id of more than 128 bytes or with control
/// characters may not be accepted in the `Last-Event-ID` header of a reconnect.
///
/// An id of up to 23 bytes needs no allocation; the text of a longer one is shared, so that cloning
/// is cheap always.
///
/// Standard: the `id` field of WHATWG HTML, "Interpreting an event stream".
///
/// ```
/// use tidings_proto::EventId;
///
/// let id = EventId::new("42")?;
/// assert_eq!(id.as_str(), "42");
/// assert!(EventId::new("4\n2").is_err());
/// # Ok::<(), tidings_proto::event::InvalidEventId>(())
/// ```
#[derive(Clone, Default)]
pub struct EventId(SmolStr);

impl EventId {
    /// Takes `id` as an event id.
    ///
    /// # Errors
    /// [`InvalidEventId`] if `id` contains CR, LF or NUL. The text is the caller's, so the caller
    /// must refuse or change it.
    pub fn new(id: impl AsRef<str> + Into<Arc<str>>) -> Result<Self, InvalidEventId> {
        match memchr::memchr3(b'\r', b'\n', 0, id.as_ref().as_bytes()) {
            Some(offset) => Err(InvalidEventId { offset }),
            None => Ok(Self(held(id))),
        }
    }

    /// Takes a text that was decoded from one line, and so has no line end, and no NUL, which the
    /// decoder has looked for.
    pub(crate) fn of_line(id: &str) -> Self {
        debug_assert!(Self::new(id).is_ok());
        Self(SmolStr::new(id))
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id is the empty string, which a client never sends as `Last-Event-ID`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The type of an event: any text without CR and LF that is not empty.
///
/// On the wire an empty type and no type both mean `message`, so there is one way to say it here:
/// [`EventName::default`] is `message`, and the empty string is refused.
///
/// A type of up to 23 bytes needs no allocation; the text of a longer one is shared, so that cloning
/// is cheap always.
///
/// Standard: the `event` field of WHATWG HTML, "Interpreting an event stream".
///
/// ```
/// use tidings_proto::EventName;
///
/// let name = EventName::new("price")?;
/// assert_eq!(name.as_str(), "price");
/// assert_eq!(EventName::default().as_str(), "message");
/// assert!(EventName::new("price\rdata: forged").is_err());
/// # Ok::<(), tidings_proto::event::InvalidEventName>(())
/// ```
#[derive(Clone)]
pub struct EventName(SmolStr);

impl EventName {
    /// Takes `name` as an event type.
    ///
    /// # Errors
    /// [`InvalidEventName`] if `name` is empty or contains CR or LF. The text is the caller's, so
    /// the caller must refuse or change it.
    pub fn new(name: impl AsRef<str> + Into<Arc<str>>) -> Result<Self, InvalidEventName> {
        if name.as_ref().is_empty() {
            return Err(InvalidEventName::Empty);
        }
        match memchr::memchr2(b'\r', b'\n', name.as_ref().as_bytes()) {
            Some(offset) => Err(InvalidEventName::LineEnd { offset }),
            None => Ok(Self(held(name))),
        }
    }

    /// Takes a text that was decoded from one line, and so has no line end.
    pub(crate) fn of_line(name: &str) -> Self {
        debug_assert!(Self::new(name).is_ok());
        Self(SmolStr::new(name))
    }

    /// The text of the event type.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `message`, the type of an event that names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_NAME
    }
}

impl Default for EventName {
    fn default() -> Self {
        Self(SmolStr::new_inline(DEFAULT_NAME))
    }
}

/// Holds a short text in place, and shares a long one, in its own memory if it is shared already.
fn held(text: impl AsRef<str> + Into<Arc<str>>) -> SmolStr {
    if text.as_ref().len() <= SmolStr::INLINE_CAP {
        SmolStr::new_inline(text.as_ref())
    } else {
        SmolStr::from(text.into())
    }
}

/// Why a text cannot be an [`EventId`]: it contains CR, LF or NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id cannot contain CR, LF or NUL, but has one at byte {offset}")]
#[non_exhaustive]
pub struct InvalidEventId {
    /// Where the first such character is, in bytes from the start.
    pub offset: usize,
}

/// Why a text cannot be an [`EventName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEventName {
    /// The text is empty. Leave the type out, or use [`EventName::default`].
    #[error("an event type cannot be empty")]
    Empty,
    /// The text contains CR or LF, which would end the line it stands on.
    #[error("an event type cannot contain CR or LF, but has one at byte {offset}")]
    LineEnd {
        /// Where the first of them is, in bytes from the start.
        offset: usize,
    },
}

/// What both text types share: they behave as the text they hold.
macro_rules! behave_as_text {
    ($type:ident, $error:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.as_str()).finish()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $type {}

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(text)
            }
        }
    };
}

behave_as_text!(EventId, InvalidEventId);
behave_as_text!(EventName, InvalidEventName);

/// The type of an event that names none.
pub(crate) const DEFAULT_NAME: &str = "message";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn an_id_refuses_line_ends_and_nul() {
        for (text, offset) in [("\n", 0), ("a\r", 1), ("ab\0c", 2), ("a\r\n", 1)] {
            assert_eq!(EventId::new(text), Err(InvalidEventId { offset }));
        }
        for text in ["", " a ", "a:b", "\u{feff}", "\u{85}\u{2028}", "\t"] {
            assert_eq!(EventId::new(text).unwrap(), text);
        }
    }

    #[test]
    fn a_name_refuses_line_ends_and_emptiness_but_not_nul() {
        assert_eq!(EventName::new(""), Err(InvalidEventName::Empty));
        for (text, offset) in [("\n", 0), ("a\r", 1), ("ab\r\n", 2)] {
            assert_eq!(EventName::new(text), Err(InvalidEventName::LineEnd { offset }));
        }
        for text in ["a\0", " ", "open", "\u{2029}"] {
            assert_eq!(EventName::new(text).unwrap(), text);
        }
    }

    #[test]
    fn the_default_name_is_the_same_however_it_was_made() {
        let named: EventName = "message".parse().unwrap();
        assert_eq!(named, EventName::default());
        assert!(named.is_default());
        assert_eq!(named.to_string(), "message");
        assert_eq!(format!("{named:?}"), "EventName(\"message\")");
    }

    #[test]
    fn texts_are_ordered_as_text() {
        let (a, z) = (EventName::new("a").unwrap(), EventName::new("z").unwrap());
        assert!(a < EventName::default() && EventName::default() < z);
        assert!(EventId::default() < EventId::new("0").unwrap());
    }
}
