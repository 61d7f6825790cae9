//! Streams that can be sent again.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{Gated, Sender, data, metric, stream};
use crate::support::Hub;

fn text(events: std::ops::Range<usize>) -> String {
    events.map(|n| format!("data: {n}\n\n")).collect()
}

#[tokio::test]
async fn what_is_sent_again_after_a_break_goes_on_where_it_stopped() {
    let seed: u64 = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let hub = Hub::start().await;
    let all = text(0..300);
    let key = "/events/a\nIdempotency-Key: answer-7";
    for _ in 0..10 {
        let mut sender = Sender::begin(&hub, key).await;
        sender.send(&all.as_bytes()[..random.random_range(0..all.len())]).await;
        drop(sender);
        metric(&hub, "tidings_publish_streams ", |streams| streams == 0).await;
    }
    let before = hub.log.state().records;
    let answer = stream(&hub, key, &all).await;
    let epoch = answer.json()["last_id"].as_str().unwrap().replace("-300", "");
    let last_id = format!("{epoch}-300");
    let account = if before > 0 {
        json!({ "events": 300, "last_id": last_id, "repeated": before })
    } else {
        json!({ "events": 300, "last_id": last_id })
    };
    assert_eq!(answer.json(), account);
    let again = stream(&hub, key, &all).await.json();
    assert_eq!(again, json!({ "events": 300, "last_id": last_id, "repeated": 300 }));
    let expected: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    assert_eq!(data(&hub.log).await, expected);
    // The n-th has the key K/n, as if it had been published with it.
    let single = hub.ask("POST /events/a\nIdempotency-Key: answer-7/42", "41").await.id();
    assert_eq!(single, format!("{epoch}-42"));
}

#[tokio::test]
async fn another_event_under_a_key_ends_the_stream_after_what_came_before() {
    let (hub, log) = Gated::hub(|_| {}).await;
    log.gate.add_permits(100);
    let key = "/events/a\nIdempotency-Key: k";
    assert_eq!(stream(&hub, key, text(0..3)).await.json()["events"], 3);
    let problem = stream(&hub, key, "data: other\n\n").await;
    let problem = problem.is_problem(422, "idempotency-key-reused");
    assert_eq!((&problem["published"], &problem["last_id"]), (&0.into(), &json!(null)));
    assert_eq!((&problem["event"], &problem["field"]), (&1.into(), &"Idempotency-Key".into()));
    // All in one batch with the log, which takes it as a whole or not.
    hub.ask("POST /events/a\nIdempotency-Key: k/6", "another").await.id();
    let problem = stream(&hub, key, text(0..9)).await.is_problem(422, "idempotency-key-reused");
    assert_eq!((&problem["published"], &problem["event"]), (&5.into(), &6.into()));
    assert_eq!(problem["repeated"], 3);
    assert_eq!(data(&hub.log).await, ["0", "1", "2", "another", "3", "4"]);
}

#[tokio::test]
async fn while_a_key_is_under_way_others_are_told_to_come_back() {
    let (hub, log) = Gated::hub(|_| {}).await;
    let key = "/events/a\nIdempotency-Key: k";
    let mut first = Sender::begin(&hub, key).await;
    first.send(text(0..2)).await;
    // Once both are decoded; a stream without events holds 16 KiB.
    metric(&hub, "tidings_publishing_bytes ", |bytes| bytes > 16 << 10).await;
    let problem = stream(&hub, key, text(0..2)).await;
    let problem = problem.is_problem(409, "idempotency-key-under-way");
    assert_eq!(problem["field"], "Idempotency-Key");
    let single = hub.ask("POST /events/a\nIdempotency-Key: k", "x").await;
    single.is_problem(409, "idempotency-key-under-way");
    let single = hub.ask("POST /events/a\nIdempotency-Key: k/2", "1").await;
    let problem = single.is_problem(409, "idempotency-key-under-way");
    assert!(problem.get("published").is_none());
    log.gate.add_permits(100);
    assert_eq!(first.end().await.json()["events"], 2);

    // The other way about: an event whose key a single publish has under way.
    let mut single = hub.connect().await;
    let head = "POST /events/a HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: other/3\r\n\
                Expect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    single.raw(head.as_bytes()).await;
    assert_eq!(single.head().await.status, 100);
    let other = "/events/a\nIdempotency-Key: other";
    let answer = stream(&hub, other, text(0..5)).await;
    let problem = answer.is_problem(409, "idempotency-key-under-way");
    assert!(answer.header("retry-after").is_some());
    assert_eq!((&problem["published"], &problem["event"]), (&2.into(), &3.into()));
    single.raw(b"2").await;
    assert_eq!(single.answer().await.status, 200);
    let answer = stream(&hub, other, text(0..5)).await.json();
    assert_eq!((&answer["events"], &answer["repeated"]), (&5.into(), &3.into()));
    assert_eq!(data(&hub.log).await, ["0", "1", "0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_streams_key_leaves_room_for_the_number() {
    let hub = Hub::start().await;
    let long = "x".repeat(236);
    for key in ["", "a b", &long] {
        let head = format!("/events/a\nIdempotency-Key: {key}");
        let problem = stream(&hub, &head, text(0..1)).await.is_problem(422, "invalid-field");
        assert_eq!(problem["field"], "Idempotency-Key", "{key}");
    }
    let head = format!("/events/a\nIdempotency-Key: \"{}\"", &long[..235]);
    for repeated in [json!(null), json!(3)] {
        let answer = stream(&hub, &head, text(0..3)).await.json();
        assert_eq!((&answer["events"], answer["repeated"].clone()), (&3.into(), repeated));
    }
}
