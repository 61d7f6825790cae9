//! Retention, and what is remembered of what was trimmed.

use super::*;
use crate::log::Index;

/// The newest records stay, by count and by bytes, and what the state says of them is true.
pub async fn trimming_keeps_the_newest(subject: &dyn Subject) {
    let log = subject.open(newest(10));
    let mut at = Places::new();
    for n in 1..=25 {
        at.append(&*log, record("a", n)).await;
        assert_eq!(log.state().records, n.min(10));
    }
    for log in [subject.reopen(log, newest(10)).await] {
        assert_eq!((log.bounds().first, log.bounds().last), (at[16], at[25]));
        for after in at.after(15) {
            let (found, _) = read_all(&*log, after, &exactly(&["a"])).await;
            assert_eq!(offsets(&found), at.of(16..=25));
        }
        for after in at.after(14) {
            assert!(is_trimmed(&*log, after, &exactly(&["a"])).await);
        }
    }
    let kib = record("a", "x".repeat(1_024));
    let by_bytes = Retention { bytes_max: 20 << 10, ..all() };
    let log = subject.open(by_bytes);
    for n in 1..=40 {
        append(&*log, kib.clone()).await;
        let state = log.state();
        assert!(state.bytes <= 20 << 10 && (n < 15 || state.records >= 12), "{state:?}");
    }
}

/// Trimming one topic is no loss to who follows another; and its own is told, to the record.
pub async fn a_quiet_topic_is_not_trimmed(subject: &dyn Subject) {
    let log = subject.open(newest(5));
    let mut at = Places::new();
    at.append(&*log, record("quiet", 1)).await;
    for n in 2..=30 {
        at.append(&*log, record("noisy", n)).await;
    }
    at.append(&*log, record("quiet", 31)).await;
    // Kept are 27 to 31. Of `quiet` only 1 is gone, of `noisy` all to 26.
    let mut log = log;
    for reopened in 0..3 {
        assert_eq!(log.bounds().first, at[27], "reopened {reopened} times");
        let cases = [
            (exactly(&["quiet"]), 0, true),
            (exactly(&["quiet"]), 1, false),
            (exactly(&["noisy"]), 25, true),
            (exactly(&["noisy"]), 26, false),
            (exactly(&["noisy", "quiet"]), 25, true),
            (exactly(&["never"]), 0, false),
            (Filter::new([pattern("qu*et")]), 0, true),
            (Filter::new([pattern("qu*et")]), 1, false),
            (Filter::everything(), 25, true),
            (Filter::everything(), 26, false),
        ];
        for (filter, n, expected) in cases {
            for after in at.after(n) {
                let trimmed = is_trimmed(&*log, after, &filter).await;
                assert_eq!(trimmed, expected, "{filter:?} after {n}, at {after}");
            }
        }
        for after in at.after(1) {
            let (found, _) = read_all(&*log, after, &exactly(&["quiet"])).await;
            assert_eq!(data(&found), ["31"]);
        }
        log = subject.reopen(log, newest(5)).await;
    }
}

/// A topic over its own limit loses its own oldest records, and no other topic any; and who follows
/// several is told, and loses none of the others.
pub async fn a_noisy_topic_under_a_rule_evicts_only_itself(subject: &dyn Subject) {
    let rules = Setup::rules([(Matcher::Exact(topic("noisy")), newest(3))]);
    let setup = Setup { retention: newest(20), ..rules };
    let mut log = subject.open_with(setup.clone());
    let mut at = Places::new();
    at.append(&*log, record("quiet", 1)).await;
    for n in 2..=200 {
        let name = if n == 100 { "quiet" } else { "noisy" };
        at.append(&*log, record(name, n)).await;
        assert!(log.state().records <= 5);
    }
    // More of it at once than the whole log keeps.
    at.append(&*log, Batch::new((201..=300).map(|n| record("noisy", n)).collect())).await;
    for reopened in 0..3 {
        assert_eq!(log.bounds().first, at[1], "reopened {reopened} times");
        assert_eq!(log.state().records, 5);
        let both = exactly(&["noisy", "quiet"]);
        let cases = [
            (exactly(&["quiet"]), 0, vec![1, 100], 0),
            (exactly(&["noisy"]), 0, vec![298, 299, 300], 297),
            (both.clone(), 0, vec![1, 100, 298, 299, 300], 297),
            (both.clone(), 99, vec![100, 298, 299, 300], 297),
            (both, 297, vec![298, 299, 300], 0),
            (Filter::new([pattern("no*")]), 5, vec![298, 299, 300], 297),
            (Filter::new([pattern("qu*")]), 0, vec![1, 100], 0),
            (Filter::everything(), 296, vec![298, 299, 300], 297),
        ];
        let cases = cases.into_iter().flat_map(|(filter, n, expected, trimmed)| {
            let after = at.after(n);
            let (expected, trimmed) = (at.of(expected), at[trimmed]);
            after.map(move |after| (filter.clone(), after, expected.clone(), trimmed))
        });
        for (filter, after, expected, trimmed) in cases {
            let since = Since::after(after);
            let page = log.read(since, &filter, ReadLimits::default()).await.expect("read");
            assert_eq!(offsets(&page.records), expected, "{filter:?} after {after}");
            assert_eq!((page.trimmed, page.through), (trimmed, at[300]));
            // In small pages the same, and told once.
            let limits = ReadLimits { records_max: 1, ..ReadLimits::default() };
            let (mut since, mut found, mut told) = (since, Vec::new(), Vec::new());
            while since.after < at[300] {
                let page = log.read(since, &filter, limits).await.expect("read");
                found.extend(offsets(&page.records));
                told.extend((page.trimmed > Offset::ZERO).then_some(page.trimmed));
                let Page { through, trimmed, trims_seen, .. } = page;
                assert!(through > since.after, "a page moves on");
                since = Since { after: through, told: since.told.max(trimmed), trims_seen };
            }
            let once: Vec<_> = (trimmed > Offset::ZERO).then_some(trimmed).into_iter().collect();
            assert_eq!((found, told), (expected, once));
        }
        log = subject.reopen_with(log, setup.clone()).await;
    }
    // The log goes on trimming by the rule.
    at.append(&*log, record("noisy", 301)).await;
    assert_eq!(log.topics(Some("a"), 1)[0].records, 3);
}

/// The first rule that is for a topic holds, for each topic by itself, by count and by bytes; a
/// record of several topics is found in those that keep it.
pub async fn a_rule_holds_for_each_topic_by_itself(subject: &dyn Subject) {
    let setup = Setup::rules([
        (Matcher::Exact(topic("rooms/1")), newest(1)),
        (pattern("rooms/:id"), newest(2)),
        (pattern("rooms/*"), newest(4)),
        (pattern("logs/*"), Retention { bytes_max: 20 << 10, ..all() }),
    ]);
    let mut log = subject.open_with(setup.clone());
    for n in 1..=60 {
        for name in ["rooms/1", "rooms/2", "rooms/3", "rooms/3/x", "other"] {
            append(&*log, record(name, n)).await;
        }
        append(&*log, record("logs/1", "x".repeat(1_024))).await;
    }
    append(&*log, record("logs/2", "x".repeat(1_024))).await;
    let mut shared = record("rooms/1", "shared");
    shared.topics.extend(["rooms/2", "other"].map(topic));
    let shared = append(&*log, shared).await;
    append(&*log, record("rooms/1", "last")).await;
    for _ in 0..2 {
        let kept = log.topics(None, usize::MAX).into_iter();
        let kept: Vec<_> = kept.map(|s| (s.topic.as_str().to_owned(), s.records)).collect();
        let logs = kept[0].1;
        assert!((12..20).contains(&logs), "{logs} of 20 KiB");
        let expected = [
            ("logs/1", logs),
            ("logs/2", 1),
            ("other", 61),
            ("rooms/1", 1),
            ("rooms/2", 2),
            ("rooms/3", 2),
            ("rooms/3/x", 4),
        ];
        assert_eq!(kept, expected.map(|(name, records)| (name.to_owned(), records)));
        assert_eq!(log.state().records, kept.iter().map(|(_, n)| n).sum::<usize>() - 1);
        let found = async |filter: Filter| {
            let since = Since::after(shared.previous());
            let page = log.read(since, &filter, ReadLimits::default()).await.expect("read");
            (data(&page.records).join(" "), page.trimmed == shared)
        };
        assert_eq!(found(exactly(&["rooms/1"])).await, ("last".to_owned(), true));
        assert_eq!(found(Filter::new([pattern("rooms/1")])).await, ("last".to_owned(), true));
        assert_eq!(found(exactly(&["rooms/2"])).await, ("shared".to_owned(), false));
        assert_eq!(found(exactly(&["other"])).await, ("shared".to_owned(), false));
        let either = found(Filter::new([pattern("rooms/*")])).await;
        assert_eq!(either, ("shared last".to_owned(), true));
        log = subject.reopen_with(log, setup.clone()).await;
    }
}

/// A log without records knows how far it came, and goes on from there.
pub async fn a_log_trimmed_to_nothing_keeps_its_end(subject: &dyn Subject) {
    let mut log = subject.open(newest(0));
    let mut at = Places::new();
    for n in 1..=4 {
        let last = at.append(&*log, record("a", n)).await;
        let bounds = log.bounds();
        assert_eq!((bounds.first, bounds.last), (last.next(), last));
        assert_eq!(log.state().records, 0);
        for after in at.after(n - 1) {
            assert!(is_trimmed(&*log, after, &exactly(&["a"])).await);
        }
        assert!(!is_trimmed(&*log, last, &exactly(&["a"])).await);
        log = subject.reopen(log, newest(0)).await;
        assert_eq!(log.bounds(), bounds);
    }
}

/// Past the bound of what is remembered one by one, there may be a false alarm, but no silence.
pub async fn trims_past_the_bound_may_only_alarm(subject: &dyn Subject) {
    const MORE: usize = 500;
    let topics = Index::<()>::TRIMS_MAX + MORE;
    let mut log = subject.open(newest(100));
    // The record of topic n is the one after the nth.
    let mut at = Places::new();
    for from in (0..topics + 100).step_by(1_000) {
        let records = (from..from + 1_000).map(|n| record(&format!("t/{n}"), "")).collect();
        at.append(&*log, Batch::new(records)).await;
    }
    for _ in 0..2 {
        let bounds = log.bounds();
        let trimmed = at.number(bounds.first) - 1;
        let forgotten = trimmed - Index::<()>::TRIMS_MAX;
        for (topic, n, expected) in [
            // Forgotten ones: the floor answers for them.
            (0, 0, true),
            (0, forgotten - 1, true),
            (0, forgotten, false),
            // Remembered ones: exact.
            (forgotten, forgotten, true),
            (forgotten, forgotten + 1, false),
            (trimmed - 1, forgotten, true),
            (trimmed - 1, trimmed - 1, true),
            (trimmed - 1, trimmed, false),
            (trimmed, forgotten, false),
        ] {
            let filter = exactly(&[&format!("t/{topic}")]);
            for after in at.after(n) {
                let found = is_trimmed(&*log, after, &filter).await;
                assert_eq!(found, expected, "topic {topic} after {n}, at {after}");
            }
        }
        log = subject.reopen(log, newest(100)).await;
    }
}

/// An id is found as long as its earliest record is there. A later record with it is never found
/// by it while an earlier one was there to be seen.
pub async fn a_reused_id_is_its_earliest_record(subject: &dyn Subject) {
    let mut log = subject.open(newest(4));
    let x = publisher_id("x");
    assert_eq!(log.resolve(&x).await, Ok(None));
    let mut at = Places::new();
    at.append(&*log, with_id("a", "x")).await;
    // Also within a batch.
    at.append(&*log, Batch::new(["x", "y", "y"].map(|id| with_id("a", id)).to_vec())).await;
    log = subject.reopen(log, newest(4)).await;
    assert_eq!(log.resolve(&x).await, Ok(Some(at[1])));
    assert_eq!(log.resolve(&publisher_id("y")).await, Ok(Some(at[3])));
    assert_eq!(log.resolve(&publisher_id("z")).await, Ok(None));
    // The first x is trimmed; the second is still there, and so is who saw it.
    at.append(&*log, record("a", 5)).await;
    assert_eq!(log.resolve(&x).await, Ok(None));
    log = subject.reopen(log, newest(4)).await;
    assert_eq!(log.resolve(&x).await, Ok(None));
    at.append(&*log, with_id("a", "x")).await;
    log = subject.reopen(log, newest(4)).await;
    assert_eq!(log.resolve(&x).await, Ok(None), "6 must not pass for 2");
    // All of them are trimmed: the id is free again.
    at.append(&*log, Batch::new((7..=10).map(|n| record("a", n)).collect())).await;
    at.append(&*log, with_id("a", "x")).await;
    log = subject.reopen(log, newest(4)).await;
    assert_eq!(log.resolve(&x).await, Ok(Some(at[11])));
}
