//! Idempotency keys: what was appended under one is not appended again.

use std::{sync::Arc, time::Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings_proto::event::EventName;

use super::{appends::next, *};
use crate::{
    idempotency::Key,
    log::{AppendError, Taken},
};

/// The same event under the same key is answered with the first one's place, and leaves no trace:
/// no record, nothing in the tail, no change of the state.
pub async fn a_key_is_appended_once(subject: &dyn Subject) {
    let mut log = subject.open(all());
    append(&*log, record("a", "before")).await;
    let order = keyed("order", record("a", "order"));
    let first = append(&*log, order.clone()).await;
    for reopened in 0..3 {
        let mut tail = log.tail();
        let (bounds, state) = (log.bounds(), log.state());
        for _ in 0..3 {
            let again = log.append(order.clone().into()).await.unwrap();
            assert_eq!(again.records[..], [Taken::Repeated(first)], "reopened {reopened} times");
            assert_eq!(again.epoch, bounds.epoch);
        }
        assert_eq!((log.bounds(), log.state()), (bounds, state));
        append(&*log, record("a", "after")).await;
        assert_eq!(data(&next(&mut tail).await), ["after"]);
        log = subject.reopen(log, all()).await;
    }
    // Another key, another scope and no key at all are other publishes of the same event.
    for other in [
        keyed("order-2", record("a", "order")),
        record("a", "order").once(Key::new("scope", "order").unwrap()),
        record("a", "order"),
        record("a", "order"),
    ] {
        let appended = log.append(other.into()).await.unwrap();
        assert!(!appended.records[0].is_repeated());
    }
}

/// Another event under a key is refused, whatever is different, and nothing changes.
pub async fn a_key_stands_for_one_event(subject: &dyn Subject) {
    let mut log = subject.open(all());
    let plain = record("a", "data");
    let first = append(&*log, keyed("k", plain.clone())).await;
    let mut others = vec![plain.clone(); 7];
    others[0].data = "other".into();
    others[1].topics = [topic("b")].into_iter().collect();
    others[2].topics.push(topic("b"));
    others[3].event = Some(EventName::new("e").unwrap());
    others[4].id = Some(publisher_id("id"));
    others[5].retry = Some(Duration::from_secs(1));
    others[6].private = true;
    for _ in 0..2 {
        let bounds = log.bounds();
        for other in &others {
            let refused = log.append(keyed("k", other.clone()).into()).await;
            assert_eq!(refused, Err(AppendError::KeyReused { record: 0 }), "{other:?}");
        }
        assert_eq!(log.bounds(), bounds);
        let again = log.append(keyed("k", plain.clone()).into()).await.unwrap();
        assert_eq!(again.records[..], [Taken::Repeated(first)]);
        log = subject.reopen(log, all()).await;
    }
}

/// What a batch repeats is left out of it, the rest is appended together; the answer has a place
/// for each.
pub async fn a_batch_is_less_what_it_repeats(subject: &dyn Subject) {
    use Taken::{Appended, Repeated};
    let mut log = subject.open(all());
    let one = keyed("1", record("a", "one"));
    let two = keyed("2", record("a", "two"));
    let plain = record("a", "plain");
    let one_at = append(&*log, Batch::new(vec![plain.clone(), one.clone()])).await;
    log = subject.reopen(log, all()).await;
    let batch = vec![two.clone(), one.clone(), plain.clone(), two.clone(), plain.clone(), one];
    let mixed = log.append(Batch::new(batch.clone())).await.unwrap();
    let [two_at, plain_at] =
        [mixed.records[0], mixed.records[2]].map(|taken| taken.offset().unwrap());
    let more_at = mixed.records[4].offset().unwrap();
    assert!(one_at < two_at && two_at < plain_at && plain_at < more_at);
    assert_eq!(
        mixed.records[..],
        [
            Appended(two_at),
            Repeated(one_at),
            Appended(plain_at),
            Repeated(two_at),
            Appended(more_at),
            Repeated(one_at)
        ]
    );
    let (found, _) = read_all(&*log, one_at, &Filter::everything()).await;
    assert_eq!(offsets(&found), [two_at, plain_at, more_at]);
    assert_eq!(data(&found), ["two", "plain", "plain"]);
    // Of the batch again, only what has no key is new.
    let again = log.append(Batch::new(batch)).await.unwrap();
    let repeated: Vec<_> = again.records.iter().map(Taken::is_repeated).collect();
    assert_eq!(repeated, [true, true, false, true, false, true]);
    // And of one that only repeats, nothing: not even with another order.
    let bounds = log.bounds();
    let repeats = log.append(Batch::new(vec![two.clone(), two])).await.unwrap();
    assert_eq!(repeats.records[..], [Repeated(two_at), Repeated(two_at)]);
    assert_eq!(log.bounds(), bounds);
}

/// A batch with a key of another event is refused as a whole, and so are its other keys: they are
/// free for other events.
pub async fn a_refused_batch_leaves_no_key(subject: &dyn Subject) {
    let log = subject.open(all());
    append(&*log, keyed("used", record("a", "first"))).await;
    let bounds = log.bounds();
    let free = keyed("free", record("a", "free"));
    let against_the_log =
        vec![record("a", ""), free.clone(), keyed("used", record("a", "other")), free.clone()];
    let against_itself = vec![free.clone(), free, keyed("free", record("a", "other"))];
    for batch in [against_the_log, against_itself] {
        let refused = log.append(Batch::new(batch)).await;
        assert_eq!(refused, Err(AppendError::KeyReused { record: 2 }));
        assert_eq!(log.bounds(), bounds);
    }
    let log = subject.reopen(log, all()).await;
    let appended = log.append(keyed("free", record("a", "new")).into()).await.unwrap();
    assert!(!appended.records[0].is_repeated());
}

/// Of those who publish under the same key at the same time one is appended, and all are told the
/// same place, where it can be read.
pub async fn publishers_at_the_same_time_append_a_key_once(subject: &dyn Subject) {
    const PUBLISHERS: usize = 8;
    const EVENTS: usize = 50;
    let log = subject.open(all());
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut stand = Vec::new();
                for n in 0..EVENTS {
                    let event = keyed(&n.to_string(), record("a", n));
                    let taken = log.append(event.into()).await.expect("appended").records[0];
                    let limits = ReadLimits { records_max: 1, ..ReadLimits::default() };
                    let offset = taken.offset().unwrap();
                    let seen = page(&*log, offset.previous(), &exactly(&["a"]), limits).await;
                    assert_eq!(data(&seen.records), [n.to_string()], "what is answered is there");
                    stand.push(taken);
                }
                stand
            })
        })
        .collect();
    let mut answers = Vec::new();
    for publisher in publishers {
        answers.push(publisher.await.unwrap());
    }
    let (found, _) = read_all(&*log, Offset::ZERO, &Filter::everything()).await;
    assert_eq!(data(&found), (0..EVENTS).map(|n| n.to_string()).collect::<Vec<_>>());
    for (n, record) in found.iter().enumerate() {
        let first = answers.iter().filter(|stand| stand[n] == Taken::Appended(record.offset));
        let repeated = answers.iter().filter(|stand| stand[n] == Taken::Repeated(record.offset));
        assert_eq!((first.count(), repeated.count()), (1, PUBLISHERS - 1));
    }
}

/// The newest keys are known, and a repetition makes a key no newer. Records without a key take
/// nobody's room.
pub async fn keys_are_known_up_to_a_count(subject: &dyn Subject) {
    let window = KeyWindow { keys_max: 3, age_max: Duration::MAX };
    let mut log = subject.open_with(Setup::keys(window));
    let event = |n: usize| keyed(&n.to_string(), record("a", n));
    let mut at = Places::new();
    for n in 1..=3 {
        at.append(&*log, event(n)).await;
    }
    for _ in 0..2 {
        for _ in 0..5 {
            append(&*log, record("b", "")).await;
        }
        log = subject.reopen_with(log, Setup::keys(window)).await;
        for n in [3, 2, 1] {
            let again = log.append(event(n).into()).await.unwrap();
            assert_eq!(again.records[..], [Taken::Repeated(at[n])]);
        }
    }
    append(&*log, event(4)).await;
    log = subject.reopen_with(log, Setup::keys(window)).await;
    // The newest first: what is forgotten is appended again, and pushes out another.
    for n in [4, 3, 2, 1] {
        let taken = log.append(event(n).into()).await.unwrap().records[0];
        assert_eq!(taken.is_repeated(), n > 1, "{n}");
    }
    // A batch of more keys than are known afterwards still knows its own.
    let many: Vec<_> = (10..20).chain(10..20).map(event).collect();
    let appended = log.append(Batch::new(many)).await.unwrap();
    assert!(appended.records[10..].iter().all(Taken::is_repeated));
}

/// A key is known for its time, counted from the first publish, and then it is free, also for
/// another event.
pub async fn keys_are_known_for_a_time(subject: &dyn Subject) {
    let age_max = Duration::from_millis(300);
    let window = KeyWindow { age_max, ..KeyWindow::default() };
    let log = subject.open_with(Setup::keys(window));
    let event = || keyed("k", record("a", "same"));
    let first = append(&*log, event()).await;
    let started = Instant::now();
    let second = loop {
        let taken = log.append(event().into()).await.unwrap().records[0];
        match taken {
            Taken::Repeated(offset) => assert_eq!(offset, first),
            Taken::Appended(offset) => break offset,
            Taken::Passed => panic!("it is no ephemeral event"),
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it is forgotten some time");
    };
    let (found, _) = read_all(&*log, Offset::ZERO, &Filter::everything()).await;
    assert_eq!(offsets(&found), [first, second]);
    // By the log's own clock, to the millisecond.
    let apart_ms = found[1].time.unix_ms - found[0].time.unix_ms;
    assert!(u128::from(apart_ms) > age_max.as_millis(), "{apart_ms} ms");
}

/// Retention does not make a key forgotten while the log is open.
pub async fn keys_are_known_after_their_records_were_trimmed(subject: &dyn Subject) {
    let log = subject.open(newest(2));
    let event = keyed("k", record("a", "gone"));
    let first = append(&*log, event.clone()).await;
    for n in 0..50 {
        append(&*log, record("a", format!("{n} {}", "x".repeat(200)))).await;
    }
    assert!(log.bounds().first > first);
    let again = log.append(event.clone().into()).await.unwrap();
    assert_eq!(again.records[..], [Taken::Repeated(first)]);
    // After a restart it may be known or not: its record was not kept.
    let last = log.bounds().last;
    let log = subject.reopen(log, newest(2)).await;
    match log.append(event.into()).await.unwrap().records[0] {
        Taken::Repeated(offset) => assert_eq!(offset, first),
        Taken::Appended(offset) => assert!(offset > last),
        Taken::Passed => panic!("it is no ephemeral event"),
    }
}

/// Whatever is appended and repeated, alone and in batches, the answers are those of the plainest
/// list of keys. A failing seed is printed.
pub async fn random_keys_equal_the_model(subject: &dyn Subject) {
    for seed in 0..12 {
        println!("seed {seed}");
        run(subject, seed).await;
    }
}

async fn run(subject: &dyn Subject, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let window = KeyWindow { keys_max: random.random_range(0..12), age_max: Duration::MAX };
    let mut log = subject.open_with(Setup::keys(window));
    let mut model = Model::default();
    for _ in 0..150 {
        if random.random_range(0..12) == 0 {
            log = subject.reopen_with(log, Setup::keys(window)).await;
        }
        // Key 0 is none. What is published under a key is mostly the same.
        let batch: Vec<_> = (0..random.random_range(0..7))
            .map(|_| (random.random_range(0..15), u32::from(random.random_range(0..20) == 0)))
            .collect();
        let records = batch.iter().map(|&(key, data)| match key {
            0 => record("a", data),
            _ => keyed(&key.to_string(), record("a", data)),
        });
        let before = log.bounds();
        let answer = log.append(Batch::new(records.collect())).await;
        if let Some(record) = model.reused(&batch) {
            assert_eq!(answer, Err(AppendError::KeyReused { record }));
            assert_eq!(log.bounds(), before);
            continue;
        }
        let mut end = before.last;
        for (&(key, data), taken) in batch.iter().zip(answer.expect("appended").records) {
            if let Some((_, _, offset)) = model.find(key) {
                assert_eq!(taken, Taken::Repeated(*offset));
                continue;
            }
            assert!(!taken.is_repeated() && taken.offset().unwrap() > end, "{taken:?} after {end}");
            end = taken.offset().unwrap();
            model.0.push((key, data, end));
        }
        assert_eq!(log.bounds().last, end);
        model.trim(window.keys_max);
    }
}

/// Keys, what they stand for and where, the oldest first.
#[derive(Default, Clone)]
struct Model(Vec<(u32, u32, Offset)>);

impl Model {
    fn find(&self, key: u32) -> Option<&(u32, u32, Offset)> {
        self.0.iter().find(|known| known.0 == key && key > 0)
    }

    /// Which record of the batch has a key of another event.
    fn reused(&self, batch: &[(u32, u32)]) -> Option<usize> {
        let mut then = self.clone();
        batch.iter().position(|&(key, data)| match then.find(key) {
            Some((_, before, _)) => *before != data,
            None => {
                then.0.push((key, data, Offset::ZERO));
                false
            }
        })
    }

    fn trim(&mut self, keys_max: usize) {
        self.0.retain(|known| known.0 > 0);
        self.0.drain(..self.0.len().saturating_sub(keys_max));
    }
}

fn keyed(key: &str, record: NewRecord) -> NewRecord {
    record.once(Key::new("", key).expect("a key"))
}
