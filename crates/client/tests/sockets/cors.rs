//! A source that acts for a page, and servers of other origins.

use http::Method;
use tidings_client::{Builder, Cause, CorsError, EventId, Profile};

use crate::peer::updates::{both, disconnected, failed, message, open, quick};
use crate::peer::{Exchange, Peer};

const PAGE: &str = "https://page.example";

fn of_page(peer: &Peer) -> Builder {
    quick(&peer.url("/")).origin(PAGE)
}

/// Opens the stream with these headers.
async fn open_with(exchange: &mut Exchange, headers: &str) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    exchange.send(format!("{head}{headers}\r\n")).await;
}

/// Why the source refuses a stream that opens with these headers.
async fn refused(builder: Builder, peer: &Peer, headers: &str) -> CorsError {
    let mut source = builder.build().unwrap();
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("origin"), Some(PAGE));
        open_with(&mut exchange, headers).await;
        exchange.send("data: secret\n\n").await;
    };
    let (error, ()) = both(failed(&mut source), server).await;
    assert!(!peer.is_asked().await);
    let Cause::Cors(error) = error.cause() else { panic!("{error:?}") };
    error.clone()
}

#[tokio::test]
async fn another_origin_must_allow_the_page() {
    for allowed in [PAGE, "*"] {
        let peer = Peer::start().await;
        let mut source = of_page(&peer).build().unwrap();
        let client = async {
            open(&mut source).await;
            message(&mut source).await;
            disconnected(&mut source).await;
            open(&mut source).await;
        };
        let server = async {
            for id in [None, Some("1")] {
                let mut exchange = peer.accept().await;
                // Neither of the stream's own headers needs leave.
                assert_eq!(exchange.line(), "GET /");
                assert_eq!(exchange.header("origin"), Some(PAGE));
                assert_eq!(exchange.header("last-event-id"), id);
                let headers = format!("access-control-allow-origin: {allowed}\r\n");
                open_with(&mut exchange, &headers).await;
                exchange.send("id: 1\ndata: x\n\n").await;
            }
        };
        both(client, server).await;
    }
    let peer = Peer::start().await;
    let origin = |allowed: Option<&str>| CorsError::Origin {
        origin: PAGE.into(),
        allowed: allowed.map(Into::into),
    };
    let missing = refused(of_page(&peer), &peer, "").await;
    assert_eq!(missing, origin(None));
    let text = "the server does not allow the origin https://page.example: \
                Access-Control-Allow-Origin is missing";
    assert_eq!(missing.to_string(), text);
    let other = "access-control-allow-origin: https://other.example\r\n";
    let refusal = refused(of_page(&peer), &peer, other).await;
    assert_eq!(refusal, origin(Some("https://other.example")));
}

#[tokio::test]
async fn the_page_of_the_same_origin_needs_no_leave() {
    let peer = Peer::start().await;
    let mut source =
        quick(&peer.url("/")).origin(peer.origin()).header("x-own", "1").build().unwrap();
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.line(), "GET /");
        assert_eq!(exchange.header("origin"), None);
        assert_eq!(exchange.header("x-own"), Some("1"));
        exchange.open().await;
        exchange
    };
    both(open(&mut source), server).await;
}

#[tokio::test]
async fn with_credentials_the_leave_must_name_the_page_and_them() {
    let peer = Peer::start().await;
    let credentials = "access-control-allow-credentials: true\r\n";
    let named = format!("access-control-allow-origin: {PAGE}\r\n");
    let with = || of_page(&peer).with_credentials(true);
    let any = format!("access-control-allow-origin: *\r\n{credentials}");
    let refusal = refused(with(), &peer, &any).await;
    assert!(matches!(refusal, CorsError::Origin { .. }), "{refusal:?}");
    assert_eq!(refused(with(), &peer, &named).await, CorsError::Credentials);
    let mut source = with().build().unwrap();
    let server = async {
        let mut exchange = peer.accept().await;
        open_with(&mut exchange, &(named + credentials)).await;
        exchange
    };
    both(open(&mut source), server).await;
}

#[tokio::test]
async fn the_password_of_the_url_stays_away_without_credentials() {
    for (with, sent) in [(false, None), (true, Some("Basic dTpw"))] {
        let peer = Peer::start().await;
        let url = peer.url("/").replace("http://", "http://u:p@");
        let mut source = quick(&url).origin(PAGE).with_credentials(with).build().unwrap();
        let server = async {
            let mut exchange = peer.accept().await;
            assert_eq!(exchange.header("authorization"), sent);
            let allowed = format!("access-control-allow-origin: {PAGE}\r\n");
            let credentials = "access-control-allow-credentials: true\r\n";
            open_with(&mut exchange, &(allowed + credentials)).await;
            exchange
        };
        both(open(&mut source), server).await;
    }
}

#[tokio::test]
async fn own_headers_ask_for_leave_first() {
    let peer = Peer::start().await;
    let builder = of_page(&peer).header("x-own", "1").header("authorization", "secret");
    let mut source = builder.build().unwrap();
    let allowed = format!("access-control-allow-origin: {PAGE}\r\n");
    let client = async {
        open(&mut source).await;
        disconnected(&mut source).await;
        failed(&mut source).await
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.line(), "OPTIONS /");
        assert_eq!(exchange.header("origin"), Some(PAGE));
        assert_eq!(exchange.header("access-control-request-method"), Some("GET"));
        assert_eq!(exchange.header("access-control-request-headers"), Some("authorization,x-own"));
        assert_eq!((exchange.header("authorization"), exchange.header("x-own")), (None, None));
        let leave = "access-control-allow-headers: X-Own, Authorization\r\n";
        exchange.answer(204, &format!("{allowed}{leave}"), "").await;
        let mut exchange = peer.after(exchange).await;
        assert_eq!(exchange.line(), "GET /");
        assert_eq!(exchange.header("authorization"), Some("secret"));
        assert_eq!(exchange.header("x-own"), Some("1"));
        open_with(&mut exchange, &allowed).await;
        drop(exchange);
        // A wildcard does not stand for the credential.
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.line(), "OPTIONS /");
        let leave = "access-control-allow-headers: *\r\n";
        exchange.answer(204, &format!("{allowed}{leave}"), "").await;
    };
    let (error, ()) = both(client, server).await;
    assert_eq!(*error.cause(), Cause::Cors(CorsError::Header { name: "authorization".into() }));
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn a_post_of_json_asks_for_leave_and_goes_out_once() {
    let peer = Peer::start().await;
    let builder = of_page(&peer).method(Method::POST).header("content-type", "application/json");
    let mut source = builder.body("{}").build().unwrap();
    let allowed = format!("access-control-allow-origin: {PAGE}\r\n");
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!((exchange.line(), exchange.text()), ("OPTIONS /", ""));
        assert_eq!(exchange.header("access-control-request-headers"), Some("content-type"));
        let leave = "access-control-allow-headers: content-type\r\n";
        exchange.answer(200, &format!("{allowed}{leave}"), "").await;
        let mut exchange = peer.after(exchange).await;
        assert_eq!((exchange.line(), exchange.text()), ("POST /", "{}"));
        assert_eq!(exchange.header("origin"), Some(PAGE));
        open_with(&mut exchange, &allowed).await;
        exchange
    };
    both(open(&mut source), server).await;
}

#[tokio::test]
async fn redirects_between_other_origins_come_from_nobody() {
    let (first, second) = (Peer::start().await, Peer::start().await);
    let mut source = quick(&first.url("/")).origin(PAGE).build().unwrap();
    let server = async {
        let mut exchange = first.accept().await;
        assert_eq!(exchange.header("origin"), Some(PAGE));
        let to = format!("location: {}\r\n", second.url("/"));
        exchange.answer(302, &format!("{to}access-control-allow-origin: {PAGE}\r\n"), "").await;
        let mut exchange = second.accept().await;
        assert_eq!(exchange.header("origin"), Some("null"));
        open_with(&mut exchange, "access-control-allow-origin: null\r\n").await;
        exchange
    };
    both(open(&mut source), server).await;
    // The redirect itself must allow the page to see it.
    let mut source = quick(&first.url("/")).origin(PAGE).build().unwrap();
    let server = async {
        let to = format!("location: {}\r\n", second.url("/"));
        first.accept().await.answer(302, &to, "").await;
    };
    let (error, ()) = both(failed(&mut source), server).await;
    assert!(matches!(error.cause(), Cause::Cors(CorsError::Origin { .. })), "{error:?}");
    assert!(!second.is_asked().await);
}

#[tokio::test]
async fn who_leaves_the_origin_of_the_page_is_a_stranger_when_it_comes_back() {
    let (home, other) = (Peer::start().await, Peer::start().await);
    let mut source = quick(&home.url("/")).origin(home.origin()).build().unwrap();
    let allowed = |origin: &str| format!("access-control-allow-origin: {origin}\r\n");
    let client = async {
        open(&mut source).await;
        message(&mut source).await;
        disconnected(&mut source).await;
        // The way there is not repeated, and the origin is its own page's.
        open(&mut source).await;
    };
    let server = async {
        let mut first = home.accept().await;
        assert_eq!(first.header("origin"), None);
        first.answer(302, &format!("location: {}\r\n", other.url("/")), "").await;
        let mut exchange = other.accept().await;
        assert_eq!(exchange.header("origin"), Some(home.origin()));
        let back = format!("location: {}\r\n{}", home.url("/s"), allowed(home.origin()));
        exchange.answer(302, &back, "").await;
        let mut exchange = home.after(first).await;
        assert_eq!((exchange.line(), exchange.header("origin")), ("GET /s", Some("null")));
        open_with(&mut exchange, &allowed("null")).await;
        exchange.send("data: x\n\n").await;
        drop(exchange);
        let mut exchange = home.accept().await;
        assert_eq!((exchange.line(), exchange.header("origin")), ("GET /s", None));
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_long_last_event_id_asks_for_leave_where_it_is_to() {
    let long: EventId = "x".repeat(129).parse().unwrap();
    let allowed = format!("access-control-allow-origin: {PAGE}\r\n");
    for (profile, asks) in [(Profile::Strict, true), (Profile::Resilient, false)] {
        let peer = Peer::start().await;
        let builder = of_page(&peer).profile(profile).last_event_id(long.clone());
        let mut source = builder.build().unwrap();
        let server = async {
            let mut exchange = peer.accept().await;
            if asks {
                assert_eq!(exchange.line(), "OPTIONS /");
                let names = exchange.header("access-control-request-headers");
                assert_eq!(names, Some("last-event-id"));
                assert_eq!(exchange.header("last-event-id"), None);
                let leave = "access-control-allow-headers: last-event-id\r\n";
                exchange.answer(204, &format!("{allowed}{leave}"), "").await;
                exchange = peer.after(exchange).await;
            }
            assert_eq!(exchange.line(), "GET /");
            assert_eq!(exchange.header("last-event-id"), Some(long.as_str()));
            open_with(&mut exchange, &allowed).await;
            exchange
        };
        both(open(&mut source), server).await;
    }
}
