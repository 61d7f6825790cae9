//! Cookies go where credentials go.

use std::sync::Arc;

use reqwest::cookie::{CookieStore, Jar};
use tidings_client::Builder;

use crate::peer::updates::{both, disconnected, open, quick};
use crate::peer::{Exchange, Peer};

const PAGE: &str = "https://page.example";

/// A jar with a cookie for every peer: ports do not tell cookies apart.
fn jar() -> Arc<Jar> {
    let jar = Jar::default();
    jar.add_cookie_str("a=1", &"http://127.0.0.1/".parse().unwrap());
    Arc::new(jar)
}

fn with_jar(builder: Builder, jar: &Arc<Jar>) -> Builder {
    builder.cookies(Arc::clone(jar) as Arc<dyn CookieStore>)
}

fn cookies(exchange: &Exchange) -> Vec<&str> {
    let mut cookies: Vec<_> =
        exchange.header("cookie").into_iter().flat_map(|cookies| cookies.split("; ")).collect();
    cookies.sort_unstable();
    cookies
}

async fn open_with(exchange: &mut Exchange, headers: &str) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    exchange.send(format!("{head}{headers}\r\n")).await;
}

#[tokio::test]
async fn they_are_sent_kept_and_sent_again() {
    let peer = Peer::start().await;
    let jar = jar();
    let mut source = with_jar(quick(&peer.url("/")), &jar).build().unwrap();
    let client = async {
        open(&mut source).await;
        disconnected(&mut source).await;
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(cookies(&exchange), ["a=1"]);
        exchange.answer(307, "location: /s\r\nset-cookie: b=2\r\n", "").await;
        let mut exchange = peer.after(exchange).await;
        assert_eq!(cookies(&exchange), ["a=1", "b=2"]);
        open_with(&mut exchange, "set-cookie: a=3\r\nset-cookie: c=4\r\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(cookies(&exchange), ["a=3", "b=2", "c=4"]);
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn they_cross_origins_by_redirect_only_with_credentials() {
    for with in [false, true] {
        let (first, second) = (Peer::start().await, Peer::start().await);
        let jar = jar();
        let builder = with_jar(quick(&first.url("/")), &jar).with_credentials(with);
        let mut source = builder.header("cookie", "own=1").build().unwrap();
        let server = async {
            let mut exchange = first.accept().await;
            // The caller's own goes before the jar.
            assert_eq!(cookies(&exchange), ["own=1"]);
            exchange.answer(302, &format!("location: {}\r\n", second.url("/")), "").await;
            let mut exchange = second.accept().await;
            let sent: &[&str] = if with { &["a=1"] } else { &[] };
            assert_eq!(cookies(&exchange), sent);
            open_with(&mut exchange, "set-cookie: b=2\r\n").await;
            exchange
        };
        both(open(&mut source), server).await;
        let kept = jar.cookies(&"http://127.0.0.1/".parse().unwrap()).unwrap();
        assert_eq!(kept.to_str().unwrap().contains("b=2"), with);
    }
}

#[tokio::test]
async fn a_page_of_another_origin_sends_them_only_with_credentials() {
    for with in [false, true] {
        let peer = Peer::start().await;
        let jar = jar();
        let builder = with_jar(quick(&peer.url("/")).origin(PAGE), &jar).with_credentials(with);
        let mut source = builder.build().unwrap();
        let client = async {
            open(&mut source).await;
            disconnected(&mut source).await;
            open(&mut source).await;
        };
        let server = async {
            for expected in [&["a=1"][..], &["a=1", "b=2"]] {
                let mut exchange = peer.accept().await;
                assert_eq!(cookies(&exchange), if with { expected } else { &[] });
                let allowed = format!("access-control-allow-origin: {PAGE}\r\n");
                let credentials = "access-control-allow-credentials: true\r\n";
                let headers = format!("{allowed}{credentials}set-cookie: b=2\r\n");
                open_with(&mut exchange, &headers).await;
            }
        };
        both(client, server).await;
    }
}
