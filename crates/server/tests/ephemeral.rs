//! Ephemeral events: whoever is live gets each of them, in its turn, and nobody else any.

#[expect(unreachable_pub, reason = "a module shared by tests")]
#[macro_use]
mod follower;

use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings_server::{
    fanout::{Fanout, FanoutConfig},
    log::{Batch, Log as _, MemoryLog, Retention},
    matcher::{Filter, Matcher},
    record::{Kind, NewRecord},
    subscription::Start,
    topic::Topic,
};

use follower::{Follower, Path, Server};

over_both! {
    () => it_leaves_the_last_event_id_and_is_not_replayed, a_quiet_one_on_a_busy_hub_arrives;
    (flavor = "multi_thread", worker_threads = 4) =>
        each_comes_once_and_in_its_turn_among_the_others;
}

fn event(kind: Kind, topic: &str, data: impl ToString) -> NewRecord {
    NewRecord { kind, ..NewRecord::new(Topic::new(topic).unwrap(), data.to_string()) }
}

fn follower(topics: &[&str], start: Start) -> Follower {
    let exact = |name: &&str| Matcher::Exact(Topic::new(*name).unwrap());
    Follower::new(Filter::new(topics.iter().map(exact)), start)
}

fn hub(path: Path) -> (Arc<MemoryLog>, Arc<Server>) {
    let log = Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    (log, Arc::new(path.serve(&fanout)))
}

async fn read_until(follower: &mut Follower, server: &Server, events: usize) {
    while follower.events() < events {
        follower.read(server, usize::MAX).await;
    }
}

async fn it_leaves_the_last_event_id_and_is_not_replayed(path: Path) {
    let (log, server) = hub(path);
    let mut live = follower(&["a"], Start::Latest);
    live.open(&server).await;
    for (kind, data) in [(Kind::Event, "1"), (Kind::Ephemeral, "2"), (Kind::Ephemeral, "3")] {
        log.append(event(kind, "a", data).into()).await.unwrap();
    }
    read_until(&mut live, &server, 3).await;
    assert_eq!(live.data(), ["1", "2", "3"]);
    assert!(live.last_event_id().ends_with("-1"), "{}", live.last_event_id());
    // Neither who comes back nor who comes late gets what is past.
    live.cut();
    let mut late = follower(&["a"], Start::Earliest);
    live.open(&server).await;
    read_until(&mut late, &server, 1).await;
    log.append(event(Kind::Ephemeral, "a", "4").into()).await.unwrap();
    log.append(event(Kind::Event, "a", "5").into()).await.unwrap();
    read_until(&mut live, &server, 5).await;
    read_until(&mut late, &server, 3).await;
    assert_eq!((live.data(), late.data()), (vec!["1", "2", "3", "4", "5"], vec!["1", "4", "5"]));
}

/// Also when thousands of events for others lie between them, which a subscriber passes over by
/// asking the log, where there are none.
async fn a_quiet_one_on_a_busy_hub_arrives(path: Path) {
    let (log, server) = hub(path);
    let mut follower = follower(&["quiet"], Start::Latest);
    follower.open(&server).await;
    for round in 0..3 {
        for _ in 0..4 {
            let busy = (0..1_000).map(|n| event(Kind::Event, "busy", n)).collect();
            log.append(Batch::new(busy)).await.unwrap();
            tokio::task::yield_now().await;
        }
        log.append(event(Kind::Ephemeral, "quiet", round).into()).await.unwrap();
    }
    read_until(&mut follower, &server, 3).await;
    assert_eq!(follower.data(), ["0", "1", "2"]);
}

async fn each_comes_once_and_in_its_turn_among_the_others(path: Path) {
    const EVENTS: usize = 20_000;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let (log, server) = hub(path);
    let mut followers = tokio::task::JoinSet::new();
    for topics in [&["a"][..], &["b"], &["a", "b"]] {
        let server = Arc::clone(&server);
        let mut follower = follower(topics, Start::Latest);
        follower.open(&server).await;
        followers.spawn(async move {
            while follower.data().last() != Some(&"end") {
                follower.read(&server, usize::MAX).await;
            }
            (topics, follower)
        });
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut published = Vec::new();
    while published.len() < EVENTS {
        let batch: Vec<_> = (0..random.random_range(1..50))
            .map(|n| {
                let kind = [Kind::Event, Kind::Ephemeral][random.random_range(0..2)];
                let topic = ["a", "b", "other"][random.random_range(0..3)];
                event(kind, topic, published.len() + n)
            })
            .collect();
        published.extend(batch.iter().map(|new| (new.topics[0].clone(), new.data.clone())));
        log.append(Batch::new(batch)).await.unwrap();
        if random.random_bool(0.3) {
            tokio::task::yield_now().await;
        }
    }
    let mut end = event(Kind::Event, "a", "end");
    end.topics.push(Topic::new("b").unwrap());
    log.append(end.into()).await.unwrap();
    while let Some(done) = followers.join_next().await {
        let (topics, follower) = done.unwrap();
        let mine = published.iter().filter(|(topic, _)| topics.contains(&topic.as_str()));
        let expected: Vec<_> = mine.map(|(_, data)| &**data).chain(["end"]).collect();
        assert!(follower.data() == expected, "{topics:?}: {} events", follower.data().len());
    }
}
