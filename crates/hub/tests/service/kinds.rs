//! Ephemeral events, and the end of a topic.

use crate::support::Hub;

#[tokio::test]
async fn an_ephemeral_event_is_for_those_who_are_live() {
    let hub = Hub::start().await;
    let (_, mut live) = hub.follow("GET /events/a").await;
    live.opened().await;
    let kept = hub.post("/events/a", "kept").await.id();
    let passed = hub.post("/events/a?ephemeral&event=typing&topic=b", "ann").await;
    assert_eq!((passed.status, passed.body.trim_end()), (200, r#"{"id":null}"#));
    let text = live.until("ann\n\n").await;
    assert!(text.ends_with(&format!("id: {kept}\ndata: kept\n\nevent: typing\ndata: ann\n\n")));
    let (_, mut lines) = hub.follow("GET /events?topic=b\nAccept: application/x-ndjson").await;
    lines.until("tidings.cursor").await;
    let batch = concat!(
        r#"{"topic":"b","data":"x","ephemeral":true}"#,
        "\n",
        r#"{"topic":"b","data":"y","ephemeral":false}"#,
    );
    let ids = hub.batch(batch).await.json()["ids"].clone();
    assert!(ids[0].is_null() && ids[1].is_string());
    let text = lines.until("\"y\"").await;
    let line = text.lines().find(|line| line.contains("\"x\"")).expect("it came first");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["ephemeral"], line.get("id")), (&true.into(), None));
    let (_, mut late) = hub.follow("GET /events?topic=a&topic=b&last_event_id=earliest").await;
    let text = late.until("data: y").await;
    assert!(!text.contains("ann") && !text.contains("data: x"), "{text}");
    let metrics = hub.get("/metrics").await.body;
    assert!(metrics.contains("tidings_events_ephemeral_total 2"), "{metrics}");
}

#[tokio::test]
async fn what_cannot_go_with_an_ephemeral_event_is_refused() {
    let hub = Hub::start().await;
    let problem = hub.post("/events/a?ephemeral&id=7", "x").await.is_problem(422, "invalid-field");
    assert_eq!(problem["field"], "id");
    let keyed = hub.ask("POST /events/a?ephemeral\nIdempotency-Key: k", "x").await;
    assert_eq!(keyed.is_problem(422, "invalid-field")["field"], "ephemeral");
    let line = r#"{"topic":"a","data":"x","ephemeral":true,"idempotency_key":"k"}"#;
    assert_eq!(hub.batch(line).await.is_problem(422, "invalid-field")["line"], 1);
    assert_eq!(hub.batch(r#"{"topic":"a","data":"x","ephemeral":1}"#).await.status, 422);
    assert_eq!(hub.get("/topics").await.json()["topics"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn who_follows_a_topic_that_ends_gets_what_is_left_and_then_204() {
    let hub = Hub::start().await;
    let (_, mut live) = hub.follow("GET /events/a").await;
    live.opened().await;
    let (_, mut by_pattern) = hub.follow("GET /events?pattern=*").await;
    let (_, mut of_two) = hub.follow("GET /events?topic=a&topic=b").await;
    of_two.opened().await;
    let last = hub.post("/events/a", "last").await.id();
    let end = hub.ask("DELETE /events/a", "").await.id();
    assert_eq!(hub.ask("DELETE /events/a", "").await.id(), end, "it changes nothing");
    let text = live.end().await;
    let told = format!("data: last\n\nid: {end}\nevent: tidings.cursor\ndata: {{}}\n\n");
    assert!(text.ends_with(&told), "{text}");
    let back = |id: &str| format!("GET /events/a\nLast-Event-ID: {id}");
    for head in
        [back(&last), back(&end), "GET /events/a".into(), back(&last).replace("GET", "HEAD")]
    {
        let answer = hub.ask(&head, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{head}");
    }
    // Whoever has not got everything gets it, and the stream ends behind it.
    for head in [
        back("earliest"),
        "GET /events/a?last_event_id=earliest\nAccept: application/x-ndjson".into(),
    ] {
        let (answer, left) = hub.follow(&head).await;
        assert_eq!(answer.status, 200);
        assert!(left.end().await.contains("last"));
    }
    let (_, told) = hub.follow(&back("unknown")).await;
    let told = told.end().await;
    assert!(told.starts_with("id: ") && told.contains("tidings.gap"), "{told}");
    // Other topics go on.
    hub.post("/events/b", "on").await;
    of_two.until("data: on").await;
    by_pattern.until("data: on").await;
    let topics = hub.get("/topics").await.json();
    assert_eq!(
        (&topics["topics"][0]["ended"], &topics["topics"][1]["ended"]),
        (&true.into(), &false.into())
    );
    assert_eq!(topics["topics"][0]["records"], 1);
    hub.ask("DELETE /events/b", "").await.id();
    of_two.end().await;
    assert_eq!(hub.get("/events?topic=a&topic=b").await.status, 204);
}

#[tokio::test]
async fn much_that_is_for_others_does_not_keep_a_subscriber_coming_back() {
    let hub = Hub::start().await;
    hub.post("/events/a", "seen").await;
    let unseen = [r#"{"topic":"a","data":"unseen","private":true}"#; 1_000].join("\n");
    for _ in 0..2 {
        assert_eq!(hub.batch(&unseen).await.status, 200);
    }
    let end = hub.ask("DELETE /events/a", "").await.id();
    let (_, left) = hub.follow("GET /events/a?last_event_id=earliest").await;
    let text = left.end().await;
    assert!(text.contains("data: seen") && !text.contains("unseen"), "{text}");
    let last = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back();
    assert_eq!(last, Some(end.as_str()));
    assert_eq!(hub.ask(&format!("GET /events/a\nLast-Event-ID: {end}"), "").await.status, 204);
}

#[tokio::test]
async fn a_new_publish_opens_the_topic_again() {
    let hub = Hub::start().await;
    for target in ["/events/a", "/events/a?ephemeral"] {
        hub.ask("DELETE /events/a", "").await.id();
        assert_eq!(hub.get("/events/a").await.status, 204);
        assert_eq!(hub.post(target, "again").await.status, 200);
        let (answer, mut stream) = hub.follow("GET /events/a").await;
        assert_eq!(answer.status, 200);
        stream.opened().await;
    }
    assert_eq!(hub.get("/topics").await.json()["topics"][0]["ended"], false);
}

#[tokio::test]
async fn an_end_with_a_key_is_one_end() {
    let hub = Hub::start().await;
    let end = "DELETE /events/a\nIdempotency-Key: end-1";
    let first = hub.ask(end, "").await.id();
    hub.post("/events/a", "open again").await;
    assert_eq!(hub.ask(end, "").await.id(), first);
    assert_eq!(hub.get("/topics").await.json()["topics"][0]["ended"], false, "it was a repetition");
    hub.ask("POST /events/a\nIdempotency-Key: end-1", "")
        .await
        .is_problem(422, "idempotency-key-reused");
    for (head, status, slug) in [
        ("DELETE /events/a?topic=b", 400, "unknown-field"),
        ("DELETE /events/", 422, "invalid-field"),
        ("DELETE /events/a*", 422, "invalid-field"),
        ("DELETE /events/%ff", 400, "malformed-request"),
    ] {
        hub.ask(head, "").await.is_problem(status, slug);
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_opens_nothing() {
    let hub = Hub::start().await;
    hub.ask("POST /events/k\nIdempotency-Key: k", "one").await.id();
    hub.ask("DELETE /events/a", "").await.id();
    let ephemeral = r#"{"topic":"a","data":"x","ephemeral":true}"#;
    let reused = r#"{"topic":"k","data":"other","idempotency_key":"k"}"#;
    let refused = hub.batch(&format!("{ephemeral}\n{reused}")).await;
    assert_eq!(refused.is_problem(422, "idempotency-key-reused")["line"], 2);
    assert_eq!(hub.get("/events/a").await.status, 204);
    let ids = hub.batch(&format!("{ephemeral}\n{ephemeral}")).await.json()["ids"].clone();
    assert_eq!(ids, serde_json::json!([null, null]));
    assert_eq!(hub.get("/topics").await.json()["topics"][0]["events_per_second"], 0.0);
    assert_eq!(hub.get("/topics").await.json()["topics"][0]["ended"], false);
}
