//! What is not acknowledged comes again, in this process and the next.

use tidings_client::{Builder, Commit, EventSource, ResumeToken, Update};
use tokio::sync::mpsc;

use crate::peer::updates::{both, disconnected, message, open, quick};
use crate::peer::{Exchange, Peer, soon};

fn acknowledging(peer: &Peer) -> Builder {
    quick(&peer.url("/")).commit(Commit::Acknowledged)
}

/// Serves events 1 to 4 from where the request resumes.
async fn serve(peer: &Peer, resumes_after: Option<&str>) -> Exchange {
    let mut exchange = peer.accept().await;
    assert_eq!(exchange.header("last-event-id"), resumes_after);
    exchange.open().await;
    let after = resumes_after.map_or(0, |id| id.parse().unwrap());
    let events: String = (after + 1..=4).map(|n: u32| format!("id: {n}\ndata: {n}\n\n")).collect();
    exchange.send(events).await;
    exchange
}

#[tokio::test]
async fn a_reconnect_resumes_after_the_last_that_was_acknowledged() {
    let peer = Peer::start().await;
    let mut source = acknowledging(&peer).build().unwrap();
    let client = async {
        open(&mut source).await;
        let first = message(&mut source).await;
        let second = message(&mut source).await;
        assert_eq!(message(&mut source).await.data, "3");
        source.acknowledge(&second);
        // Less than what is acknowledged already.
        source.acknowledge(&first);
        assert_eq!(source.last_event_id(), "2");
        source.reconnect();
        disconnected(&mut source).await;
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "3");
    };
    let server = async {
        serve(&peer, None).await.closed().await;
        serve(&peer, Some("2")).await
    };
    both(client, server).await;
}

#[tokio::test]
async fn another_task_acknowledges() {
    let peer = Peer::start().await;
    let mut source = acknowledging(&peer).build().unwrap();
    let handle = source.handle();
    let (messages, mut received) = mpsc::channel(4);
    let (acknowledged, mut is_acknowledged) = mpsc::channel(1);
    let worker = async {
        for _ in 0..3 {
            let message = soon(received.recv()).await.unwrap();
            handle.acknowledge(&message);
        }
        acknowledged.send(()).await.unwrap();
    };
    let client = async {
        open(&mut source).await;
        for _ in 0..4 {
            messages.send(message(&mut source).await).await.unwrap();
        }
        soon(is_acknowledged.recv()).await.unwrap();
        handle.reconnect();
        disconnected(&mut source).await;
        assert_eq!(source.last_event_id(), "3");
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "4");
    };
    let server = async {
        serve(&peer, None).await.closed().await;
        serve(&peer, Some("3")).await
    };
    both(both(worker, client), server).await;
}

#[tokio::test]
async fn an_acknowledgement_counts_while_the_next_connection_comes_about() {
    let peer = Peer::start().await;
    let mut source = acknowledging(&peer).build().unwrap();
    let handle = source.handle();
    let (messages, mut received) = mpsc::channel(1);
    let client = async {
        open(&mut source).await;
        message(&mut source).await;
        messages.send(message(&mut source).await).await.unwrap();
        message(&mut source).await;
        message(&mut source).await;
        disconnected(&mut source).await;
        open(&mut source).await;
        // What the request asked for, not knowing of it, comes again; but is asked for no more.
        assert_eq!(message(&mut source).await.data, "1");
        assert_eq!(source.last_event_id(), "2");
        disconnected(&mut source).await;
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "3");
    };
    let server = async {
        drop(serve(&peer, None).await);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), None);
        handle.acknowledge(&soon(received.recv()).await.unwrap());
        exchange.open().await;
        exchange.send("id: 1\ndata: 1\n\n").await;
        drop(exchange);
        serve(&peer, Some("2")).await
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_token_takes_the_place_to_another_process() {
    let peer = Peer::start().await;
    let mut source = acknowledging(&peer).build().unwrap();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        let second = message(&mut source).await;
        assert_eq!(message(&mut source).await.data, "3");
        source.acknowledge(&second);
        source.resume_token().to_string()
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("retry: 177\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n").await;
        exchange
    };
    let (stored, _exchange) = both(client, server).await;
    drop(source);
    assert_eq!(stored, "1 177 2");
    let token: ResumeToken = stored.parse().unwrap();
    let mut source = EventSource::builder(peer.url("/"))
        .commit(Commit::Acknowledged)
        .resume(token.clone())
        .build()
        .unwrap();
    assert_eq!(source.resume_token(), token);
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "3");
        // It has the reconnection time that the stream had set before.
        let Some(Ok(Update::Message(last))) = soon(source.next()).await else { panic!() };
        source.acknowledge(&last);
        assert_eq!(disconnected(&mut source).await.1.as_millis(), 177);
    };
    let server = async { drop(serve(&peer, Some("2")).await) };
    both(client, server).await;
    assert_eq!(source.resume_token().to_string(), "1 177 4");
}
