//! Trimming: which records go, and what is remembered of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use super::{Entry, Hit, Index, Look, TopicEntry, TopicId, Trim};
use crate::{cursor::Offset, log::Retention, matcher::Filter, record::Timestamp};

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
    // A topic with a rule keeps so many marks at most, or as many as events.
    const MARKS_OF_TOPIC_MAX: usize = 100;
    // Where others trim as fast as it looks, a look ends all the same after so many goes more than
    // it takes for what there was when it began.
    const GOES_MAX: u32 = 100;

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

    fn remember_trim(&mut self, id: TopicId, offset: Offset) {
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

// Times are kept to the second, and a record is as old as the end of its second says.
fn expiry_ms<L>(entry: &Entry<L>, limits: &Retention) -> Option<u64> {
    let age_ms = u64::try_from(limits.age_max.as_millis()).ok()?;
    ((u64::from(entry.time_s) + 1) * 1_000).checked_add(age_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::{Place, Since, TopicRule, TopicRules},
        matcher::{Matcher, Pattern},
        record::{Kind, NewRecord, PublisherId},
        topic::Topic,
    };

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    fn pattern(source: &str) -> Matcher {
        Matcher::Pattern(Pattern::parse(source, &"http://localhost/".parse().unwrap()).unwrap())
    }

    fn index(topics: Matcher, limits: Retention) -> Index<u64> {
        let rules = TopicRules::new(vec![TopicRule { topics, limits }]).unwrap();
        Index::new(Offset::ZERO).with_rules(rules)
    }

    fn push(index: &mut Index<u64>, record: &NewRecord, time_ms: u64) -> Offset {
        let offset = index.last().next();
        let time = Timestamp { unix_ms: time_ms };
        let earliest = record.id.as_ref().is_none_or(|id| !index.has_id(id));
        index.push(Place { offset, time, bytes: 10, location: offset.0 }, record, earliest);
        offset
    }

    /// Trims all that is to be trimmed, and says what went.
    fn trim(index: &mut Index<u64>, now_ms: u64) -> Vec<u64> {
        let now = Timestamp { unix_ms: now_ms };
        let mut gone = Vec::new();
        while index.is_over(&Retention::UNLIMITED, now) {
            index.trim(&Retention::UNLIMITED, now, 3, |hit| gone.push(hit.location));
        }
        gone
    }

    const LAST: Retention = Retention { records_max: 1, ..Retention::UNLIMITED };

    #[test]
    fn a_record_costs_32_bytes_and_one_that_is_gone_no_more_than_that() {
        assert_eq!(size_of::<Entry<u64>>(), 32);
        let mut index = index(Matcher::Exact(topic("noisy")), LAST);
        push(&mut index, &NewRecord::new(topic("quiet"), ""), 0);
        for n in 0..10_000 {
            if n % 1_000 == 0 {
                push(&mut index, &NewRecord::new(topic("quiet"), ""), 0);
            }
            let mut noisy = NewRecord::new(topic("noisy"), "");
            noisy.id = (n % 3 == 0).then(|| PublisherId::new(format!("{n}")).unwrap());
            push(&mut index, &noisy, 0);
            trim(&mut index, 0);
            assert!(index.entries.len() <= 2 * index.records() + 1);
            assert!(index.ids_in_order.len() <= 3 && index.ids.len() <= 1);
        }
        assert_eq!((index.records(), index.bytes()), (12, 120));
        assert_eq!(index.first(), Offset(1));
        assert!(index.more_topics.is_empty());
    }

    #[test]
    fn a_record_of_several_topics_goes_with_the_last_of_them() {
        let mut index = index(pattern("noisy/*"), LAST);
        let mut shared = NewRecord::new(topic("noisy/1"), "");
        // One that is named twice counts once.
        shared.topics.extend(["quiet", "noisy/2", "noisy/1"].map(topic));
        push(&mut index, &shared, 0);
        push(&mut index, &NewRecord::new(topic("noisy/1"), ""), 0);
        assert!(trim(&mut index, 0).is_empty());
        push(&mut index, &NewRecord::new(topic("noisy/2"), ""), 0);
        assert!(trim(&mut index, 0).is_empty());
        for (names, found, trimmed) in [
            (vec!["quiet"], vec![1], 0),
            (vec!["noisy/1"], vec![2], 1),
            (vec!["noisy/1", "quiet"], vec![1, 2], 1),
            (vec!["noisy/2", "noisy/1"], vec![2, 3], 1),
        ] {
            let exact = names.iter().map(|name| Matcher::Exact(topic(name)));
            let filters = [
                Filter::new(exact.clone()),
                Filter::new(names.iter().map(|name| pattern(name))),
                Filter::new(exact.chain([pattern("none/*")])),
            ];
            for filter in filters {
                let mut look = Look::new(Since::after(Offset::ZERO));
                let selection = index.select(&mut look, &filter, 9, 999).unwrap();
                let hits: Vec<_> = selection.hits.iter().map(|hit| hit.location).collect();
                assert_eq!((&hits, selection.trimmed), (&found, Offset(trimmed)), "{filter:?}");
            }
        }
        // In the end the rest of the log goes by its own limits.
        let mut gone = Vec::new();
        let none = Retention { records_max: 0, ..Retention::UNLIMITED };
        index.trim(&none, Timestamp::default(), 9, |hit| gone.push(hit.location));
        assert_eq!((gone, index.records(), index.bytes()), (vec![1, 2, 3], 0, 0));
        assert_eq!((index.topics_with_records(), index.first()), (0, Offset(4)));
    }

    #[test]
    fn a_topic_that_only_ends_and_opens_is_trimmed_by_its_rule() {
        let mut index = index(Matcher::Exact(topic("noisy")), LAST);
        push(&mut index, &NewRecord::new(topic("quiet"), ""), 0);
        push(&mut index, &NewRecord::new(topic("noisy"), ""), 0);
        for _ in 0..Index::<u64>::MARKS_OF_TOPIC_MAX / 2 {
            push(&mut index, &NewRecord::mark(Kind::Ended, topic("noisy")), 0);
            push(&mut index, &NewRecord::mark(Kind::Opened, topic("noisy")), 0);
        }
        assert!(trim(&mut index, 0).is_empty(), "an event stays for a while");
        for _ in 0..1_000 {
            push(&mut index, &NewRecord::mark(Kind::Ended, topic("noisy")), 0);
            trim(&mut index, 0);
        }
        assert_eq!(index.records(), 1 + Index::<u64>::MARKS_OF_TOPIC_MAX);
        let ended = index.ended(&Filter::new([Matcher::Exact(topic("noisy"))]));
        assert_eq!(ended, Some(index.last()));
    }

    #[test]
    fn an_id_is_taken_as_long_as_any_record_has_it() {
        let mut index = index(Matcher::Exact(topic("noisy")), LAST);
        let id = PublisherId::new("x").unwrap();
        let with_id = |name| {
            let mut record = NewRecord::new(topic(name), "");
            record.id = Some(id.clone());
            record
        };
        push(&mut index, &with_id("noisy"), 0);
        push(&mut index, &with_id("quiet"), 0);
        push(&mut index, &with_id("noisy"), 0);
        assert_eq!(trim(&mut index, 0), [1]);
        push(&mut index, &NewRecord::new(topic("noisy"), ""), 0);
        assert_eq!(trim(&mut index, 0), [3]);
        // The newest with the id is gone, and one before it is not.
        assert!(index.has_id(&id) && index.find_id(&id).is_none());
        push(&mut index, &with_id("noisy"), 0);
        assert_eq!(index.find_id(&id), None);
    }

    #[test]
    fn age_is_exact_to_the_second_for_each_topic() {
        let limits = Retention { age_max: Duration::from_secs(10), ..Retention::UNLIMITED };
        let mut index = index(pattern("short/*"), limits);
        for (name, time_ms) in [("short/1", 1_500), ("long", 1_500), ("short/2", 2_000)] {
            push(&mut index, &NewRecord::new(topic(name), ""), time_ms);
        }
        push(&mut index, &NewRecord::new(topic("short/1"), ""), 2_999);
        assert!(trim(&mut index, 11_999).is_empty());
        assert_eq!(trim(&mut index, 12_000), [1]);
        assert!(trim(&mut index, 12_999).is_empty());
        assert_eq!(trim(&mut index, 13_000).len(), 2);
        assert!(trim(&mut index, u64::MAX).is_empty());
        push(&mut index, &NewRecord::new(topic("short/1"), ""), 20_000);
        assert_eq!(trim(&mut index, 31_000), [5]);
    }

    #[test]
    fn a_read_by_pattern_looks_at_a_trim_once_and_ends_however_many_there_are() {
        let mut index = index(pattern("t/*"), LAST);
        let record = |n: u64| NewRecord::new(topic(&format!("t/{n}")), "");
        const TOPICS: u64 = 20_000;
        for n in (0..TOPICS).chain(0..TOPICS) {
            push(&mut index, &record(n), 0);
            trim(&mut index, 0);
        }
        let filter = Filter::new([pattern("t/7"), pattern("none/*")]);
        let mut look = Look::new(Since::after(Offset::ZERO));
        let mut goes = 0;
        let selection = loop {
            goes += 1;
            if let Some(selection) = index.select(&mut look, &filter, 9, 999) {
                break selection;
            }
            // What is trimmed meanwhile counts as well.
            if goes == 2 {
                push(&mut index, &record(7), 0);
                trim(&mut index, 0);
            }
        };
        assert!(goes > 4, "{goes}");
        assert_eq!(selection.trimmed, Offset(TOPICS + 8));
        // The next one has nothing to look at.
        let told = selection.trimmed;
        let since = Since { told, trims_seen: selection.trims_seen, ..Since::default() };
        let again = index.select(&mut Look::new(since), &filter, 9, 999).unwrap();
        assert_eq!(again.trimmed, Offset::ZERO);
        assert_eq!(again.hits, selection.hits);

        // Where others trim as fast as it looks, it ends in a false alarm at worst.
        let mut look = Look { goes: Index::<u64>::GOES_MAX + 1, ..Look::new(Since::default()) };
        let alarm = index.select(&mut look, &filter, 9, 999).unwrap();
        assert!(alarm.trimmed >= Offset(TOPICS));
    }

    #[test]
    fn a_look_by_many_patterns_is_long_and_exact() {
        let mut index = index(pattern("t/*"), LAST);
        for n in (0..12_000u64).chain(0..12_000) {
            push(&mut index, &NewRecord::new(topic(&format!("t/{n}")), ""), 0);
            trim(&mut index, 0);
        }
        let filter = Filter::new((0..100).map(|n| pattern(&format!("none/{n}/*"))));
        let mut look = Look::new(Since::after(Offset::ZERO));
        let mut goes = 1;
        let selection = loop {
            if let Some(selection) = index.select(&mut look, &filter, 9, 999) {
                break selection;
            }
            goes += 1;
        };
        assert_eq!(selection.trimmed, Offset::ZERO, "nothing that matches was trimmed");
        assert!(goes > Index::<()>::GOES_MAX, "only {goes} goes");
    }
}
