//! The index: which records a log keeps, of which topics and publishers' ids, and how far each
//! topic was trimmed. In memory, beside whatever store holds the records themselves.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use smallvec::SmallVec;

use super::{Retention, TopicSummary};
use crate::{
    cursor::Offset,
    matcher::Filter,
    record::{Kind, NewRecord, PublisherId, Timestamp},
    topic::{Topic, TopicError},
};

/// An index over the records of a log, whose store finds a record by a location `L`.
///
/// It costs about 32 bytes a record with a location of 8 bytes, 8 more for each of its topics,
/// 48 more for a publisher's id, and about 200 a topic.
#[derive(Debug)]
pub struct Index<L> {
    entries: VecDeque<Entry<L>>,
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
    // Every record that has an id.
    ids_in_order: VecDeque<(Offset, u64)>,
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

#[derive(Debug, Clone, Copy)]
struct IdEntry {
    // The record that the id resolves to; none once the earliest with the id was trimmed.
    earliest: Option<Offset>,
    // The newest record with the id, which ends the entry when it is trimmed.
    newest: Offset,
}

#[derive(Debug)]
struct TopicEntry {
    topic: Topic,
    offsets: VecDeque<Offset>,
    // How many of them are marks.
    marks: u32,
    // The newest event of the topic that was trimmed; zero if none, or forgotten.
    trimmed: Offset,
    // The newest record of the topic that was trimmed, and its place in the trims' order.
    remembered: Offset,
    // Where the topic ended, if it was not opened since.
    ended: Option<Offset>,
}

/// How far a topic was trimmed, for storing it beside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trim {
    /// The topic.
    pub topic: Topic,
    /// Its newest event that was trimmed; zero if only marks were.
    pub trimmed: Offset,
    /// Its newest record that was trimmed.
    pub remembered: Offset,
    /// Where the topic ended, if it was not opened since.
    pub ended: Option<Offset>,
}

/// How far each topic was trimmed, and for those past the bound only the furthest.
#[derive(Debug, Default)]
struct Trims {
    by_offset: BTreeSet<(Offset, TopicId)>,
    // The furthest of the trims that were forgotten one by one.
    floor: Offset,
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

/// The records that a read is to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection<L> {
    /// These records, and how far they reach.
    Hits {
        /// The records in order.
        hits: Vec<Hit<L>>,
        /// All that matches up to here is among the hits.
        through: Offset,
    },
    /// A record that matches was trimmed after the place that was asked for.
    Trimmed {
        /// The place from which nothing is missing.
        resume_after: Offset,
    },
}

impl<L: Copy> Index<L> {
    /// How many topics' trims are remembered one by one.
    pub const TRIMS_MAX: usize = 100_000;
    // A read by pattern looks at this many records at most, so that it holds the index briefly
    // (a quarter of a millisecond).
    const SCAN_MAX: usize = 65_536;
    // And it asks a pattern about a topic this often at most (some five milliseconds).
    const MATCHES_MAX: usize = 8_192;

    /// An empty index of a log whose last record, if it ever had one, was `last`.
    pub fn new(last: Offset) -> Self {
        Self {
            entries: VecDeque::new(),
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
            id_hasher: RandomState::new(),
            trims: Trims::default(),
        }
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
        self.entries.len()
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
    /// # Errors
    /// [`TopicError`] if a topic's text is none; nothing was added then.
    pub fn push_stored<'a>(
        &mut self,
        place: Place<L>,
        kind: Kind,
        topics: impl Iterator<Item = &'a str>,
        id: Option<&str>,
        earliest_of_its_id: bool,
    ) -> Result<(), TopicError> {
        let topics = topics
            .map(|topic| match self.topic_ids.get(topic) {
                Some(&id) => Ok(id),
                None => Topic::new(topic).map(|topic| self.add_topic(topic)),
            })
            .collect::<Result<_, _>>()?;
        self.insert(place, kind, topics, id, earliest_of_its_id);
        Ok(())
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
            topic,
            offsets: VecDeque::new(),
            marks: 0,
            trimmed: Offset::ZERO,
            remembered: Offset::ZERO,
            ended: None,
        };
        self.topics.insert(id, entry);
        id
    }

    fn insert(
        &mut self,
        place: Place<L>,
        kind: Kind,
        topics: SmallVec<[TopicId; 4]>,
        id: Option<&str>,
        earliest_of_its_id: bool,
    ) {
        let Place { offset, time, bytes, location } = place;
        debug_assert!(offset > self.last);
        for id in &topics {
            if let Some(entry) = self.topics.get_mut(id) {
                self.topics_with_records += usize::from(entry.offsets.is_empty());
                entry.offsets.push_back(offset);
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
        let topic = topics.first().copied().unwrap_or(TopicId(u64::MAX));
        if topics.len() > 1 {
            self.more_topics.insert(offset, SmallVec::from_slice(&topics[1..]));
        }
        let time_s = u32::try_from(time.unix_ms / 1_000).unwrap_or(u32::MAX);
        self.entries.push_back(Entry { offset, location, topic, bytes, time_s });
        self.bytes += u64::from(bytes);
        self.last = offset;
        if let Some(id) = id {
            let hash = self.id_hash(id);
            let first = IdEntry { earliest: earliest_of_its_id.then_some(offset), newest: offset };
            self.ids.entry(hash).or_insert(first).newest = offset;
            self.ids_in_order.push_back((offset, hash));
        }
    }

    /// The record that may have this publisher's id; compare the record's own id before
    /// trusting it.
    pub fn find_id(&self, id: &PublisherId) -> Option<Hit<L>> {
        self.find(self.ids.get(&self.id_hash(id.as_str()))?.earliest?)
    }

    /// The record at `offset`.
    pub fn find(&self, offset: Offset) -> Option<Hit<L>> {
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        self.entries.get(at).map(Entry::hit)
    }

    /// The location of the oldest record.
    pub fn front(&self) -> Option<L> {
        self.entries.front().map(|entry| entry.location)
    }

    /// Finds the records after `after` that the filter's topics match.
    ///
    /// For named topics the cost is in proportion to what is found; for patterns, to the records
    /// in between.
    pub fn select(
        &self,
        after: Offset,
        filter: &Filter,
        records_max: usize,
        bytes_max: usize,
    ) -> Selection<L> {
        if self.was_trimmed_after(after, filter) {
            return Selection::Trimmed { resume_after: self.first().previous() };
        }
        let mut page = Picker { index: self, hits: Vec::new(), records_max, bytes_max, bytes: 0 };
        let through = if filter.has_patterns() {
            self.scan(after, filter, &mut page)
        } else {
            self.merge(after, filter.topics(), &mut page)
        };
        Selection::Hits { hits: page.hits, through: through.unwrap_or(self.last).max(after) }
    }

    // `Some` is how far it came when the page was full.
    fn merge(&self, after: Offset, topics: &[Topic], page: &mut Picker<'_, L>) -> Option<Offset> {
        let mut rest: SmallVec<[_; 4]> = topics
            .iter()
            .filter_map(|topic| self.topics.get(self.topic_ids.get(topic)?))
            .map(|entry| {
                let from = entry.offsets.partition_point(|&offset| offset <= after);
                entry.offsets.range(from..).copied().peekable()
            })
            .collect();
        loop {
            let next = rest.iter_mut().filter_map(|offsets| offsets.peek().copied()).min()?;
            let at = self.entries.binary_search_by_key(&next, |entry| entry.offset).ok()?;
            if !page.pick(at) {
                return Some(next.previous());
            }
            for offsets in &mut rest {
                offsets.next_if_eq(&next);
            }
        }
    }

    fn scan(&self, after: Offset, filter: &Filter, page: &mut Picker<'_, L>) -> Option<Offset> {
        let mut known: HashMap<TopicId, bool> = HashMap::new();
        let matches = Cell::new(0);
        let mut followed = |id: TopicId| {
            filter.is_everything()
                || *known.entry(id).or_insert_with(|| {
                    matches.set(matches.get() + filter.patterns().len());
                    self.topics.get(&id).is_some_and(|entry| filter.matches_topic(&entry.topic))
                })
        };
        let from = self.entries.partition_point(|entry| entry.offset <= after);
        for (scanned, (at, entry)) in (from..).zip(self.entries.range(from..)).enumerate() {
            if scanned == Self::SCAN_MAX || matches.get() >= Self::MATCHES_MAX {
                return Some(entry.offset.previous());
            }
            let more = self.more_topics.get(&entry.offset).map_or(&[][..], |more| &more[..]);
            if (followed(entry.topic) || more.iter().any(|&id| followed(id))) && !page.pick(at) {
                return Some(entry.offset.previous());
            }
        }
        None
    }

    /// Whether an event that the filter's topics match was trimmed after `after`.
    ///
    /// Exact for the topics remembered one by one; for the rest it may say yes for a no.
    pub fn was_trimmed_after(&self, after: Offset, filter: &Filter) -> bool {
        if after < self.trims.floor {
            return true;
        }
        let named = filter.topics().iter().any(|topic| {
            self.topic_ids
                .get(topic)
                .and_then(|id| self.topics.get(id))
                .is_some_and(|entry| entry.trimmed > after)
        });
        named
            || filter.has_patterns()
                && self.trims.by_offset.range((after.next(), TopicId(0))..).rev().any(|(_, id)| {
                    self.topics.get(id).is_some_and(|entry| {
                        entry.trimmed > after && filter.matches_topic(&entry.topic)
                    })
                })
    }

    /// How many of the oldest records `retention` trims at the moment `now`.
    pub fn overflow(&self, retention: &Retention, now: Timestamp) -> usize {
        let oldest_s = now.before(retention.age_max).unix_ms / 1_000;
        let mut records = self.entries.len();
        let mut bytes = self.bytes;
        self.entries
            .iter()
            .take_while(|entry| {
                let over = records > retention.records_max
                    || bytes > retention.bytes_max
                    || u64::from(entry.time_s) < oldest_s;
                records -= 1;
                bytes -= u64::from(entry.bytes);
                over
            })
            .count()
    }

    /// Trims the `count` oldest records, and remembers it of their topics.
    pub fn trim(&mut self, count: usize) {
        for _ in 0..count {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes -= u64::from(entry.bytes);
            let more = self.more_topics.remove(&entry.offset).unwrap_or_default();
            let is_mark = !self.marks.is_empty() && self.marks.remove(&entry.offset);
            for id in std::iter::once(entry.topic).chain(more) {
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.offsets.pop_front();
                    if is_mark {
                        topic.marks -= 1;
                    } else {
                        topic.trimmed = entry.offset;
                    }
                    self.topics_with_records -= usize::from(topic.offsets.is_empty());
                }
                self.remember_trim(id, entry.offset);
            }
            if self.ids_in_order.front().is_some_and(|(offset, _)| *offset == entry.offset)
                && let Some((_, hash)) = self.ids_in_order.pop_front()
            {
                self.forget_id(hash, entry.offset);
            }
        }
    }

    // While a record with the id is left, the id stays taken: a new record with it must not
    // pass for the earliest, or whoever saw the one that is left would miss what is between.
    fn forget_id(&mut self, hash: u64, offset: Offset) {
        let Some(entry) = self.ids.get_mut(&hash) else { return };
        if entry.newest == offset {
            self.ids.remove(&hash);
        } else if entry.earliest == Some(offset) {
            entry.earliest = None;
        }
    }

    fn remember_trim(&mut self, id: TopicId, offset: Offset) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        self.trims.by_offset.remove(&(topic.remembered, id));
        topic.remembered = offset;
        self.trims.by_offset.insert((offset, id));
        while self.trims.by_offset.len() > Self::TRIMS_MAX {
            let Some((_, id)) = self.trims.by_offset.pop_first() else { return };
            if let Some(topic) = self.topics.get_mut(&id) {
                self.trims.floor = self.trims.floor.max(topic.trimmed);
                topic.trimmed = Offset::ZERO;
                topic.remembered = Offset::ZERO;
                if topic.offsets.is_empty()
                    && let Some(topic) = self.topics.remove(&id)
                {
                    self.topic_ids.remove(&topic.topic);
                }
            }
        }
    }

    /// The topics' trims, for storing them beside the log.
    pub fn trims(&self) -> impl Iterator<Item = Trim> {
        self.trims.by_offset.iter().filter_map(|(_, id)| {
            let &TopicEntry { ref topic, trimmed, remembered, ended, .. } = self.topics.get(id)?;
            Some(Trim { topic: topic.clone(), trimmed, remembered, ended })
        })
    }

    /// The furthest of the trims that are no longer remembered topic by topic.
    pub fn trims_floor(&self) -> Offset {
        self.trims.floor
    }

    /// Takes up stored trims, before any record is pushed.
    pub fn restore_trims(&mut self, floor: Offset, trims: impl IntoIterator<Item = Trim>) {
        self.trims.floor = floor;
        for Trim { topic, trimmed, remembered, ended } in trims {
            let id = self.add_topic(topic);
            if let Some(topic) = self.topics.get_mut(&id) {
                topic.trimmed = trimmed;
                topic.ended = ended;
            }
            self.remember_trim(id, remembered);
        }
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

    /// Topics with records, by name, from the one after `after`, at the moment `now`.
    pub fn summaries(
        &self,
        after: Option<&str>,
        count_max: usize,
        now: Timestamp,
    ) -> Vec<TopicSummary> {
        let since_s = now.before(TopicSummary::RECENT).unix_ms / 1_000;
        let is_old = |offset: &Offset| {
            let at = self.entries.binary_search_by_key(offset, |entry| entry.offset);
            let entry = at.ok().and_then(|at| self.entries.get(at));
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
                    recent: entry.offsets.len() - entry.offsets.partition_point(is_old),
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

struct Picker<'a, L> {
    index: &'a Index<L>,
    hits: Vec<Hit<L>>,
    records_max: usize,
    bytes_max: usize,
    bytes: usize,
}

impl<L: Copy> Picker<'_, L> {
    /// Takes the entry at `at`; false if the page is full.
    fn pick(&mut self, at: usize) -> bool {
        let Some(entry) = self.index.entries.get(at) else { return true };
        let bytes = self.bytes + entry.bytes as usize;
        if self.hits.len() >= self.records_max || (bytes > self.bytes_max && !self.hits.is_empty())
        {
            return false;
        }
        self.bytes = bytes;
        self.hits.push(entry.hit());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::{Matcher, Pattern};

    #[test]
    fn a_read_by_many_patterns_is_short_and_comes_to_the_end() {
        let base = "http://localhost/".parse().unwrap();
        let pattern = |n| Matcher::Pattern(Pattern::parse(&format!("none/{n}/*"), &base).unwrap());
        let filter = Filter::new((0..100).map(pattern));
        let mut index = Index::new(Offset::ZERO);
        let mut push = |offset, topic: &str| {
            let time = Timestamp::default();
            let place = Place { offset: Offset(offset), time, bytes: 1, location: () };
            index.push(place, &NewRecord::new(Topic::new(topic).unwrap(), ""), true);
        };
        (1..=1_000).for_each(|offset| push(offset, &format!("rooms/{offset}")));
        push(1_001, "none/7/x");
        let (mut after, mut reads, mut found) = (Offset::ZERO, 0, Vec::new());
        while after < index.last() {
            let Selection::Hits { hits, through } = index.select(after, &filter, 10, 1_000) else {
                panic!("nothing was trimmed");
            };
            assert!(through > after && through.0 - after.0 <= 82, "from {after} to {through}");
            found.extend(hits.iter().map(|hit| hit.offset.0));
            after = through;
            reads += 1;
        }
        assert_eq!((found, reads), (vec![1_001], 13));
    }
}
