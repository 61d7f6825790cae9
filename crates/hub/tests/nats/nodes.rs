//! Several logs on one stream show the same.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings_hub::nats::{NatsLog, Options};
use tidings_server::{
    cursor::Offset,
    log::{AppendError, Batch, Log, ReadLimits, Retention, Since, Taken, TopicRule, TopicRules},
    matcher::{Filter, Matcher, Pattern},
    record::{Kind, NewRecord, PublisherId, SharedRecord},
    topic::Topic,
};
use tidings_testing_nats::Server;

use crate::logs::{
    append, eager, event, keyed, open, options, read_all, soon, stream, tailed, until, view,
};

async fn three(options: &Options) -> Vec<NatsLog> {
    vec![open(options).await, open(options).await, open(options).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_appended_once_whichever_log_it_comes_through() {
    let server = Server::start().await;
    let logs = three(&options(&server.url())).await;
    for number in 0..20 {
        let new = || keyed("a", "1", &format!("key-{number}"));
        let batch = || Batch::new(vec![event("b", "plain"), new(), new()]);
        let all = logs.iter().flat_map(|log| [log.append(new().into()), log.append(batch())]);
        let all = soon(join_all(all)).await;
        let takens: Vec<Taken> = all
            .iter()
            .map(|one| *one.as_ref().expect("it is taken").records.last().unwrap())
            .collect();
        let offset = takens[0].offset();
        assert!(takens.iter().all(|taken| taken.offset() == offset), "{all:?}");
        let appended: usize = all
            .iter()
            .flat_map(|one| &one.as_ref().unwrap().records)
            .filter(|taken| **taken == Taken::Appended(offset.unwrap()))
            .count();
        assert_eq!(appended, 1, "{all:?}");
        for log in &logs {
            let other =
                Batch::new(vec![event("b", "lost"), keyed("a", "2", &format!("key-{number}"))]);
            let refused = soon(log.append(other)).await;
            assert_eq!(refused, Err(AppendError::KeyReused { record: 1 }));
        }
    }
    let last = append(&logs[0], event("b", "end")).await;
    for log in &logs {
        until("it is folded", async || log.bounds().last == last).await;
        let records = read_all(log).await;
        assert_eq!(records.iter().filter(|record| record.new.once.is_some()).count(), 20);
        assert_eq!(records.iter().filter(|record| &*record.new.data == "plain").count(), 60);
        assert!(records.iter().all(|record| &*record.new.data != "lost"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_known_for_longer_than_the_server_knows_its_own() {
    let server = Server::start().await;
    let options = options(&server.url());
    let log = open(&options).await;
    let (jetstream, mut its) = stream(&server.url()).await;
    let mut config = its.info().await.unwrap().config.clone();
    config.duplicate_window = Duration::from_millis(100);
    jetstream.update_stream(config).await.expect("the stream is changed");
    let first = append(&log, keyed("a", "1", "k")).await;
    // The server's window is past when a message has come that much later.
    let begun = tokio::time::Instant::now();
    until("time passes", async || {
        append(&log, event("a", "other")).await;
        begun.elapsed() > Duration::from_millis(250)
    })
    .await;
    let other = open(&options).await;
    for log in [&log, &other] {
        let again = soon(log.append(keyed("a", "1", "k").into())).await.expect("it is taken");
        assert_eq!(again.records[..], [Taken::Repeated(first)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_known_to_all_logs() {
    let server = Server::start().await;
    let logs = three(&options(&server.url())).await;
    for number in 0..10 {
        let id = PublisherId::new(format!("id-{number}")).unwrap();
        let new = NewRecord { id: Some(id.clone()), ..event("a", "1") };
        let place = append(&logs[number % 3], new.clone()).await;
        let known = soon(logs[number % 3].resolve(&id)).await;
        assert_eq!(known, Ok(Some(place)), "at once, where it was published");
        append(&logs[(number + 1) % 3], new).await;
        for log in &logs {
            until("it is folded", async || log.resolve(&id).await == Ok(Some(place))).await;
        }
    }
}

/// What publishers, readers and upkeep do at the same time, by these numbers.
struct Play {
    seed: u64,
    events: usize,
    clear_after: Duration,
    records_max: usize,
    bytes_max: u64,
}

fn matching(pattern: &str) -> Matcher {
    let base = "http://localhost/".parse().expect("a URL");
    Matcher::Pattern(Pattern::parse(pattern, &base).expect("a pattern"))
}

fn play_options(url: &str, play: &Play) -> Options {
    let mut options = eager(url);
    options.clear_after = play.clear_after;
    let retention = Retention::UNLIMITED;
    options.retention =
        Retention { records_max: play.records_max, bytes_max: play.bytes_max, ..retention };
    let rule = |pattern: &str, records_max| TopicRule {
        topics: matching(pattern),
        limits: Retention { records_max, ..retention },
    };
    options.rules = TopicRules::new(vec![rule("last/*", 1), rule("few/*", 5)]).unwrap();
    options
}

fn ids() -> Vec<PublisherId> {
    (0..30).map(|number| PublisherId::new(format!("id-{number}")).unwrap()).collect()
}

fn topic(random: &mut StdRng) -> Topic {
    let kind = ["last", "few", "all", "all"][random.random_range(0..4)];
    Topic::new(format!("{kind}/{}", random.random_range(0..4))).unwrap()
}

fn batch(random: &mut StdRng) -> Batch {
    let count = if random.random_range(0..3) == 0 { random.random_range(2..6) } else { 1 };
    let record = |random: &mut StdRng| {
        let mut new = NewRecord::new(topic(random), "x".repeat(random.random_range(0..200)));
        if random.random_range(0..4) == 0 {
            new.topics.push(topic(random));
        }
        match random.random_range(0..20) {
            0 => new.kind = Kind::Ephemeral,
            1 => new = NewRecord::mark(Kind::Ended, topic(random)),
            2..8 => new.id = Some(ids()[random.random_range(0..30)].clone()),
            8..12 => {
                let key = random.random_range(0..50).to_string();
                new = keyed("all/keys", &key, &key);
            }
            _ => {}
        }
        new
    };
    Batch::new((0..count).map(|_| record(random)).collect())
}

/// What a read gave, to be checked once it is known what there was.
struct Read {
    since: Since,
    through: Offset,
    trimmed: Offset,
    offsets: Vec<Offset>,
}

async fn read_on(log: &NatsLog, filter: &Filter, done: &AtomicBool) -> Vec<Read> {
    let mut reads = Vec::new();
    let mut since = Since::default();
    loop {
        let is_last = done.load(Relaxed);
        let limits = ReadLimits { records_max: 20, bytes_max: 2_000 };
        let page = soon(log.read(since, filter, limits)).await.expect("a page");
        let offsets = page.records.iter().map(|record| record.offset).collect();
        reads.push(Read { since, through: page.through, trimmed: page.trimmed, offsets });
        let told = since.told.max(page.trimmed);
        since = Since { after: page.through, told, trims_seen: page.trims_seen };
        if page.through >= log.bounds().last {
            if is_last {
                return reads;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn check_reads(reads: &[Read], filter: &Filter, all: &BTreeMap<Offset, SharedRecord>, seed: u64) {
    for Read { since, through, trimmed, offsets } in reads {
        let known = since.after.max(*trimmed).max(since.told);
        for (offset, record) in all.range(since.after..=*through) {
            if *offset == since.after {
                continue;
            }
            let is_there = offsets.binary_search(offset).is_ok();
            let is_due = record.new.topics.iter().any(|topic| filter.matches_topic(topic));
            assert!(is_due || !is_there, "seed {seed}: {offset:?} is not for the reader");
            assert!(
                is_there || !is_due || *offset <= known,
                "seed {seed}: {offset:?} is missing, since {since:?} through {through:?}, \
                 trimmed {trimmed:?}"
            );
        }
        assert!(offsets.iter().all(|offset| all.contains_key(offset)), "seed {seed}");
    }
}

async fn play(play: Play) {
    let Play { seed, events, .. } = play;
    println!("seed {seed}");
    let server = Server::start().await;
    let options = play_options(&server.url(), &play);
    let logs: Vec<_> = three(&options).await.into_iter().map(Arc::new).collect();
    let epoch = logs[0].bounds().epoch;
    let mut tails: Vec<_> = logs.iter().map(|log| log.tail()).collect();
    let done = AtomicBool::new(false);
    let filters = [
        Filter::everything(),
        Filter::new([matching("few/*"), matching("last/*")]),
        Filter::new([Matcher::Exact(Topic::new("all/1").unwrap()), matching("last/*")]),
    ];
    let publish = async |number: u64| {
        let mut random = StdRng::seed_from_u64(seed * 10 + number);
        for _ in 0..events / 4 {
            let log = &logs[random.random_range(0..3)];
            let batch = batch(&mut random);
            let appended = soon(log.append(batch)).await.unwrap_or_else(|error| {
                panic!("seed {seed}: {error}, {:?}", log.state());
            });
            assert_eq!(appended.epoch, epoch, "seed {seed}");
        }
    };
    let published = async {
        join_all((0..4).map(publish)).await;
        let last = append(&logs[0], event("end", "end")).await;
        for log in &logs {
            until("all is folded", async || log.bounds().last >= last).await;
        }
        done.store(true, Relaxed);
        last
    };
    let read = join_all(logs.iter().zip(&filters).map(|(log, filter)| read_on(log, filter, &done)));
    let tailed_all = async {
        let mut all: Vec<Vec<SharedRecord>> = Vec::new();
        let mut followed = tails.iter_mut().map(async |tail| {
            let mut records: Vec<SharedRecord> = Vec::new();
            while records.last().is_none_or(|record| &*record.new.data != "end") {
                match soon(tail.next()).await {
                    Some(tidings_server::log::TailItem::Records(more)) => records.extend(more),
                    other => panic!("seed {seed}: not records: {other:?}"),
                }
            }
            records
        });
        all.extend(join_all(&mut followed).await);
        all
    };
    let (_, reads, tailed) = tokio::join!(published, read, tailed_all);
    assert!(tailed.iter().all(|records| *records == tailed[0]), "seed {seed}: one order");
    let kept = tailed[0].iter().filter(|record| record.new.kind.is_kept());
    let all: BTreeMap<_, _> = kept.map(|record| (record.offset, Arc::clone(record))).collect();
    for (reads, filter) in reads.iter().zip(&filters) {
        check_reads(reads, filter, &all, seed);
    }
    let first = view(&logs[0], &ids()).await;
    assert_eq!(first.bounds.epoch, epoch, "seed {seed}");
    assert!(first.records.iter().all(|record| all.get(&record.offset) == Some(record)));
    for log in &logs[1..] {
        assert_eq!(view(log, &ids()).await, first, "seed {seed}");
    }
    let fourth = open(&options).await;
    assert_eq!(view(&fourth, &ids()).await, first, "seed {seed}: opened anew");
    // What comes next is the same to all.
    let mut random = StdRng::seed_from_u64(seed + 99);
    for _ in 0..20 {
        let batch = batch(&mut random);
        soon(fourth.append(batch)).await.expect("it is taken");
    }
    let last = append(&fourth, event("end", "end")).await;
    for log in logs.iter().map(|log| &**log).chain([&fourth]) {
        until("all is folded", async || log.bounds().last >= last).await;
        assert_eq!(view(log, &ids()).await, view(&fourth, &ids()).await, "seed {seed}: later");
        assert_eq!(log.state().over, None, "seed {seed}");
    }
}

const SMALL: Play = Play {
    seed: 1,
    events: 400,
    clear_after: Duration::from_secs(1),
    records_max: 150,
    bytes_max: 1 << 20,
};

#[tokio::test(flavor = "multi_thread")]
async fn all_logs_show_the_same_while_events_are_carried_and_deleted() {
    play(SMALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_while_bytes_are_few() {
    play(Play { seed: 2, bytes_max: 9_000, records_max: usize::MAX, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn all_logs_show_the_same_for_many_seeds() {
    for seed in 100..140 {
        let clear_after = Duration::from_millis([300, 1_000, 3_000][seed as usize % 3]);
        let records_max = [20, 150, usize::MAX][seed as usize / 3 % 3];
        play(Play { seed, events: 1_200, clear_after, records_max, ..SMALL }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tails_follow_what_all_logs_publish() {
    let server = Server::start().await;
    let logs = three(&options(&server.url())).await;
    let mut tails: Vec<_> = logs.iter().map(|log| log.tail()).collect();
    let mut last = Offset::ZERO;
    for number in 0..30 {
        last = append(&logs[number % 3], event("a", &number.to_string())).await;
    }
    for tail in &mut tails {
        let data: Vec<_> =
            tailed(tail, last).await.iter().map(|one| one.new.data.to_string()).collect();
        let expected: Vec<_> = (0..30).map(|number| number.to_string()).collect();
        assert_eq!(data, expected);
    }
}
