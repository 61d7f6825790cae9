//! From the upstream to the hub: what is published, what waits, and where it goes on.

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;

use crate::keyed_hub::lines;
use crate::peer::{self, Peer, soon};
use crate::program::{self, Finished, finish, start};
use crate::sides::{Sides, kill, stop, terminate, warnings};

/// What the relay says next.
async fn said(lines: &mut Lines<BufReader<ChildStderr>>) -> String {
    soon(lines.next_line()).await.unwrap().unwrap()
}

#[tokio::test]
async fn events_are_published_and_then_the_cursor_is_stored() {
    let mut sides = Sides::new().await;
    let child = sides.start(&["--header", "x-key: up", "--hub-header", "x-key: down"]);
    let mut exchange = sides.upstream.accept().await;
    assert_eq!(exchange.header("x-key"), Some("up"));
    assert_eq!(exchange.header("last-event-id"), None);
    exchange.open().await;
    exchange.send("id: #1\nevent: e\ndata: two\ndata: lines\n\nid: é\ndata: {\"a\":1}\n\n").await;
    let request = sides.hub.request().await;
    assert_eq!(request.header("x-key"), Some("down"));
    let cursor = sides.cursor();
    let scope = cursor["scope"].as_str().unwrap();
    let first = r##"{"topic":"t","event":"e","data":"two\nlines","idempotency_key":"##;
    let second = r##"{"topic":"t","data":"{\"a\":1}","idempotency_key":"##;
    assert_eq!(
        request.text().lines().collect::<Vec<_>>(),
        [
            format!(r##"{first}"relay-count:n:t:{scope}:0:#1"}}"##),
            format!(r##"{second}"relay-count:n:t:{scope}:1:%C3%A9"}}"##),
        ]
    );
    let nothing = serde_json::json!({ "last_event_id": "", "scope": scope, "count": 0 });
    assert_eq!(cursor, nothing, "nothing is acknowledged yet");
    sides.hub.publish(request).await;
    let Finished { stdout, stderr, .. } = stop(child).await;
    assert_eq!(stdout, "");
    let connected = format!("Connected to {}.", sides.upstream.url("/feed"));
    assert_eq!(stderr.lines().collect::<Vec<_>>(), [connected.as_str(), "Relayed 2 events."]);
    let all = serde_json::json!({ "last_event_id": "é", "scope": scope, "count": 2 });
    assert_eq!(sides.cursor(), all);

    // Started again, it resumes there.
    let child = sides.start(&["--last-event-id", "first"]);
    let mut exchange = sides.upstream.accept().await;
    assert_eq!(exchange.header("last-event-id"), Some("é"));
    exchange.answer(204, "", "").await;
    assert_eq!(finish(child).await.code, 0);
    assert!(!sides.hub.is_asked().await);
}

#[tokio::test]
async fn a_fast_upstream_costs_few_requests() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], "id: first\ndata: first\n\n").await;
    let first = sides.hub.request().await;
    let count = 5_000;
    let events: String = (0..count).map(|n| format!("id: {n}\ndata: {n}\n\n")).collect();
    exchange.send(&events).await;
    sides.hub.publish(first).await;
    let mut requests = 0;
    while sides.hub.log.len() < count + 1 {
        sides.hub.take().await;
        requests += 1;
    }
    assert!(requests < count / 10, "{requests} requests");
    let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    assert_eq!(sides.hub.data()[1..], expected);
    assert_eq!(sides.end(child, exchange).await.code, 0);
}

#[tokio::test]
async fn a_slow_hub_holds_up_the_upstream() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], "id: 1\ndata: first\n\n").await;
    let first = sides.hub.request().await;
    let event = format!("data: {}\n\n", "x".repeat(1_000));
    let taken = exchange.fill(event.repeat(60).as_bytes()).await;
    assert!(taken < 64 << 20, "{taken} bytes were taken from the upstream");
    assert!(!sides.hub.is_asked().await, "one request at a time");
    sides.hub.publish(first).await;
    let waited = lines(&sides.hub.request().await).len();
    assert!(waited > 500, "{waited} events had waited");
    kill(child).await;
}

#[tokio::test]
async fn what_was_published_before_a_kill_is_not_published_again() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], "id: 1\ndata: one\n\nid: 2\ndata: two\n\n").await;
    sides.hub.take_until(2).await;
    // The next batch is taken, but the relay never hears of it.
    exchange.send("id: 3\ndata: three\n\n").await;
    sides.kill_unanswered(child).await;
    assert_eq!(sides.cursor()["last_event_id"], "2");
    drop(exchange);

    let child = sides.start(&[]);
    let mut exchange = sides.upstream.accept().await;
    assert_eq!(exchange.header("last-event-id"), Some("2"));
    exchange.open().await;
    exchange.send("retry: 0\nid: 3\ndata: three\n\nid: 4\ndata: four\n\n").await;
    sides.hub.take_until(4).await;
    let Finished { code, stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(code, 0);
    assert_eq!(warnings(&stderr), Vec::<&str>::new());
    assert_eq!(sides.hub.data(), ["one", "two", "three", "four"]);
    assert_eq!(sides.cursor()["last_event_id"], "4");
}

#[tokio::test]
async fn a_hub_that_is_away_is_waited_for_and_gets_the_same_again() {
    let mut sides = Sides::new().await;
    // No event has an id: within one run they are published once all the same.
    let (child, exchange) = sides.relay(&[], "data: tick\n\ndata: tick\n\n").await;
    let mut request = sides.hub.request().await;
    let sent = request.text().to_owned();
    for (status, head) in [(503, "retry-after: 0\r\n"), (504, "")] {
        request.answer(status, head, "").await;
        drop(request);
        request = sides.hub.request().await;
        assert_eq!(request.text(), sent);
    }
    // It is published, and the answer is lost.
    assert_eq!(sides.hub.apply(&request).0, 200);
    request.reset();
    let request = sides.hub.request().await;
    assert_eq!(request.text(), sent);
    sides.hub.publish(request).await;
    let Finished { code, stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sides.hub.data(), ["tick", "tick"]);
    let waits = stderr.lines().filter(|line| line.starts_with("Not published yet: "));
    assert_eq!(waits.count(), 3, "{stderr}");
    assert!(stderr.contains("The hub takes events again.\n"), "{stderr}");
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_waited_for_until_the_relay_is_told_to_stop() {
    let upstream = Peer::start().await;
    let (url, hub) = (upstream.url("/feed"), peer::nobody());
    let mut child = start(&["relay", &url, "--to", "t", "--hub", &hub]);
    let mut exchange = upstream.accept().await;
    exchange.open().await;
    exchange.send("id: 1\ndata: x\n\n").await;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = said(&mut lines).await;
    assert!(first.ends_with("started again begins at the upstream's live end."), "{first}");
    assert_eq!(said(&mut lines).await, format!("Connected to {url}."));
    let away = format!("Not published yet: {hub}/events cannot be reached: ");
    let second = said(&mut lines).await;
    assert!(second.starts_with(&away), "{second}");
    program::interrupt(&child);
    let mut last = said(&mut lines).await;
    while last.starts_with(&away) {
        last = said(&mut lines).await;
    }
    assert_eq!(last, "Relayed 0 events.");
    assert_eq!(
        said(&mut lines).await,
        "error: not known to be published: 1 event; without a --cursor-file the upstream is not \
         asked for them again."
    );
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(130));
}

#[tokio::test]
async fn what_has_arrived_is_published_before_it_stops() {
    let mut sides = Sides::new().await;
    let (mut child, mut exchange) = sides.relay(&[], "id: 1\ndata: 1\n\n").await;
    let first = sides.hub.request().await;
    // What it says of the last tells that it has the one before, too.
    exchange.send("id: 2\ndata: 2\n\nevent: tidings.x\ndata\n\n").await;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while !said(&mut lines).await.contains("tidings.x") {}
    terminate(&child);
    sides.hub.publish(first).await;
    sides.hub.take().await;
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(130));
    assert_eq!(sides.hub.data(), ["1", "2"]);
    assert_eq!(sides.cursor()["last_event_id"], "2");
}

#[tokio::test]
async fn what_belongs_to_the_upstreams_hub_is_not_published_but_moves_the_cursor() {
    let mut sides = Sides::new().await;
    let stream = concat!(
        "event: tidings.gap\nid: #9\n",
        "data: {\"reason\":\"trimmed\",\"requested\":\"#1\",\"oldest\":\"#9\"}\n\n",
        "event: tidings.news\ndata: x\n\n",
        "id: #10\ndata: a\n\n",
        "event: tidings.cursor\nid: #20\ndata: {}\n\n",
    );
    let (child, exchange) = sides.relay(&[], stream).await;
    sides.hub.take_until(1).await;
    let Finished { code, stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(code, 0);
    assert_eq!(sides.hub.data(), ["a"]);
    assert_eq!(sides.cursor()["last_event_id"], "#20");
    let said = warnings(&stderr);
    assert!(said[0].starts_with("events after #1 were missed: the server no longer"), "{stderr}");
    assert_eq!(
        said[1..],
        ["an event of type tidings.news is left out: it belongs to the upstream's hub."]
    );
}

#[tokio::test]
async fn a_silent_stream_moves_the_cursor_too() {
    let sides = Sides::new().await;
    let stream = "event: tidings.cursor\nid: #5\ndata: {}\n\n";
    let (child, exchange) = sides.relay(&["--retries", "0"], stream).await;
    drop(exchange);
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("gave up after one attempt"), "{stderr}");
    assert_eq!(sides.cursor()["last_event_id"], "#5");
}

#[tokio::test]
async fn only_events_of_the_wanted_types_are_published() {
    let mut sides = Sides::new().await;
    let stream = concat!(
        "id: 1\nevent: e\ndata: a\n\n",
        "id: 2\ndata: no\n\n",
        "data: no\n\n",
        "id: 3\nevent: f\ndata: b\n\n",
        "id: 4\ndata: no\n\n",
    );
    let (child, exchange) = sides.relay(&["--event", "e", "--event", "f"], stream).await;
    sides.hub.take_until(2).await;
    let Finished { stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(sides.hub.data(), ["a", "b"]);
    assert_eq!(sides.hub.log[1].event.as_deref(), Some("f"));
    assert_eq!(sides.cursor()["last_event_id"], "4");
    assert_eq!(warnings(&stderr), Vec::<&str>::new(), "what is left out raises no doubt");
}

#[tokio::test]
async fn when_the_upstream_is_gone_for_good_the_rest_is_published_first() {
    for (status, code) in [(204, 0), (404, 1)] {
        let mut sides = Sides::new().await;
        let (child, exchange) = sides.relay(&[], "id: 1\ndata: a\n\n").await;
        let request = sides.hub.request().await;
        drop(exchange);
        sides.upstream.accept().await.answer(status, "", "").await;
        sides.hub.publish(request).await;
        let Finished { code: ended, stderr, .. } = finish(child).await;
        assert_eq!(ended, code, "{stderr}");
        assert!(stderr.contains("Relayed 1 event.\n"), "{stderr}");
        assert_eq!(stderr.contains("There is no event stream at"), status == 404, "{stderr}");
        assert_eq!(sides.cursor()["last_event_id"], "1");
    }
}

#[tokio::test]
async fn wrong_arguments_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cursor");
    std::fs::write(&file, "#a-1\n").unwrap();
    let no_file = directory.path().join("no/cursor");
    let upstream = "http://127.0.0.1:8080/events/a";
    for (args, code, said) in [
        (&["--to", "a"][..], 2, "this is a loop: what is published to a comes back"),
        (&["--to", "http://localhost:8080/events/a"], 2, "this is a loop"),
        (&["--to", "b", "--hub", "127.0.0.1:1"], 2, "did you mean http://127.0.0.1:1?"),
        (&["--to", "http://h/a"], 2, "the path of the URL must be that of a topic"),
        (&["--to", "b", "--on-refused", "cry"], 2, "invalid value 'cry'"),
        (&["--to", ""], 2, "--to does not name a topic of a hub: a topic must not be empty"),
        (&["--to", "http://h/events/a*"], 2, "a topic must not contain '*'"),
        (&["--to", "b", "--cursor-file", file.to_str().unwrap()], 1, "cannot be read: "),
        (&["--to", "b", "--cursor-file", no_file.to_str().unwrap()], 1, "cannot be written: "),
    ] {
        let child = start(&[&["relay", upstream], args].concat());
        let Finished { code: ended, stderr, .. } = finish(child).await;
        assert_eq!(ended, code, "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}
