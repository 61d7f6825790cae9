//! Methods that are not safe are sent once, unless somebody allows more.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tidings_client::{Builder, Cause, Dispatch, Error, Profile, ReadyState};

use crate::peer::updates::{both, disconnected, failed, message, open, quick};
use crate::peer::{Exchange, Peer, nobody, soon};
use crate::told::Told;

fn post(url: &str) -> Builder {
    quick(url).method(Method::POST).header("content-type", "application/json").body("{}")
}

fn expect_post(exchange: &Exchange, target: &str) {
    assert_eq!(exchange.line(), format!("POST {target}"));
    assert_eq!(exchange.text(), "{}");
    assert_eq!(exchange.header("content-type"), Some("application/json"));
    assert_eq!(exchange.header("accept"), Some("text/event-stream"));
}

/// A stream whose end the client can tell from a break.
async fn open_chunked(exchange: &mut Exchange) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    exchange.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
}

#[tokio::test]
async fn a_broken_answer_is_told_and_not_asked_for_again() {
    let peer = Peer::start().await;
    let mut source = post(&peer.url("/ask")).build().unwrap();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        let error = failed(&mut source).await;
        let Error::NotReplayed { cause, network, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*cause, Cause::Network);
        assert!(network.is_some());
        let text = error.to_string();
        let end = "; the request may have been acted on and is not sent again";
        assert!(text.starts_with("the connection failed: ") && text.ends_with(end), "{text}");
    };
    let server = async {
        let mut exchange = peer.accept().await;
        expect_post(&exchange, "/ask");
        open_chunked(&mut exchange).await;
        exchange.send("9\r\ndata: 1\n\n\r\n").await;
    };
    both(client, server).await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn the_end_of_an_answer_is_the_end_of_the_source() {
    let peer = Peer::start().await;
    let source = post(&peer.url("/ask")).build().unwrap();
    let (handle, told) = (source.handle(), Told::default());
    told.listen(&handle, "1", "message");
    told.listen(&handle, "1", "error");
    handle.on_error(|dispatch| assert!(matches!(dispatch, Dispatch::Ended), "{dispatch:?}"));
    let server = async {
        let mut exchange = peer.accept().await;
        open_chunked(&mut exchange).await;
        exchange.send("9\r\ndata: 1\n\n\r\n0\r\n\r\n").await;
        exchange
    };
    let (result, _exchange) = both(soon(source.run()), server).await;
    result.unwrap();
    assert_eq!(told.take(), ["1 Open message=1", "1 Closed ended"]);
    // And of the stream of updates, which yields no error.
    let mut source = post(&peer.url("/ask")).build().unwrap();
    let client = async {
        open(&mut source).await;
        assert!(soon(source.next()).await.is_none());
        assert_eq!(source.ready_state(), ReadyState::Closed);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
    };
    both(client, server).await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn a_refusal_that_would_pass_is_told_with_its_body() {
    let peer = Peer::start().await;
    let mut source = post(&peer.url("/ask")).profile(Profile::Resilient).build().unwrap();
    let server = async { peer.accept().await.answer(503, "", "too busy").await };
    let (error, ()) = both(failed(&mut source), server).await;
    assert!(matches!(error, Error::NotReplayed { .. }), "{error:?}");
    assert_eq!(error.body(), "too busy");
    assert!(!peer.is_asked().await);
}

/// Resolves every name to one address after the other.
struct Addresses(Mutex<VecDeque<SocketAddr>>);

impl Resolve for Addresses {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0.lock().unwrap().pop_front().expect("there are enough");
        Box::pin(async move { Ok(Box::new([address].into_iter()) as Addrs) })
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_tried_again() {
    let peer = Peer::start().await;
    let addresses = [address(&nobody()), address(&nobody()), address(peer.origin())];
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(Addresses(Mutex::new(addresses.into()))))
        .build()
        .unwrap();
    let mut source = post("http://peer.example/ask").client(client).build().unwrap();
    let client = async {
        assert_eq!(disconnected(&mut source).await.0, Cause::Unreachable);
        assert_eq!(disconnected(&mut source).await.0, Cause::Unreachable);
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        expect_post(&exchange, "/ask");
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn it_is_replayed_with_the_last_event_id_where_that_is_allowed() {
    let peer = Peer::start().await;
    let mut source = post(&peer.url("/ask")).replay(true).build().unwrap();
    let client = async {
        open(&mut source).await;
        message(&mut source).await;
        assert_eq!(disconnected(&mut source).await.0, Cause::Network);
        open(&mut source).await;
        assert_eq!(disconnected(&mut source).await.0, Cause::Ended);
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), None);
        open_chunked(&mut exchange).await;
        exchange.send("10\r\nid: a1\ndata: 1\n\n\r\n").await;
        drop(exchange);
        for _ in 0..2 {
            let mut exchange = peer.accept().await;
            expect_post(&exchange, "/ask");
            assert_eq!(exchange.header("last-event-id"), Some("a1"));
            exchange.open().await;
        }
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_redirect_keeps_it_or_turns_it_into_a_get_as_its_status_says() {
    for (status, is_kept) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let peer = Peer::start().await;
        let mut source = post(&peer.url("/ask")).header("x-own", "1").build().unwrap();
        let client = async {
            open(&mut source).await;
            assert_eq!(message(&mut source).await.data, "1");
            assert!(soon(source.next()).await.is_none());
        };
        let server = async {
            let mut exchange = peer.accept().await;
            expect_post(&exchange, "/ask");
            exchange.answer(status, "location: /answer\r\n", "").await;
            let mut exchange = peer.after(exchange).await;
            if is_kept {
                expect_post(&exchange, "/answer");
            } else {
                assert_eq!((exchange.line(), exchange.text()), ("GET /answer", ""));
                assert_eq!(exchange.header("content-type"), None);
                assert_eq!(exchange.header("content-length"), None);
            }
            assert_eq!(exchange.header("accept"), Some("text/event-stream"));
            assert_eq!(exchange.header("x-own"), Some("1"));
            exchange.open().await;
            exchange.send("data: 1\n\n").await;
        };
        both(client, server).await;
        assert!(!peer.is_asked().await);
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_reached_is_no_reason_to_send_it_again() {
    let peer = Peer::start().await;
    let mut source = post(&peer.url("/ask")).build().unwrap();
    let server = async {
        let location = format!("location: {}/result\r\n", nobody());
        peer.accept().await.answer(303, &location, "").await;
    };
    let (error, ()) = both(failed(&mut source), server).await;
    let Error::NotReplayed { cause: Cause::Unreachable, network, .. } = error else { panic!() };
    assert!(network.unwrap().is_connect());
    assert!(!peer.is_asked().await);
}
