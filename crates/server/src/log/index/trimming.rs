//! Trimming: which records go.

use std::{mem, time::Duration};

use super::{Entry, Hit, Index, TopicId};
use crate::{cursor::Offset, log::Retention, record::Timestamp};

impl<L: Copy> Index<L> {
    // A topic with a rule keeps so many marks at most, or as many as events.
    pub(super) const MARKS_OF_TOPIC_MAX: usize = 100;
    /// Whether there is something to [`trim`](Self::trim).
    pub fn is_over(&self, retention: &Retention, now: Timestamp) -> bool {
        self.overruns.due(now).is_some() || self.is_over_all(retention, now)
    }

    fn is_over_all(&self, retention: &Retention, now: Timestamp) -> bool {
        let oldest_s = now.before(retention.age_max).unix_ms / 1_000;
        self.entries.front().is_some_and(|oldest| {
            self.records() > retention.records_max
                || self.bytes > retention.bytes_max
                || u64::from(oldest.time_s) < oldest_s
        })
    }

    /// Trims what `retention` and the topics' own rules keep no longer at the moment `now`, and
    /// remembers it of the topics. It says of each record that is gone for all its topics where
    /// that was.
    ///
    /// It stops after `steps_max` records, and is to be called again while there
    /// [is more](Self::is_over).
    pub fn trim(
        &mut self,
        retention: &Retention,
        now: Timestamp,
        steps_max: usize,
        mut dropped: impl FnMut(Hit<L>),
    ) {
        for _ in 0..steps_max {
            // The topics' own rules first: what goes by them makes room for the others.
            let hit = if let Some(id) = self.overruns.due(now) {
                self.release_oldest_of(id)
            } else if self.is_over_all(retention, now) {
                self.drop_oldest()
            } else {
                return;
            };
            hit.into_iter().for_each(&mut dropped);
        }
    }

    /// Notes how a topic stands that has got a record, or lost its oldest; `oldest_is_new` says
    /// whether another record is its oldest now, or none.
    pub(super) fn watch(&mut self, id: TopicId, oldest_is_new: bool) {
        let Some(entry) = self.topics.get(&id) else { return };
        let Some(limits) = entry.rule.map(|rule| self.rules.limits(rule)) else { return };
        // Marks are no events, and go with those around them; unless there are ever more of them,
        // from somebody who ends and opens a topic without an event that is kept.
        let marks = entry.marks as usize;
        let is_over = entry.offsets.len() - marks > limits.records_max
            || marks > limits.records_max.max(Self::MARKS_OF_TOPIC_MAX)
            || entry.bytes > limits.bytes_max;
        self.overruns.set_over(id, is_over);
        if !oldest_is_new || limits.age_max == Duration::MAX {
            return;
        }
        let oldest = entry.offsets.front().and_then(|&oldest| self.position(oldest));
        let expiry_ms = oldest.and_then(|at| expiry_ms(self.entries.get(at)?, limits));
        if let Some(entry) = self.topics.get_mut(&id) {
            let before = mem::replace(&mut entry.expiry_ms, expiry_ms);
            self.overruns.set_expiry(id, before, expiry_ms);
        }
    }

    fn drop_oldest(&mut self) -> Option<Hit<L>> {
        let &entry = self.entries.front()?;
        let more = self.more_topics.remove(&entry.offset).unwrap_or_default();
        for id in std::iter::once(entry.topic).chain(more) {
            self.release(id, &entry);
        }
        self.drop_at(0);
        Some(entry.hit())
    }

    // A record of several topics goes from one topic after the other; with the last of them it is
    // gone.
    fn release_oldest_of(&mut self, id: TopicId) -> Option<Hit<L>> {
        let oldest = self.topics.get(&id).and_then(|entry| entry.offsets.front().copied());
        let at = oldest.and_then(|oldest| self.position(oldest));
        let Some((at, &entry)) = at.and_then(|at| Some((at, self.entries.get(at)?))) else {
            // Cannot be; but then it is not to be asked for again.
            self.overruns.set_over(id, false);
            return None;
        };
        let mut more = self.more_topics.remove(&entry.offset).unwrap_or_default();
        more.retain(|other| *other != id);
        let mut left = more.into_iter();
        let first = if entry.topic == id { left.next() } else { Some(entry.topic) };
        if let Some(entry) = self.entries.get_mut(at) {
            entry.topic = first.unwrap_or(TopicId::GONE);
        }
        if left.len() > 0 {
            self.more_topics.insert(entry.offset, left.collect());
        }
        self.release(id, &entry);
        if first.is_some() {
            return None;
        }
        self.drop_at(at);
        Some(entry.hit())
    }

    // Of one topic, whose oldest record this is.
    fn release(&mut self, id: TopicId, record: &Entry<L>) {
        let is_mark = self.marks.contains(&record.offset);
        if let Some(entry) = self.topics.get_mut(&id) {
            debug_assert_eq!(entry.offsets.front(), Some(&record.offset));
            entry.offsets.pop_front();
            entry.bytes -= u64::from(record.bytes);
            if is_mark {
                entry.marks -= 1;
            } else {
                entry.trimmed = record.offset;
            }
            self.topics_with_records -= usize::from(entry.offsets.is_empty());
        }
        self.watch(id, true);
        self.remember_trim(id, record.offset);
    }

    fn drop_at(&mut self, at: usize) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        entry.topic = TopicId::GONE;
        let (offset, bytes) = (entry.offset, entry.bytes);
        self.bytes -= u64::from(bytes);
        self.marks.remove(&offset);
        self.gone += 1;
        while self.entries.pop_front_if(|entry| entry.topic == TopicId::GONE).is_some() {
            self.gone -= 1;
        }
        if self.gone * 2 > self.entries.len() {
            self.entries.retain(|entry| entry.topic != TopicId::GONE);
            self.gone = 0;
        }
        self.drop_id_of(offset);
    }

    fn drop_id_of(&mut self, offset: Offset) {
        let Ok(at) = self.ids_in_order.binary_search_by_key(&offset, |(offset, _)| *offset) else {
            return;
        };
        let (_, hash) = self.ids_in_order[at];
        self.ids_gone += 1;
        self.forget_id(hash, offset);
        while let Some(&(offset, _)) = self.ids_in_order.front()
            && self.position(offset).is_none()
        {
            self.ids_in_order.pop_front();
            self.ids_gone -= 1;
        }
        if self.ids_gone * 2 > self.ids_in_order.len() {
            let mut ids = mem::take(&mut self.ids_in_order);
            ids.retain(|(offset, _)| self.position(*offset).is_some());
            self.ids_in_order = ids;
            self.ids_gone = 0;
        }
    }

    // While a record with the id is left, the id stays taken: a new record with it must not
    // pass for the earliest, or whoever saw the one that is left would miss what is between.
    fn forget_id(&mut self, hash: u64, offset: Offset) {
        let Some(entry) = self.ids.get_mut(&hash) else { return };
        entry.records -= 1;
        if entry.records == 0 {
            self.ids.remove(&hash);
        } else if entry.earliest == Some(offset) {
            entry.earliest = None;
        }
    }
}

// Times are kept to the second, and a record is as old as the end of its second says.
fn expiry_ms<L>(entry: &Entry<L>, limits: &Retention) -> Option<u64> {
    let age_ms = u64::try_from(limits.age_max.as_millis()).ok()?;
    ((u64::from(entry.time_s) + 1) * 1_000).checked_add(age_ms)
}
