use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use tidings_hub::config::Config;
use tidings_server::log::{
    AppendError, Appended, Batch, Log as _, LogState, MemoryLog, Retention, SharedLog,
    contract::{Fault, Faulty},
};

use crate::support::{Hub, soon};

#[tokio::test]
async fn an_event_is_published_with_all_its_fields() {
    let hub = Hub::start().await;
    let first = hub.post("/events/rooms/42", "hello").await;
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert!(first.id().starts_with('#') && first.id().ends_with("-1"));
    let target = "/events/rooms%2F42?event=join&id=my+id&retry=1500&topic=lobby&topic=rooms/42";
    assert_eq!(hub.post(target, "a\r\nb\n").await.id(), "my id");
    assert_eq!(hub.post("/events/rooms/42", "").await.id(), first.id().replace("-1", "-3"));
    let (_, mut stream) = hub.follow("GET /events/rooms/42?last_event_id=earliest").await;
    let text = stream.until("-3\ndata:\n\n").await.to_owned();
    let expected = "id: my id\nevent: join\nretry: 1500\ndata: a\ndata: b\ndata:\n\n";
    assert!(text.contains(expected), "{text}");
    let (_, mut lobby) = hub.follow("GET /events/lobby?last_event_id=earliest").await;
    assert_eq!(lobby.until("data: b").await.matches("event: join").count(), 1);
}

#[tokio::test]
async fn the_path_is_decoded_once_and_otherwise_kept() {
    let hub = Hub::start().await;
    for (path, topic) in [
        ("a//b/", "a//b/"),
        ("/a", "/a"),
        ("a%252Fb", "a%2Fb"),
        ("%C3%BC+%20x", "ü+ x"),
        ("https://example.com/1%3Fa", "https://example.com/1?a"),
    ] {
        hub.post(&format!("/events/{path}"), "x").await.id();
        let topics = hub.get("/topics").await.json();
        let found = topics["topics"].as_array().unwrap().iter().any(|t| t["topic"] == topic);
        assert!(found, "{path} in {topics}");
    }
}

#[tokio::test]
async fn wrong_input_names_the_field_and_changes_nothing() {
    let hub = Hub::start().await;
    for (target, status, slug, field) in [
        ("/events/%ff", 400, "malformed-request", "topic"),
        ("/events/a%2", 400, "malformed-request", "topic"),
        ("/events/a?event=%zz", 400, "malformed-request", "event"),
        ("/events/", 422, "invalid-field", "topic"),
        ("/events/a*", 422, "invalid-field", "topic"),
        ("/events/a%00", 422, "invalid-field", "topic"),
        ("/events/.well-known/mercure", 422, "invalid-field", "topic"),
        ("/events/a/../b", 422, "invalid-field", "topic"),
        ("/events/a/%2e/b", 422, "invalid-field", "topic"),
        ("/events/a?topic=../b", 422, "invalid-field", "topic"),
        ("/events/a?topic=", 422, "invalid-field", "topic"),
        ("/events/a?even=x", 400, "unknown-field", "even"),
        ("/events/a?event=", 422, "invalid-field", "event"),
        ("/events/a?event=a%0Ab", 422, "invalid-field", "event"),
        ("/events/a?event=a%00b", 422, "invalid-field", "event"),
        ("/events/a?event=tidings.gap", 422, "invalid-field", "event"),
        ("/events/a?event=a&event=b", 422, "invalid-field", "event"),
        ("/events/a?id=%23x", 422, "invalid-field", "id"),
        ("/events/a?id=earliest", 422, "invalid-field", "id"),
        ("/events/a?retry=soon", 422, "invalid-field", "retry"),
        ("/events/a?retry=-1", 422, "invalid-field", "retry"),
        ("/events/a?retry=0", 422, "invalid-field", "retry"),
        ("/events/a?private=maybe", 422, "invalid-field", "private"),
        ("/events/a?ephemeral=perhaps", 422, "invalid-field", "ephemeral"),
        ("/events/a?ephemeral&id=x", 422, "invalid-field", "id"),
    ] {
        let problem = hub.post(target, "x").await.is_problem(status, slug);
        assert_eq!(problem["field"], field, "{target}");
    }
    let mut connection = hub.connect().await;
    connection
        .raw(b"POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n\xff\xff")
        .await;
    let answer = connection.head().await;
    assert_eq!(answer.status, 400, "data that is not UTF-8");
    assert_eq!(hub.log.state().records, 0);
}

#[tokio::test]
async fn two_content_types_are_reserved_and_all_others_are_data() {
    let hub = Hub::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json", "x", ""] {
        hub.ask(&format!("POST /events/a\nContent-Type: {kind}"), "x").await.id();
    }
    let lines = "POST /events/a\nContent-Type: Application/X-NDJSON; charset=utf-8";
    let answer = hub.ask(lines, "x").await;
    assert_eq!(answer.is_problem(415, "content-type")["field"], "Content-Type");
    let stream = "POST /events/a\nContent-Type: Text/Event-Stream; charset=utf-8";
    let answer = hub.ask(stream, "data: no event without a blank line").await;
    assert_eq!((answer.status, &answer.json()["events"]), (200, &0.into()));
    hub.post("/events", "x").await.is_problem(415, "content-type");
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let hub = Hub::start().await;
    let lines = "{\"topic\":\"a\",\"data\":\"one\"}\n{\"topics\":[\"a\",\"b\"],\"data\":[2],\"id\":\"two\"}\n";
    let answer = hub.batch(lines).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ids = answer.json()["ids"].clone();
    assert!(ids[0].as_str().unwrap().ends_with("-1"));
    assert_eq!(ids[1], "two");
    let bad = hub.batch(&format!("{lines}{{\"topic\":\"a\",\"dat\":\"x\"}}")).await;
    let problem = bad.is_problem(400, "unknown-field");
    assert_eq!((&problem["line"], &problem["field"]), (&3.into(), &"dat".into()));
    hub.batch("").await.is_problem(422, "invalid-field");
    hub.batch(&"{\"topic\":\"a\",\"data\":\"\"}\n".repeat(1_001))
        .await
        .is_problem(422, "invalid-field");
    let queried = hub.ask("POST /events?event=x\nContent-Type: application/x-ndjson", lines).await;
    queried.is_problem(400, "unknown-field");
    assert_eq!(hub.log.state().records, 2);
}

#[tokio::test]
async fn bodies_have_limits_in_size_and_time() {
    let hub = Hub::with(|config| {
        config.limits.body_bytes_max = 1_000;
        config.limits.data_bytes_max = 900;
        config.timeouts.body = Duration::from_millis(200);
    })
    .await;
    hub.post("/events/a", &"x".repeat(900)).await.id();
    let long = hub.post("/events/a", &"x".repeat(901)).await.is_problem(422, "invalid-field");
    assert_eq!(long["field"], "data");
    hub.post("/events/a", &"x".repeat(1_001)).await.is_problem(413, "body-too-large");
    // The answer is seen though the client sends far more than was asked for.
    hub.post("/events/a", &"x".repeat(4 << 20)).await.is_problem(413, "body-too-large");
    let mut chunked = hub.connect().await;
    let head = b"POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.raw(head).await;
    chunked.raw(format!("7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2_000)).as_bytes()).await;
    assert_eq!(chunked.head().await.status, 413);
    // Told of the size beforehand, the client does not send at all.
    let mut polite = hub.connect().await;
    polite.raw(b"POST /events/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(polite.head().await.status, 100);
    polite.raw(b"hello").await;
    assert_eq!(polite.head().await.status, 200);
    let mut slow = hub.connect().await;
    slow.raw(b"POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe").await;
    assert_eq!(slow.head().await.status, 408);
    assert_eq!(hub.log.state().records, 2);
}

#[tokio::test]
async fn publishes_under_way_have_a_limit_in_all() {
    let hub = Hub::with(|config| config.limits.publishing_bytes_max = 1 << 20).await;
    let mut first = hub.connect().await;
    let head = format!(
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        1 << 20
    );
    first.raw(head.as_bytes()).await;
    first.raw(&vec![b'x'; (1 << 20) - 1]).await;
    // When the hub has read that, there is no room for another byte.
    let refused = soon(async {
        loop {
            let answer = hub.post("/events/a", "x").await;
            if answer.status != 200 {
                break answer;
            }
        }
    })
    .await;
    refused.is_problem(503, "crowded");
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    first.raw(b"x").await;
    assert_eq!(first.head().await.status, 200);
    hub.post("/events/a", "x").await.id();
}

#[tokio::test]
async fn an_announced_body_takes_no_room_before_it_comes() {
    let hub = Hub::with(|config| config.limits.publishing_bytes_max = 1 << 20).await;
    let head = format!(
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        1 << 20
    );
    let mut announced = Vec::new();
    for _ in 0..3 {
        let mut connection = hub.connect().await;
        connection.raw(head.as_bytes()).await;
        assert_eq!(connection.head().await.status, 100);
        announced.push(connection);
    }
    hub.post("/events/a", "x").await.id();
}

/// Appends fail in this way.
struct Failing(AppendError);

impl Fault for Failing {
    fn append<'a>(
        &'a self,
        _: &'a MemoryLog,
        _: Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn state(&self, log: &MemoryLog) -> LogState {
        let mut state = log.state();
        if let AppendError::Latched { cause } = &self.0 {
            state.latched = Some(cause.clone());
        }
        state
    }

    fn reopen<'a>(&'a self, _: &'a MemoryLog) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async { Err(self.0.clone()) })
    }
}

/// A log whose appends fail in the way it is told.
pub(crate) fn failing(error: AppendError) -> SharedLog {
    let sound = MemoryLog::new(Retention::default(), 1);
    Arc::new(Faulty::new(sound, Arc::new(Failing(error))))
}

#[tokio::test]
async fn a_log_in_trouble_refuses_publishers_and_keeps_followers() {
    let cause: Arc<str> = "no space".into();
    for (error, status, slug) in [
        (AppendError::Latched { cause: cause.clone() }, 503, "log-away"),
        (AppendError::Overloaded, 503, "crowded"),
        (AppendError::Unknown { cause }, 504, "outcome-unknown"),
    ] {
        let latched = matches!(error, AppendError::Latched { .. });
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        let hub = Hub::over(config, failing(error)).await;
        let answer = hub.post("/events/a", "x").await;
        answer.is_problem(status, slug);
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
        assert_eq!(hub.get("/healthz").await.status, 200);
        let ready = hub.get("/readyz").await;
        assert_eq!(ready.status, if latched { 503 } else { 200 });
        let (stream, _) = soon(hub.follow("GET /events/a")).await;
        assert_eq!(stream.status, 200);
        let metrics = hub.get("/metrics").await.body;
        assert!(metrics.contains(&format!("publishes_total{{outcome=\"{slug}\"}} 1")), "{metrics}");
    }
}
