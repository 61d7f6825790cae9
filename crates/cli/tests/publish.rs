//! `tidings publish`, as it is run, against a scripted hub.

#[path = "../../client/tests/peer/mod.rs"]
mod peer;
mod program;

use std::process::Stdio;

use peer::{Exchange, Peer, soon};
use program::{Finished, finish, program};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Child;

/// Starts the program with an open standard input.
fn publish(peer: &Peer, path: &str, args: &[&str]) -> Child {
    let url = peer.url(path);
    program(&[&["publish", &url], args].concat()).stdin(Stdio::piped()).spawn().unwrap()
}

/// Starts the program with this standard input.
async fn publish_input(peer: &Peer, args: &[&str], input: impl AsRef<[u8]>) -> Child {
    let mut child = publish(peer, "/events/a", args);
    soon(child.stdin.take().unwrap().write_all(input.as_ref())).await.unwrap();
    child
}

/// The events of a batch.
fn drafts(exchange: &Exchange) -> Vec<Value> {
    assert_eq!(exchange.line(), "POST /events");
    assert_eq!(exchange.header("content-type"), Some("application/x-ndjson"));
    assert!(exchange.body.len() <= 1 << 20);
    let drafts: Vec<Value> =
        exchange.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!((1..=1_000).contains(&drafts.len()));
    drafts
}

async fn accept_batch(exchange: &mut Exchange, ids: std::ops::Range<usize>) {
    let ids: Vec<String> = ids.map(|id| format!("\"#{id}\"")).collect();
    exchange.answer(200, "", &format!("{{\"ids\":[{}]}}", ids.join(","))).await;
}

/// Takes batches until `count` events have come, and returns their data.
async fn take(peer: &Peer, mut exchange: Exchange, count: usize) -> (Vec<String>, Exchange) {
    let mut data: Vec<String> = Vec::new();
    loop {
        let drafts = drafts(&exchange);
        let ids = data.len()..data.len() + drafts.len();
        data.extend(drafts.iter().map(|draft| draft["data"].as_str().unwrap().to_owned()));
        accept_batch(&mut exchange, ids).await;
        if data.len() >= count {
            return (data, exchange);
        }
        exchange = peer.after(exchange).await;
    }
}

#[tokio::test]
async fn ephemeral_events_have_no_id() {
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &["now", "--ephemeral"]);
    let mut exchange = peer.accept().await;
    assert_eq!(exchange.line(), "POST /events/a?ephemeral");
    exchange.answer(200, "", r#"{"id":null}"#).await;
    assert_eq!(finish(child).await.code, 0);
    let child = publish_input(&peer, &["--ephemeral"], "one\n").await;
    let mut exchange = peer.accept().await;
    assert_eq!(drafts(&exchange)[0]["ephemeral"], true);
    exchange.answer(200, "", r#"{"ids":[null]}"#).await;
    assert_eq!(finish(child).await.code, 0);
}

#[tokio::test]
async fn an_argument_is_one_event() {
    let peer = Peer::start().await;
    let args = [
        "two\nlines",
        "--event",
        "a&b",
        "--id",
        "7",
        "--retry",
        "1500ms",
        "--topic",
        "x",
        "--topic",
        "y/z",
        "--private",
        "--header",
        "Authorization: Bearer t",
    ];
    let child = publish(&peer, "/hub/events/rooms/42", &args);
    let mut exchange = peer.accept().await;
    assert_eq!(
        exchange.line(),
        "POST /hub/events/rooms/42?event=a%26b&id=7&retry=1500&topic=x&topic=y%2Fz&private"
    );
    assert_eq!(exchange.header("authorization"), Some("Bearer t"));
    assert_eq!(exchange.text(), "two\nlines");
    exchange.answer(200, "", r#"{"id":"7"}"#).await;
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout, "Published 1 event; the last id is 7.\n");
}

#[tokio::test]
async fn without_options_the_url_stays_as_it_is() {
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &[""]);
    let mut exchange = peer.accept().await;
    assert_eq!(exchange.line(), "POST /events/a");
    assert_eq!(exchange.text(), "");
    exchange.answer(200, "", "{}").await;
    assert_eq!(finish(child).await.stdout, "Published 1 event.\n");
}

#[tokio::test]
async fn each_line_of_the_input_is_an_event() {
    let peer = Peer::start().await;
    let input = "one\r\n\n{\"a\":\"é\"}\nlast";
    let child = publish_input(&peer, &["--event", "e", "--topic", "b", "--private"], input).await;
    let exchange = peer.accept().await;
    let first = &drafts(&exchange)[0];
    assert_eq!(
        *first,
        serde_json::json!({"topics": ["a", "b"], "event": "e", "private": true, "data": "one"})
    );
    let (data, _exchange) = take(&peer, exchange, 4).await;
    assert_eq!(data, ["one", "", "{\"a\":\"é\"}", "last"]);
    let Finished { code, stdout, .. } = finish(child).await;
    assert_eq!((code, stdout.as_str()), (0, "Published 4 events; the last id is #3.\n"));
}

#[tokio::test]
async fn a_line_that_trickles_in_goes_out_at_once() {
    let peer = Peer::start().await;
    let mut child = publish(&peer, "/events/a", &[]);
    let mut input = child.stdin.take().unwrap();
    soon(input.write_all(b"0\n")).await.unwrap();
    let mut exchange = peer.accept().await;
    for number in 0..3 {
        assert_eq!(drafts(&exchange)[0]["data"], number.to_string());
        accept_batch(&mut exchange, number..number + 1).await;
        if number < 2 {
            soon(input.write_all(format!("{}\n", number + 1).as_bytes())).await.unwrap();
            exchange = peer.after(exchange).await;
        }
    }
    drop(input);
    assert_eq!(finish(child).await.stdout, "Published 3 events; the last id is #2.\n");
}

#[tokio::test]
async fn a_long_file_goes_in_batches_and_in_order() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = (0..12_345)
        // Every thousandth line is long enough that the bytes fill a batch before the events do.
        .map(|number| {
            format!("{number} {}", "x".repeat(if number % 1_000 == 0 { 500_000 } else { 9 }))
        })
        .collect();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &["--file", file.path().to_str().unwrap()]);
    let exchange = peer.accept().await;
    let (data, _exchange) = take(&peer, exchange, lines.len()).await;
    assert!(data == lines);
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout, "Published 12,345 events; the last id is #12344.\n");
}

#[tokio::test]
async fn a_line_too_long_for_a_batch_goes_by_itself() {
    let peer = Peer::start().await;
    let long = "\"".repeat(600_000);
    let input = format!("a\n{long}\nb\n");
    let sending = publish_input(&peer, &[], &input);
    let receiving = async {
        let (_, exchange) = take(&peer, peer.accept().await, 1).await;
        let mut exchange = peer.after(exchange).await;
        assert_eq!(exchange.line(), "POST /events/a");
        assert!(exchange.text() == long);
        exchange.answer(200, "", r##"{"id":"#1"}"##).await;
        take(&peer, peer.after(exchange).await, 1).await
    };
    let (child, (data, _exchange)) = tokio::join!(sending, receiving);
    assert_eq!(data, ["b"]);
    assert_eq!(finish(child).await.code, 0);
}

#[tokio::test]
async fn the_whole_input_is_one_event_if_asked() {
    let peer = Peer::start().await;
    let child = publish_input(&peer, &["--whole", "--id", "x"], "one\ntwo\n").await;
    let mut exchange = peer.accept().await;
    assert_eq!(exchange.line(), "POST /events/a?id=x");
    assert_eq!(exchange.text(), "one\ntwo\n");
    exchange.answer(200, "", r#"{"id":"x"}"#).await;
    assert_eq!(finish(child).await.code, 0);
}

#[tokio::test]
async fn a_busy_hub_is_asked_again() {
    let peer = Peer::start().await;
    let child = publish_input(&peer, &[], "a\n").await;
    let mut exchange = peer.accept().await;
    for status in [503, 429] {
        assert_eq!(drafts(&exchange).len(), 1);
        exchange.answer(status, "retry-after: 0\r\n", "").await;
        exchange = peer.after(exchange).await;
    }
    take(&peer, exchange, 1).await;
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!((code, stdout.as_str()), (0, "Published 1 event; the last id is #0.\n"));
    let said: Vec<&str> = stderr.lines().collect();
    assert_eq!(said.len(), 2);
    assert!(
        said[0].starts_with(
            "Not published yet: the server answered with status 503: it has too much to do; trying"
        ),
        "{stderr}"
    );
}

#[tokio::test]
async fn what_may_be_published_is_not_sent_again() {
    let peer = Peer::start().await;
    let mut child = publish(&peer, "/events/a", &[]);
    let mut input = child.stdin.take().unwrap();
    soon(input.write_all(b"1\n2\n")).await.unwrap();
    let exchange = peer.accept().await;
    let (_, exchange) = take(&peer, exchange, 2).await;
    soon(input.write_all(b"3\n")).await.unwrap();
    let exchange = peer.after(exchange).await;
    assert_eq!(drafts(&exchange)[0]["data"], "3");
    drop(exchange);
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 3);
    assert!(stderr.starts_with("error: the connection was lost before the answer ("), "{stderr}");
    assert!(
        stderr.ends_with(
            "Lines 1 to 2 are published. Line 3 was sent, and whether it is published is not \
             known: look before you go on from line 3 or line 4.\n"
        ),
        "{stderr}"
    );
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn an_event_with_a_key_is_sent_again_until_it_is_known() {
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &["x", "--key", "order-7"]);
    // Lost, not known, under way, and then answered.
    drop(peer.accept().await);
    for status in [504, 409] {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("idempotency-key"), Some("order-7"));
        assert_eq!(exchange.text(), "x");
        exchange.answer(status, "retry-after: 0\r\nconnection: close\r\n", "").await;
    }
    peer.accept().await.answer(200, "", r##"{"id":"#1"}"##).await;
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!((code, stdout.as_str()), (0, "Published 1 event; the last id is #1.\n"));
    assert_eq!(stderr.matches("Not known to be published: ").count(), 3, "{stderr}");
}

#[tokio::test]
async fn what_a_later_refusal_says_does_not_settle_an_earlier_doubt() {
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &["x", "--key", "order-7"]);
    drop(peer.accept().await);
    peer.accept().await.answer(403, "connection: close\r\n", "").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 3);
    assert!(stderr.ends_with("is not known: publish it again with the same key.\n"), "{stderr}");
}

#[tokio::test]
async fn the_hub_may_not_know_either() {
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &["x"]);
    let problem = r#"{"detail":"the log did not say in time whether it took the events"}"#;
    let head = "content-type: application/problem+json\r\n";
    peer.accept().await.answer(504, head, problem).await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 3);
    assert_eq!(
        stderr,
        "error: the server answered with status 504: the log did not say in time whether it took \
         the events. Whether the event is published is not known: look before you publish it \
         again.\n"
    );
}

#[tokio::test]
async fn a_refused_line_is_named_as_it_stands_in_the_input() {
    let peer = Peer::start().await;
    let mut child = publish(&peer, "/events/a", &[]);
    let mut input = child.stdin.take().unwrap();
    soon(input.write_all(b"1\n2\n")).await.unwrap();
    let (_, exchange) = take(&peer, peer.accept().await, 2).await;
    soon(input.write_all(b"3\n")).await.unwrap();
    let mut exchange = peer.after(exchange).await;
    let problem = concat!(
        r#"{"title":"A field of the request breaks a rule","detail":"line 1: data: at most 0 bytes","#,
        r#""field":"data","rule":"at most 0 bytes","line":1}"#
    );
    exchange.answer(422, "content-type: application/problem+json\r\n", problem).await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "error: line 3: the server answered with status 422: data: at most 0 bytes. Lines 1 to 2 \
         are published; go on from line 3.\n"
    );
}

#[tokio::test]
async fn what_stands_before_a_bad_line_is_published() {
    let peer = Peer::start().await;
    let child = publish_input(&peer, &[], b"1\n2\n\xff\n4\n").await;
    take(&peer, peer.accept().await, 2).await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "error: line 3 is not UTF-8. Lines 1 to 2 are published; go on from line 3.\n"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let origin = peer::nobody();
    let url = format!("{origin}/events/a");
    // As one event, and as the lines of a file.
    for args in [&["publish", &url, "x"][..], &["publish", &url, "--file", "Cargo.toml"]] {
        let Finished { code, stderr, .. } = finish(program(args).spawn().unwrap()).await;
        assert_eq!(code, 1);
        assert!(stderr.starts_with(&format!("error: {url} cannot be reached: ")), "{stderr}");
        assert!(!stderr.contains("trying again"), "{stderr}");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let peer = Peer::start().await;
    let child = publish(&peer, "/events/a", &["x"]);
    peer.accept().await.answer(308, "location: http://elsewhere.example/\r\n", "").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "error: the URL redirects to http://elsewhere.example/; publish there if that is right.\n"
    );
}

#[tokio::test]
async fn ctrl_c_says_how_far_it_came() {
    let peer = Peer::start().await;
    let child = publish_input(&peer, &[], "1\n").await;
    let exchange = peer.accept().await;
    program::interrupt(&child);
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 130);
    assert!(
        stderr.starts_with("error: interrupted. Line 1 was sent, and whether it is"),
        "{stderr}"
    );
    drop(exchange);
}

#[tokio::test]
async fn wrong_arguments_are_told_apart() {
    let peer = Peer::start().await;
    for (path, args, said) in [
        ("/rooms/42", &["x"][..], "the path of the URL must be that of a topic"),
        ("/events/a", &["--id", "1"], "--id goes with a single event"),
        ("/events/a", &["x", "--whole"], "cannot be used with"),
        ("/events/a", &["x", "--retry", "5"], "a duration is a number with a unit"),
    ] {
        let Finished { code, stderr, .. } = finish(publish(&peer, path, args)).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    assert!(!peer.is_asked().await);
}
