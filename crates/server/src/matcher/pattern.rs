//! Patterns of topics.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use url::Url;
use urlpattern::{
    RegexSyntax, UrlPattern, UrlPatternInit, UrlPatternMatchInput, UrlPatternOptions,
    regexp::RegExp,
};

use crate::topic::Topic;

/// A URL Pattern over topics (WHATWG URL Pattern): `rooms/:id`, `sensors/*`.
///
/// Pattern and topic are both resolved against the hub's URL, so that a relative pattern
/// matches relative topics and the same topics written out in full. A topic that is no URL
/// even then matches no pattern. Cloning is cheap; clones share one memory of past matches.
#[derive(Clone)]
pub struct Pattern(Arc<PatternState>);

struct PatternState {
    source: Box<str>,
    base: Url,
    pattern: UrlPattern<RegexOnUse>,
    // Parsing a topic as URL costs microseconds, and a follower asks about the same few topics
    // again and again.
    memo: Mutex<HashMap<Topic, bool>>,
}

impl Pattern {
    /// The longest pattern, in bytes.
    pub const BYTES_MAX: usize = 512;
    // Every pattern of every subscriber has a memory of its own, so it is small: some 5 KiB.
    const MEMO_TOPICS_MAX: usize = 64;

    /// Parses `source` with the hub's URL `base`.
    ///
    /// # Errors
    /// [`PatternError`] if it is too long or no URL Pattern; the caller's to mend.
    pub fn parse(source: &str, base: &Url) -> Result<Self, PatternError> {
        if source.len() > Self::BYTES_MAX {
            return Err(PatternError::TooLong { bytes: source.len() });
        }
        let syntax = |error| match error {
            urlpattern::Error::RegExp(()) => PatternError::Regex,
            error => PatternError::Syntax { why: error.to_string() },
        };
        // Compiled once to know that it can be.
        compile::<BoundedRegex>(source, base).map_err(syntax)?;
        let pattern = compile::<RegexOnUse>(source, base).map_err(syntax)?;
        let (source, base) = (source.into(), base.clone());
        Ok(Self(Arc::new(PatternState { source, base, pattern, memo: Mutex::default() })))
    }

    /// Whether the pattern matches `topic`.
    pub fn matches(&self, topic: &Topic) -> bool {
        if let Some(&known) = self.0.memo.lock().get(topic) {
            return known;
        }
        let matched =
            self.0.base.join(topic.as_str()).is_ok_and(|url| {
                self.0.pattern.test(UrlPatternMatchInput::Url(url)).unwrap_or(false)
            });
        let mut memo = self.0.memo.lock();
        if memo.len() >= Self::MEMO_TOPICS_MAX {
            memo.clear();
        }
        memo.insert(topic.clone(), matched);
        matched
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.0.source, &self.0.base) == (&other.0.source, &other.0.base)
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.0.source).finish()
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The text is longer than [`Pattern::BYTES_MAX`].
    #[error("a pattern has at most {} bytes, this one has {bytes}", Pattern::BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text is not a URL Pattern.
    #[error("not a URL Pattern: {why}")]
    Syntax {
        /// What the parser says.
        why: String,
    },
    /// One of its parts is no regular expression, or one that is too large.
    #[error(
        "not a URL Pattern: a regular expression in it is not valid, or takes more than {} KiB",
        BoundedRegex::BYTES_MAX >> 10
    )]
    Regex,
}

fn compile<R: RegExp>(source: &str, base: &Url) -> Result<UrlPattern<R>, urlpattern::Error> {
    let init = UrlPatternInit::parse_constructor_string::<R>(source, Some(base.clone()))?;
    UrlPattern::parse(init, UrlPatternOptions::default())
}

/// A part of a pattern. The standard allows regular expressions in patterns, and a dozen bytes
/// such as `(\w{200})` make one of megabytes, which takes a fifth of a second to compile.
#[derive(Debug)]
struct BoundedRegex(regex::Regex);

impl BoundedRegex {
    // `rooms/:id` takes 2 KiB, `(\w+)` and some forty groups without repetition 64 KiB.
    const BYTES_MAX: usize = 64 << 10;
}

impl RegExp for BoundedRegex {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        let mut builder = regex::RegexBuilder::new(pattern);
        builder.size_limit(Self::BYTES_MAX).dfa_size_limit(Self::BYTES_MAX);
        builder.build().map(Self).map_err(drop)
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        // What the groups captured is never asked for.
        self.0.is_match(text).then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        self.0.as_str()
    }
}

/// The same, compiled when it is first asked. A pattern has some ten, and most of them never are:
/// a part such as `rooms/:id` is matched without. It takes 3 KiB in place of 80.
#[derive(Debug)]
struct RegexOnUse {
    source: Box<str>,
    regex: OnceLock<Option<BoundedRegex>>,
}

impl RegExp for RegexOnUse {
    fn syntax() -> RegexSyntax {
        BoundedRegex::syntax()
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        Ok(Self { source: pattern.into(), regex: OnceLock::new() })
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        let regex = self.regex.get_or_init(|| BoundedRegex::parse(&self.source, "", true).ok());
        regex.as_ref()?.matches(text)
    }

    fn pattern_string(&self) -> &str {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(source: &str) -> Pattern {
        Pattern::parse(source, &Url::parse("http://localhost:8080/").unwrap()).unwrap()
    }

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    #[test]
    fn patterns_follow_the_url_pattern_standard() {
        let rooms = pattern("rooms/:id");
        assert!(rooms.matches(&topic("rooms/42")));
        assert!(rooms.matches(&topic("/rooms/42")));
        assert!(rooms.matches(&topic("http://localhost:8080/rooms/42")));
        assert!(!rooms.matches(&topic("rooms/42/messages")));
        assert!(!rooms.matches(&topic("rooms")));
        assert!(!rooms.matches(&topic("https://example.com/rooms/42")));
        let sensors = pattern("sensors/*");
        assert!(sensors.matches(&topic("sensors/a/b")));
        assert!(!sensors.matches(&topic("sensors")));
        let books = pattern("https://example.com/books/:id");
        assert!(books.matches(&topic("https://example.com/books/1")));
        assert!(!books.matches(&topic("books/1")));
        // Asked again, answered from memory.
        assert!(rooms.matches(&topic("rooms/42")));
    }

    #[test]
    fn a_topic_that_is_no_url_matches_no_pattern() {
        assert!(!pattern("*").matches(&topic("http://[")));
    }

    #[test]
    fn bad_patterns_are_refused_with_the_reason() {
        let base = Url::parse("http://localhost/").unwrap();
        assert!(matches!(Pattern::parse("rooms/:", &base), Err(PatternError::Syntax { .. })));
        assert_eq!(
            Pattern::parse(&"x".repeat(600), &base).unwrap_err(),
            PatternError::TooLong { bytes: 600 }
        );
    }

    #[test]
    fn a_short_pattern_cannot_take_much_memory() {
        let base = Url::parse("http://localhost/").unwrap();
        for source in ["(\\w{200})", "((?:a{99}){99}){9}", "https://(\\w{99}).example/*", "a/([)"] {
            let parsed = Pattern::parse(source, &base);
            assert_eq!(parsed.map(drop), Err(PatternError::Regex), "{source}");
        }
        let many = pattern(&(0..30).map(|n| format!("/:a{n}")).collect::<String>());
        assert!(many.matches(&topic(&"/x".repeat(30))));
        let dates = pattern("days/(\\d{4})-(\\d{2})-(\\d{2})");
        assert!(dates.matches(&topic("days/2026-01-02")) && !dates.matches(&topic("days/now")));
        assert!(pattern("users/(\\w+)").matches(&topic("users/me")));
        assert!(pattern(":a(\\d+)/:b(\\d+)").matches(&topic("1/2")));
    }
}
