//! What `--history-of` says: limits for the history of one topic, or of each that matches.

use std::{fmt, str::FromStr, time::Duration};

use tidings_server::{
    log::{Retention, TopicRule},
    matcher::{Matcher, Pattern, PatternError},
    topic::{Topic, TopicError},
};
use url::Url;

use super::value::{ValueError, count, duration, size};

/// A rule such as `pattern=sensors/* events=1000 age=1h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRule {
    topics: Topics,
    limits: Retention,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Topics {
    Named(Topic),
    // Parsed again once the hub's URL is known.
    Matching(String),
}

/// Why a text is no rule. The message is what the rule lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryRuleError {
    /// It does not begin with what it is for.
    #[error(
        "a rule is topic=NAME or pattern=URL-PATTERN and then events=COUNT, bytes=SIZE or \
         age=DURATION, or several of these, such as 'pattern=sensors/* events=1000 age=1h'"
    )]
    Form,
    /// It has no limit.
    #[error("the rule has no limit: end it with events=COUNT, bytes=SIZE or age=DURATION")]
    NoLimit,
    /// A pattern is followed by something that is no limit: a pattern has no spaces.
    #[error("{word:?} is no limit: they are events=COUNT, bytes=SIZE and age=DURATION")]
    Unknown {
        /// What stands there.
        word: String,
    },
    /// It has a limit more than once.
    #[error("{limit}= is there twice")]
    Twice {
        /// Which one.
        limit: &'static str,
    },
    /// A limit's value is none.
    #[error("{limit}={value}: {cause}")]
    Limit {
        /// Which one.
        limit: &'static str,
        /// Its value as it was written.
        value: String,
        /// What is wrong with it.
        cause: ValueError,
    },
    /// The name is no topic.
    #[error("this is no topic: {0}")]
    Topic(TopicError),
    /// The pattern is none.
    #[error("this is no pattern: {0}")]
    Pattern(PatternError),
}

impl HistoryRule {
    /// The rule, with its pattern resolved against the hub's URL.
    ///
    /// # Errors
    /// [`PatternError`] if there it is none.
    pub(super) fn resolve(&self, base: &Url) -> Result<TopicRule, PatternError> {
        let topics = match &self.topics {
            Topics::Named(topic) => Matcher::Exact(topic.clone()),
            Topics::Matching(pattern) => Matcher::Pattern(Pattern::parse(pattern, base)?),
        };
        Ok(TopicRule { topics, limits: self.limits })
    }
}

impl fmt::Display for HistoryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topics {
            Topics::Named(topic) => write!(f, "topic={topic}"),
            Topics::Matching(pattern) => write!(f, "pattern={pattern}"),
        }
    }
}

impl FromStr for HistoryRule {
    type Err = HistoryRuleError;

    fn from_str(text: &str) -> Result<Self, HistoryRuleError> {
        let mut text = text.trim();
        let (mut events, mut bytes, mut age) = (None, None, None);
        // From the end, for a name may have spaces.
        while let Some((rest, last)) = text.rsplit_once(char::is_whitespace) {
            let Some((limit, value)) = last.split_once('=') else { break };
            match limit {
                "events" => set(&mut events, "events", value, count(1..=u32::MAX as usize))?,
                "bytes" => set(&mut bytes, "bytes", value, size(1..=BYTES_MAX))?,
                "age" => set(&mut age, "age", value, duration(AGE_MIN..=AGE_MAX))?,
                _ => break,
            }
            text = rest.trim_end();
        }
        let topics = match text.split_once('=') {
            Some(("topic", name)) => {
                Topics::Named(Topic::new(name).map_err(HistoryRuleError::Topic)?)
            }
            Some(("pattern", pattern)) => {
                // Or else a limit that is misspelt would pass for a part of the pattern.
                if let Some((_, word)) = pattern.rsplit_once(char::is_whitespace) {
                    return Err(HistoryRuleError::Unknown { word: word.to_owned() });
                }
                let base = Url::parse("http://localhost/").map_err(|_| HistoryRuleError::Form)?;
                Pattern::parse(pattern, &base).map_err(HistoryRuleError::Pattern)?;
                Topics::Matching(pattern.to_owned())
            }
            _ => return Err(HistoryRuleError::Form),
        };
        let unlimited = Retention::UNLIMITED;
        let limits = Retention {
            records_max: events.unwrap_or(unlimited.records_max),
            bytes_max: bytes.map_or(unlimited.bytes_max, |bytes| bytes as u64),
            age_max: age.unwrap_or(unlimited.age_max),
        };
        if limits == unlimited {
            return Err(HistoryRuleError::NoLimit);
        }
        Ok(Self { topics, limits })
    }
}

fn set<T>(
    place: &mut Option<T>,
    limit: &'static str,
    value: &str,
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> Result<(), HistoryRuleError> {
    let parsed = parse(value).map_err(|cause| {
        let value = value.to_owned();
        HistoryRuleError::Limit { limit, value, cause }
    })?;
    match place.replace(parsed) {
        Some(_) => Err(HistoryRuleError::Twice { limit }),
        None => Ok(()),
    }
}

const BYTES_MAX: usize = 64 << 40;
const AGE_MIN: Duration = Duration::from_secs(1);
const AGE_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HistoryRule, String> {
        text.parse().map_err(|error: HistoryRuleError| error.to_string())
    }

    #[test]
    fn a_rule_has_topics_and_limits() {
        let all = Retention::UNLIMITED;
        let hour = Duration::from_secs(3_600);
        for (text, topics, limits) in [
            (
                "pattern=sensors/* events=1_000 bytes=10MiB age=1h",
                "pattern=sensors/*",
                Retention { records_max: 1_000, bytes_max: 10 << 20, age_max: hour },
            ),
            ("topic=a events=1", "topic=a", Retention { records_max: 1, ..all }),
            // Spaces and what looks like a limit belong to a name that goes on after them.
            (
                "  topic=big room events=2 now   age=1h ",
                "topic=big room events=2 now",
                Retention { age_max: hour, ..all },
            ),
            ("topic=x=y bytes=512", "topic=x=y", Retention { bytes_max: 512, ..all }),
        ] {
            let rule = parse(text).unwrap();
            assert_eq!((rule.to_string(), rule.limits), (topics.to_owned(), limits), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("", "a rule is topic=NAME or"),
            ("sensors/* events=1", "a rule is topic=NAME or"),
            ("events=1", "a rule is topic=NAME or"),
            ("topics=a events=1", "a rule is topic=NAME or"),
            ("topic=a", "no limit"),
            ("pattern=a/* event=1", "\"event=1\" is no limit"),
            ("pattern=a/* event=1 age=1h", "\"event=1\" is no limit"),
            ("topic=a events=1 evnts=2", "no limit"),
            ("topic=a events=1 events=2", "events= is there twice"),
            ("topic=a events=0", "events=0: the number must be from 1"),
            ("topic=a bytes=10mb", "bytes=10mb: a size is a number of bytes"),
            ("topic=a age=5", "age=5: a duration is a number with a unit"),
            ("topic= events=1", "this is no topic"),
            ("topic=a* events=1", "this is no topic"),
            ("pattern=rooms/: events=1", "this is no pattern"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
