//! Appends, the tail, and closing.

use std::{sync::Arc, time::Duration};

use tidings_proto::event::EventName;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    idempotency::Key,
    log::{AppendError, Tail, TailItem, Taken},
};

/// Offsets rise, and the records of a batch stand in its order where the answer says, with nothing
/// between them.
pub async fn offsets_rise_and_a_batch_stands_together(subject: &dyn Subject) {
    let log = subject.open(all());
    assert_eq!((log.bounds().first, log.bounds().last), (Offset(1), Offset(0)));
    let mut last = Offset::ZERO;
    for size in [1, 3, 1, 5] {
        let records = (0..size).map(|n| record("a", n)).collect();
        let appended = log.append(Batch::new(records)).await.unwrap();
        assert_eq!(appended.epoch, log.bounds().epoch);
        assert!(appended.first().unwrap() > last && appended.records.len() == size);
        assert!(!appended.records.iter().any(Taken::is_repeated), "none has a key");
        let (found, _) = read_all(&*log, last, &Filter::everything()).await;
        let stand =
            appended.records.iter().map(|taken| taken.offset().unwrap()).collect::<Vec<_>>();
        assert_eq!(offsets(&found), stand);
        assert!(stand.is_sorted_by(|a, b| a < b));
        assert_eq!(data(&found), (0..size).map(|n| n.to_string()).collect::<Vec<_>>());
        last = appended.last().unwrap();
    }
}

/// A batch of nothing is acknowledged, and takes no place.
pub async fn an_empty_batch_appends_nothing(subject: &dyn Subject) {
    let log = subject.open(all());
    for _ in 0..2 {
        let before = log.bounds();
        let appended = log.append(Batch::new(Vec::new())).await.unwrap();
        assert_eq!((appended.first(), appended.last()), (None, None));
        assert_eq!(log.bounds(), before);
        append(&*log, record("a", "")).await;
    }
}

/// A read that starts after the acknowledgement, or after the tail's yield, sees the record.
pub async fn what_is_acknowledged_is_visible(subject: &dyn Subject) {
    let log = subject.open(all());
    let mut tail = log.tail();
    for n in 0..20 {
        let id = format!("id {n}");
        let offset = append(&*log, with_id("a", &id)).await;
        assert_eq!(log.bounds().last, offset);
        assert_eq!(log.resolve(&publisher_id(&id)).await, Ok(Some(offset)));
        let seen = page(&*log, offset.previous(), &exactly(&["a"]), ReadLimits::default()).await;
        assert_eq!(offsets(&seen.records), [offset]);
        assert_eq!(log.topics(None, 1)[0].last, offset);
        assert_eq!(next(&mut tail).await, seen.records);
    }
    assert_eq!(log.state().records, 20);
    assert_eq!(log.state().topics, 1);
    assert!(log.state().latched.is_none());
}

/// What is read is what was appended, also after the log was closed and opened.
pub async fn every_field_survives(subject: &dyn Subject) {
    let log = subject.open(all());
    let full = NewRecord {
        kind: Kind::Event,
        topics: ["a", "b", "ü/1"].into_iter().map(topic).collect(),
        event: Some(EventName::new("price").unwrap()),
        id: Some(publisher_id("order 7")),
        retry: Some(Duration::from_millis(1_234)),
        private: true,
        data: "one\r\ntwo\n\u{1F600}\0".into(),
        once: None,
    };
    let full = full.once(Key::new("scope", "key").unwrap());
    let large = record("large", "x".repeat(1 << 20));
    let news = vec![full, record("a", ""), large];
    let mut at = Places::new();
    at.append(&*log, Batch::new(news.clone())).await;
    let (before, _) = read_all(&*log, Offset::ZERO, &Filter::everything()).await;
    let log = subject.reopen(log, all()).await;
    let (after, _) = read_all(&*log, Offset::ZERO, &Filter::everything()).await;
    assert_eq!(before, after);
    assert_eq!(after.iter().map(|record| record.new.clone()).collect::<Vec<_>>(), news);
    assert!(after.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let (tagged, _) = read_all(&*log, Offset::ZERO, &exactly(&["ü/1"])).await;
    assert_eq!(offsets(&tagged), [at[1]]);
}

/// Batches of concurrent publishers do not mix, and no reader sees a part of one.
pub async fn concurrent_batches_stay_whole(subject: &dyn Subject) {
    const PUBLISHERS: usize = 4;
    const BATCHES: usize = 25;
    const SIZE: usize = 7;
    let log = subject.open(all());
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for batch in 0..BATCHES {
                    let name = format!("{publisher}-{batch}");
                    let records = (0..SIZE).map(|_| record(&name, &name)).collect();
                    append(&*log, Batch::new(records)).await;
                }
            })
        })
        .collect();
    let limits = ReadLimits { records_max: usize::MAX, bytes_max: usize::MAX };
    let read = async |after| page(&*log, after, &Filter::everything(), limits).await;
    // Each goes on where the last one ended: to begin anew each time would be quadratic.
    let mut seen = Vec::new();
    let mut through = Offset::ZERO;
    loop {
        let is_last = publishers.iter().all(JoinHandle::is_finished);
        let page = read(through).await;
        assert_eq!(page.records.len() % SIZE, 0, "a part of a batch");
        for batch in page.records.chunks(SIZE) {
            assert!(batch.iter().all(|record| record.new.data == batch[0].new.data));
        }
        through = page.through;
        seen.extend(page.records);
        if is_last {
            break;
        }
        tokio::task::yield_now().await;
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!(seen.len(), PUBLISHERS * BATCHES * SIZE);
    assert_eq!(read(Offset::ZERO).await.records, seen, "nothing appears behind a reader");
}

/// Every record once, in order, whoever appended it; and then a read has it too.
pub async fn the_tail_yields_everything_once_and_in_order(subject: &dyn Subject) {
    const PUBLISHERS: u64 = 4;
    const RECORDS: u64 = 100;
    let log = subject.open(all());
    let mut tails: Vec<_> = (0..3).map(|_| log.tail()).collect();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut last = Offset::ZERO;
                for n in 0..RECORDS {
                    let offset = append(&*log, record(&publisher.to_string(), n)).await;
                    assert!(offset > last, "a publisher's events keep their order");
                    last = offset;
                }
            })
        })
        .collect();
    for tail in &mut tails {
        let mut yielded: Vec<SharedRecord> = Vec::new();
        while (yielded.len() as u64) < PUBLISHERS * RECORDS {
            let records = next(tail).await;
            let last = records.last().unwrap().offset;
            assert!(log.bounds().last >= last, "the tail is never ahead of the bounds");
            let limits = ReadLimits { records_max: 1, ..ReadLimits::default() };
            let seen = page(&*log, last.previous(), &Filter::everything(), limits).await;
            assert_eq!(offsets(&seen.records), [last], "what the tail yields can be read");
            yielded.extend(records);
        }
        let (read, _) = read_all(&*log, Offset::ZERO, &Filter::everything()).await;
        assert_eq!(yielded, read);
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

/// A tail begins at the present end, and waits there.
pub async fn the_tail_of_a_quiet_log_waits(subject: &dyn Subject) {
    let log = subject.open(all());
    append(&*log, record("a", "before")).await;
    let mut tail = log.tail();
    let waiting = tokio::spawn(async move { next(&mut tail).await });
    append(&*log, record("a", "after")).await;
    assert_eq!(data(&waiting.await.unwrap()), ["after"]);
}

/// Closing finishes what is under way; then appends are refused, and reads go on.
pub async fn a_closed_log_refuses_appends_and_serves_reads(subject: &dyn Subject) {
    let log = subject.open(all());
    let under_way = log.append(record("a", 1).into());
    let (appended, ()) = tokio::join!(under_way, log.close());
    let at = appended.unwrap().last().expect("it is kept");
    assert!(at > Offset::ZERO);
    assert_eq!(log.append(record("a", 2).into()).await, Err(AppendError::Closed));
    log.close().await;
    let (found, _) = read_all(&*log, Offset::ZERO, &exactly(&["a"])).await;
    assert_eq!((offsets(&found), data(&found)), (vec![at], vec!["1"]));
}

pub(super) async fn next(tail: &mut Tail) -> Vec<SharedRecord> {
    match tail.next().await {
        Some(TailItem::Records(records)) => records,
        other => panic!("not records: {other:?}"),
    }
}
