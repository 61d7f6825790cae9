//! A scripted upstream, and a real hub.

use crate::follower::Follower;
use crate::hub::Hub;
use crate::peer::{Exchange, Peer};
use crate::program::{Finished, finish, start};
use crate::sides::{stop, warnings};

async fn open(upstream: &Peer, stream: &str) -> Exchange {
    let mut exchange = upstream.accept().await;
    exchange.open().await;
    exchange.send(format!("retry: 0\n\n{stream}")).await;
    exchange
}

async fn data_until(hub: &Hub, last: &str) -> Vec<String> {
    let mut follower = Follower::new(hub.address(), "/events/t?last_event_id=earliest");
    follower.read_until(last).await;
    follower.events.into_iter().map(|(_, data)| data).collect()
}

#[tokio::test]
async fn a_hub_knows_what_comes_again_and_says_what_does_not_fit() {
    let (upstream, hub) = (Peer::start().await, Hub::start(&[]).await);
    let (url, to) = (upstream.url("/feed"), hub.url("/events/t"));
    let relay = ["relay", &url, "--to", &to, "--on-refused", "skip", "--trust-ids"];
    // As a line it is larger than a batch.
    let long = "\"".repeat(600_000);
    let long_event = format!("id: 2\nevent: e\ndata: {long}\n\n");

    let child = start(&relay);
    let stream = format!("id: 1\ndata: a\n\n{long_event}id: 3\ndata: b\n\n");
    let exchange = open(&upstream, &stream).await;
    assert!(data_until(&hub, "b").await == ["a", &long, "b"]);
    stop(child).await;
    drop(exchange);

    // Another run gets them again, with an event that the hub does not take, and one that is changed.
    let child = start(&relay);
    let name = "e".repeat(1_000);
    let stream = format!(
        "id: 1\ndata: a\n\n{long_event}id: 4\nevent: {name}\ndata: c\n\nid: 3\ndata: changed\n\n"
    );
    drop(open(&upstream, &stream).await);
    upstream.accept().await.answer(204, "", "").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(data_until(&hub, "changed").await == ["a", &long, "b", "changed"]);
    let said = warnings(&stderr);
    assert_eq!(said.len(), 2, "{stderr}");
    assert!(said[0].starts_with("the event with the id 4 is skipped"), "{stderr}");
    assert!(said[1].starts_with("the event with the id 3 was published before"), "{stderr}");
}
