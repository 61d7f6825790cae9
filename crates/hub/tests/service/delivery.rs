//! "Why did I not get it?": every verdict, produced over real connections.

use std::time::Duration;

use serde_json::Value;
use tidings_hub::config::Config;
use tidings_server::{
    log::{Retention, TopicRule, TopicRules},
    matcher::Matcher,
    topic::Topic,
};
use tokio::{io::BufReader, net::TcpSocket};

use crate::support::{Connection, Hub, soon};

fn target(event: &str, name: &str) -> String {
    format!("/debug/delivery?event={}&subscriber={name}", event.replace('#', "%23"))
}

/// The answer once it is `verdict`: a connection that is cut is noticed a moment later.
async fn becomes(hub: &Hub, event: &str, name: &str, verdict: &str) -> Value {
    let mut last = Value::Null;
    let answer = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            last = hub.get(&target(event, name)).await.json();
            if last["verdict"] == verdict {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(answer.await.is_ok(), "not {verdict}: {last}");
    assert!(!last["explanation"].as_str().unwrap().is_empty());
    assert!(!last.to_string().contains("secret"), "an event's data is shown: {last}");
    last
}

/// Waits until all that `name` ever opened is closed.
async fn is_gone(hub: &Hub, name: &str) {
    soon(async {
        loop {
            let page = hub.get("/subscribers?limit=1000").await.json();
            let listed = page["subscribers"].as_array().unwrap();
            let mut own = listed.iter().filter(|one| one["subscriber"] == name);
            if own.all(|one| one["state"] == "closed") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_cut_connection_leaves_it_open_and_coming_back_confirms_it() {
    let hub = Hub::start().await;
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann").await;
    stream.opened().await;
    let first = hub.post("/events/a", "secret 1").await.id();
    let second = hub.post("/events/a", "secret 2").await.id();
    stream.until("data: secret 2").await;
    let sent = becomes(&hub, &first, "ann", "sent").await;
    let checks = &sent["checks"];
    assert_eq!(
        (&checks["matched"]["ok"], &checks["matched"]["topic"]),
        (&true.into(), &"a".into())
    );
    assert_eq!((&checks["allowed"], &checks["asked"]["ok"]), (&true.into(), &true.into()));
    assert_eq!(
        (&checks["sent"]["ok"], &checks["sent"]["cursor"]),
        (&true.into(), &second.clone().into())
    );
    assert_eq!(checks["acknowledged"]["ok"], false);
    assert_eq!(checks["event"]["cursor"], first);
    drop(stream);
    let open = becomes(&hub, &second, "ann", "sent_unconfirmed").await;
    assert!(open["checks"]["sent"]["closed_ms"].is_u64());
    // It says that it had the first, and not the second.
    let back = format!("GET /events/a?subscriber=ann\nLast-Event-ID: {first}");
    let (_, mut stream) = hub.follow(&back).await;
    let confirmed = becomes(&hub, &first, "ann", "acknowledged").await;
    assert_eq!(confirmed["checks"]["acknowledged"]["resumed_after"], first);
    assert_eq!(confirmed["streams"].as_array().unwrap().len(), 2);
    stream.until("data: secret 2").await;
    becomes(&hub, &second, "ann", "sent").await;
    drop(stream);
    is_gone(&hub, "ann").await;
    let (_, mut stream) =
        hub.follow(&format!("GET /events/a?subscriber=ann\nLast-Event-ID: {second}")).await;
    stream.opened().await;
    becomes(&hub, &second, "ann", "acknowledged").await;
    // Nor is it forgotten when a new page begins anew.
    drop(stream);
    is_gone(&hub, "ann").await;
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann").await;
    stream.opened().await;
    becomes(&hub, &second, "ann", "acknowledged").await;
}

#[tokio::test]
async fn publishers_ids_are_followed_too() {
    let hub = Hub::start().await;
    hub.post("/events/a?id=order-1", "secret").await.id();
    hub.post("/events/a?id=order-2", "secret").await.id();
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann&last_event_id=earliest").await;
    stream.until("id: order-2").await;
    becomes(&hub, "order-1", "ann", "sent").await;
    drop(stream);
    let (_, _stream) = hub.follow("GET /events/a?subscriber=ann&last_event_id=order-2").await;
    let answer = becomes(&hub, "order-2", "ann", "acknowledged").await;
    assert_eq!(answer["checks"]["event"]["id"], "order-2");
    becomes(&hub, "order-1", "ann", "acknowledged").await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_waits_and_is_cut_off() {
    let hub = Hub::start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stalled = Connection(BufReader::new(socket.connect(hub.address).await.unwrap()));
    stalled.send("GET /events/a?subscriber=slow", "").await;
    assert_eq!(stalled.head().await.status, 200);
    let mut last = String::new();
    for _ in 0..40 {
        last = hub.post("/events/a", &"secret".repeat(40_000)).await.id();
    }
    let waiting = becomes(&hub, &last, "slow", "waiting").await;
    let sent = &waiting["checks"]["sent"];
    assert!(sent["behind"].as_u64().unwrap() > 0 && sent["taken_ms"].is_u64(), "{sent}");
    assert!(waiting["explanation"].as_str().unwrap().contains("behind the log's end"));
    drop(stalled);
    let cut = becomes(&hub, &last, "slow", "cut_off").await;
    assert_eq!(cut["checks"]["sent"]["ok"], false);
    // It comes back with an id from elsewhere: that is its word, and the hub's no.
    let (_, _stream) =
        hub.follow(&format!("GET /events/a?subscriber=slow\nLast-Event-ID: {last}")).await;
    becomes(&hub, &last, "slow", "claimed").await;
}

#[tokio::test]
async fn what_is_published_while_it_is_away_is_asked_for_or_not() {
    let hub = Hub::start().await;
    let early = hub.post("/events/a", "secret").await.id();
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann").await;
    stream.opened().await;
    let before = becomes(&hub, &early, "ann", "before_it_started").await;
    assert_eq!(before["checks"]["asked"]["ok"], false);
    assert!(before["checks"]["sent"].is_null());
    drop(stream);
    is_gone(&hub, "ann").await;
    let missed = hub.post("/events/a", "secret").await.id();
    becomes(&hub, &missed, "ann", "not_connected").await;
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann").await;
    stream.opened().await;
    let answer = becomes(&hub, &missed, "ann", "not_asked_for").await;
    assert!(answer["explanation"].as_str().unwrap().contains("last_event_id"));
    drop(stream);
    is_gone(&hub, "ann").await;
    let (_, mut stream) =
        hub.follow(&format!("GET /events/a?subscriber=ann\nLast-Event-ID: {early}")).await;
    stream.until("data: secret").await;
    becomes(&hub, &missed, "ann", "sent").await;
}

#[tokio::test]
async fn the_word_of_one_who_is_new_is_its_word_alone() {
    let hub = Hub::start().await;
    let first = hub.post("/events/a", "secret").await.id();
    let second = hub.post("/events/a", "secret").await.id();
    let (_, mut stream) =
        hub.follow(&format!("GET /events/a?subscriber=ann\nLast-Event-ID: {second}")).await;
    stream.opened().await;
    let answer = becomes(&hub, &first, "ann", "claimed").await;
    assert_eq!(answer["checks"]["acknowledged"]["ok"], false);
}

#[tokio::test]
async fn what_does_not_match_or_is_private_is_told() {
    let hub = Hub::start().await;
    let (_, mut stream) = hub.follow("GET /events/a?pattern=rooms/:id&subscriber=ann").await;
    stream.opened().await;
    let other = hub.post("/events/b?topic=c", "secret").await.id();
    let room = hub.post("/events/rooms/7", "secret").await.id();
    let private = hub.post("/events/a?private", "secret").await.id();
    let answer = becomes(&hub, &other, "ann", "not_matched").await;
    let why = answer["explanation"].as_str().unwrap();
    assert!(
        ["\"b\", \"c\"", "\"a\"", "\"rooms/:id\""].iter().all(|text| why.contains(text)),
        "{why}"
    );
    assert!(answer["checks"]["allowed"].is_null() && answer["checks"]["asked"].is_null());
    let answer = becomes(&hub, &room, "ann", "sent").await;
    assert_eq!(answer["checks"]["matched"]["pattern"], "rooms/:id");
    let answer = becomes(&hub, &private, "ann", "not_allowed").await;
    assert_eq!(
        (&answer["checks"]["allowed"], &answer["checks"]["event"]["private"]),
        (&false.into(), &true.into())
    );
    // What is gone is asked in the same way.
    drop(stream);
    is_gone(&hub, "ann").await;
    becomes(&hub, &room, "ann", "sent_unconfirmed").await;
    becomes(&hub, &other, "ann", "not_matched").await;
}

#[tokio::test]
async fn a_gap_is_told_and_its_reason() {
    let hub = Hub::start().await;
    let missed = hub.post("/events/a", "secret").await.id();
    let head = "GET /events/a?subscriber=ann&on_gap=latest&last_event_id=nobody";
    let (_, mut stream) = hub.follow(head).await;
    stream.until("tidings.gap").await;
    let answer = becomes(&hub, &missed, "ann", "told_as_gap").await;
    assert!(answer["explanation"].as_str().unwrap().contains("unknown_id"), "{answer}");
    let next = hub.post("/events/a", "secret").await.id();
    stream.until("data: secret").await;
    becomes(&hub, &next, "ann", "sent").await;
}

#[tokio::test]
async fn what_was_before_the_hub_started_is_not_known() {
    let mut first = Hub::start().await;
    let old = first.post("/events/a", "secret").await.id();
    let log = first.log.clone();
    first.leave();
    first.gone().await;
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let hub = Hub::over(config, log).await;
    let unknown = hub.get(&target(&old, "ann")).await.is_problem(404, "unknown-subscriber");
    assert_eq!(unknown["field"], "subscriber");
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann").await;
    stream.opened().await;
    let answer = becomes(&hub, &old, "ann", "not_known").await;
    assert!(answer["explanation"].as_str().unwrap().contains("not known"));
}

#[tokio::test]
async fn who_comes_back_to_an_ended_topic_confirms_all_the_same() {
    let hub = Hub::start().await;
    let (_, mut stream) = hub.follow("GET /events/a?subscriber=ann").await;
    stream.opened().await;
    let last = hub.post("/events/a?id=last", "secret").await.id();
    let end = hub.ask("DELETE /events/a", "").await.id();
    assert!(stream.end().await.contains("id: last"));
    becomes(&hub, &last, "ann", "sent_unconfirmed").await;
    let back = hub.ask("GET /events/a?subscriber=ann\nLast-Event-ID: last", "").await;
    assert_eq!(back.status, 204);
    becomes(&hub, &last, "ann", "acknowledged").await;
    let problem = hub.get(&target(&end, "ann")).await.is_problem(404, "unknown-event");
    assert_eq!(problem["reason"], "unknown_id");
}

#[tokio::test]
async fn an_event_that_is_not_there_is_told_apart() {
    let retention = Retention { records_max: 2, ..Retention::default() };
    let hub = Hub::with(|config| config.retention = retention).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(hub.post(&format!("/events/a?id=own-{n}"), "secret").await.id());
    }
    let epoch = hub.log.bounds().epoch;
    for (event, reason) in [
        (format!("#{epoch}-1"), "trimmed"),
        (format!("#{epoch}-0"), "unknown_id"),
        (format!("#{epoch}-5"), "ahead"),
        ("#zzzzzz-1".to_owned(), "other_epoch"),
        ("own-0".to_owned(), "unknown_id"),
        ("never".to_owned(), "unknown_id"),
    ] {
        let problem = hub.get(&target(&event, "ann")).await.is_problem(404, "unknown-event");
        assert_eq!((&problem["reason"], &problem["field"]), (&reason.into(), &"event".into()));
    }
    let here = hub.get(&target(&ids[3], "ann")).await;
    here.is_problem(404, "unknown-subscriber");
}

#[tokio::test]
async fn an_event_that_only_its_topic_keeps_no_longer_was_trimmed() {
    let limits = Retention { records_max: 1, ..Retention::UNLIMITED };
    let topics = Matcher::Exact(Topic::new("a").unwrap());
    let rules = TopicRules::new(vec![TopicRule { topics, limits }]).unwrap();
    let hub = Hub::with(|config| config.topic_rules = rules).await;
    hub.post("/events/b", "older, and kept").await;
    let gone = hub.post("/events/a", "secret").await.id();
    hub.post("/events/a", "secret").await;
    let problem = hub.get(&target(&gone, "ann")).await.is_problem(404, "unknown-event");
    assert_eq!(problem["reason"], "trimmed");
    assert!(problem["detail"].as_str().unwrap().ends_with("it was trimmed"), "{problem}");
}
