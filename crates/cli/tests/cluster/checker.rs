//! What a hub promises, held against what was sent and what arrived.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// What one publish holds: a single event, or a batch that is never torn.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) events: Vec<Event>,
    /// When it was first sent, on a clock that ticks at each start and each acknowledgement.
    pub(crate) started: u64,
    /// `None` if it was never acknowledged: it may be there, whole and once, or not.
    pub(crate) acknowledged: Option<Acknowledgement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) topic: String,
    /// No two events have the same.
    pub(crate) data: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Acknowledgement {
    pub(crate) at: u64,
    pub(crate) ids: Vec<String>,
}

/// What one subscriber was given, from the log's beginning to the event [`END`].
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) subscriber: String,
    pub(crate) follows: Follows,
    /// Id and data.
    pub(crate) events: Vec<(String, String)>,
    /// The data of every gap notice.
    pub(crate) gaps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follows {
    All,
    Topic(String),
}

/// The data, and the topic, of the event at which every subscriber ends.
pub(crate) const END: &str = "end";

/// What was found in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) acknowledged: usize,
    /// Events that are there though nobody acknowledged them.
    pub(crate) unacknowledged: usize,
    pub(crate) deliveries: usize,
}

/// A promise that was broken: to whom, and about what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) broken: Broken,
    subscriber: String,
    about: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It was told that something is missing, though nothing was trimmed.
    ToldOfAGap,
    /// Nobody published it.
    NotPublished,
    /// It was acknowledged, or others got it, and it is not there.
    Lost,
    Twice,
    /// The events of a batch are not all there, or there is something between them.
    Torn,
    /// Its id is not after that of the event before it, or is of another epoch.
    IdOutOfOrder,
    /// It comes before an event that was acknowledged before it was sent.
    SentLaterButThereBefore,
    /// Others got the same events in another order.
    AnotherOrder,
    /// It has another id than the one it was acknowledged with, or than others got it with.
    AnotherId,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}, subscriber {}", self.broken, self.about, self.subscriber)
    }
}

/// Checks every delivery against every publish.
pub(crate) fn check(
    submissions: &[Submission],
    delivered: &[Delivered],
) -> Result<Checked, Violation> {
    for subscriber in delivered {
        if let Some(gap) = subscriber.gaps.first() {
            return Err(violation(Broken::ToldOfAGap, subscriber, gap));
        }
    }
    let published = Published::of(submissions);
    let is_whole = |subscriber: &&Delivered| subscriber.follows == Follows::All;
    let order = delivered.iter().find(is_whole).expect("somebody follows everything");
    published.check_order(order)?;
    for subscriber in delivered {
        published.check_same(order, subscriber)?;
    }
    let acknowledged = submissions.iter().filter(|one| one.acknowledged.is_some());
    let acknowledged = acknowledged.map(|one| one.events.len()).sum();
    Ok(Checked {
        acknowledged,
        unacknowledged: order.events.len() - acknowledged,
        deliveries: delivered.iter().map(|subscriber| subscriber.events.len()).sum(),
    })
}

/// Which publish an event is of, and its number in it.
struct Published<'a> {
    submissions: &'a [Submission],
    by_data: HashMap<&'a str, (&'a Submission, usize)>,
}

impl<'a> Published<'a> {
    fn of(submissions: &'a [Submission]) -> Self {
        let mut by_data = HashMap::new();
        for submission in submissions {
            for (index, event) in submission.events.iter().enumerate() {
                let before = by_data.insert(event.data.as_str(), (submission, index));
                assert!(before.is_none(), "{} was published as two events", event.data);
            }
        }
        Self { submissions, by_data }
    }

    /// Checks the one order that there is, by somebody who was given everything.
    fn check_order(&self, order: &Delivered) -> Result<(), Violation> {
        let mut seen = HashMap::new();
        // The events of the batch that has begun and not ended.
        let mut batch: &[Event] = &[];
        let mut last_id: Option<(&str, u64)> = None;
        let mut started_max = 0;
        for (id, data) in &order.events {
            let broken = |broken| Err(violation(broken, order, &format!("{data} with id {id}")));
            let Some(&(submission, index)) = self.by_data.get(data.as_str()) else {
                return broken(Broken::NotPublished);
            };
            if seen.insert(data, id).is_some() {
                return broken(Broken::Twice);
            }
            let Some((epoch, offset)) = parse(id) else { return broken(Broken::IdOutOfOrder) };
            if last_id.is_some_and(|(last, before)| last != epoch || before >= offset) {
                return broken(Broken::IdOutOfOrder);
            }
            last_id = Some((epoch, offset));
            match batch {
                [next, rest @ ..] if next.data == *data => batch = rest,
                [] if index == 0 => batch = &submission.events[1..],
                _ => return broken(Broken::Torn),
            }
            started_max = started_max.max(submission.started);
            if submission.acknowledged.as_ref().is_some_and(|ack| ack.at < started_max) {
                return broken(Broken::SentLaterButThereBefore);
            }
        }
        if let [missing, ..] = batch {
            return Err(violation(Broken::Torn, order, &missing.data));
        }
        for submission in self.submissions {
            let ids = submission.acknowledged.iter().flat_map(|ack| &ack.ids);
            for (event, id) in submission.events.iter().zip(ids) {
                let about = format!("{} was acknowledged as {id}", event.data);
                match seen.get(&event.data) {
                    None => return Err(violation(Broken::Lost, order, &about)),
                    Some(&there) if there != id => {
                        return Err(violation(Broken::AnotherId, order, &about));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Checks that a subscriber got all of its part of that order.
    fn check_same(&self, order: &Delivered, subscriber: &Delivered) -> Result<(), Violation> {
        let is_for_it = |data: &str| match &subscriber.follows {
            Follows::All => true,
            Follows::Topic(topic) => self.by_data.get(data).is_some_and(|(submission, index)| {
                let of = &submission.events[*index].topic;
                of == topic || of == END
            }),
        };
        let expected: Vec<_> = order.events.iter().filter(|(_, data)| is_for_it(data)).collect();
        let got: HashSet<_> = subscriber.events.iter().map(|(_, data)| data).collect();
        let mut seen = HashSet::new();
        for (number, (id, data)) in subscriber.events.iter().enumerate() {
            let about = format!("{data} with id {id}, its event {number}");
            let broken = |broken| Err(violation(broken, subscriber, &about));
            if !self.by_data.contains_key(data.as_str()) {
                return broken(Broken::NotPublished);
            }
            if !seen.insert(data) {
                return broken(Broken::Twice);
            }
            match expected.get(number) {
                Some((expected_id, expected)) if expected == data => {
                    if expected_id != id {
                        return broken(Broken::AnotherId);
                    }
                }
                Some((id, expected)) if !got.contains(expected) => {
                    let about = format!("{expected} with id {id}; it got {about} in its place");
                    return Err(violation(Broken::Lost, subscriber, &about));
                }
                _ => return broken(Broken::AnotherOrder),
            }
        }
        match expected.get(subscriber.events.len()) {
            Some((_, missing)) => Err(violation(Broken::Lost, subscriber, missing)),
            None => Ok(()),
        }
    }
}

fn violation(broken: Broken, subscriber: &Delivered, about: &str) -> Violation {
    Violation { broken, subscriber: subscriber.subscriber.clone(), about: about.to_owned() }
}

/// The epoch and the offset of a cursor.
fn parse(id: &str) -> Option<(&str, u64)> {
    let (epoch, offset) = id.strip_prefix('#')?.split_once('-')?;
    Some((epoch, offset.parse().ok()?))
}
