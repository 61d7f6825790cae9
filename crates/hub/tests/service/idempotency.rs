use tidings_server::log::KeyWindow;

use crate::support::{Answer, Connection, Hub, soon};

async fn publish(hub: &Hub, key: &str, target: &str, body: &str) -> Answer {
    hub.ask(&format!("POST {target}\nIdempotency-Key: {key}"), body).await
}

/// Sends a publish under `key` but for the last byte of its body, and waits until the hub knows of
/// it.
async fn begin(hub: &Hub, key: &str) -> Connection {
    let mut connection = hub.connect().await;
    let head = format!(
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {key}\r\n\
         Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    );
    connection.raw(head.as_bytes()).await;
    assert_eq!(connection.head().await.status, 100, "the hub waits for the body");
    connection.raw(b"hell").await;
    connection
}

#[tokio::test]
async fn a_repeated_publish_answers_the_first_id_and_publishes_nothing() {
    let hub = Hub::start().await;
    let target = "/events/a?event=e&topic=b&retry=500&private";
    let first = publish(&hub, "order-7", target, "hello").await;
    assert!(first.id().ends_with("-1"));
    hub.post("/events/a", "hello").await.id();
    for key in ["order-7", "\"order-7\"", "order-7"] {
        let again = publish(&hub, key, target, "hello").await;
        assert_eq!((again.status, &again.body), (200, &first.body), "{key}");
    }
    let own = publish(&hub, "order-8", "/events/a?id=mine", "x").await.id();
    assert_eq!(publish(&hub, "order-8", "/events/a?id=mine", "x").await.id(), own);
    assert_eq!(own, "mine");
    assert_eq!(hub.log.state().records, 3);
    let metrics = hub.get("/metrics").await.body;
    for line in [
        "tidings_events_appended_total 3",
        "tidings_events_repeated_total 4",
        "tidings_append_seconds_count 3",
        "tidings_publishes_total{outcome=\"ok\"} 7",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (_, mut stream) = hub.follow("GET /events/a?last_event_id=earliest").await;
    hub.post("/events/a", "end").await.id();
    let text = stream.until("data: end").await;
    assert_eq!(text.matches("data: hello").count(), 1, "one is private");
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_and_changes_nothing() {
    let hub = Hub::start().await;
    let id = publish(&hub, "k", "/events/a", "x").await.id();
    for (target, body) in [
        ("/events/a", "y"),
        ("/events/b", "x"),
        ("/events/a?topic=b", "x"),
        ("/events/a?event=e", "x"),
        ("/events/a?id=7", "x"),
        ("/events/a?retry=500", "x"),
        ("/events/a?private", "x"),
    ] {
        let answer = publish(&hub, "k", target, body).await;
        let problem = answer.is_problem(422, "idempotency-key-reused");
        assert_eq!(problem["field"], "Idempotency-Key", "{target}");
    }
    // What says the same in other words is no other request.
    for target in ["/events/a?event=message", "/events/a?topic=a&private=off", "/events/%61"] {
        assert_eq!(publish(&hub, "k", target, "x").await.id(), id, "{target}");
    }
    assert_eq!(hub.log.state().records, 1);
}

#[tokio::test]
async fn while_the_first_is_under_way_others_are_told_to_come_back() {
    let hub = Hub::start().await;
    let mut first = begin(&hub, "k").await;
    let second = publish(&hub, "k", "/events/a", "hello").await;
    let problem = second.is_problem(409, "idempotency-key-under-way");
    assert_eq!(problem["field"], "Idempotency-Key");
    assert!(second.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    let lines = "{\"topic\":\"a\",\"data\":\"x\",\"idempotency_key\":\"other\"}\n\n\
                 {\"topic\":\"a\",\"data\":\"x\",\"idempotency_key\":\"k\"}\n";
    let problem = hub.batch(lines).await.is_problem(409, "idempotency-key-under-way");
    assert_eq!((&problem["line"], &problem["field"]), (&3.into(), &"idempotency_key".into()));
    publish(&hub, "other", "/events/a", "what was refused left no key").await.id();
    first.raw(b"o").await;
    assert_eq!(first.head().await.status, 200);
    assert!(publish(&hub, "k", "/events/a", "hello").await.id().ends_with("-2"));
    assert_eq!(hub.log.state().records, 2);
}

#[tokio::test]
async fn a_publisher_that_goes_away_lets_its_key_go() {
    let hub = Hub::start().await;
    drop(begin(&hub, "k").await);
    // The hub learns of it when it learns of it.
    let answer = soon(async {
        loop {
            let answer = publish(&hub, "k", "/events/a", "hello").await;
            if answer.status != 409 {
                break answer;
            }
        }
    })
    .await;
    assert!(answer.id().ends_with("-1"));
}

#[tokio::test]
async fn a_wrong_key_names_the_rule_and_publishes_nothing() {
    let hub = Hub::start().await;
    let long = "x".repeat(256);
    for key in ["", "\"\"", "a b", "\"a", "\"a\";p", "k\u{fc}", &long] {
        let problem = publish(&hub, key, "/events/a", "x").await.is_problem(422, "invalid-field");
        assert_eq!(problem["field"], "Idempotency-Key", "{key}");
    }
    let twice = hub.ask("POST /events/a\nIdempotency-Key: a\nIdempotency-Key: a", "x").await;
    twice.is_problem(422, "invalid-field");
    let head = "POST /events\nContent-Type: application/x-ndjson\nIdempotency-Key: a";
    let problem = hub.ask(head, "{\"topic\":\"a\",\"data\":\"x\"}").await;
    let problem = problem.is_problem(422, "invalid-field");
    assert!(problem["rule"].as_str().unwrap().contains("idempotency_key"), "{problem}");
    let line = "{\"topic\":\"a\",\"data\":\"x\",\"idempotency_key\":\"\"}";
    let problem = hub.batch(line).await.is_problem(422, "invalid-field");
    assert_eq!((&problem["line"], &problem["field"]), (&1.into(), &"idempotency_key".into()));
    assert_eq!(hub.log.state().records, 0);
}

#[tokio::test]
async fn a_batch_publishes_what_is_new_and_answers_an_id_for_each() {
    let hub = Hub::start().await;
    let single = publish(&hub, "1", "/events/a", "one").await.id();
    let lines = [
        r#"{"topic":"a","data":"two","idempotency_key":"2"}"#,
        r#"{"topic":"a","data":"one","idempotency_key":"1"}"#,
        r#"{"topic":"a","data":"none"}"#,
        r#"{"topic":"a","data":"two","idempotency_key":"2"}"#,
        r#"{"topic":"a","data":"three","id":"three","idempotency_key":"3"}"#,
    ];
    let id = |n: u32| single.replace("-1", &format!("-{n}"));
    let answer = hub.batch(&lines.join("\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = [id(2), id(1), id(3), id(2), "three".to_owned()];
    assert_eq!(answer.json()["ids"], serde_json::json!(expected));
    let again = hub.batch(&lines.join("\n")).await;
    let expected = [id(2), id(1), id(5), id(2), "three".to_owned()];
    assert_eq!(again.json()["ids"], serde_json::json!(expected), "only that without a key is new");
    // A line of a batch and a single event share their keys.
    assert_eq!(publish(&hub, "2", "/events/a", "two").await.id(), id(2));
    for (other, line) in [
        (r#"{"topic":"a","data":"other","idempotency_key":"1"}"#, 6),
        (r#"{"topic":"a","data":"other","idempotency_key":"2"}"#, 6),
    ] {
        let answer = hub.batch(&format!("{}\n{other}", lines.join("\n"))).await;
        let problem = answer.is_problem(422, "idempotency-key-reused");
        assert_eq!(
            (&problem["line"], &problem["field"]),
            (&line.into(), &"idempotency_key".into())
        );
    }
    let new = r#"{"topic":"a","data":"new","idempotency_key":"new"}"#;
    let twice = format!("\n{new}\n{}", new.replace("\"data\":\"new", "\"data\":\"x"));
    let problem = hub.batch(&twice).await.is_problem(422, "idempotency-key-reused");
    assert_eq!(problem["line"], 3);
    assert_eq!(hub.log.state().records, 5);
    publish(&hub, "new", "/events/b", "the refused batch left no key").await.id();
}

#[tokio::test]
async fn the_configured_window_is_the_logs() {
    let window = KeyWindow { keys_max: 2, ..KeyWindow::default() };
    let config = tidings_hub::config::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        store: tidings_hub::config::Store::Memory,
        key_window: window,
        ..Default::default()
    };
    let log = tidings_hub::store::open(&config).await.unwrap();
    let hub = Hub::over(config, log.log).await;
    for key in ["1", "2", "3"] {
        publish(&hub, key, "/events/a", "x").await.id();
    }
    assert!(publish(&hub, "2", "/events/a", "x").await.id().ends_with("-2"));
    assert!(publish(&hub, "1", "/events/a", "x").await.id().ends_with("-4"));
}
