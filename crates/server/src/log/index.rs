//! The index: which records a log keeps, of which topics and publishers' ids, and how far each
//! topic was trimmed. In memory, beside whatever store holds the records themselves.

mod overruns;
mod selection;
#[cfg(test)]
mod tests;
mod trimming;
mod trims;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use smallvec::SmallVec;

use self::{overruns::Overruns, trims::Trims};
pub use self::{
    selection::{Look, Selection},
    trims::Trim,
};
use super::{Since, TopicRules, TopicSummary, retention::RuleNumber};
use crate::{
    cursor::Offset,
    matcher::Filter,
    record::{Kind, NewRecord, PublisherId, Timestamp},
    topic::{Topic, TopicError},
};

/// An index over the records of a log, whose store finds a record by a location `L`.
///
/// It costs about 32 bytes a record with a location of 8 bytes, 8 more for each of its topics,
/// 48 more for a publisher's id, and about 250 a topic. Where topics are trimmed by rules of their
/// own, a record that is gone may go on taking its 32 bytes, but never more of them than there
/// are records.
#[derive(Debug)]
pub struct Index<L> {
    // In order. The first one is kept; behind it there may be some that are gone.
    entries: VecDeque<Entry<L>>,
    // How many of the entries are gone.
    gone: usize,
    rules: TopicRules,
    overruns: Overruns,
    // The topics after the first, of the few records that have more than one.
    more_topics: HashMap<Offset, SmallVec<[TopicId; 3]>>,
    // The few records that are no events.
    marks: BTreeSet<Offset>,
    bytes: u64,
    last: Offset,
    topics: HashMap<TopicId, TopicEntry>,
    topic_ids: std::collections::BTreeMap<Topic, TopicId>,
    topic_id_next: u64,
    // Of the topics, those with records.
    topics_with_records: usize,
    // By hashes of publishers' ids: a look-up is checked against the record itself.
    ids: HashMap<u64, IdEntry>,
    // Every record that has an id. The first one is kept; behind it some may be gone.
    ids_in_order: VecDeque<(Offset, u64)>,
    ids_gone: usize,
    id_hasher: RandomState,
    trims: Trims,
}

#[derive(Debug, Clone, Copy)]
struct Entry<L> {
    offset: Offset,
    location: L,
    topic: TopicId,
    bytes: u32,
    // Seconds since the Unix epoch: good until 2106, and half the size.
    time_s: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct TopicId(u64);

impl TopicId {
    /// The topic of a record that has none.
    const NONE: Self = Self(u64::MAX - 1);
    /// The topic of an entry whose record is gone.
    const GONE: Self = Self(u64::MAX);
}

#[derive(Debug, Clone, Copy)]
struct IdEntry {
    // The record that the id resolves to; none once the earliest with the id was trimmed.
    earliest: Option<Offset>,
    // How many records with the id are kept: the entry goes with the last of them.
    records: u32,
}

#[derive(Debug)]
struct TopicEntry {
    topic: Topic,
    offsets: VecDeque<Offset>,
    // Of its records.
    bytes: u64,
    // How many of the records are marks.
    marks: u32,
    rule: Option<RuleNumber>,
    // When the oldest of its records is too old by the rule.
    expiry_ms: Option<u64>,
    // The newest event of the topic that was trimmed; zero if none, or forgotten.
    trimmed: Offset,
    // The newest record of the topic that was trimmed, and its place in the trims' order.
    remembered: Offset,
    // Which of all trims that was.
    trim_number: u64,
    // Where the topic ended, if it was not opened since.
    ended: Option<Offset>,
}

/// Where a record stands, and what it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<L> {
    /// Its place in the log.
    pub offset: Offset,
    /// When the log took it.
    pub time: Timestamp,
    /// Its bytes, as the log's retention and its pages count them.
    pub bytes: u32,
    /// Where the store keeps it.
    pub location: L,
}

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit<L> {
    /// Its place in the log.
    pub offset: Offset,
    /// Its bytes, as given in its [`Place`].
    pub bytes: u32,
    /// Where the store keeps it.
    pub location: L,
}

impl<L: Copy> Index<L> {
    /// An empty index of a log whose last record, if it ever had one, was `last`.
    pub fn new(last: Offset) -> Self {
        Self {
            entries: VecDeque::new(),
            gone: 0,
            rules: TopicRules::default(),
            overruns: Overruns::default(),
            more_topics: HashMap::new(),
            marks: BTreeSet::new(),
            bytes: 0,
            last,
            topics: HashMap::new(),
            topic_ids: std::collections::BTreeMap::new(),
            topic_id_next: 0,
            topics_with_records: 0,
            ids: HashMap::new(),
            ids_in_order: VecDeque::new(),
            ids_gone: 0,
            id_hasher: RandomState::new(),
            trims: Trims::default(),
        }
    }

    /// Trims topics by these rules. To be said before the index hears of any topic.
    #[must_use]
    pub fn with_rules(mut self, rules: TopicRules) -> Self {
        debug_assert!(self.topics.is_empty());
        self.rules = rules;
        self
    }

    /// The offset of the oldest record, or the one after the last if there is none.
    pub fn first(&self) -> Offset {
        self.entries.front().map_or(self.last.next(), |entry| entry.offset)
    }

    /// The offset of the newest record ever, zero if there never was one.
    pub fn last(&self) -> Offset {
        self.last
    }

    /// Records kept.
    pub fn records(&self) -> usize {
        self.entries.len() - self.gone
    }

    /// Bytes of the records kept.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Topics with records.
    pub fn topics_with_records(&self) -> usize {
        self.topics_with_records
    }

    /// Whether a record with this id is indexed, or one whose id has the same hash.
    pub fn has_id(&self, id: &PublisherId) -> bool {
        self.ids.contains_key(&self.id_hash(id.as_str()))
    }

    /// Adds a record, whose offset must be greater than [`last`](Self::last).
    ///
    /// `earliest_of_its_id` is false for a record whose id an earlier record had when it was
    /// appended: it is never found by that id, not even when the earlier one has been trimmed,
    /// for whoever saw the earlier one has not seen what came between them.
    pub fn push(&mut self, place: Place<L>, record: &NewRecord, earliest_of_its_id: bool) {
        let topics = record
            .topics
            .iter()
            .map(|topic| match self.topic_ids.get(topic) {
                Some(&id) => id,
                None => self.add_topic(topic.clone()),
            })
            .collect();
        let id = record.id.as_ref().map(PublisherId::as_str);
        self.insert(place, record.kind, topics, id, earliest_of_its_id);
    }

    /// Adds a stored record as [`push`](Self::push) does, by the text of its topics and its id:
    /// a store that starts with a million records need not make a [`NewRecord`] of each.
    ///
    /// It is not listed again for topics that are known to have trimmed it. False if that was all
    /// of them, and nothing was added.
    ///
    /// # Errors
    /// [`TopicError`] if a topic's text is none; nothing was added then.
    pub fn push_stored<'a>(
        &mut self,
        place: Place<L>,
        kind: Kind,
        topics: impl Iterator<Item = &'a str>,
        id: Option<&str>,
        earliest_of_its_id: bool,
    ) -> Result<bool, TopicError> {
        let mut topics = topics
            .map(|topic| match self.topic_ids.get(topic) {
                Some(&id) => Ok(id),
                None => Topic::new(topic).map(|topic| self.add_topic(topic)),
            })
            .collect::<Result<SmallVec<_>, _>>()?;
        let has_topics = !topics.is_empty();
        let is_trimmed = |entry: &TopicEntry| place.offset <= entry.remembered;
        topics.retain(|id| !self.topics.get(id).is_some_and(is_trimmed));
        let is_kept = !(has_topics && topics.is_empty());
        if is_kept {
            self.insert(place, kind, topics, id, earliest_of_its_id);
        }
        Ok(is_kept)
    }

    /// Notes that the log reached `last`, with records that are no longer kept.
    pub fn advance(&mut self, last: Offset) {
        self.last = self.last.max(last);
    }

    fn add_topic(&mut self, topic: Topic) -> TopicId {
        let id = TopicId(self.topic_id_next);
        self.topic_id_next += 1;
        self.topic_ids.insert(topic.clone(), id);
        let entry = TopicEntry {
            rule: self.rules.of(&topic),
            topic,
            offsets: VecDeque::new(),
            bytes: 0,
            marks: 0,
            expiry_ms: None,
            trimmed: Offset::ZERO,
            remembered: Offset::ZERO,
            trim_number: 0,
            ended: None,
        };
        self.topics.insert(id, entry);
        id
    }

    fn insert(
        &mut self,
        place: Place<L>,
        kind: Kind,
        mut topics: SmallVec<[TopicId; 4]>,
        id: Option<&str>,
        earliest_of_its_id: bool,
    ) {
        // A topic that is named twice has the record once.
        for at in (1..topics.len()).rev() {
            if topics[..at].contains(&topics[at]) {
                topics.remove(at);
            }
        }
        let Place { offset, time, bytes, location } = place;
        debug_assert!(offset > self.last);
        let mut is_ruled = false;
        for id in &topics {
            if let Some(entry) = self.topics.get_mut(id) {
                is_ruled |= entry.rule.is_some();
                self.topics_with_records += usize::from(entry.offsets.is_empty());
                entry.offsets.push_back(offset);
                entry.bytes += u64::from(bytes);
                entry.marks += u32::from(!kind.is_event());
                if kind == Kind::Ended {
                    entry.ended = Some(offset);
                } else if entry.ended.is_some_and(|ended| ended < offset) {
                    entry.ended = None;
                }
            }
        }
        if !kind.is_event() {
            self.marks.insert(offset);
        }
        let topic = topics.first().copied().unwrap_or(TopicId::NONE);
        if topics.len() > 1 {
            self.more_topics.insert(offset, SmallVec::from_slice(&topics[1..]));
        }
        let time_s = u32::try_from(time.unix_ms / 1_000).unwrap_or(u32::MAX);
        self.entries.push_back(Entry { offset, location, topic, bytes, time_s });
        self.bytes += u64::from(bytes);
        self.last = offset;
        if let Some(id) = id {
            let hash = self.id_hash(id);
            let first = IdEntry { earliest: earliest_of_its_id.then_some(offset), records: 0 };
            self.ids.entry(hash).or_insert(first).records += 1;
            self.ids_in_order.push_back((offset, hash));
        }
        // Most topics have no rule, and are spared the look.
        for id in topics.into_iter().filter(|_| is_ruled) {
            let is_first = self.topics.get(&id).is_some_and(|entry| entry.offsets.len() == 1);
            self.watch(id, is_first);
        }
    }

    /// The record that may have this publisher's id; compare the record's own id before
    /// trusting it.
    pub fn find_id(&self, id: &PublisherId) -> Option<Hit<L>> {
        self.find(self.ids.get(&self.id_hash(id.as_str()))?.earliest?)
    }

    /// The kept records that have an id and are not the one that it is resolved to, in order:
    /// there was an earlier one, kept or not. Ids that have the same hash count as one.
    ///
    /// For storing it beside the log: who pushes the kept records again, each as the earliest of
    /// its id unless it is one of these, finds by every id what is found here.
    pub fn later_ids(&self) -> impl Iterator<Item = Offset> {
        let is_later = |offset: Offset, hash: &u64| {
            self.ids.get(hash).is_some_and(|entry| entry.earliest != Some(offset))
        };
        let later = self.ids_in_order.iter().filter(move |(offset, hash)| is_later(*offset, hash));
        // The order has records that are gone, too.
        later.map(|(offset, _)| *offset).filter(|offset| self.position(*offset).is_some())
    }

    /// The record at `offset`.
    pub fn find(&self, offset: Offset) -> Option<Hit<L>> {
        self.entries.get(self.position(offset)?).map(Entry::hit)
    }

    // Where the record stands among the entries, if it is kept.
    fn position(&self, offset: Offset) -> Option<usize> {
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        (self.entries.get(at)?.topic != TopicId::GONE).then_some(at)
    }

    /// The records after `after`, up to `through`.
    pub fn between(&self, after: Offset, through: Offset) -> impl Iterator<Item = Hit<L>> {
        let from = self.entries.partition_point(|entry| entry.offset <= after);
        let entries = self.entries.range(from..).take_while(move |entry| entry.offset <= through);
        entries.filter(|entry| entry.topic != TopicId::GONE).map(Entry::hit)
    }

    /// Notes where the store keeps these records now, which are in order; those that are gone are
    /// passed over. How many bytes the others count for.
    pub fn relocate(&mut self, places: impl IntoIterator<Item = (Offset, L)>) -> u64 {
        let mut places = places.into_iter().peekable();
        let first = places.peek().map_or(self.last.next(), |(offset, _)| *offset);
        let from = self.entries.partition_point(|entry| entry.offset < first);
        let mut entries = self.entries.range_mut(from..).peekable();
        let mut bytes = 0;
        for (offset, location) in places {
            while entries.next_if(|entry| entry.offset < offset).is_some() {}
            if let Some(entry) = entries.next_if(|entry| entry.offset == offset)
                && entry.topic != TopicId::GONE
            {
                entry.location = location;
                bytes += u64::from(entry.bytes);
            }
        }
        bytes
    }

    /// The place by which the topics that the filter names had all ended, as
    /// [`Log::ended`](super::Log::ended) says it.
    pub fn ended(&self, filter: &Filter) -> Option<Offset> {
        if filter.has_patterns() {
            return None;
        }
        let ended = |topic| self.topics.get(self.topic_ids.get(topic)?)?.ended;
        let mut topics = filter.topics().iter();
        let first = ended(topics.next()?)?;
        topics.try_fold(first, |last, topic| Some(last.max(ended(topic)?)))
    }

    // How many of the topic's records from the one at `at` on are events.
    fn events_from(&self, entry: &TopicEntry, at: usize) -> usize {
        let records = entry.offsets.range(at..);
        if entry.marks == 0 {
            return records.len();
        }
        records.filter(|offset| !self.marks.contains(offset)).count()
    }

    /// Topics with records, by name, from the one after `after`, at the moment `now`.
    pub fn summaries(
        &self,
        after: Option<&str>,
        count_max: usize,
        now: Timestamp,
    ) -> Vec<TopicSummary> {
        let since_s = now.before(TopicSummary::RECENT).unix_ms / 1_000;
        let is_old = |offset: &Offset| {
            let entry = self.position(*offset).and_then(|at| self.entries.get(at));
            entry.is_some_and(|entry| u64::from(entry.time_s) < since_s)
        };
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.topic_ids
            .range::<str, _>((from, Unbounded))
            .filter_map(|(topic, id)| {
                let entry = self.topics.get(id)?;
                let &last = entry.offsets.back()?;
                Some(TopicSummary {
                    topic: topic.clone(),
                    records: entry.offsets.len() - entry.marks as usize,
                    last,
                    ended: entry.ended.is_some(),
                    recent: self.events_from(entry, entry.offsets.partition_point(is_old)),
                })
            })
            .take(count_max)
            .collect()
    }

    fn id_hash(&self, id: &str) -> u64 {
        self.id_hasher.hash_one(id)
    }
}

impl<L: Copy> Entry<L> {
    fn hit(&self) -> Hit<L> {
        Hit { offset: self.offset, bytes: self.bytes, location: self.location }
    }
}
