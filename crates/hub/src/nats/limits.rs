//! The limits that all hubs of a stream share: what they keep, and which keys they know.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidings_server::{
    log::{KeyWindow, Retention, TopicRule, TopicRules},
    matcher::Matcher,
};

use super::Options;

/// What all hubs of a stream keep, and which keys they know, as a checkpoint says it.
///
/// Each hub trims by itself, at the same message as all others: with other limits it would keep
/// what the others have deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    history: History,
    rules: Vec<String>,
    keys: u64,
    keys_age_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct History {
    events: u64,
    bytes: u64,
    age_ms: u64,
}

impl Limits {
    pub(super) fn of(options: &Options) -> Self {
        let KeyWindow { keys_max, age_max } = options.key_window;
        Self {
            history: History::of(&options.retention),
            rules: rules(&options.rules),
            keys: keys_max as u64,
            keys_age_ms: ms(age_max),
        }
    }

    /// What differs, in words; none if nothing does.
    pub(super) fn difference(&self, theirs: &Self) -> Option<String> {
        let mut all = Vec::new();
        let mut differ = |option: &str, ours: String, theirs: String| {
            if ours != theirs {
                all.push(format!("{option} is {theirs} there and {ours} here"));
            }
        };
        let (our, their) = (&self.history, &theirs.history);
        differ("--history-events", count(our.events), count(their.events));
        differ("--history-bytes", count(our.bytes), count(their.bytes));
        differ("--history-age", age(our.age_ms), age(their.age_ms));
        differ("--history-of", list(&self.rules), list(&theirs.rules));
        differ("--idempotency-keys", count(self.keys), count(theirs.keys));
        differ("--idempotency-age", age(self.keys_age_ms), age(theirs.keys_age_ms));
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl History {
    fn of(limits: &Retention) -> Self {
        let &Retention { records_max, bytes_max, age_max } = limits;
        Self { events: records_max as u64, bytes: bytes_max, age_ms: ms(age_max) }
    }
}

fn rules(rules: &TopicRules) -> Vec<String> {
    let text = |rule: &TopicRule| {
        let topics = match &rule.topics {
            Matcher::Exact(topic) => format!("topic={}", topic.as_str()),
            Matcher::Pattern(pattern) => format!("pattern={}", pattern.as_str()),
        };
        let History { events, bytes, age_ms } = History::of(&rule.limits);
        format!("{topics} events={} bytes={} age={}", count(events), count(bytes), age(age_ms))
    };
    rules.iter().map(text).collect()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(number: u64) -> String {
    if number == u64::MAX { "unlimited".to_owned() } else { number.to_string() }
}

fn age(ms: u64) -> String {
    if ms == u64::MAX {
        return "unlimited".to_owned();
    }
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

fn list(rules: &[String]) -> String {
    if rules.is_empty() { "none".to_owned() } else { format!("'{}'", rules.join("', '")) }
}
