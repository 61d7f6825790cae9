//! The selection: which records a read is to fetch.

use std::{cell::Cell, collections::HashMap};

use smallvec::SmallVec;

use super::{Hit, Index, Since, TopicId};
use crate::{cursor::Offset, matcher::Filter, topic::Topic};

/// The records that a read is to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<L> {
    /// The records in order.
    pub hits: Vec<Hit<L>>,
    /// All that matches up to here is among the hits.
    pub through: Offset,
    /// As in [`Page`](crate::log::Page).
    pub trimmed: Offset,
    /// As in [`Page`](crate::log::Page).
    pub trims_seen: u64,
}

/// A read's look at an index, which may take several goes.
#[derive(Debug)]
pub struct Look {
    pub(super) since: Since,
    pub(super) trimmed: Offset,
    // How many trims there were when it began.
    pub(super) begun: Option<u64>,
    // The goes since it came to those.
    pub(super) goes: u32,
}

impl Look {
    /// Looks at what there is since then.
    pub fn new(since: Since) -> Self {
        Self { since, trimmed: Offset::ZERO, begun: None, goes: 0 }
    }
}

impl<L: Copy> Index<L> {
    // A read by pattern looks at this many records at most, so that it holds the index briefly
    // (a quarter of a millisecond).
    pub(super) const SCAN_MAX: usize = 65_536;
    // And it asks a pattern about a topic this often at most (some five milliseconds).
    pub(super) const MATCHES_MAX: usize = 8_192;

    /// Finds the records after the place of `look` that the filter's topics match, and whether
    /// others were trimmed.
    ///
    /// For named topics the cost is in proportion to what is found; for patterns, to the records
    /// in between, and to the topics that were trimmed since the last look. There may be many of
    /// those: `None` says that the index was held long enough, and wants to be asked again with
    /// the same look.
    pub fn select(
        &self,
        look: &mut Look,
        filter: &Filter,
        records_max: usize,
        bytes_max: usize,
    ) -> Option<Selection<L>> {
        if !self.look_at_trims(look, filter) {
            return None;
        }
        let after = look.since.after;
        let mut page = Picker { index: self, hits: Vec::new(), records_max, bytes_max, bytes: 0 };
        let through = if filter.has_patterns() {
            self.scan(after, filter, &mut page)
        } else {
            self.merge(after, filter.topics(), &mut page)
        };
        let through = through.unwrap_or(self.last).max(after);
        let &mut Look { trimmed, since: Since { trims_seen, .. }, .. } = look;
        Some(Selection { hits: page.hits, through, trimmed, trims_seen })
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
            let at = self.position(next)?;
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
            if entry.topic == TopicId::GONE {
                continue;
            }
            let more = self.more_topics.get(&entry.offset).map_or(&[][..], |more| &more[..]);
            if (followed(entry.topic) || more.iter().any(|&id| followed(id))) && !page.pick(at) {
                return Some(entry.offset.previous());
            }
        }
        None
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
