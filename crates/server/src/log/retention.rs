//! Retention: how much history a log keeps, of all topics together and of each by itself.

use std::{sync::Arc, time::Duration};

use crate::{matcher::Matcher, topic::Topic};

/// How much history is kept: whichever limit is reached first trims the oldest records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records kept at most.
    pub records_max: usize,
    /// Bytes of records kept at most, as the log counts them.
    pub bytes_max: u64,
    /// Records older than this are trimmed, to the second.
    pub age_max: Duration,
}

impl Retention {
    /// Everything is kept.
    pub const UNLIMITED: Self =
        Self { records_max: usize::MAX, bytes_max: u64::MAX, age_max: Duration::MAX };
}

impl Default for Retention {
    /// 1,000,000 records, 1 GiB, 7 days.
    fn default() -> Self {
        Self {
            records_max: 1_000_000,
            bytes_max: 1 << 30,
            age_max: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// How much is kept of each topic that the rule is for, besides what the log keeps of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics that it is for.
    pub topics: Matcher,
    /// What is kept of each of them, by itself: not of all of them together.
    pub limits: Retention,
}

/// Limits for the history of single topics, so that a noisy one does not evict the rest.
///
/// The first rule that is for a topic holds for it. A topic's rule is looked up once, when the
/// log first hears of it: that costs a microsecond or two for each rule with a pattern. Clones
/// are cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicRules(Arc<[TopicRule]>);

/// Which of the rules holds for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleNumber(u8);

impl TopicRules {
    /// How many rules there may be.
    pub const COUNT_MAX: usize = 100;

    /// These rules, in their order; `None` if there are more than [`COUNT_MAX`](Self::COUNT_MAX).
    pub fn new(rules: Vec<TopicRule>) -> Option<Self> {
        (rules.len() <= Self::COUNT_MAX).then(|| Self(rules.into()))
    }

    /// The rules, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &TopicRule> {
        self.0.iter()
    }

    /// Which rule holds for `topic`, if there is one.
    pub(super) fn of(&self, topic: &Topic) -> Option<RuleNumber> {
        let at = self.0.iter().position(|rule| rule.topics.matches(topic))?;
        u8::try_from(at).ok().map(RuleNumber)
    }

    /// The limits of a rule.
    pub(super) fn limits(&self, number: RuleNumber) -> &Retention {
        &self.0[usize::from(number.0)].limits
    }
}
