//! A place in a stream, to be stored and given back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tidings_proto::EventId;

/// Where a source has got to, as text of one line that can be stored and given to another source,
/// in another process or on another day.
///
/// It holds the last event id and the reconnection time that the stream has set. With
/// [`Commit::Acknowledged`](crate::Commit::Acknowledged) the id is that of the last event that was
/// acknowledged.
///
/// ```
/// use tidings_client::{EventSource, ResumeToken};
///
/// let stored = "1 3000 order-17";
/// let token: ResumeToken = stored.parse()?;
/// assert_eq!(token.last_event_id(), "order-17");
/// assert_eq!(token.to_string(), stored);
/// let source = EventSource::builder("https://example.com/orders").resume(token).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResumeToken {
    last_event_id: EventId,
    reconnection_time: Option<Duration>,
}

impl ResumeToken {
    pub(crate) const fn new(last_event_id: EventId, reconnection_time: Option<Duration>) -> Self {
        Self { last_event_id, reconnection_time }
    }

    /// The id to resume after. Empty if the stream has given none.
    #[must_use]
    pub const fn last_event_id(&self) -> &EventId {
        &self.last_event_id
    }

    /// The reconnection time that the stream has set, in whole milliseconds, if it has.
    #[must_use]
    pub const fn reconnection_time(&self) -> Option<Duration> {
        self.reconnection_time
    }
}

/// The version, the reconnection time in milliseconds or a hyphen, and the id, which is the rest of the
/// line.
impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = self.reconnection_time else {
            return write!(f, "{VERSION} {NO_TIME} {}", self.last_event_id);
        };
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        write!(f, "{VERSION} {milliseconds} {}", self.last_event_id)
    }
}

/// Why a text is not a resume token. Whoever stored it is at fault, or another version of this crate
/// has written it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a resume token: {reason}")]
pub struct InvalidResumeToken {
    reason: &'static str,
}

impl FromStr for ResumeToken {
    type Err = InvalidResumeToken;

    fn from_str(text: &str) -> Result<Self, InvalidResumeToken> {
        let invalid = |reason| InvalidResumeToken { reason };
        // One line end at the end, as files have it, is not part of the id.
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let mut parts = text.splitn(3, ' ');
        if parts.next() != Some(VERSION) {
            return Err(invalid("it does not begin with a version that is known here"));
        }
        let time = match parts.next() {
            Some(NO_TIME) => None,
            Some(milliseconds) => {
                Some(milliseconds.parse().map(Duration::from_millis).map_err(|_| {
                    invalid("the reconnection time is not a number of milliseconds")
                })?)
            }
            None => return Err(invalid("the reconnection time is missing")),
        };
        let id = parts.next().ok_or_else(|| invalid("the last event id is missing"))?;
        let last_event_id =
            id.parse().map_err(|_| invalid("the last event id has a line end or a NUL"))?;
        Ok(Self::new(last_event_id, time))
    }
}

const VERSION: &str = "1";
const NO_TIME: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_storage() {
        for id in ["", "1", " a b ", "\u{e9}\u{1}\t", "1 2 3"] {
            for time in [None, Some(Duration::ZERO), Some(Duration::from_millis(700))] {
                let token = ResumeToken::new(id.parse().unwrap(), time);
                assert_eq!(token.to_string().parse(), Ok(token.clone()));
                assert_eq!(format!("{token}\n").parse(), Ok(token.clone()));
                assert_eq!(format!("{token}\r\n").parse(), Ok(token));
            }
        }
        let longest = ResumeToken::new(EventId::default(), Some(Duration::MAX));
        let parsed: ResumeToken = longest.to_string().parse().unwrap();
        assert_eq!(parsed.reconnection_time(), Some(Duration::from_millis(u64::MAX)));
    }

    #[test]
    fn nothing_else_is_a_token() {
        for text in ["", "1", "1 3000", "2 3000 a", "1 -1 a", "1 x a", "1 3000 a\nb", "1 3000 a\0"]
        {
            let error = text.parse::<ResumeToken>().unwrap_err();
            assert!(error.to_string().starts_with("this is not a resume token: "), "{text}");
        }
    }
}
