//! The index as those who trim it and read from it see it.

use std::time::Duration;

use super::*;
use crate::{
    log::{Retention, TopicRule},
    matcher::{Matcher, Pattern},
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
fn records_that_are_not_found_by_their_ids_are_known_for_storing_them() {
    let of_noisy = || index(Matcher::Exact(topic("noisy")), Retention { records_max: 3, ..LAST });
    let mut live = of_noisy();
    let later = |index: &Index<u64>| index.later_ids().map(|at| at.0).collect::<Vec<_>>();
    // The log, as its store has it.
    let mut records = Vec::new();
    for (name, id, expected) in [
        ("quiet", "x", vec![]),
        ("noisy", "y", vec![]),
        ("noisy", "x", vec![3]),
        ("noisy", "", vec![3]),
        // From now on the fourth newest of the noisy ones goes: first the only y.
        ("noisy", "", vec![3]),
        ("noisy", "y", vec![]),
        ("noisy", "y", vec![7]),
        ("noisy", "x", vec![7, 8]),
        // The earliest y goes, and the later one does not take its place.
        ("noisy", "z", vec![7, 8]),
        ("quiet", "y", vec![7, 8, 10]),
        ("quiet", "z", vec![7, 8, 10, 11]),
        ("noisy", "", vec![8, 10, 11]),
        ("noisy", "", vec![10, 11]),
        // The earliest z goes.
        ("noisy", "", vec![10, 11]),
        ("quiet", "z", vec![10, 11, 15]),
    ] {
        let mut record = NewRecord::new(topic(name), "");
        record.id = PublisherId::new(id).ok();
        push(&mut live, &record, 0);
        trim(&mut live, 0);
        records.push(record);
        assert_eq!(later(&live), expected, "after {}", records.len());

        let mut restored = of_noisy();
        for Hit { offset, bytes, location } in live.between(Offset::ZERO, live.last()) {
            let time = Timestamp { unix_ms: 0 };
            let record = &records[location as usize - 1];
            let is_earliest = !expected.contains(&offset.0);
            restored.push(Place { offset, time, bytes, location }, record, is_earliest);
        }
        assert_eq!(later(&restored), expected);
        for id in ["x", "y", "z"].map(|id| PublisherId::new(id).unwrap()) {
            assert_eq!(restored.find_id(&id), live.find_id(&id), "{id:?} of {}", records.len());
            assert_eq!(restored.has_id(&id), live.has_id(&id));
        }
    }
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
        let mut look = Look::new(Since::after(after));
        let selection = index.select(&mut look, &filter, 10, 1_000).expect("no trims");
        let Selection { hits, through, .. } = selection;
        assert!(through > after && through.0 - after.0 <= 82, "from {after} to {through}");
        found.extend(hits.iter().map(|hit| hit.offset.0));
        after = through;
        reads += 1;
    }
    assert_eq!((found, reads), (vec![1_001], 13));
}
