//! The trims: what is remembered of what was trimmed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Index, Look, TopicEntry, TopicId};
use crate::{cursor::Offset, matcher::Filter, topic::Topic};

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
pub(super) struct Trims {
    by_offset: BTreeSet<(Offset, TopicId)>,
    // The same topics, by when they were last trimmed: a read that comes again looks only at what
    // has changed since.
    by_number: BTreeMap<u64, TopicId>,
    // How many trims there were.
    count: u64,
    // The furthest of the trims that were forgotten one by one.
    floor: Offset,
}

impl<L: Copy> Index<L> {
    /// How many topics' trims are remembered one by one.
    pub const TRIMS_MAX: usize = 100_000;
    // Where others trim as fast as it looks, a look ends all the same after so many goes more than
    // it takes for what there was when it began.
    pub(super) const GOES_MAX: u32 = 100;

    /// Looks at the trims since the last look of the filter; false if there are too many for one
    /// go.
    ///
    /// Exact for the topics remembered one by one; for the rest it may find a trim where there
    /// is none.
    pub(super) fn look_at_trims(&self, look: &mut Look, filter: &Filter) -> bool {
        let Look { since, trimmed, begun, goes } = look;
        let known = since.known();
        let mut found = |offset: Offset| {
            if offset > known {
                *trimmed = offset.max(*trimmed);
            }
        };
        found(self.trims.floor);
        if filter.is_everything() {
            found(self.furthest_trim());
            return true;
        }
        for topic in filter.topics() {
            let entry = self.topic_ids.get(topic).and_then(|id| self.topics.get(id));
            entry.into_iter().for_each(|entry| found(entry.trimmed));
        }
        if !filter.has_patterns() {
            return true;
        }
        let begun = *begun.get_or_insert(self.trims.count);
        *goes += u32::from(since.trims_seen >= begun);
        let mut matches = 0;
        let news = self.trims.by_number.range(since.trims_seen + 1..);
        for (scanned, (&number, id)) in news.enumerate() {
            if *goes > Self::GOES_MAX {
                found(self.furthest_trim());
                break;
            }
            if scanned == Self::SCAN_MAX || matches >= Self::MATCHES_MAX {
                return false;
            }
            if let Some(entry) = self.topics.get(id)
                && entry.trimmed > known
            {
                matches += filter.patterns().len();
                if filter.matches_topic(&entry.topic) {
                    found(entry.trimmed);
                }
            }
            since.trims_seen = number;
        }
        since.trims_seen = self.trims.count;
        true
    }

    // The furthest event that was trimmed: almost always the furthest record.
    fn furthest_trim(&self) -> Offset {
        let mut furthest = Offset::ZERO;
        for (remembered, id) in self.trims.by_offset.iter().rev() {
            if *remembered <= furthest {
                break;
            }
            furthest = self.topics.get(id).map_or(furthest, |entry| furthest.max(entry.trimmed));
        }
        furthest
    }

    pub(super) fn remember_trim(&mut self, id: TopicId, offset: Offset) {
        let Some(entry) = self.topics.get_mut(&id) else { return };
        self.trims.by_offset.remove(&(entry.remembered, id));
        self.trims.by_number.remove(&entry.trim_number);
        self.trims.count += 1;
        entry.remembered = offset;
        entry.trim_number = self.trims.count;
        self.trims.by_offset.insert((offset, id));
        self.trims.by_number.insert(self.trims.count, id);
        while self.trims.by_offset.len() > Self::TRIMS_MAX {
            let Some((_, id)) = self.trims.by_offset.pop_first() else { return };
            if let Some(entry) = self.topics.get_mut(&id) {
                self.trims.by_number.remove(&entry.trim_number);
                self.trims.floor = self.trims.floor.max(entry.trimmed);
                entry.trimmed = Offset::ZERO;
                entry.remembered = Offset::ZERO;
                entry.trim_number = 0;
                if entry.offsets.is_empty()
                    && let Some(entry) = self.topics.remove(&id)
                {
                    self.topic_ids.remove(&entry.topic);
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
        self.trims.floor = self.trims.floor.max(floor);
        for Trim { topic, trimmed, remembered, ended } in trims {
            let id = self.add_topic(topic);
            if let Some(topic) = self.topics.get_mut(&id) {
                topic.trimmed = trimmed;
                topic.ended = ended;
            }
            self.remember_trim(id, remembered);
        }
    }
}
