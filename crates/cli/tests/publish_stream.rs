//! `tidings publish --stream`, as it is run, and streams that are sent again to a hub that was
//! killed.

#[path = "hub/follower.rs"]
mod follower;
mod hub;
#[path = "../../client/tests/peer/mod.rs"]
mod peer;
mod program;

use std::process::Stdio;

use follower::Follower;
use hub::Hub;
use peer::soon;
use program::{Finished, finish, program};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Body;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin};

/// The program, publishing a stream to the topic `a`.
fn publish(hub: &Hub, args: &[&str]) -> (Child, ChildStdin) {
    let url = hub.url("/events/a");
    let args = [&["publish", &url, "--stream"], args].concat();
    let mut child = program(&args).stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

async fn write(input: &mut ChildStdin, text: &str) {
    soon(input.write_all(text.as_bytes())).await.unwrap();
}

fn follower(hub: &Hub) -> Follower {
    Follower::new(hub.address(), "/events/a?last_event_id=earliest")
}

fn data(follower: &Follower) -> Vec<&str> {
    follower.events.iter().map(|(_, data)| data.as_str()).collect()
}

#[tokio::test]
async fn each_event_of_the_input_is_published_as_it_comes() {
    let hub = Hub::start(&[]).await;
    let (child, mut input) = publish(&hub, &["--event", "token"]);
    let mut follower = follower(&hub);
    for token in ["Hello", "\u{e9}", "!"] {
        write(&mut input, &format!("data: {token}\r\n\r\n")).await;
        follower.read_until(token).await;
    }
    write(&mut input, ": comment\nid: done\ndata: [DONE]\ndata\n\ndata: cut off").await;
    drop(input);
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!(
        (code, stdout.as_str()),
        (0, "Published 4 events; the last id is done.\n"),
        "{stderr}"
    );
    assert!(stderr.contains("ended within an event"), "{stderr}");
    follower.read_until("[DONE]\n").await;
    assert_eq!(data(&follower), ["Hello", "\u{e9}", "!", "[DONE]\n"]);
}

#[tokio::test]
async fn a_refusal_is_told_at_once_with_what_is_published() {
    let hub = Hub::start(&[]).await;
    let (child, mut input) = publish(&hub, &[]);
    write(&mut input, "data: 1\n\ndata: 2\n\nevent: tidings.gap\ndata: 3\n\n").await;
    // The input stays open.
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with(
            "error: event 3: the server answered with status 422: event: event types that begin"
        ),
        "{stderr}"
    );
    assert!(stderr.contains("2 events are published, the last id is #"), "{stderr}");
    assert!(stderr.ends_with("; go on from event 3.\n"), "{stderr}");
    drop(input);
    let (child, input) = publish(&hub, &["--event", "tidings.x"]);
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert!(stderr.ends_with("belong to the hub. Nothing was published this time.\n"), "{stderr}");
    drop(input);
}

#[tokio::test]
async fn a_stream_with_a_key_can_be_sent_again() {
    let hub = Hub::start(&[]).await;
    let (child, mut input) = publish(&hub, &["--key", "k"]);
    write(&mut input, "data: 1\n\ndata: 2\n\nretry: 1\ndata: 3\n\n").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert!(stderr.ends_with("; send the whole stream again with the same key.\n"), "{stderr}");
    let (child, mut input) = publish(&hub, &["--key", "k"]);
    write(&mut input, "data: 1\n\ndata: 2\n\ndata: 3\n\n").await;
    drop(input);
    let Finished { code, stdout, stderr } = finish(child).await;
    assert_eq!((code, stderr.as_str()), (0, "Of them, 2 had been published before.\n"));
    assert!(stdout.starts_with("Published 3 events; the last id is #"), "{stdout}");
    let mut follower = follower(&hub);
    follower.read_until("3").await;
    assert_eq!(data(&follower), ["1", "2", "3"]);
}

#[tokio::test]
async fn ctrl_c_ends_the_stream_and_says_how_far_it_came() {
    let hub = Hub::start(&[]).await;
    let (child, mut input) = publish(&hub, &[]);
    write(&mut input, "data: 1\n\n").await;
    follower(&hub).read_until("1").await;
    program::interrupt(&child);
    let Finished { code, stdout, .. } = finish(child).await;
    assert_eq!(code, 130);
    assert!(stdout.starts_with("Published 1 event; the last id is #"), "{stdout}");
}

#[tokio::test]
async fn a_hub_that_is_gone_leaves_it_open() {
    let hub = Hub::start(&[]).await;
    let (child, mut input) = publish(&hub, &[]);
    write(&mut input, "data: 1\n\n").await;
    follower(&hub).read_until("1").await;
    hub.kill();
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 3);
    assert!(stderr.starts_with("error: the connection was lost before the answer ("), "{stderr}");
    assert!(stderr.ends_with("not known: look before you send it again.\n"), "{stderr}");
    drop(input);
    let nobody = format!("{}/events/a", peer::nobody());
    let Finished { code, stderr, .. } =
        finish(program::start(&["publish", "--stream", &nobody])).await;
    assert_eq!(code, 1);
    assert!(stderr.ends_with("Nothing was published this time.\n"), "{stderr}");
}

#[tokio::test]
async fn wrong_arguments_are_told_apart() {
    for (args, said) in [
        (&["--stream", "x"][..], "cannot be used with"),
        (&["--stream", "--whole"], "cannot be used with"),
        (&["--stream", "--id", "1"], "cannot be used with"),
        (&["--stream", "--key", "a b"], "a key has visible ASCII characters"),
        (&["--stream", "--key", ""], "a key has visible ASCII characters"),
        (&["--key", "k"], "--key goes with a single event or a stream"),
    ] {
        let args = [&["publish", "http://localhost/events/a"], args].concat();
        let Finished { code, stderr, .. } = finish(program::start(&args)).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

const ROUNDS: usize = 8;
const EVENTS: usize = 200;

/// Publishes all events of a round in pieces, and answers what the hub answers, if it lives.
async fn send(
    http: &reqwest::Client,
    url: &str,
    round: usize,
    pieces: Vec<String>,
) -> Option<Value> {
    let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let request = http
        .post(url)
        .header("content-type", "text/event-stream")
        .header("idempotency-key", format!("round-{round}"))
        .body(Body::wrap_stream(pieces));
    let body = request.send().await.ok()?.bytes().await.ok()?;
    Some(serde_json::from_slice(&body).expect("an answer or none"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_sent_again_to_a_killed_hub_arrives_once_and_in_order() {
    let seed: u64 = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut hub = Hub::start(&[]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = hub.url("/events/a");
    let mut follower = follower(&hub);
    let mut repeated = 0;
    for round in 0..ROUNDS {
        let text: String =
            (0..EVENTS).map(|n| format!("event: e\ndata: {round}-{n}\n\n")).collect();
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.random_range(1..60).min(rest.len()));
            pieces.push(piece.to_owned());
            rest = after;
        }
        let (sender, address) = (http.clone(), url.clone());
        let first = tokio::spawn({
            let pieces = pieces.clone();
            async move { send(&sender, &address, round, pieces).await }
        });
        // Somewhere on the way, or after the last is published and perhaps before the answer.
        let seen = if round % 2 == 0 { random.random_range(0..EVENTS) } else { EVENTS - 1 };
        follower.read_until_seen(&format!("{round}-{seen}")).await;
        hub.kill();
        let first = soon(first).await.unwrap();
        hub.start_again().await;
        let answer = soon(send(&http, &url, round, pieces)).await.expect("it lives");
        assert_eq!(answer["events"], EVENTS, "{answer} after {first:?}");
        let before = answer["repeated"].as_u64().expect("some had been published");
        assert!(before > seen as u64, "what was seen is durable: {answer}");
        repeated += before;
    }
    follower.read_until(&format!("{}-{}", ROUNDS - 1, EVENTS - 1)).await;
    assert_eq!(follower.gaps, Vec::<String>::new());
    let expected: Vec<_> =
        (0..ROUNDS).flat_map(|round| (0..EVENTS).map(move |n| format!("{round}-{n}"))).collect();
    assert_eq!(data(&follower), expected);
    println!("{repeated} repeated");
}
