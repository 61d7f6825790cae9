//! A draft: an event as a publisher wrote it, before the rules were applied.

use std::time::Duration;

use smallvec::SmallVec;
use tidings_proto::EventName;
use tidings_server::{
    frame::RESERVED_PREFIX,
    idempotency::Key,
    record::{Kind, NewRecord, PublisherId},
    topic::Topic,
};
use url::Url;

use crate::{config::Limits, problem::Problem};

/// An event as a publisher wrote it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) topics: Vec<String>,
    pub(super) event: Option<String>,
    pub(super) id: Option<String>,
    pub(super) retry_ms: Option<u64>,
    pub(super) private: bool,
    pub(super) ephemeral: bool,
    pub(super) data: String,
    /// Its idempotency key, whose rules were applied where it was read: each place has its own.
    pub(super) key: Option<Key>,
}

impl Draft {
    /// The shortest reconnection time that a publisher may set. It holds for every subscriber, also
    /// while the hub is away.
    pub(super) const RETRY_MS_MIN: u64 = 100;
    /// The longest reconnection time that a publisher may set: a day.
    pub(super) const RETRY_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

    /// Applies the rules.
    pub(super) fn check(self, limits: &Limits) -> Result<NewRecord, Problem> {
        if self.ephemeral {
            self.check_ephemeral()?;
        }
        let record = NewRecord {
            kind: if self.ephemeral { Kind::Ephemeral } else { Kind::Event },
            topics: topics(self.topics, limits)?,
            event: self.event.map(|event| event_name(event, limits)).transpose()?.flatten(),
            id: self.id.map(|id| publisher_id(id, limits)).transpose()?,
            retry: self.retry_ms.map(retry).transpose()?,
            private: self.private,
            data: data(self.data, limits)?,
            once: None,
        };
        Ok(match self.key {
            Some(key) => record.once(key),
            None => record,
        })
    }
}

impl Draft {
    // What needs a place in the log goes with kept events alone.
    fn check_ephemeral(&self) -> Result<(), Problem> {
        if self.id.is_some() {
            let rule = "an ephemeral event has no id, as nobody can resume after it";
            return Err(Problem::invalid("id", rule));
        }
        if self.key.is_some() {
            let rule = "an ephemeral event takes no idempotency key, as nothing of it is kept";
            return Err(Problem::invalid("ephemeral", rule));
        }
        Ok(())
    }
}

/// A topic within the configured limit.
pub(super) fn topic(name: String, limits: &Limits) -> Result<Topic, Problem> {
    at_most("topic", name.len(), limits.topic_bytes_max)?;
    // A rule for requests and not one of Topic, so that a log that has such topics can be read.
    if has_dot_segment(&name) {
        let rule = "a relative topic must not have '.' or '..' between slashes: clients resolve \
                    them, and then ask for another topic";
        return Err(Problem::invalid("topic", rule));
    }
    Topic::new(name).map_err(|error| Problem::invalid("topic", error))
}

fn has_dot_segment(name: &str) -> bool {
    let dots = name.split('/').any(|segment| matches!(segment, "." | ".."));
    // A topic that is a URL of its own is known by all of its text, and goes into a path encoded as a
    // whole.
    dots && Url::parse(name).is_err()
}

fn topics(names: Vec<String>, limits: &Limits) -> Result<SmallVec<[Topic; 1]>, Problem> {
    if names.is_empty() {
        return Err(Problem::invalid("topic", "an event needs at least one topic"));
    }
    if names.len() > limits.topics_max {
        let rule = format!("an event has at most {} topics", limits.topics_max);
        return Err(Problem::invalid("topic", rule));
    }
    let mut topics = SmallVec::with_capacity(names.len());
    for name in names {
        let topic = topic(name, limits)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    Ok(topics)
}

fn event_name(name: String, limits: &Limits) -> Result<Option<EventName>, Problem> {
    at_most("event", name.len(), limits.event_type_bytes_max)?;
    if name.starts_with(RESERVED_PREFIX) {
        let rule = format!("event types that begin with {RESERVED_PREFIX:?} belong to the hub");
        return Err(Problem::invalid("event", rule));
    }
    if let Some(character) = name.chars().find(|character| character.is_control()) {
        let rule = format!("an event type must not contain control characters ({character:?})");
        return Err(Problem::invalid("event", rule));
    }
    let name = EventName::new(name).map_err(|error| Problem::invalid("event", error))?;
    Ok((!name.is_default()).then_some(name))
}

fn publisher_id(id: String, limits: &Limits) -> Result<PublisherId, Problem> {
    at_most("id", id.len(), limits.id_bytes_max)?;
    PublisherId::new(id).map_err(|error| Problem::invalid("id", error))
}

fn retry(ms: u64) -> Result<Duration, Problem> {
    let (min, max) = (Draft::RETRY_MS_MIN, Draft::RETRY_MS_MAX);
    if !(min..=max).contains(&ms) {
        let rule = format!("from {min} milliseconds to {max}, which is a day");
        return Err(Problem::invalid("retry", rule));
    }
    Ok(Duration::from_millis(ms))
}

fn data(data: String, limits: &Limits) -> Result<Box<str>, Problem> {
    at_most("data", data.len(), limits.data_bytes_max)?;
    Ok(data.into_boxed_str())
}

fn at_most(field: &str, bytes: usize, bytes_max: usize) -> Result<(), Problem> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("at most {bytes_max} bytes, this has {bytes}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(change: impl FnOnce(&mut Draft)) -> Result<NewRecord, String> {
        let mut draft = Draft { topics: vec!["a".into()], ..Draft::default() };
        change(&mut draft);
        draft.check(&Limits::default()).map_err(|problem| problem.detail)
    }

    #[test]
    fn a_draft_that_keeps_the_rules_is_a_record() {
        let record = draft(|draft| {
            draft.topics = vec!["a".into(), "b".into(), "a".into()];
            draft.event = Some("message".into());
            draft.id = Some("7".into());
            draft.retry_ms = Some(1_500);
        })
        .unwrap();
        assert_eq!(record.topics.len(), 2);
        assert_eq!(record.event, None, "message is the default type");
        assert_eq!(record.retry, Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let refused = |field: &str, change: fn(&mut Draft)| {
            let detail = draft(change).unwrap_err();
            assert!(detail.starts_with(&format!("{field}: ")), "{detail}");
        };
        refused("topic", |draft| draft.topics.clear());
        refused("topic", |draft| draft.topics = (0..101).map(|n| n.to_string()).collect());
        refused("topic", |draft| draft.topics.push("*".into()));
        refused("topic", |draft| draft.topics.push("x".repeat(513)));
        for name in [".", "..", "a/../b", "./a", "a/..", "/../a?b"] {
            let detail = topic(name.into(), &Limits::default()).unwrap_err().detail;
            assert!(detail.starts_with("topic: a relative topic"), "{detail}");
        }
        for name in ["...", "a.", ".a/b..c", "https://example.com/a/../b", "a//b/"] {
            topic(name.into(), &Limits::default()).unwrap();
        }
        refused("event", |draft| draft.event = Some(String::new()));
        refused("event", |draft| draft.event = Some("a\nb".into()));
        refused("event", |draft| draft.event = Some("a\0b".into()));
        refused("event", |draft| draft.event = Some("a\tb".into()));
        refused("event", |draft| draft.event = Some("a\u{9b}b".into()));
        refused("event", |draft| draft.event = Some("tidings.gap".into()));
        refused("event", |draft| draft.event = Some("x".repeat(129)));
        refused("id", |draft| draft.id = Some("#1".into()));
        refused("id", |draft| draft.id = Some("x".repeat(257)));
        refused("id", |draft| (draft.ephemeral, draft.id) = (true, Some("7".into())));
        refused("ephemeral", |draft| {
            (draft.ephemeral, draft.key) = (true, Some(Key::new("", "k").unwrap()));
        });
        refused("retry", |draft| draft.retry_ms = Some(99));
        refused("retry", |draft| draft.retry_ms = Some(86_400_001));
        refused("data", |draft| draft.data = "x".repeat((1 << 20) + 1));
    }
}
