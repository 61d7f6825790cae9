//! Matchers and filters: which topics a subscriber follows, and what it may see of them.

mod pattern;

use std::{
    any::TypeId,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

pub use self::pattern::{Pattern, PatternError};
use crate::{record::Record, topic::Topic};

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
        Pattern::parse(source, &"http://localhost:8080/".parse().unwrap()).unwrap()
    }

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
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
