//! Groups: each line gets what is for it, among many that follow something else.

use tidings_server::{
    cursor::Offset,
    fanout::{
        Fanout, FanoutConfig, Subscribe,
        engine::{Engine, EngineConfig, Framing},
    },
    log::{Log as _, MemoryLog, Retention},
    matcher::{Filter, Matcher, Pattern},
    record::{Kind, NewRecord},
    subscription::{Start, SubscriptionConfig},
};

use crate::{
    Hub, event, eventually, exact,
    follower::wire::{Way, Wires},
    of_kind, topic,
};

fn pattern(source: &str) -> Filter {
    let base = "http://localhost/".parse().unwrap();
    Filter::new([Matcher::Pattern(Pattern::parse(source, &base).unwrap())])
}

fn data_of(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gets_what_its_filter_matches_and_sees() {
    let hub = Hub::new(Way::default());
    let private = |data: &str| NewRecord { private: true, ..event("rooms/1", data) };
    let of_two = |data: &str| {
        let mut record = event("rooms/1", data);
        record.topics.push(topic("rooms/2"));
        record
    };
    let base = "http://localhost/".parse().unwrap();
    let both = Filter::new([
        Matcher::Exact(topic("rooms/1")),
        Matcher::Pattern(Pattern::parse("rooms/*", &base).unwrap()),
    ]);
    let owner = 2;
    let filters = [
        (exact("rooms/1"), "1 secret 12 end"),
        (exact("rooms/2"), "2 12 end"),
        (both, "1 2 secret 12 end"),
        (pattern("rooms/*"), "1 2 secret 12 end"),
        (pattern("rooms/*").only(|record| !record.new.private), "1 2 12 end"),
        (pattern("rooms/*").only(move |record| record.offset == Offset(owner)), "2"),
        (Filter::everything(), "1 2 secret else 12 end"),
    ];
    let mut wires = Vec::new();
    for (filter, expected) in filters {
        for framing in [Framing::Chunked, Framing::UntilClose] {
            let way = Way { framing, ..Way::default() };
            let wire = hub.follow(way, filter.clone()).await;
            wires.push((wire, expected));
        }
    }
    hub.publish([event("rooms/1", "1"), event("rooms/2", "2"), private("secret")]).await;
    hub.publish([event("else", "else"), of_two("12")]).await;
    hub.publish([of_two("end")]).await;
    for (wire, expected) in &mut wires {
        let last = expected.rsplit(' ').next().unwrap();
        let text = wire.until(&format!("data: {last}\n\n")).await;
        assert_eq!(data_of(&text).join(" "), *expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_groups_come_and_go() {
    let hub = Hub::new(Way::default());
    let mut wires = Vec::new();
    for number in 0..300 {
        wires.push(hub.follow(Way::default(), exact(&format!("t{number}"))).await);
        if number % 3 == 0 {
            wires.push(hub.follow(Way::default(), pattern(&format!("t{number}"))).await);
        }
    }
    let mut number = 0;
    wires.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    eventually("half of them are gone", || hub.wires.engine.lines() == wires.len()).await;
    hub.publish((0..300).map(|number| of_kind(Kind::Ephemeral, &format!("t{number}"), number)))
        .await;
    hub.publish((0..300).map(|number| event(&format!("t{number}"), "end"))).await;
    for wire in &mut wires {
        let text = wire.until("data: end\n\n").await;
        assert_eq!(data_of(&text).len(), 2, "{text}");
    }
    drop(wires);
    hub.is_deserted().await;
}

/// The log has more than the tail, and that more than a shard has seen.
#[tokio::test]
async fn who_begins_ahead_of_its_shard_gets_what_comes_after_and_no_other() {
    let log = std::sync::Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let wires = Wires::new(&fanout, Way { shards: 1, ..Way::default() });
    for round in 0..100 {
        // On this one thread the fan-out has no chance to run in between.
        log.append(event("a", format!("before {round}")).into()).await.unwrap();
        let heartbeat = std::time::Duration::from_millis(30);
        let config = SubscriptionConfig { heartbeat, ..SubscriptionConfig::default() };
        let request = Subscribe { filter: exact("a"), start: Start::Latest, config };
        let mut wire = wires.connect(fanout.subscribe(request));
        log.append(of_kind(Kind::Ephemeral, "a", format!("meanwhile {round}")).into())
            .await
            .unwrap();
        log.append(event("a", format!("after {round}")).into()).await.unwrap();
        let text = wire.until(&format!("data: after {round}\n\n")).await;
        let data: Vec<_> =
            data_of(&text).into_iter().filter(|data| !data.starts_with('{')).collect();
        assert_eq!(data, [format!("meanwhile {round}"), format!("after {round}")], "{text}");
        if round == 0 {
            // Of what is for others it is told as those are that were in step all the time.
            log.append(event("b", "").into()).await.unwrap();
            wire.until(&format!(
                "id: {}\nevent: tidings.cursor\ndata: {{}}\n\n",
                log.bounds().latest()
            ))
            .await;
        }
    }
}

#[tokio::test]
async fn an_engine_may_start_late() {
    let log = std::sync::Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    log.append(event("a", "1").into()).await.unwrap();
    let wires = Wires::new(&fanout, Way::default());
    let config = SubscriptionConfig::default();
    let request = Subscribe { filter: exact("a"), start: Start::Earliest, config };
    let mut wire = wires.connect(fanout.subscribe(request));
    log.append(event("a", "2").into()).await.unwrap();
    let text = wire.until("data: 2\n\n").await;
    assert_eq!(data_of(&text)[1..], ["1", "2"]);
    // Both serve at once.
    let other = Engine::start(&fanout, EngineConfig::default()).unwrap();
    assert_eq!(other.lines(), 0);
}
