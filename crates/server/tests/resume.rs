//! The seam between replay and live: whoever is cut off anywhere, at any time, and comes back
//! with its last event id gets every event once and in order, or is told of the gap.

#[expect(unreachable_pub, reason = "a module shared by tests")]
#[macro_use]
mod follower;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings_server::{
    cursor::{Cursor, Epoch, Offset},
    fanout::{Fanout, FanoutConfig, Subscribe},
    log::{Batch, Log as _, MemoryLog, Retention},
    matcher::{Filter, Matcher, Pattern},
    record::{NewRecord, PublisherId},
    subscription::{OnGap, Start, SubscriptionConfig},
    topic::Topic,
};

use follower::{Follower, Path, Seen, Server};

const PUBLISHERS: usize = 6;
const TOPICS: usize = 5;

over_both! {
    (flavor = "multi_thread", worker_threads = 4) =>
        nothing_is_lost_or_repeated_at_thousands_of_random_cuts,
        what_retention_takes_is_told_and_nothing_else_is_missing;
    (start_paused = true) =>
        a_gap_is_told_once_and_first_wherever_the_stream_is_cut,
        after_a_gap_a_stream_may_go_on_from_now,
        a_quiet_topic_raises_no_false_alarm,
        who_heard_nothing_and_was_cut_off_still_gets_what_came_in_between,
        a_publishers_id_is_a_place_to_resume_from,
        without_cursors_only_the_events_and_the_reconnection_time_go_out;
}

fn topic(number: usize) -> Topic {
    Topic::new(format!("rooms/{number}")).unwrap()
}

fn seed() -> u64 {
    let seed = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("TIDINGS_TEST_SEED is a u64"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    seed
}

fn everything_by_some_filter(random: &mut StdRng) -> Filter {
    match random.random_range(0..3) {
        0 => Filter::everything(),
        1 => Filter::new((0..TOPICS).map(|number| Matcher::Exact(topic(number)))),
        _ => {
            let base = "http://localhost/".parse().unwrap();
            Filter::new([Matcher::Pattern(Pattern::parse("rooms/*", &base).unwrap())])
        }
    }
}

/// Publishes `events` numbered events from each publisher, in batches over random topics.
async fn publish(log: Arc<MemoryLog>, publisher: usize, events: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut next = 0;
    while next < events {
        let records = (next..(next + random.random_range(1..20)).min(events))
            .map(|number| {
                let data = "x".repeat(random.random_range(0..200));
                let data = format!("{publisher} {number} {data}\r\nline");
                let mut record = NewRecord::new(topic(random.random_range(0..TOPICS)), data);
                if random.random_bool(0.1) {
                    record.topics.push(Topic::new("extra").unwrap());
                }
                if random.random_bool(0.2) {
                    record.id = Some(PublisherId::new(format!("{publisher}/{number}")).unwrap());
                }
                record
            })
            .collect::<Vec<_>>();
        next += records.len();
        log.append(Batch::new(records)).await.unwrap();
        if random.random_bool(0.3) {
            tokio::task::yield_now().await;
        }
    }
}

/// Checks that each publisher's events came in order and none twice; returns how many did.
fn check_order(follower: &Follower, may_miss: bool) -> usize {
    let mut next: HashMap<usize, usize> = HashMap::new();
    for data in follower.data() {
        let mut words = data.split(' ').map(|word| word.parse::<usize>());
        let (publisher, number) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
        let expected = next.entry(publisher).or_default();
        assert!(
            number == *expected || (may_miss && number > *expected),
            "publisher {publisher}: got {number}, expected {expected}"
        );
        *expected = number + 1;
    }
    follower.data().len()
}

async fn nothing_is_lost_or_repeated_at_thousands_of_random_cuts(path: Path) {
    const EVENTS: usize = 4_000;
    let seed = seed();
    // A feed and a tail of a few dozen events: the fan-out falls behind the log, and subscribers
    // behind the fan-out, and both catch up, all the time.
    let log = MemoryLog::new(Retention::default(), seed).with_feed_bytes_max(16 << 10);
    let log = Arc::new(log);
    let config = FanoutConfig { tail_bytes_max: 16 << 10, ..FanoutConfig::default() };
    let fanout = Fanout::start(log.clone(), config);
    let server = Arc::new(path.serve(&fanout));
    let cuts = Arc::new(AtomicUsize::new(0));

    let mut followers = tokio::task::JoinSet::new();
    for number in 0..8u64 {
        let (server, cuts) = (Arc::clone(&server), Arc::clone(&cuts));
        let mut random = StdRng::seed_from_u64(seed ^ (number + 1));
        let mut follower = Follower::new(everything_by_some_filter(&mut random), Start::Earliest);
        // Connected before the first event, so that it misses none.
        follower.open(&server).await;
        followers.spawn(async move {
            while follower.events() < PUBLISHERS * EVENTS {
                let cut_after = random.random_range(1..20_000);
                let mut taken = 0;
                while taken < cut_after && follower.events() < PUBLISHERS * EVENTS {
                    taken += follower.read(&server, cut_after - taken).await;
                }
                follower.cut();
                cuts.fetch_add(1, Ordering::Relaxed);
            }
            assert_eq!(follower.gaps(), Vec::<&serde_json::Value>::new());
            assert_eq!(check_order(&follower, false), PUBLISHERS * EVENTS);
        });
    }
    let mut publishers = tokio::task::JoinSet::new();
    for number in 0..PUBLISHERS {
        publishers.spawn(publish(log.clone(), number, EVENTS, seed ^ ((number as u64) << 32)));
    }
    publishers.join_all().await;
    followers.join_all().await;
    assert!(cuts.load(Ordering::Relaxed) > 2_000, "only {cuts:?} cuts");
    server.is_deserted().await;
}

async fn what_retention_takes_is_told_and_nothing_else_is_missing(path: Path) {
    const EVENTS: usize = 4_000;
    let seed = seed();
    let retention = Retention { records_max: 300, ..Retention::default() };
    let log = Arc::new(MemoryLog::new(retention, seed));
    let config = FanoutConfig { tail_bytes_max: 8 << 10, ..FanoutConfig::default() };
    let fanout = Fanout::start(log.clone(), config);
    let server = Arc::new(path.serve(&fanout));
    let mut publishers = tokio::task::JoinSet::new();
    for number in 0..PUBLISHERS {
        publishers.spawn(publish(log.clone(), number, EVENTS, seed ^ ((number as u64) << 32)));
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut follower = Follower::new(Filter::everything(), Start::Earliest);
    let end = {
        let log = log.clone();
        tokio::spawn(async move {
            publishers.join_all().await;
            log.append(NewRecord::new(topic(0), "end").into()).await.unwrap();
        })
    };
    let ended = |follower: &Follower| follower.seen.last().and_then(Seen::data) == Some("end");
    while !ended(&follower) {
        let cut_after = random.random_range(1..5_000);
        let mut taken = 0;
        while taken < cut_after && !ended(&follower) {
            taken += follower.read(&server, cut_after - taken).await;
        }
        if !ended(&follower) {
            follower.cut();
        }
    }
    end.await.unwrap();
    follower.seen.pop();
    // Order holds and nothing repeats, whatever was lost.
    check_order(&follower, true);
    let lost = lost(&follower);
    println!("{lost} events lost to retention, {} notices", follower.gaps().len());
    assert!(lost == 0 || !follower.gaps().is_empty());
}

/// How many events were lost to retention. Offsets are dense here, so that an event that was
/// skipped without a notice before it shows, and fails.
fn lost(follower: &Follower) -> u64 {
    let offset = |id: &str| Some(id.strip_prefix('#')?.split_once('-')?.1.parse::<u64>().unwrap());
    let mut lost = 0;
    let mut position = None;
    for seen in &follower.seen {
        match seen {
            // An id of the publisher's own does not say where it stands.
            Seen::Event { id, .. } => {
                let place = position.expect("a cursor comes first") + 1;
                assert_eq!(offset(id).unwrap_or(place), place, "skipped in silence");
                position = Some(place);
            }
            Seen::Cursor { id } => {
                let place = offset(id).unwrap();
                assert_eq!(*position.get_or_insert(place), place, "a cursor ahead of its events");
            }
            Seen::Gap { id, notice } => {
                assert!(notice["reason"] == "trimmed" || notice["reason"] == "unknown_id");
                let place = offset(id).unwrap();
                lost += place.checked_sub(position.unwrap()).expect("a notice goes forward");
                position = Some(place);
            }
        }
    }
    lost
}

/// Reads until the follower has seen `count` events, cutting the first connection after
/// `cut_bytes` bytes and, if it was cut, resuming.
async fn read_with_one_cut(
    follower: &mut Follower,
    server: &Server,
    count: usize,
    cut_bytes: usize,
) -> bool {
    let mut taken = 0;
    let mut cut = false;
    while follower.events() < count {
        if cut {
            follower.read(server, usize::MAX).await;
        } else {
            taken += follower.read(server, cut_bytes - taken).await;
            if taken >= cut_bytes {
                follower.cut();
                cut = true;
            }
        }
    }
    cut
}

async fn a_gap_is_told_once_and_first_wherever_the_stream_is_cut(path: Path) {
    let retention = Retention { records_max: 5, ..Retention::default() };
    let log = Arc::new(MemoryLog::new(retention, 1));
    let place = |offset| Cursor::new(log.bounds().epoch, Offset(offset)).to_string();
    for number in 1..=20 {
        log.append(NewRecord::new(topic(0), format!("{number}")).into()).await.unwrap();
    }
    // The shared tail begins here, so that all of this is read from the log.
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let server = path.serve(&fanout);
    let other_epoch = Cursor::new(Epoch::from_bits(77), Offset(18)).to_string();
    for (id, reason) in [
        (place(3), "trimmed"),
        (place(14), "trimmed"),
        (place(21), "ahead"),
        (other_epoch, "other_epoch"),
        ("never published".to_owned(), "unknown_id"),
        ("#garbage".to_owned(), "unknown_id"),
    ] {
        for cut_bytes in 1.. {
            let mut follower = Follower::new(Filter::everything(), Start::Latest);
            follower.set_last_event_id(&id);
            let cut = read_with_one_cut(&mut follower, &server, 5, cut_bytes).await;
            assert_eq!(follower.data(), ["16", "17", "18", "19", "20"], "{id} {cut_bytes}");
            let gaps = follower.gaps();
            assert_eq!(gaps.len(), 1, "{id} cut after {cut_bytes} bytes");
            assert_eq!(gaps[0]["reason"], reason);
            assert_eq!(gaps[0]["requested"], *id);
            assert_eq!(gaps[0]["oldest"], place(16));
            assert_eq!(gaps[0]["resumes_after"], place(15));
            assert!(follower.seen[0].gap().is_some(), "something came before the notice");
            if !cut {
                break;
            }
        }
    }
}

async fn after_a_gap_a_stream_may_go_on_from_now(path: Path) {
    let retention = Retention { records_max: 5, ..Retention::default() };
    let log = Arc::new(MemoryLog::new(retention, 1));
    for number in 1..=20 {
        log.append(NewRecord::new(topic(0), format!("{number}")).into()).await.unwrap();
    }
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let server = path.serve(&fanout);
    let mut follower = Follower::new(Filter::everything(), Start::Latest);
    follower.config.on_gap = OnGap::Latest;
    follower.set_last_event_id("lost");
    follower.open(&server).await;
    assert_eq!(follower.gaps().len(), 1);
    assert_eq!(follower.last_event_id(), log.bounds().latest().to_string());
    log.append(NewRecord::new(topic(0), "21").into()).await.unwrap();
    follower.cut();
    while follower.events() == 0 {
        follower.read(&server, usize::MAX).await;
    }
    assert_eq!((follower.data(), follower.gaps().len()), (vec!["21"], 1));
}

async fn a_quiet_topic_raises_no_false_alarm(path: Path) {
    let retention = Retention { records_max: 5, ..Retention::default() };
    let log = Arc::new(MemoryLog::new(retention, 1));
    let quiet = Filter::new([Matcher::Exact(Topic::new("quiet").unwrap())]);
    let silent = Filter::new([Matcher::Exact(Topic::new("silent").unwrap())]);
    log.append(NewRecord::new(Topic::new("quiet").unwrap(), "old").into()).await.unwrap();
    let early = log.bounds().latest().to_string();
    let publish_noise = async || {
        for number in 0..100 {
            log.append(NewRecord::new(topic(0), format!("{number}")).into()).await.unwrap();
        }
    };
    publish_noise().await;
    // A tail of one byte: nothing is ever found there.
    let config = FanoutConfig { tail_bytes_max: 1, ..FanoutConfig::default() };
    let fanout = Fanout::start(log.clone(), config);
    let server = Arc::new(path.serve(&fanout));
    for filter in [quiet, silent] {
        let mut follower = Follower::new(filter, Start::Latest);
        follower.config.heartbeat = Duration::from_millis(50);
        follower.set_last_event_id(&early);
        follower.open(&server).await;
        assert_eq!(follower.seen, [Seen::Cursor { id: early.clone() }]);
        // The heartbeat takes the cursor along, though nothing was for this subscriber.
        publish_noise().await;
        let latest = Seen::Cursor { id: log.bounds().latest().to_string() };
        follower.read_until(&server, |follower| follower.seen.last() == Some(&latest)).await;
        // Nothing moved: the next heartbeat is a comment alone.
        let seen = follower.seen.len();
        for _ in 0..2 {
            assert_eq!(follower.read(&server, ":\n\n".len()).await, ":\n\n".len());
        }
        assert_eq!(follower.seen.len(), seen);
        assert_eq!(follower.last_event_id(), latest.id());
    }
}

async fn who_heard_nothing_and_was_cut_off_still_gets_what_came_in_between(path: Path) {
    let log = Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let server = path.serve(&fanout);
    let mut follower = Follower::new(Filter::everything(), Start::Latest);
    follower.open(&server).await;
    follower.cut();
    log.append(NewRecord::new(topic(0), "while away").into()).await.unwrap();
    while follower.events() == 0 {
        follower.read(&server, usize::MAX).await;
    }
    assert_eq!(follower.data(), ["while away"]);
}

async fn a_publishers_id_is_a_place_to_resume_from(path: Path) {
    let log = Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let server = path.serve(&fanout);
    for number in 1..=5 {
        let mut record = NewRecord::new(topic(0), format!("{number}"));
        // The third and the fourth have the same id: it means the earlier of the two.
        record.id = Some(PublisherId::new(format!("id {}", number.min(3))).unwrap());
        log.append(record.into()).await.unwrap();
    }
    let mut follower = Follower::new(Filter::everything(), Start::Latest);
    follower.set_last_event_id("id 3");
    while follower.events() < 2 {
        follower.read(&server, usize::MAX).await;
    }
    assert_eq!((follower.data(), follower.gaps().len()), (vec!["4", "5"], 0));
}

async fn without_cursors_only_the_events_and_the_reconnection_time_go_out(path: Path) {
    let log = Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let server = path.serve(&fanout);
    let mut follower = Follower::new(Filter::everything(), Start::Latest);
    follower.config.cursors = false;
    follower.config.heartbeat = Duration::from_millis(200);
    assert_eq!(follower.read(&server, usize::MAX).await, "retry: 3000\n\n".len());
    log.append(NewRecord::new(Topic::new("t").unwrap(), "x").into()).await.unwrap();
    follower.read_until(&server, |follower| follower.events() > 0).await;
    assert_eq!(follower.read(&server, usize::MAX).await, ":\n\n".len());
    assert_eq!(follower.seen.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn draining_closes_everybody_in_time_each_with_its_own_reconnection_time() {
    let log = Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let subscribe = || {
        let (filter, start) = (Filter::everything(), Start::Latest);
        fanout.subscribe(Subscribe { filter, start, config: SubscriptionConfig::default() })
    };
    let streams: Vec<_> = (0..50).map(|_| tokio::spawn(subscribe().collect::<Vec<_>>())).collect();
    tokio::task::yield_now().await;
    let (within, retry) =
        (Duration::from_secs(10), Duration::from_secs(3)..=Duration::from_secs(20));
    let started = tokio::time::Instant::now();
    fanout.drain(within, retry.clone());
    let mut retries = std::collections::HashSet::new();
    for stream in streams {
        let last = stream.await.unwrap().pop().unwrap();
        let ms = std::str::from_utf8(&last).unwrap().strip_prefix("retry: ").unwrap();
        let ms: u64 = ms.trim_end().parse().unwrap();
        assert!(retry.contains(&Duration::from_millis(ms)), "{ms}");
        retries.insert(ms);
    }
    // The clock is virtual: this is no measurement.
    assert!(started.elapsed() <= within + Duration::from_millis(2));
    assert!(retries.len() > 40, "{retries:?}");
    // Who comes now is sent away too.
    let late: Vec<_> = subscribe().collect().await;
    assert!(late.last().unwrap().starts_with(b"retry: "));
    assert_eq!(fanout.stats().subscribers, 0);
}
