//! Requests that are really sent, and their answers compared with what the description says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidings_hub::config::Config;
use tidings_server::{
    log::{AppendError, MemoryLog, Retention, TopicRule, TopicRules},
    matcher::Matcher,
    topic::Topic,
};

use super::{
    description::Description,
    request::{plain, request, text},
};
use crate::{
    publish::failing,
    support::{Answer, Connection, Hub, soon},
};

const ORIGIN: &str = "https://app.example";
const NDJSON: &str = "Content-Type: application/x-ndjson";
const STREAM: &str = "Content-Type: text/event-stream";

/// What no request of this test gets: the operation, the problem, and why not.
const UNSEEN: [(&str, &str, &str); 4] = [
    ("explainDelivery", "log-away", "the logs of the tests can be read, also those in trouble"),
    ("follow", "leaving", "a hub that leaves takes no request any more: it is a matter of moments"),
    ("followTopic", "leaving", "as above"),
    ("readiness", "leaving", "as above"),
];

/// An exchange that took place: the operation, the status and the problem, if it told one.
type Seen = (String, u16, Option<String>);

struct Compared {
    description: Description,
    seen: BTreeSet<Seen>,
}

impl Compared {
    async fn new() -> Self {
        let hub = Hub::start().await;
        Self { description: Description::of(&hub).await, seen: BTreeSet::new() }
    }

    /// Sends a request, and compares the answer. Of a stream it is what comes up to a blank line.
    async fn ask(&mut self, hub: &Hub, head: &str, body: &str) -> Answer {
        let mut connection = hub.connect().await;
        connection.send(head, body).await;
        self.answer(connection, head).await
    }

    /// Compares the answer that a connection has for a request.
    async fn answer(&mut self, mut connection: Connection, head: &str) -> Answer {
        let operation = self.description.operation_of(head).unwrap_or_else(|| panic!("{head}"));
        let mut answer = connection.head().await;
        let is_head = operation.method == "HEAD";
        let is_stream = answer.header("tidings-subscriber").is_some();
        if is_stream {
            while !answer.body.contains("\n\n") && !answer.body.ends_with("}\n") {
                answer.body += &connection.chunk().await.expect("it does not end");
            }
        } else if !is_head {
            answer.body = connection.body(&answer).await;
        }
        let said = operation.responses.get(&answer.status.to_string());
        let said = said.unwrap_or_else(|| panic!("{head}\nis not described: {answer:?}"));
        let slug = self.description.check(said, &answer, is_head);
        let slug = slug.unwrap_or_else(|error| panic!("{head}\n{error}\n{answer:?}"));
        self.seen.insert((operation.id, answer.status, slug));
        answer
    }

    async fn expect(&mut self, hub: &Hub, status: u16, head: &str, body: &str) -> Answer {
        let answer = self.ask(hub, head, body).await;
        assert_eq!(answer.status, status, "{head}\n{answer:?}");
        answer
    }
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let mut compared = Compared::new().await;
    as_the_examples_ask(&mut compared).await;
    whoever_asks(&mut compared).await;
    followers(&mut compared).await;
    followers_of_a_short_history(&mut compared).await;
    publishers(&mut compared).await;
    bodies_that_do_not_fit(&mut compared).await;
    keys_under_way(&mut compared).await;
    logs_in_trouble(&mut compared).await;
    lookers(&mut compared).await;
    let unseen: BTreeSet<_> = described(&compared.description)
        .into_iter()
        .filter(|(id, status, slug)| {
            // A HEAD has no body that would tell.
            !compared.seen.iter().any(|(seen, of, told)| {
                (seen, of) == (id, status) && (told == slug || id.starts_with("head"))
            })
        })
        .map(|(id, status, slug)| (id, slug.unwrap_or_else(|| status.to_string())))
        .collect();
    let expected = UNSEEN.iter().map(|(id, what, _)| ((*id).to_owned(), (*what).to_owned()));
    assert_eq!(unseen, expected.collect());
}

/// All that the description says may be seen.
fn described(description: &Description) -> BTreeSet<Seen> {
    let mut described = BTreeSet::new();
    for operation in description.operations() {
        for (status, response) in &operation.responses {
            let schema = &response["content"]["application/problem+json"]["schema"];
            let kinds = schema["properties"]["type"]["enum"].as_array().cloned();
            let kinds = kinds.map_or(vec![None], |kinds| {
                kinds.iter().map(|kind| Some(text(kind).replace("/problems/", ""))).collect()
            });
            let status = status.parse().unwrap();
            described.extend(kinds.into_iter().map(|kind| (operation.id.clone(), status, kind)));
        }
    }
    described
}

async fn as_the_examples_ask(compared: &mut Compared) {
    let hub = Hub::with(|config| config.cors_origins = vec![ORIGIN.parse().unwrap()]).await;
    for operation in compared.description.operations() {
        let bodies = match operation.bodies.as_slice() {
            [] => vec![(String::new(), String::new())],
            bodies => bodies.to_vec(),
        };
        for (number, (media, body)) in bodies.into_iter().enumerate() {
            let wanted = |name: &str| match media.as_str() {
                "application/x-ndjson" => name == "Origin",
                "text/event-stream" => !matches!(name, "id" | "ephemeral"),
                _ => name != "ephemeral",
            };
            let mut head = request(&operation, |name, _| wanted(name));
            if !media.is_empty() {
                head += &format!("\nContent-Type: {media}");
            }
            // Each of them is another event.
            let key = format!("\nIdempotency-Key: {}-{number}-", operation.id);
            head = head.replace("\nIdempotency-Key: ", &key);
            let expected = match operation.id.as_str() {
                // Not for pages of other origins.
                "subscribers" | "explainDelivery" | "headSubscribers" | "headDelivery" => 403,
                id if id.starts_with("options") => 204,
                _ => 200,
            };
            let answer = compared.expect(&hub, expected, &head, &body).await;
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, Some(ORIGIN), "{head}");
        }
    }
}

async fn whoever_asks(compared: &mut Compared) {
    let hub = Hub::start().await;
    let crowded = Hub::with(|config| config.limits.connections_max = 1).await;
    let (_, mut first) = crowded.follow("GET /events/a").await;
    first.opened().await;
    for operation in compared.description.operations() {
        let (head, body) = plain(&operation);
        for (status, more) in [
            (400, "Host: localhost\nHost: localhost"),
            (403, "Host: hub.example"),
            (403, "Origin: https://evil.example"),
        ] {
            compared.expect(&hub, status, &format!("{head}\n{more}"), &body).await;
        }
        let follows = operation.method == "GET" && operation.path.starts_with("/events");
        let status = if follows { 200 } else { 503 };
        compared.expect(&crowded, status, &head, &body).await;
        if follows {
            let lines = format!("{head}\nAccept: application/x-ndjson");
            compared.expect(&crowded, 503, &lines, "").await;
        }
        if operation.responses["400"]["description"].as_str().unwrap().contains("not known") {
            let (target, more) = head.split_once('\n').unwrap_or((&head, ""));
            compared.expect(&hub, 400, &format!("{target}&nonsense=1\n{more}"), &body).await;
            compared.expect(&hub, 400, &format!("{target}&a=%zz\n{more}"), &body).await;
        }
    }
}

async fn followers(compared: &mut Compared) {
    let hub = Hub::start().await;
    hub.post("/events/over", "x").await.id();
    let end = hub.ask("DELETE /events/over", "").await.id();
    hub.post("/events/a?retry=500&topic=b", "one\ntwo").await.id();
    for method in ["GET", "HEAD"] {
        for target in ["/events/over", "/events?topic=over"] {
            compared
                .expect(&hub, 204, &format!("{method} {target}\nLast-Event-ID: {end}"), "")
                .await;
        }
        for target in ["/events/a", "/events?topic=a"] {
            let head = format!("{method} {target}");
            compared.expect(&hub, 406, &format!("{head}\nAccept: image/png"), "").await;
            let join = if target.contains('?') { '&' } else { '?' };
            compared.expect(&hub, 422, &format!("{head}{join}on_gap=never"), "").await;
            for id in ["earliest", "gone", "%23zz-1", "%23a"] {
                for form in ["text/event-stream", "application/x-ndjson"] {
                    let head = format!("{head}{join}last_event_id={id}\nAccept: {form}");
                    compared.expect(&hub, 200, &head, "").await;
                }
            }
        }
    }
    // Ephemeral and private events, as lines.
    let (_, mut lines) = hub.follow("GET /events/a\nAccept: application/x-ndjson").await;
    lines.until("tidings.cursor").await;
    for target in ["/events/a?ephemeral&event=typing", "/events/a?id=own"] {
        assert_eq!(hub.post(target, "x").await.status, 200);
    }
    let text = lines.until("\"own\"").await.to_owned();
    let stream = &compared.description.0["components"]["responses"]["Stream"]["content"];
    let schema = &stream["application/x-ndjson"]["schema"];
    let whole = &text[..=text.rfind('\n').unwrap()];
    assert_eq!(compared.description.check_content("application/x-ndjson", schema, whole), Ok(()));
}

async fn followers_of_a_short_history(compared: &mut Compared) {
    let topics = Matcher::Exact(Topic::new("short").unwrap());
    let limits = Retention { records_max: 1, ..Retention::default() };
    let rules = TopicRules::new(vec![TopicRule { topics, limits }]).unwrap();
    let log = MemoryLog::new(Retention::default(), 1).with_topic_rules(rules);
    // What is in the shared tail is not gone yet.
    let listen = ([127, 0, 0, 1], 0).into();
    let config = Config { listen, tail_bytes_max: 1, ..Config::default() };
    let hub = Hub::over(config, Arc::new(log)).await;
    let first = hub.post("/events/long", "x").await.id();
    for topic in ["short", "long", "short", "short"] {
        hub.post(&format!("/events/{topic}"), "x").await.id();
    }
    for form in ["text/event-stream", "application/x-ndjson"] {
        let head = format!("GET /events/short?topic=long\nLast-Event-ID: {first}\nAccept: {form}");
        let answer = compared.expect(&hub, 200, &head, "").await;
        // Its cursors say how far it was told.
        assert!(answer.body.contains("-2-4\""), "{answer:?}");
    }
}

async fn publishers(compared: &mut Compared) {
    let hub = Hub::start().await;
    for (status, head, body) in [
        (200, "POST /events/a".to_owned(), "x"),
        (200, "POST /events/a?ephemeral".to_owned(), "x"),
        (200, format!("POST /events/a\nIdempotency-Key: s\n{STREAM}"), "data: 1\n\n"),
        (200, format!("POST /events/a\nIdempotency-Key: s\n{STREAM}"), "data: 1\n\ndata: 2"),
        (200, format!("POST /events?topic=a&ephemeral\n{STREAM}"), "data: 1\n\n"),
        (200, format!("POST /events\n{NDJSON}"), r#"{"topic":"a","data":1,"ephemeral":true}"#),
        (200, "DELETE /events/a".to_owned(), ""),
        (415, format!("POST /events/a\n{NDJSON}"), "{}"),
        (415, "POST /events\nContent-Type: text/plain".to_owned(), "x"),
        (422, "POST /events/a*".to_owned(), "x"),
        (422, "POST /events/a?retry=1".to_owned(), "x"),
        (422, format!("POST /events/a\n{STREAM}"), "data: 1\n\nid: #\ndata: 2\n\n"),
        (422, format!("POST /events?topic=a\n{STREAM}"), "id: #\ndata: 2\n\n"),
        (422, format!("POST /events\n{NDJSON}"), ""),
        (422, "DELETE /events/a*".to_owned(), ""),
        (400, format!("POST /events\n{NDJSON}"), "[]"),
        (400, format!("POST /events\n{NDJSON}"), r#"{"topic":"a","data":1,"more":1}"#),
        // One key for three events.
        (200, "POST /events/a\nIdempotency-Key: k".to_owned(), "x"),
        (422, "POST /events/a\nIdempotency-Key: k".to_owned(), "y"),
        (422, "DELETE /events/a\nIdempotency-Key: k".to_owned(), ""),
        (422, format!("POST /events\n{NDJSON}"), r#"{"topic":"a","data":1,"idempotency_key":"k"}"#),
    ] {
        compared.expect(&hub, status, &head, body).await;
    }
}

async fn bodies_that_do_not_fit(compared: &mut Compared) {
    let hub = Hub::with(|config| {
        config.limits.body_bytes_max = 100;
        config.timeouts.body = Duration::from_millis(100);
        config.timeouts.stream_idle = Duration::from_millis(100);
    })
    .await;
    let long = "x".repeat(200);
    for head in ["POST /events/a".to_owned(), format!("POST /events\n{NDJSON}")] {
        compared.expect(&hub, 413, &head, &long).await;
        let late = late(&hub, &head, "x").await;
        assert_eq!(compared.answer(late, &head).await.status, 408);
    }
    let head = format!("POST /events/a\n{STREAM}");
    let late = late(&hub, &head, "data: 1\n\n").await;
    let problem = compared.answer(late, &head).await.is_problem(408, "body-timeout");
    assert_eq!(problem["published"], 1);
}

async fn keys_under_way(compared: &mut Compared) {
    let hub = Hub::start().await;
    let head = "POST /events/a\nIdempotency-Key: k\nExpect: 100-continue";
    let mut first = late(&hub, head, "").await;
    assert_eq!(first.head().await.status, 100, "the hub waits for the body");
    let line = r#"{"topic":"a","data":1,"idempotency_key":"k"}"#;
    for (head, body) in [
        ("POST /events/a\nIdempotency-Key: k".to_owned(), "x"),
        ("DELETE /events/a\nIdempotency-Key: k".to_owned(), ""),
        (format!("POST /events\n{NDJSON}"), line),
        (format!("POST /events?topic=a\nIdempotency-Key: k\n{STREAM}"), "data: x\n\n"),
    ] {
        compared.expect(&hub, 409, &head, body).await;
    }
    first.raw(&[b'x'; 50]).await;
    soon(first.head()).await;
}

/// Sends a request but for the last bytes of its body.
async fn late(hub: &Hub, head: &str, body: &str) -> Connection {
    let mut connection = hub.connect().await;
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    let head =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n{headers}\r\n{body}");
    connection.raw(head.as_bytes()).await;
    connection
}

async fn logs_in_trouble(compared: &mut Compared) {
    let cause: Arc<str> = "no space".into();
    for (error, status) in [
        (AppendError::Latched { cause: cause.clone() }, 503),
        (AppendError::Overloaded, 503),
        (AppendError::Closed, 503),
        (AppendError::Unknown { cause }, 504),
    ] {
        let latched = matches!(error, AppendError::Latched { .. });
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        let hub = Hub::over(config, failing(error)).await;
        for (head, body) in [
            ("POST /events/a".to_owned(), "x"),
            ("DELETE /events/a".to_owned(), ""),
            (format!("POST /events\n{NDJSON}"), r#"{"topic":"a","data":1}"#),
            (format!("POST /events?topic=a\n{STREAM}"), "data: x\n\n"),
        ] {
            compared.expect(&hub, status, &head, body).await;
        }
        for method in ["GET", "HEAD"] {
            let status = if latched { 503 } else { 200 };
            compared.expect(&hub, status, &format!("{method} /readyz"), "").await;
        }
    }
}

async fn lookers(compared: &mut Compared) {
    let hub = Hub::start().await;
    let (_, mut ann) = hub.follow("GET /events/a?pattern=b/:id&subscriber=ann").await;
    ann.opened().await;
    let id = hub.post("/events/a?id=7", "x").await.id();
    hub.post("/events/b", "x").await.id();
    ann.until("data: x").await;
    for (status, target) in [
        (200, "/topics?limit=1".to_owned()),
        (200, "/topics?after=a".to_owned()),
        (422, "/topics?limit=0".to_owned()),
        (200, "/subscribers?topic=a".to_owned()),
        (422, "/subscribers?after=x".to_owned()),
        (403, "/subscribers\nVia: 1.1 proxy".to_owned()),
        (200, format!("/debug/delivery?event={id}&subscriber=ann")),
        (404, format!("/debug/delivery?event={id}&subscriber=bob")),
        (404, "/debug/delivery?event=never&subscriber=ann".to_owned()),
        (422, "/debug/delivery?event=never".to_owned()),
        (403, "/debug/delivery?event=x&subscriber=ann\nVia: 1.1 proxy".to_owned()),
        (404, "/problems/nothing".to_owned()),
    ] {
        for method in ["GET", "HEAD"] {
            compared.expect(&hub, status, &format!("{method} {target}"), "").await;
        }
    }
    // Two streams of one subscriber, an event that the first one got, and one that never was.
    drop(ann);
    soon(async {
        while hub.get("/subscribers").await.json()["subscribers"][0]["state"] != "closed" {}
    })
    .await;
    let head = format!("GET /events/a?subscriber=ann\nLast-Event-ID: {id}");
    let (_, mut again) = hub.follow(&head).await;
    again.opened().await;
    for id in [&id, "%23x-1"] {
        let head = format!("GET /debug/delivery?event={id}&subscriber=ann");
        compared.ask(&hub, &head, "").await;
    }
    compared.expect(&hub, 200, "GET /subscribers?limit=1", "").await;
    let silent = Hub::with(|config| config.metrics = false).await;
    compared.expect(&silent, 404, "GET /metrics", "").await;
    compared.expect(&silent, 404, "HEAD /metrics", "").await;
}
