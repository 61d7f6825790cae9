//! What arrives, as it arrives, in the order it was sent.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings_proto::decode::{Decoder, Limits};
use tidings_server::cursor::Offset;
use tidings_server::matcher::{Filter, Matcher};
use tidings_server::topic::Topic;
use tokio::{net::TcpStream, sync::mpsc};

use super::{Sender, data, records, stream};
use crate::support::{Hub, soon};

fn seeded() -> StdRng {
    let seed: u64 = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn one_of<'a>(random: &mut impl Rng, choices: &[&'a str]) -> &'a str {
    choices[random.random_range(0..choices.len())]
}

/// A block of a stream, with every way to write it, and the id that it gives itself.
fn block(random: &mut StdRng, number: usize) -> (String, Option<String>) {
    let end = one_of(random, &["\n", "\r\n", "\r"]);
    let mut lines = Vec::new();
    let mut id = None;
    if random.random_bool(0.3) {
        lines.push(one_of(random, &[": still here", ":", "what: ever", "what", ""]).to_owned());
    }
    if random.random_bool(0.3) {
        let text = format!("id-{number}");
        lines.push(format!("id: {text}"));
        id = Some(text);
    }
    if random.random_bool(0.2) {
        lines.push(one_of(random, &["event: tökén", "event:message", "event", "event: x"]).into());
    }
    if random.random_bool(0.1) {
        lines.push(one_of(random, &["retry: 500", "retry: soon"]).to_owned());
    }
    for _ in 0..random.random_range(0..4) {
        lines.push(one_of(random, &["data: ü", "data:  two", "data", "data:\u{1f600}\0"]).into());
    }
    lines.push(format!("data: {number}"));
    (lines.iter().map(|line| format!("{line}{end}")).collect::<String>() + end, id)
}

#[tokio::test]
async fn ten_thousand_events_arrive_in_their_order_however_they_are_cut() {
    let mut random = seeded();
    let mut text = String::from("\u{feff}");
    let mut ids = Vec::new();
    for number in 0..10_000 {
        let (block, id) = block(&mut random, number);
        text.push_str(&block);
        ids.push(id);
    }
    text.push_str("data: cut off\n");
    let mut expected = Vec::new();
    let mut decoder = Decoder::new(Limits::default());
    let mut rest = text.as_bytes();
    while let Some(event) = decoder.poll_event(&mut rest).unwrap() {
        expected.push((event.event_type.as_str().to_owned(), event.data));
    }
    let hub = Hub::start().await;
    let mut sender = Sender::begin(&hub, "/events/a?topic=b").await;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let most = [4, 100, 40_000][random.random_range(0..3)];
        let (piece, after) = rest.split_at(random.random_range(1..=most).min(rest.len()));
        sender.send(piece).await;
        rest = after;
    }
    let answer = sender.end().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let records = records(&hub.log).await;
    let last_id = records.last().unwrap().event_id(hub.log.bounds().epoch, Offset::ZERO);
    let last_id = ids[9_999].clone().unwrap_or(last_id.unwrap().as_str().to_owned());
    let account = serde_json::json!({ "events": 10_000, "last_id": last_id, "incomplete": true });
    assert_eq!(answer.json(), account);
    assert_eq!((records.len(), expected.len()), (10_000, 10_000));
    for (at, record) in records.iter().enumerate() {
        let new = &record.new;
        let event = new.event.as_ref().map_or("message", |event| event.as_str());
        assert_eq!((event, &*new.data), (&*expected[at].0, &*expected[at].1), "{at}");
        assert_eq!(new.id.as_ref().map(|id| id.as_str()), ids[at].as_deref(), "{at}");
        assert_eq!(new.topics.len(), 2);
    }
}

#[tokio::test]
async fn each_event_is_seen_before_the_next_is_sent() {
    let hub = Hub::start().await;
    let (_, mut follower) = hub.follow("GET /events/answers/7").await;
    let target = "/events/answers/7?event=token&retry=500";
    let mut sender = Sender::begin(&hub, target).await;
    for n in 0..20 {
        sender.send(format!("data: {n}\n")).await;
        sender.send("\n").await;
        follower.until(&format!("event: token\nretry: 500\ndata: {n}\n\n")).await;
    }
    sender.send("retry: 700\nid: own\nevent: done\ndata: [DONE]\n\n").await;
    follower.until("id: own\nevent: done\nretry: 700\ndata: [DONE]\n\n").await;
    let answer = sender.end().await.json();
    assert_eq!(answer, serde_json::json!({ "events": 21, "last_id": "own" }));
    // The connection serves on.
    assert_eq!(sender.0.ask("POST /events/a", "x").await.status, 200);
    let metrics = hub.get("/metrics").await.body;
    for line in [
        "tidings_events_appended_total 22",
        "tidings_publishes_total{outcome=\"ok\"} 2",
        "tidings_publish_streams 0",
        "tidings_publishing_bytes 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn the_query_says_what_holds_for_all_events() {
    let hub = Hub::start().await;
    let answer = stream(&hub, "/events?topic=a&topic=b&private", "data: 1\n\n").await;
    assert_eq!(answer.json()["events"], 1);
    let record = &records(&hub.log).await[0];
    assert!(record.new.private && record.new.topics.len() == 2);
    assert_eq!(
        stream(&hub, "/events/a", "").await.json(),
        serde_json::json!({ "events": 0, "last_id": null })
    );
    for (target, status, slug, field) in [
        ("/events", 422, "invalid-field", "topic"),
        ("/events/a*", 422, "invalid-field", "topic"),
        ("/events/a?id=1", 422, "invalid-field", "id"),
        ("/events/a?event=tidings.gap", 422, "invalid-field", "event"),
        ("/events/a?retry=1", 422, "invalid-field", "retry"),
        ("/events/a?even=x", 400, "unknown-field", "even"),
    ] {
        let problem = stream(&hub, target, "data: 1\n\n").await.is_problem(status, slug);
        assert_eq!(problem["field"], field, "{target}");
        assert!(problem.get("published").is_none(), "it never was a stream");
    }
    // Who asks before sending is spared to send.
    let mut polite = Sender::begin(&hub, "/events/a?id=1\nExpect: 100-continue").await;
    assert_eq!(polite.0.answer().await.status, 422);
    let mut polite = Sender::begin(&hub, "/events/a\nExpect: 100-continue").await;
    assert_eq!(polite.0.head().await.status, 100);
    assert_eq!(polite.end().await.status, 200);
    assert_eq!(hub.log.state().records, 1);
}

#[tokio::test]
async fn a_stream_of_ephemeral_events_is_for_those_who_are_live() {
    let hub = Hub::start().await;
    hub.ask("DELETE /events/a", "").await.id();
    hub.post("/events/a", "kept").await.id();
    let (_, mut follower) = hub.follow("GET /events/a").await;
    let mut sender = Sender::begin(&hub, "/events/a?ephemeral").await;
    for n in 0..3 {
        sender.send(format!("data: {n}\n\n")).await;
        assert!(follower.until(&format!("data: {n}\n\n")).await.contains("data: 0"));
    }
    sender.send("id: 7\ndata: with an id\n\n").await;
    let problem = sender.0.answer().await.is_problem(422, "invalid-field");
    assert_eq!((&problem["published"], &problem["field"]), (&3.into(), &"id".into()));
    assert_eq!(problem["last_id"], serde_json::Value::Null);
    let answer = stream(&hub, "/events/a?ephemeral", "data: 1\n\n").await;
    assert_eq!(answer.json(), serde_json::json!({ "events": 1, "last_id": null }));
    let keyed = stream(&hub, "/events/a?ephemeral\nIdempotency-Key: k", "data: 1\n\n").await;
    assert_eq!(keyed.is_problem(422, "invalid-field")["field"], "ephemeral");
    // An event opens the topic again, whoever ended it while the stream goes on.
    let mut sender = Sender::begin(&hub, "/events/a?ephemeral").await;
    hub.ask("DELETE /events/a", "").await.id();
    sender.send("data: opens\n\n").await;
    assert_eq!(sender.end().await.json()["events"], 1);
    let only_a = Filter::new([Matcher::Exact(Topic::new("a").unwrap())]);
    assert!(hub.log.ended(&only_a).is_none());
    assert!(!data(&hub.log).await.iter().any(|data| data == "opens"));
}

#[tokio::test]
async fn several_senders_to_one_topic_keep_each_its_own_order() {
    let hub = Hub::start().await;
    let mut random = seeded();
    let mut senders = Vec::new();
    for _ in 0..5 {
        senders.push((Sender::begin(&hub, "/events/a").await, 0));
    }
    for _ in 0..500 {
        let at = random.random_range(0..senders.len());
        let (sender, sent) = &mut senders[at];
        sender.send(format!("data: {at} {sent}\n\n")).await;
        *sent += 1;
    }
    for (sender, sent) in &mut senders {
        assert_eq!(sender.end().await.json()["events"], *sent);
    }
    let mut seen = [0; 5];
    for data in data(&hub.log).await {
        let (at, number) = data.split_once(' ').unwrap();
        let (at, number): (usize, i32) = (at.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, seen[at]);
        seen[at] += 1;
    }
    assert_eq!(seen.iter().sum::<i32>(), 500);
}

/// A body of what a test sends.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn http2_carries_streams_too() {
    let hub = Hub::start().await;
    let socket = TcpStream::connect(hub.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (mut client, connection) = soon(handshake).await.unwrap();
    tokio::spawn(connection);
    let mut begin = |n: usize| {
        let (pieces, body) = mpsc::channel(1);
        let request = Request::post(format!("http://{}/events/{n}", hub.address))
            .header("content-type", "text/event-stream")
            .body(Pieces(body))
            .unwrap();
        (pieces, tokio::spawn(client.send_request(request)))
    };
    let (first, first_answer) = begin(1);
    let (second, second_answer) = begin(2);
    let (_, mut follower) = hub.follow("GET /events?topic=1&topic=2").await;
    for n in 0..10 {
        for (at, pieces) in [&first, &second].into_iter().enumerate() {
            pieces.send(format!("data: {at}-{n}\n\n").into()).await.unwrap();
            follower.until(&format!("data: {at}-{n}\n\n")).await;
        }
    }
    second.send("event: tidings.x\ndata\n\n".into()).await.unwrap();
    // It is answered while the sender would go on.
    let refused = soon(second_answer).await.unwrap().unwrap();
    assert_eq!(refused.status(), 422);
    let refused = soon(refused.into_body().collect()).await.unwrap().to_bytes();
    let refused: serde_json::Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!((&refused["published"], &refused["event"]), (&10.into(), &11.into()));
    drop(first);
    assert_eq!(soon(first_answer).await.unwrap().unwrap().status(), 200);
    assert_eq!(hub.log.state().records, 20);
}
