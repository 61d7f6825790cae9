//! Reads: filters, pages, summaries.

use super::*;

/// A filter gives the records of any of its topics and patterns, each once, less the hidden.
pub async fn filters_choose(subject: &dyn Subject) {
    let log = subject.open(all());
    let mut news = vec![
        record("a", 1),
        record("rooms/1", 2),
        record("rooms/1/x", 3),
        record("b", 4),
        record("rooms/2", 5),
        record("a", 6),
    ];
    news[3].topics.push(topic("rooms/3"));
    news[4].topics.push(topic("a"));
    news[5].private = true;
    let mut at = Places::new();
    at.append(&*log, Batch::new(news)).await;
    let log = subject.reopen(log, all()).await;
    let cases = [
        (exactly(&["a"]), vec![1, 5, 6]),
        (exactly(&["b", "a", "none"]), vec![1, 4, 5, 6]),
        (exactly(&["a", "rooms/2"]), vec![1, 5, 6]),
        (exactly(&["none"]), vec![]),
        (exactly(&[]), vec![]),
        (Filter::new([pattern("rooms/:id")]), vec![2, 4, 5]),
        (Filter::new([pattern("rooms/*"), Matcher::Exact(topic("b"))]), vec![2, 3, 4, 5]),
        (Filter::everything(), vec![1, 2, 3, 4, 5, 6]),
        (Filter::everything().only(|record| !record.new.private), vec![1, 2, 3, 4, 5]),
        (exactly(&["a"]).only(|record| !record.new.private), vec![1, 5]),
        (exactly(&["a"]).only(|_| false), vec![]),
    ];
    for (filter, expected) in cases {
        for n in 0..=6 {
            let expected = at.of(expected.iter().copied().filter(|&other| other > n));
            for after in at.after(n) {
                let (found, through) = read_all(&*log, after, &filter).await;
                assert_eq!(offsets(&found), expected, "{filter:?} after {n}, at {after}");
                assert_eq!(through, at[6]);
                assert!(found.iter().all(|record| filter.matches(record)));
            }
        }
    }
}

/// A record is found by its offset for as long as it is kept, whoever may see it.
pub async fn a_record_is_found_by_its_offset(subject: &dyn Subject) {
    let retention = newest(3);
    let log = subject.open(retention);
    let mut at = Places::new();
    for n in 1..=5 {
        let mut new = record("a", n);
        new.private = n == 4;
        at.append(&*log, new).await;
    }
    let log = subject.reopen(log, retention).await;
    let gaps = (1..=5).flat_map(|n| [at[n - 1].next(), at[n].previous()]);
    let gaps = gaps.filter(|place| !at.of(0..=5).contains(place));
    for offset in gaps.chain([at[0], at[1], at[2], at[5].next(), Offset(u64::MAX)]) {
        assert_eq!(log.record(offset).await, Ok(None), "{offset}");
    }
    for n in 3..=5 {
        let found = log.record(at[n]).await.unwrap().expect("it is kept");
        assert_eq!((found.offset, &*found.new.data), (at[n], &*n.to_string()));
    }
}

/// A page keeps both limits, but gives a single larger record whole, and never stands still.
pub async fn pages_keep_their_limits(subject: &dyn Subject) {
    let log = subject.open(all());
    let news = (0..50).map(|n| record("a", "x".repeat(n * 10))).collect();
    let mut at = Places::new();
    at.append(&*log, Batch::new(news)).await;
    let bytes = log.state().bytes;
    for filter in [exactly(&["a"]), Filter::everything()] {
        for records_max in [1, 7, 49, 50, 51, usize::MAX] {
            for bytes_max in [0, 1_000, 10_000, usize::MAX] {
                let limits = ReadLimits { records_max, bytes_max };
                let mut found = Vec::new();
                let mut through = Offset::ZERO;
                while through < at.last() {
                    let page = page(&*log, through, &filter, limits).await;
                    assert!((1..=records_max).contains(&page.records.len()));
                    let data_bytes: usize = page.records.iter().map(|r| r.new.data.len()).sum();
                    assert!(page.records.len() == 1 || data_bytes <= bytes_max);
                    // It may reach up to the next record, and never to it.
                    let last = at.number(page.records.last().unwrap().offset);
                    assert!(at.gap(last).contains(&page.through));
                    assert!(page.through > through, "a page moves on");
                    through = page.through;
                    found.extend(page.records);
                }
                assert_eq!((offsets(&found), through), (at.of(1..=50), at[50]));
            }
        }
    }
    assert!(bytes >= (0..50).map(|n| n * 10).sum::<u64>(), "{bytes} bytes");
}

/// A page that has all there is reaches the end, however little of it matched.
pub async fn reads_reach_the_end(subject: &dyn Subject) {
    let log = subject.open(all());
    let mut at = Places::new();
    at.append(&*log, record("a", 1)).await;
    at.append(&*log, Batch::new((0..20).map(|n| record("b", n)).collect())).await;
    for filter in [exactly(&["a"]), exactly(&["none"]), Filter::new([pattern("none/*")])] {
        for after in at.after(1) {
            let page = page(&*log, after, &filter, ReadLimits::default()).await;
            assert_eq!((page.records.len(), page.through), (0, at[21]));
        }
    }
    let hidden = exactly(&["b"]).only(|_| false);
    let limits = ReadLimits { records_max: 5, bytes_max: usize::MAX };
    let hidden = page(&*log, Offset::ZERO, &hidden, limits).await;
    assert!(hidden.records.is_empty() && hidden.through > Offset::ZERO);
    // A place past the end is nobody's loss.
    for after in [Offset(at[21].0 + 9), Offset(at[21].0 * 2)] {
        let past = page(&*log, after, &exactly(&["a"]), ReadLimits::default()).await;
        assert_eq!((past.records.len(), past.through), (0, after));
    }
}

/// Topics with records come in the order of their names, from any place.
pub async fn summaries_come_by_name(subject: &dyn Subject) {
    let log = subject.open(newest(6));
    let mut at = Places::new();
    for name in ["gone", "b", "a", "c", "b"] {
        at.append(&*log, record(name, "")).await;
    }
    let mut many = record("d", "");
    many.topics.push(topic("a"));
    at.append(&*log, many).await;
    at.append(&*log, record("b", "")).await;
    let log = subject.reopen(log, newest(6)).await;
    let summaries = |after, count_max| {
        let summaries = log.topics(after, count_max).into_iter();
        summaries.map(|s| (s.topic.as_str().to_owned(), s.records, s.last)).collect::<Vec<_>>()
    };
    let every = [("a", 2, 6), ("b", 3, 7), ("c", 1, 4), ("d", 1, 6)]
        .map(|(name, records, last)| (name.to_owned(), records, at[last]));
    assert_eq!(summaries(None, usize::MAX), every);
    assert_eq!(summaries(Some("a"), 2), every[1..3]);
    assert_eq!(summaries(Some("aa"), 1), every[1..2]);
    assert!(summaries(Some("d"), 9).is_empty());
    assert_eq!(log.state().topics, 4);
}
