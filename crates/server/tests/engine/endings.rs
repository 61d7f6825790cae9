//! Endings: ended topics, draining, and the engine's own end.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tidings_server::{
    fanout::{Subscribe, engine::Framing},
    matcher::{Filter, Matcher},
    record::Kind,
    subscription::{Start, SubscriptionConfig},
};

use crate::{
    Hub, event, exact,
    follower::wire::{Next, Way, Wire},
    in_time, mark, narrow, of_kind, topic,
};

fn one_shard() -> Hub {
    Hub::new(Way { shards: 1, ..Way::default() })
}

async fn stalled(hub: &Hub, heads: std::ops::Range<usize>, name: &str) -> Vec<Wire> {
    let mut wires = Vec::new();
    for head_bytes in heads {
        wires.push(hub.follow(narrow(head_bytes), exact(name)).await);
    }
    wires
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_ends_ends_its_streams_with_what_is_left() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        let way = Way { shards: 1, framing, ..Way::default() };
        let hub = Hub::new(way);
        let mut in_step = hub.follow(way, exact("a")).await;
        let mut behind = Vec::new();
        for head_bytes in 0..60 {
            behind.push(hub.follow(Way { framing, ..narrow(head_bytes) }, exact("a")).await);
        }
        let mut of_both =
            hub.follow(way, Filter::new(["a", "b"].map(|name| Matcher::Exact(topic(name))))).await;
        hub.publish((0..100).map(|number| event("a", format!("{number} {}", "x".repeat(100)))))
            .await;
        hub.publish([event("a", "last"), mark(Kind::Ended, "a"), event("b", "for others")]).await;
        for wire in behind.iter_mut().chain([&mut in_step]) {
            let (text, ended) = wire.rest().await;
            assert_eq!(ended, Next::End);
            assert_eq!(text.matches("data: ").count() - text.matches("tidings.").count(), 101);
            assert!(text.contains("data: last\n\n"), "{text}");
        }
        of_both.until("data: for others\n\n").await;
        hub.publish([mark(Kind::Ended, "b")]).await;
        assert_eq!(of_both.rest().await.1, Next::End);
        hub.is_deserted().await;
        // Who comes after it ended gets what there is, and the end.
        let mut late = hub.connect_as(way, "late", exact("a"), Start::Earliest);
        let (text, ended) = late.rest().await;
        assert!(text.contains("data: last\n\n") && ended == Next::End);
    }
}

/// An ephemeral event that comes after the end, and does not open the topic again, is half sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_not_forgotten_within_an_event_behind_it() {
    let hub = one_shard();
    let mut wires = stalled(&hub, 0..5, "a").await;
    let late = of_kind(Kind::Ephemeral, "a", "x".repeat(100_000));
    hub.publish([event("a", "last"), mark(Kind::Ended, "a"), late]).await;
    for wire in &mut wires {
        let (text, ended) = wire.rest().await;
        assert!(text.contains("data: last\n\n") && ended == Next::End, "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_opened_again_goes_on() {
    let hub = one_shard();
    let mut in_step = hub.follow(Way::default(), exact("a")).await;
    let mut behind = stalled(&hub, 0..10, "a").await;
    hub.publish([event("a", "x".repeat(20_000))]).await;
    hub.publish([mark(Kind::Ended, "a"), event("a", "again")]).await;
    hub.publish([event("a", "end")]).await;
    for wire in behind.iter_mut().chain([&mut in_step]) {
        let text = wire.until("data: end\n\n").await;
        assert!(text.contains("data: again\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_tells_each_its_own_reconnection_time_and_closes_in_time() {
    let hub = Hub::new(Way::default());
    let mut wires = Vec::new();
    for number in 0..30 {
        wires.push(hub.follow(Way::default(), exact(&format!("t{}", number % 3))).await);
    }
    let (within, retry) =
        (Duration::from_millis(200), Duration::from_secs(3)..=Duration::from_secs(20));
    hub.fanout.drain(within, retry.clone());
    let mut retries = HashSet::new();
    let mut close = async |wire: &mut Wire| {
        let (text, ended) = wire.rest().await;
        assert_eq!(ended, Next::End);
        let ms = text.rsplit("retry: ").next().unwrap().strip_suffix("\n\n").unwrap();
        let ms: u64 = ms.parse().unwrap();
        assert!(retry.contains(&Duration::from_millis(ms)), "{text}");
        retries.insert(ms);
    };
    for wire in &mut wires {
        close(wire).await;
    }
    // Who comes now is sent away too.
    close(&mut hub.connect_as(Way::default(), "late", exact("t"), Start::Latest)).await;
    hub.is_deserted().await;
    assert!(retries.len() > 20, "{retries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_stalled_when_its_time_came_leaves_as_soon_as_it_can() {
    let hub = one_shard();
    let mut wires = stalled(&hub, 0..5, "a").await;
    hub.publish([event("a", "x".repeat(50_000))]).await;
    let mut fast = hub.follow(Way::default(), exact("b")).await;
    let begun = Instant::now();
    hub.fanout.drain(Duration::ZERO, Duration::from_secs(3)..=Duration::from_secs(3));
    assert_eq!(fast.rest().await.1, Next::End);
    for wire in &mut wires {
        let (text, ended) = wire.rest().await;
        assert!(text.ends_with("xxx\n\nretry: 3000\n\n") && ended == Next::End, "{ended:?}");
    }
    hub.is_deserted().await;
    // Neither with the next heartbeat, nor when it would be cut off for its slowness.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_stops_leaves_nobody() {
    let hub = Hub::new(Way::default());
    let mut wires = stalled(&hub, 0..5, "a").await;
    wires.push(hub.follow(Way::default(), exact("a")).await);
    hub.publish([event("a", "x".repeat(50_000))]).await;
    hub.fanout.drain(Duration::from_secs(3_600), Duration::ZERO..=Duration::ZERO);
    hub.wires.engine.stop();
    hub.is_deserted().await;
    for wire in &mut wires {
        assert_eq!(wire.rest().await.1, Next::Broken);
    }
    // Who comes too late is closed at once.
    let mut late = hub.connect_as(Way::default(), "late", exact("a"), Start::Latest);
    assert_eq!(late.rest().await.1, Next::Broken);
    hub.is_deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_dropped_stops() {
    let Hub { log: _log, fanout, wires } = Hub::new(Way::default());
    let (held, is_held) = tokio::sync::oneshot::channel::<()>();
    let config = SubscriptionConfig::default();
    let request = Subscribe { filter: exact("a"), start: Start::Latest, config };
    let mut wire = wires.connect_by(Way::default(), fanout.subscribe(request), held);
    wire.until("}\n\n").await;
    drop(wires);
    assert_eq!(wire.rest().await.1, Next::Broken);
    assert!(in_time(is_held).await.is_err(), "what a connection holds goes with it");
    crate::eventually("nobody is subscribed", || fanout.stats().subscribers == 0).await;
}
