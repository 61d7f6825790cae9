use std::time::Duration;

use crate::support::Hub;

#[tokio::test]
async fn a_stream_opens_at_once_with_its_headers_and_its_cursor() {
    let hub = Hub::start().await;
    let (answer, mut stream) = hub.follow("GET /events/a").await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let opening = stream.opened().await;
    assert!(opening.contains("retry: 3000\n") && opening.contains("event: tidings.cursor\n"));
    let name = answer.header("tidings-subscriber").expect("the hub gives a name");
    assert!(opening.contains(&format!("data: {{\"subscriber\":\"{name}\"}}\n")), "{opening}");
    let id = hub.post("/events/a", "one").await.id();
    assert!(stream.until("data: one\n\n").await.ends_with(&format!("id: {id}\ndata: one\n\n")));
}

#[tokio::test]
async fn topics_and_patterns_are_joined() {
    let hub = Hub::start().await;
    for (topic, data) in [("a", "1"), ("b", "2"), ("rooms/1", "3"), ("rooms/1/x", "4"), ("c", "5")]
    {
        hub.post(&format!("/events/{topic}"), data).await.id();
    }
    for (target, expected) in [
        ("/events/a?topic=b&pattern=rooms/:id&topic=c", &["1", "2", "3", "5"][..]),
        ("/events?topic=a&topic=c", &["1", "5"]),
        ("/events?pattern=rooms/*&topic=c", &["3", "4", "5"]),
        ("/events?pattern=*", &["1", "2", "3", "4", "5"]),
    ] {
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("GET {target}{separator}last_event_id=earliest");
        let (_, mut stream) = hub.follow(&target).await;
        let text = stream.until("data: 5\n\n").await;
        let data: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("data: ")).collect();
        let data: Vec<_> = data.into_iter().filter(|d| !d.starts_with('{')).collect();
        assert_eq!(data, expected, "{target}");
    }
}

#[tokio::test]
async fn the_header_wins_over_the_query_and_no_id_is_refused() {
    let hub = Hub::start().await;
    let first = hub.post("/events/a", "one").await.id();
    hub.post("/events/a?id=zwei", "two").await.id();
    hub.post("/events/a", "three").await.id();
    let head = format!("GET /events/a?last_event_id=earliest\nLast-Event-ID: {first}");
    let (_, mut stream) = hub.follow(&head).await;
    let text = stream.until("data: three").await;
    assert!(!text.contains("data: one") && text.contains("data: two"), "{text}");
    let (_, mut stream) = hub.follow("GET /events/a?last_event_id=zwei").await;
    assert!(!stream.until("data: three").await.contains("data: two"));
    let twice = "GET /events/a?last_event_id=zwei&last_event_id=earliest";
    let (answer, mut stream) = hub.follow(twice).await;
    assert_eq!(answer.status, 200, "the first counts");
    assert!(!stream.until("data: three").await.contains("data: two"));
    for id in ["nobody", "\u{fc}", &"x".repeat(5_000), "#", "#zzzz-9999"] {
        let (answer, mut stream) = hub.follow(&format!("GET /events/a\nLast-Event-ID: {id}")).await;
        assert_eq!(answer.status, 200);
        let text = stream.until("data: three").await;
        assert!(text.contains("event: tidings.gap"), "{text}");
    }
    let unknown = "GET /events/a?last_event_id=nobody&on_gap=latest";
    let (_, mut stream) = hub.follow(unknown).await;
    assert!(stream.until("unknown_id").await.contains("tidings.gap"));
    hub.post("/events/a", "four").await.id();
    assert!(!stream.until("data: four").await.contains("data: three"));
}

#[tokio::test]
async fn private_events_reach_nobody_live_or_later() {
    let hub = Hub::start().await;
    let (_, mut live) = hub.follow("GET /events/a").await;
    live.opened().await;
    hub.post("/events/a?private", "secret").await.id();
    hub.post("/events/a?private=off", "open").await.id();
    assert!(!live.until("data: open").await.contains("secret"));
    let (_, mut later) = hub.follow("GET /events?pattern=*&last_event_id=earliest").await;
    assert!(!later.until("data: open").await.contains("secret"));
}

#[tokio::test]
async fn json_lines_carry_the_same_events() {
    let hub = Hub::start().await;
    hub.post("/events/a?event=e", "x\ny").await.id();
    let head = "GET /events/a?last_event_id=earliest\nAccept: application/x-ndjson";
    let (answer, mut stream) = hub.follow(head).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let text = stream.until("x\\ny").await;
    let event = text.lines().find(|line| line.contains("x\\ny")).unwrap();
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["data"], "x\ny");
    hub.ask("GET /events/a\nAccept: image/png", "").await.is_problem(406, "not-acceptable");
}

#[tokio::test]
async fn the_cursor_can_be_left_out_and_heartbeats_come() {
    let hub = Hub::with(|config| config.heartbeat = Duration::from_millis(50)).await;
    let (_, mut stream) = hub.follow("GET /events/a?cursor=off").await;
    let text = stream.until("\n:").await;
    assert!(!text.contains("tidings.cursor") && text.starts_with("retry: 3000"), "{text}");
    hub.post("/events/other", "x").await.id();
    let (_, mut told) = hub.follow("GET /events/a").await;
    hub.post("/events/other", "x").await.id();
    told.until("-2\nevent: tidings.cursor").await;
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let hub = Hub::start().await;
    for (target, status, slug, field) in [
        ("/events", 422, "invalid-field", "topic"),
        ("/events/", 422, "invalid-field", "topic"),
        ("/events?topic=a/..", 422, "invalid-field", "topic"),
        ("/events?topic=", 422, "invalid-field", "topic"),
        ("/events/a?patern=x", 400, "unknown-field", "patern"),
        ("/events?pattern=", 422, "invalid-field", "pattern"),
        ("/events?pattern=rooms/:", 422, "invalid-field", "pattern"),
        ("/events/a?on_gap=never", 422, "invalid-field", "on_gap"),
        ("/events/a?subscriber=", 422, "invalid-field", "subscriber"),
        ("/events/a?subscriber=a%0Ab", 422, "invalid-field", "subscriber"),
        ("/events/a?subscriber=a&subscriber=a", 422, "invalid-field", "subscriber"),
        (&format!("/events/a?subscriber={}", "x".repeat(129)), 422, "invalid-field", "subscriber"),
        ("/events/a?cursor=x", 422, "invalid-field", "cursor"),
        ("/events/a?cursor=on&cursor=on", 422, "invalid-field", "cursor"),
        ("/events/a?on_gap=oldest&on_gap=latest", 422, "invalid-field", "on_gap"),
    ] {
        let problem = hub.get(target).await.is_problem(status, slug);
        assert_eq!(problem["field"], field, "{target}");
    }
    let long = format!("/events?pattern={}", "x".repeat(513));
    hub.get(&long).await.is_problem(422, "invalid-field");
    let many = format!("/events?{}", "topic=a&".repeat(101));
    hub.get(&many).await.is_problem(422, "invalid-field");
    let (enough, _) = hub.follow(&format!("GET /events?{}", "topic=a&".repeat(100))).await;
    assert_eq!(enough.status, 200);
}

#[tokio::test]
async fn head_and_options_answer_without_a_stream() {
    let hub = Hub::start().await;
    let head = hub.ask("HEAD /events/a", "").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("content-length"), None, "a stream has no length");
    // The connection goes on, and where the length is known it is told.
    let mut connection = hub.connect().await;
    connection.ask("HEAD /events/a", "").await;
    let known = connection.ask("HEAD /healthz", "").await;
    assert_eq!((known.status, known.header("content-length")), (200, Some("3")));
    assert_eq!(connection.ask("GET /healthz", "").await.body, "ok\n");
    assert_eq!(hub.ask("HEAD /events/a*", "").await.status, 422);
    let options = hub.ask("OPTIONS /events/a", "").await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, Some("GET,HEAD,POST,DELETE,OPTIONS"))
    );
    let delete = hub.ask("DELETE /events?topic=a", "").await;
    delete.is_problem(405, "method-not-allowed");
    assert_eq!(delete.header("allow"), Some("GET,HEAD,POST,OPTIONS"));
    assert!(hub.get("/metrics").await.body.contains("tidings_streams_opened_total 0"));
}

#[tokio::test]
async fn one_stream_too_many_is_told_to_come_back() {
    let hub = Hub::with(|config| config.limits.subscribers_max = 1).await;
    let (_, mut first) = hub.follow("GET /events/a").await;
    first.opened().await;
    let refused = hub.get("/events/a").await;
    assert_eq!(refused.status, 200);
    assert_eq!(refused.header("content-type"), Some("text/event-stream"));
    let retry = refused.body.strip_prefix("retry: ").and_then(|rest| rest.strip_suffix("\n\n"));
    assert!((3_000..=6_000).contains(&retry.unwrap().parse::<u32>().unwrap()));
    let lines = hub.ask("GET /events/a\nAccept: application/x-ndjson", "").await;
    lines.is_problem(503, "crowded");
    assert!(lines.header("retry-after").is_some());
}
