//! `tidings bench`, as it is run, against a hub and against servers that spoil what they deliver.

mod hub;
#[path = "../../client/tests/peer/mod.rs"]
mod peer;
mod program;

use std::sync::Arc;

use hub::Hub;
use peer::{Exchange, Peer, soon};
use program::{Finished, finish, interrupt, program, start};
use serde_json::Value;
use tokio::process::Command;

/// Runs it against `url` to its end.
async fn bench(url: &str, args: &[&str]) -> Finished {
    finish(start(&[&["bench", url], args].concat())).await
}

/// What it prints with `--json`.
fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Serves one topic: what is published goes to each follower as often as `copies` says of the
/// follower and the event, both counted from 0.
async fn serve(peer: Arc<Peer>, copies: impl Fn(usize, usize) -> usize) {
    let mut followers: Vec<Exchange> = Vec::new();
    let mut events = 0;
    let mut exchange = peer.accept().await;
    loop {
        if exchange.line().starts_with("GET ") {
            exchange.open().await;
            followers.push(exchange);
            exchange = peer.accept().await;
            continue;
        }
        let frame = format!("data: {}\n\n", exchange.text());
        for (follower, stream) in followers.iter_mut().enumerate() {
            stream.send(frame.repeat(copies(follower, events))).await;
        }
        events += 1;
        exchange.answer(200, "", "{}").await;
        exchange = peer.after(exchange).await;
    }
}

/// Runs it against such a server.
async fn bench_served(
    args: &[&str],
    copies: impl Fn(usize, usize) -> usize + Send + 'static,
) -> Finished {
    let peer = Arc::new(Peer::start().await);
    let url = peer.url("/stream");
    tokio::select! {
        finished = bench(&url, args) => finished,
        () = serve(peer, copies) => unreachable!("it serves until it is dropped"),
    }
}

const SHORT: [&str; 6] = ["--subscribers", "3", "--rate", "20", "--duration", "500ms"];

#[tokio::test]
async fn every_delivery_of_a_hub_is_accounted_for() {
    let hub = Hub::start(&[]).await;
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.html");
    let args = [
        "--json",
        "--subscribers",
        "20",
        "--rate",
        "50",
        "--duration",
        "1s",
        "--size",
        "300",
        "--header",
        "x-key: secret",
        "--html",
        report.to_str().unwrap(),
    ];
    let finished = bench(&hub.url("/events/bench"), &args).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let outcome = json(&finished);
    assert_eq!(outcome["connects"]["connected"], 20);
    assert_eq!(outcome["published"]["acknowledged"], 50);
    assert_eq!(outcome["delivered"]["events"], 1_000);
    assert_eq!(
        outcome["delivered"]["check"],
        serde_json::json!({
            "expected": 1_000, "lost": 0, "repeated": 0, "out_of_order": 0,
            "subscribers_with_losses": 0,
        })
    );
    assert!(number(&outcome["delivered"]["bytes"]) > 1_000 * 300);
    let bars = outcome["latencies"].as_array().unwrap();
    assert_eq!(bars.iter().map(|bar| number(&bar["events"])).sum::<u64>(), 1_000);
    let latency = |name: &str| number(&outcome["latency"][name]);
    assert!(0 < latency("p50_us") && latency("p50_us") <= latency("p99_us"));
    assert!(latency("p99_us") <= latency("max_us"));
    assert!(outcome["timeline"].as_array().unwrap().len() > 2);
    assert_eq!(outcome["streams"]["broken_off"], serde_json::json!({}));

    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("All 1,000 deliveries came, once and in order."), "{page}");
    assert!(page.contains(&format!("Load test of {}", hub.url("/events/bench"))));
    assert!(page.contains("20 subscribers, 50 events/s of 300 B, for 1 s"));
    assert!(page.contains("--header &#39;x-key: …&#39;") || page.contains("--header 'x-key: …'"));
    assert!(!page.contains("secret"));
    assert!(page.matches("class=\"bar\"").count() > 1);
    assert!(page.matches("<svg").count() >= 2);
    // It needs nothing from elsewhere.
    for foreign in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn the_summary_says_what_there_was() {
    let finished = bench_served(&SHORT, |_, _| 1).await;
    let Finished { code, stdout, stderr } = finished;
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    for part in [
        "3 subscribers, 20 events/s of 100 B, for 500 ms\n",
        "connected   3 streams in ",
        "published   10 events, ",
        "delivered   30 events, ",
        "30 expected: none lost, none repeated, none out of order\n",
        "streams     none broke off\n",
    ] {
        assert!(stdout.contains(part), "{part:?} is not in\n{stdout}");
    }
}

#[tokio::test]
async fn a_server_that_drops_an_event_is_found_out() {
    let finished =
        bench_served(&SHORT, |follower, event| usize::from((follower, event) != (1, 4))).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(finished.stderr, "error: 1 event was lost, by 1 subscriber.\n");
    assert!(finished.stdout.contains("30 expected: 1 lost by 1 subscriber, none repeated"));
}

#[tokio::test]
async fn a_server_that_drops_the_last_event_is_found_out() {
    let finished = bench_served(&SHORT, |_, event| usize::from(event != 9)).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(finished.stderr, "error: 3 events were lost, by 3 subscribers.\n");
}

#[tokio::test]
async fn a_server_that_repeats_an_event_is_found_out() {
    let finished =
        bench_served(&SHORT, |follower, event| if (follower, event) == (2, 4) { 3 } else { 1 })
            .await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(finished.stderr, "error: 2 events were repeated.\n");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_resumed() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    let args = ["--subscribers", "1", "--rate", "1", "--duration", "2s", "--json"];
    let child = start(&[&["bench", &url], &args[..]].concat());
    let mut stream = peer.accept().await;
    stream.open().await;
    stream.send("retry: 1\n\n").await;
    let mut first = peer.accept().await;
    stream.send(format!("id: 1\ndata: {}\n\n", first.text())).await;
    first.answer(200, "", "{}").await;
    drop(stream);
    let mut stream = peer.accept().await;
    assert_eq!(stream.header("last-event-id"), Some("1"));
    stream.open().await;
    let mut second = peer.after(first).await;
    stream.send(format!("id: 2\ndata: {}\n\n", second.text())).await;
    second.answer(200, "", "{}").await;
    let finished = finish(child).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let outcome = json(&finished);
    assert_eq!(outcome["delivered"]["events"], 2);
    let broken_off = serde_json::json!({"the server ended the stream": 1});
    assert_eq!(outcome["streams"]["broken_off"], broken_off);
    assert_eq!(outcome["streams"]["reconnected"], 1);
}

#[tokio::test]
async fn a_stream_that_is_away_at_the_end_is_waited_for() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    let args = ["--subscribers", "1", "--rate", "1", "--duration", "1s"];
    let child = start(&[&["bench", &url], &args[..]].concat());
    let mut stream = peer.accept().await;
    stream.open().await;
    // So long that it is not back before the last answer, nor while it would be quiet.
    stream.send("retry: 4000\n\n").await;
    let mut publish = peer.accept().await;
    drop(stream);
    publish.answer(200, "", "{}").await;
    let mut stream = peer.accept().await;
    stream.open().await;
    stream.send(format!("data: {}\n\n", publish.text())).await;
    let finished = finish(child).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("1 expected: none lost"), "{finished:?}");
}

#[tokio::test]
async fn it_only_listens_if_asked() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    let args = ["--subscribers", "2", "--no-publish", "--duration", "2s", "--json"];
    let child = start(&[&["bench", &url], &args[..]].concat());
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = peer.accept().await;
        stream.open().await;
        stream.send("data: a\n\nevent: tidings.cursor\ndata: {}\n\ndata: b\n\n").await;
        streams.push(stream);
    }
    let finished = finish(child).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let outcome = json(&finished);
    assert_eq!(outcome["delivered"]["events"], 4);
    for unknown in [&outcome["delivered"]["check"], &outcome["latency"], &outcome["published"]] {
        assert_eq!(*unknown, Value::Null);
    }
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn ctrl_c_ends_early_with_what_there_is() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    let child = start(&["bench", &url, "--subscribers", "1", "--duration", "1h"]);
    let mut stream = peer.accept().await;
    stream.open().await;
    let mut publish = peer.accept().await;
    stream.send(format!("data: {}\n\n", publish.text())).await;
    interrupt(&child);
    publish.answer(200, "", "{}").await;
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!((code, stderr.as_str()), (130, ""), "{stdout}");
    assert!(stdout.contains("ended early by Ctrl-C"), "{stdout}");
    assert!(stdout.contains("none lost"), "{stdout}");
}

#[tokio::test]
async fn too_much_is_refused_unless_it_is_meant() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    for (url, args, said) in [
        (url.as_str(), &["--subscribers", "10001"][..], "10,001 subscribers would be opened"),
        (&url, &["--rate", "10001"], "1,000,100 deliveries a second"),
        (&url, &["--rate", "2000", "--size", "10000"], "2.00 GB a second"),
        // An address that is for documentation, and which nobody is asked at.
        ("http://192.0.2.1/stream", &["--subscribers", "1001"], "192.0.2.1, which is not this"),
    ] {
        let Finished { code, stdout, stderr } = bench(url, args).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(said) && stderr.contains("say --yes"), "{stderr}");
    }
    assert!(!peer.is_asked().await);
    // With --yes it goes to work, which ends at the first refusal.
    let child = start(&["bench", &url, "--rate", "10001", "--yes"]);
    peer.accept().await.answer(404, "", "").await;
    assert_eq!(finish(child).await.code, 1);
}

#[tokio::test]
async fn too_few_descriptors_are_told_beforehand() {
    let peer = Peer::start().await;
    let limited = format!(
        "ulimit -n 100 && exec {} bench {} --subscribers 1000",
        env!("CARGO_BIN_EXE_tidings"),
        peer.url("/stream")
    );
    let output = soon(Command::new("sh").args(["-c", &limited]).output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("this process may have 100"), "{said}");
    assert!(said.contains("ulimit -n 1065"), "{said}");
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn a_stream_that_is_none_is_told_at_the_first_request() {
    for (status, headers, body, said) in [
        (
            200,
            "content-type: text/html\r\n",
            "<p>",
            "answers with text/html, not with an event stream",
        ),
        (204, "", "", "has ended its stream for good (204)"),
        (401, "", "", "refused access (401). Give credentials with --header"),
        (403, "", "{\"detail\":\"Not you.\"}", "answered with status 403: Not you."),
        (302, "location: /there\r\n", "", "redirects to /there (302)"),
        (503, "", "", "answered with status 503"),
    ] {
        let peer = Peer::start().await;
        let url = peer.url("/stream");
        let child = start(&["bench", &url, "--subscribers", "9"]);
        peer.accept().await.answer(status, headers, body).await;
        let Finished { code, stdout, stderr } = finish(child).await;
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {url} {said}")), "{stderr}");
        assert!(!peer.is_asked().await);
    }
    let url = peer::nobody();
    let Finished { code, stderr, .. } = bench(&url, &[]).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("cannot be reached: connection refused"), "{stderr}");
}

#[tokio::test]
async fn a_refused_publish_ends_the_run() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    let other = peer.url("/publish?x");
    let child = start(&["bench", &url, "--subscribers", "1", "--publish", &other]);
    let mut stream = peer.accept().await;
    assert_eq!(stream.line(), "GET /stream");
    stream.open().await;
    let mut publish = peer.accept().await;
    assert_eq!(publish.line(), "POST /publish?x");
    publish.answer(405, "", "").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "error: an event could not be published: the server answered with status 405: this is not \
         the URL of a topic of a hub. If events are published elsewhere, say where with --publish; \
         --no-publish only listens.\n"
    );
}

#[tokio::test]
async fn some_that_cannot_connect_are_counted() {
    let peer = Peer::start().await;
    let url = peer.url("/stream");
    let args = ["--subscribers", "3", "--no-publish", "--duration", "100ms"];
    let child = start(&[&["bench", &url], &args[..]].concat());
    let mut stream = peer.accept().await;
    stream.open().await;
    for _ in 0..2 {
        peer.accept().await.answer(429, "", "").await;
    }
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!(code, 1);
    assert!(
        stdout.contains("1 stream in ") && stdout.contains("2 failed: status 429 (2)"),
        "{stdout}"
    );
    assert_eq!(stderr, "error: 2 subscribers could not connect: status 429 (2).\n");
}

#[tokio::test]
async fn wrong_arguments_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("none/report.html");
    for (url, args, code, said) in [
        ("events/a", &[][..], 2, "not an absolute URL"),
        ("localhost:1/events/a", &[], 2, "did you mean http://localhost:1/events/a?"),
        ("ftp://h/a", &[], 2, "must be http or https"),
        ("http://u:p@h/a", &[], 2, "give them with --header"),
        ("http://h/a", &["--publish", "x"], 2, "not an absolute URL"),
        ("http://h/a", &["--rate", "0"], 2, "a rate is a number from"),
        ("http://h/a", &["--size", "10"], 2, "a size is a number of bytes from 70"),
        ("http://h/a", &["--duration", "1ms"], 2, "the duration is from 100ms"),
        ("http://h/a", &["--no-publish", "--rate", "3"], 2, "cannot be used with"),
        ("http://127.0.0.1:9/a", &["--html", nowhere.to_str().unwrap()], 1, "cannot be written"),
    ] {
        let finished = finish(program(&[&["bench", url], args].concat()).spawn().unwrap()).await;
        assert_eq!(finished.code, code, "{finished:?}");
        assert!(finished.stderr.contains(said), "{finished:?}");
    }
}
