//! Matchers and filters: which topics a subscriber follows, and what it may see of them.

use std::{
    any::TypeId,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use url::Url;
use urlpattern::{
    RegexSyntax, UrlPattern, UrlPatternInit, UrlPatternMatchInput, UrlPatternOptions,
    regexp::RegExp,
};

use crate::{record::Record, topic::Topic};

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

/// One topic, or a pattern of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// This topic alone, byte for byte.
    Exact(Topic),
    /// All topics that the pattern matches.
    Pattern(Pattern),
}

impl Matcher {
    /// Whether `topic` is the one, or of the pattern.
    pub fn matches(&self, topic: &Topic) -> bool {
        match self {
            Self::Exact(exact) => exact == topic,
            Self::Pattern(pattern) => pattern.matches(topic),
        }
    }
}

/// What a subscriber is to get of a log: the topics it follows, less what it may not see.
#[derive(Clone, Default)]
pub struct Filter {
    topics: Vec<Topic>,
    patterns: Vec<Pattern>,
    everything: bool,
    visible: Option<Visible>,
}

#[derive(Clone)]
struct Visible {
    sees: Arc<dyn Fn(&Record) -> bool + Send + Sync>,
    // Of a closure that captures nothing: all of its type are the same.
    of_type: Option<TypeId>,
}

impl Filter {
    /// Every record of the log.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// The records with a topic that one of `matchers` matches.
    pub fn new(matchers: impl IntoIterator<Item = Matcher>) -> Self {
        let mut filter = Self::default();
        for matcher in matchers {
            match matcher {
                Matcher::Exact(topic) => filter.topics.push(topic),
                Matcher::Pattern(pattern) => filter.patterns.push(pattern),
            }
        }
        filter.topics.sort_unstable();
        filter.topics.dedup();
        filter
    }

    /// Of those, only the records for which `visible` is true.
    #[must_use]
    pub fn only(mut self, visible: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Self {
        self.visible = Some(Visible::new(visible));
        self
    }

    /// Whether the record is to be delivered.
    pub fn matches(&self, record: &Record) -> bool {
        record.new.topics.iter().any(|topic| self.matches_topic(topic)) && self.sees(record)
    }

    /// Whether the topic is one of those followed.
    pub fn matches_topic(&self, topic: &Topic) -> bool {
        self.everything
            || self.topics.binary_search(topic).is_ok()
            || self.patterns.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether a record of a followed topic may be seen.
    pub fn sees(&self, record: &Record) -> bool {
        self.visible.as_ref().is_none_or(|visible| (visible.sees)(record))
    }

    /// The topics that are followed by name, in order; all there are if there is no
    /// [pattern](Self::has_patterns).
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The patterns that are followed.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether topics beyond the [named](Self::topics) ones are followed.
    pub fn has_patterns(&self) -> bool {
        self.everything || !self.patterns.is_empty()
    }

    /// Whether every topic is followed.
    pub fn is_everything(&self) -> bool {
        self.everything
    }
}

impl Visible {
    fn new<F: Fn(&Record) -> bool + Send + Sync + 'static>(sees: F) -> Self {
        let of_type = (size_of::<F>() == 0).then(TypeId::of::<F>);
        Self { sees: Arc::new(sees), of_type }
    }
}

impl PartialEq for Visible {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sees, &other.sees)
            || (self.of_type.is_some() && self.of_type == other.of_type)
    }
}

/// Filters that are equal select the same; those that are not may do so, too.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        let followed = |of: &Self| (of.everything, of.topics.len(), of.patterns.len());
        followed(self) == followed(other)
            && self.topics == other.topics
            && self.patterns == other.patterns
            && self.visible == other.visible
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.everything.hash(state);
        self.topics.hash(state);
        self.patterns.iter().for_each(|pattern| pattern.as_str().hash(state));
        match &self.visible {
            None => {}
            Some(Visible { of_type: Some(id), .. }) => id.hash(state),
            Some(visible) => Arc::as_ptr(&visible.sees).addr().hash(state),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("topics", &self.topics)
            .field("patterns", &self.patterns)
            .field("everything", &self.everything)
            .finish_non_exhaustive()
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

    #[test]
    fn a_filter_joins_topics_and_patterns_and_hides_the_invisible() {
        let filter = Filter::new([
            Matcher::Exact(topic("a")),
            Matcher::Exact(topic("a")),
            Matcher::Pattern(pattern("rooms/*")),
        ]);
        assert_eq!(filter.topics().len(), 1);
        assert!(filter.matches_topic(&topic("a")) && filter.matches_topic(&topic("rooms/1")));
        assert!(!filter.matches_topic(&topic("b")));
        assert!(Filter::everything().matches_topic(&topic("b")));
    }

    #[test]
    fn filters_of_the_same_parts_are_equal() {
        let of = |name: &str| {
            Filter::new([Matcher::Exact(topic(name)), Matcher::Pattern(pattern("x/*"))])
        };
        fn public(filter: Filter) -> Filter {
            filter.only(|record| !record.new.private)
        }
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        assert_ne!(of("a"), Filter::new([Matcher::Exact(topic("a"))]));
        assert_eq!(public(of("a")), public(of("a")));
        assert_ne!(public(of("a")), of("a"));
        let of_owner = |owner: u64| of("a").only(move |record| record.offset.0 == owner);
        assert_ne!(of_owner(1), of_owner(1), "what is captured cannot be compared");
        let one = of_owner(1);
        assert_eq!(one.clone(), one);
    }
}
