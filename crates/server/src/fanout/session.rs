//! A session: one stream of a subscriber, from its opening to its end, and what became of an
//! event on it.

use std::{net::SocketAddr, sync::Arc};

use url::Url;

use crate::{
    cursor::Offset,
    matcher::{Filter, Pattern},
    record::Timestamp,
    subscriber_name::SubscriberName,
    subscription::{Gap, GapReason, Phase},
    topic::Topic,
};

/// Which session of which subscriber, in the order by names and then of opening.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId {
    /// The subscriber.
    pub name: SubscriberName,
    /// Rises from a session to the next.
    pub serial: u64,
}

/// What is known of one stream of a subscriber: a picture of the moment it was asked for, or of
/// its end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session {
    /// Whose stream it is.
    pub id: SessionId,
    /// The topics that it follows by name.
    pub topics: Box<[Topic]>,
    /// The patterns that it follows, as they were written.
    pub patterns: Box<[Box<str>]>,
    /// Whether it follows every topic.
    pub everything: bool,
    /// Who is at the other end of the connection, if the caller said so.
    pub peer: Option<SocketAddr>,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ended, if it did.
    pub closed: Option<Closed>,
    /// What it was doing.
    pub phase: Phase,
    /// The id that it asked to resume after, cut to 256 bytes.
    pub resumed_after: Option<Box<str>>,
    /// The place from which it was to get what matches; none while that is not known, and where
    /// the id that it asked for could not be placed.
    pub start: Option<Offset>,
    /// All that matches up to here was handed to its connection; none before the start is known.
    pub cursor: Option<Offset>,
    /// Events handed to its connection.
    pub events: u64,
    /// Bytes handed to its connection.
    pub bytes: u64,
    /// When its connection last took bytes.
    pub taken: Option<Timestamp>,
    pub(super) gaps: Gaps,
    /// Of one that is open: what it follows, ready to be asked.
    pub(super) filter: Option<Arc<Filter>>,
}

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When it ended.
    pub at: Timestamp,
    /// The log's last offset at that moment.
    pub log_end: Offset,
}

/// By what a session follows a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows<'a> {
    /// By its name.
    Name,
    /// By this pattern.
    Pattern(&'a str),
    /// It follows every topic.
    Everything,
}

/// What became of an event that a session follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The session was to get what comes after it.
    BeforeStart,
    /// A notice told the subscriber that it would not get it.
    ToldAsGap(GapReason),
    /// It was handed to the connection. Whether it arrived is not known by that.
    Sent,
    /// It is still to be handed to the connection.
    Waiting,
    /// The session ended before it was handed to the connection.
    Missed,
    /// It may have been sent or told as a gap: too many gaps came after it.
    Unknown,
}

impl Session {
    /// By what it follows `topic`, if it does. `base` is the URL that its patterns were parsed
    /// with; those of a session that ended are parsed again, some 100 µs each.
    pub fn follows(&self, topic: &Topic, base: &Url) -> Option<Follows<'_>> {
        if self.everything {
            return Some(Follows::Everything);
        }
        if self.topics.binary_search(topic).is_ok() {
            return Some(Follows::Name);
        }
        let live = self.filter.as_ref().map(|filter| filter.patterns());
        let found = self.patterns.iter().enumerate().find(|(at, text)| match live {
            Some(patterns) => patterns.get(*at).is_some_and(|pattern| pattern.matches(topic)),
            None => Pattern::parse(text, base).is_ok_and(|pattern| pattern.matches(topic)),
        });
        found.map(|(_, text)| Follows::Pattern(text))
    }

    /// What became of the event at `offset`, of the epoch that the session was in, if it follows it.
    pub fn fate(&self, offset: Offset) -> Fate {
        if let Some(gap) = self.gaps.last.iter().find(|gap| gap.covers(offset)) {
            return Fate::ToldAsGap(gap.reason);
        }
        if self.start.is_some_and(|start| offset <= start) {
            return Fate::BeforeStart;
        }
        match self.cursor {
            Some(cursor) if offset <= cursor && offset <= self.gaps.forgotten => Fate::Unknown,
            Some(cursor) if offset <= cursor => Fate::Sent,
            _ if self.closed.is_some() => Fate::Missed,
            _ => Fate::Waiting,
        }
    }

    /// Whether it began with an id at or after `offset`: by the standard, whoever sends that has
    /// dispatched what came before it.
    pub fn resumed_past(&self, offset: Offset) -> bool {
        let earliest = self.resumed_after.as_deref() == Some(crate::record::EARLIEST);
        self.resumed_after.is_some() && !earliest && self.start.is_some_and(|at| at >= offset)
    }

    /// About how many bytes it holds in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let topics: usize = self.topics.iter().map(|topic| 32 + topic.as_str().len()).sum();
        let patterns: usize = self.patterns.iter().map(|pattern| 16 + pattern.len()).sum();
        let resumed = self.resumed_after.as_ref().map_or(0, |id| id.len());
        let gaps = self.gaps.last.capacity() * size_of::<Gap>();
        // The entries that refer to it, and its name.
        let places = 128 + self.id.name.as_str().len();
        size_of::<Self>() + topics + patterns + resumed + gaps + places
    }
}

/// What a filter follows, as texts: a compiled pattern takes some KiB.
pub(super) fn followed(filter: &Filter) -> (Box<[Topic]>, Box<[Box<str>]>) {
    let patterns = filter.patterns().iter().map(|pattern| pattern.as_str().into());
    (filter.topics().into(), patterns.collect())
}

/// The gaps that a session was told of: the last few, and how far the others reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    last: Vec<Gap>,
    forgotten: Offset,
}

impl Gaps {
    // Even one is rare: it takes a reader slower than the whole history, again and again.
    const COUNT_MAX: usize = 8;

    pub(super) fn add(&mut self, gap: Gap) {
        if self.last.len() == Self::COUNT_MAX {
            let oldest = self.last.remove(0);
            self.forgotten = self.forgotten.max(oldest.resumes_after);
        }
        self.last.push(gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str, serial: u64) -> Session {
        Session {
            id: SessionId { name: SubscriberName::new(name).unwrap(), serial },
            topics: [Topic::new("t").unwrap()].into(),
            patterns: [].into(),
            everything: false,
            filter: None,
            peer: None,
            opened: Timestamp { unix_ms: 1 },
            closed: None,
            phase: Phase::Live,
            resumed_after: None,
            start: Some(Offset(10)),
            cursor: Some(Offset(20)),
            events: 0,
            bytes: 0,
            taken: None,
            gaps: Gaps::default(),
        }
    }

    fn gap(after: Option<u64>, resumes_after: u64) -> Gap {
        let (after, resumes_after) = (after.map(Offset), Offset(resumes_after));
        Gap { reason: GapReason::Trimmed, after, resumes_after }
    }

    #[test]
    fn the_fate_of_an_event_follows_from_start_cursor_and_gaps() {
        let mut one = session("a", 1);
        one.gaps.add(gap(Some(12), 15));
        let told = Fate::ToldAsGap(GapReason::Trimmed);
        for (offset, fate) in [
            (10, Fate::BeforeStart),
            (11, Fate::Sent),
            (12, Fate::Sent),
            (13, told),
            (15, told),
            (16, Fate::Sent),
            (20, Fate::Sent),
            (21, Fate::Waiting),
        ] {
            assert_eq!(one.fate(Offset(offset)), fate, "{offset}");
        }
        one.closed = Some(Closed { at: Timestamp::default(), log_end: Offset(30) });
        assert_eq!(one.fate(Offset(21)), Fate::Missed);
    }

    #[test]
    fn a_place_that_is_not_known_is_not_guessed() {
        let mut one = session("a", 1);
        (one.start, one.cursor, one.phase) = (None, None, Phase::Resolving);
        assert_eq!(one.fate(Offset(1)), Fate::Waiting);
        // An id that no event has: all up to where the stream goes on is told.
        one.gaps.add(gap(None, 15));
        one.cursor = Some(Offset(16));
        assert_eq!(one.fate(Offset(1)), Fate::ToldAsGap(GapReason::Trimmed));
        assert_eq!(one.fate(Offset(16)), Fate::Sent);
    }

    #[test]
    fn gaps_past_the_bound_make_the_fate_unknown_and_no_lie() {
        let mut one = session("a", 1);
        one.cursor = Some(Offset(10_000));
        (0..100).for_each(|n| one.gaps.add(gap(Some(100 * n + 50), 100 * n + 60)));
        assert_eq!(one.gaps.last.len(), Gaps::COUNT_MAX);
        assert_eq!(one.fate(Offset(55)), Fate::Unknown);
        assert_eq!(one.fate(Offset(9_955)), Fate::ToldAsGap(GapReason::Trimmed));
        assert_eq!(one.fate(Offset(9_970)), Fate::Sent);
    }

    #[test]
    fn only_an_id_that_was_placed_confirms() {
        let mut one = session("a", 1);
        assert!(!one.resumed_past(Offset(5)), "it did not resume");
        one.resumed_after = Some("#a-10".into());
        assert!(one.resumed_past(Offset(10)) && !one.resumed_past(Offset(11)));
        one.start = None;
        assert!(!one.resumed_past(Offset(5)));
        one.resumed_after = Some("earliest".into());
        one.start = Some(Offset(10));
        assert!(!one.resumed_past(Offset(5)));
    }
}
