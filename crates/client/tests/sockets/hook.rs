//! The request hook: what it is told, and what its answer does.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, Method, StatusCode};
use tidings_client::{Cause, Error, EventSource, HookError, Policy, Profile, Update};

use crate::peer::updates::{both, disconnected, failed, message, next, open, quick};
use crate::peer::{Peer, nobody, soon};

#[tokio::test]
async fn it_is_told_what_became_of_the_attempt_before() {
    let peer = Peer::start().await;
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut source = quick(&peer.url("/"))
        .profile(Profile::Resilient)
        .on_request({
            let told = Arc::clone(&told);
            move |attempt| {
                let previous = attempt.previous.as_ref().map_or("none".into(), |previous| {
                    assert_eq!(previous.network.is_some(), previous.cause == Cause::Network);
                    let response = previous.response.as_ref().map(|response| {
                        let why = response.headers.get("x-why").map(|why| why.to_str().unwrap());
                        format!("{} {}", response.status.as_u16(), why.unwrap_or("-"))
                    });
                    format!("{}, {}", previous.cause, response.as_deref().unwrap_or("no response"))
                });
                told.lock().unwrap().push(format!(
                    "{} {} {:?} after {previous}",
                    attempt.number,
                    attempt.failures,
                    attempt.last_event_id.as_str(),
                ));
                async { Ok(attempt.request) }
            }
        })
        .build()
        .unwrap();
    let client = async {
        disconnected(&mut source).await;
        disconnected(&mut source).await;
        open(&mut source).await;
        message(&mut source).await;
        disconnected(&mut source).await;
        open(&mut source).await;
        disconnected(&mut source).await;
        open(&mut source).await;
    };
    let server = async {
        peer.accept().await.answer(503, "x-why: full\r\n", "").await;
        drop(peer.accept().await);
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("id: 7\ndata: x\n\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("7"));
        exchange.open().await;
        exchange.reset();
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    both(client, server).await;
    assert_eq!(
        *told.lock().unwrap(),
        [
            r#"1 0 "" after none"#,
            r#"2 1 "" after the server answered with status 503, not 200, 503 full"#,
            r#"3 2 "" after the connection failed, no response"#,
            r#"4 1 "7" after the stream ended, 200 -"#,
            r#"5 2 "7" after the connection failed, 200 -"#,
        ]
    );
}

#[tokio::test]
async fn it_gives_each_attempt_a_fresh_token() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/"))
        .header("authorization", "Bearer stale")
        .on_request(|mut attempt| async move {
            // As if it had been fetched.
            tokio::task::yield_now().await;
            let token = HeaderValue::from_str(&format!("Bearer {}", attempt.number))?;
            attempt.request.headers.insert("authorization", token);
            Ok(attempt.request)
        })
        .build()
        .unwrap();
    let client = async {
        for _ in 0..3 {
            open(&mut source).await;
            disconnected(&mut source).await;
        }
    };
    let server = async {
        for number in 1..=3 {
            let mut exchange = peer.accept().await;
            let token = format!("Bearer {number}");
            assert_eq!(exchange.header("authorization"), Some(&*token));
            exchange.open().await;
        }
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_post_is_resumed_by_a_get_elsewhere() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/responses"))
        .method(Method::POST)
        .header("content-type", "application/json")
        .body(r#"{"stream":true}"#)
        .on_request(|mut attempt| async move {
            if attempt.number > 1 {
                let request = &mut attempt.request;
                request.method = Method::GET;
                request.body = None;
                request.headers.remove("content-type");
                request.headers.remove("last-event-id");
                request.url.set_path("/responses/r1");
                let after = format!("starting_after={}", attempt.last_event_id);
                request.url.set_query(Some(&after));
            }
            Ok(attempt.request)
        })
        .build()
        .unwrap();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        assert_eq!(disconnected(&mut source).await.0, Cause::Network);
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "2");
        assert_eq!(disconnected(&mut source).await.0, Cause::Ended);
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!((exchange.line(), exchange.text()), ("POST /responses", r#"{"stream":true}"#));
        exchange.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n").await;
        exchange.send("content-length: 1000\r\n\r\nid: 1\ndata: 1\n\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.line(), "GET /responses/r1?starting_after=1");
        assert_eq!((exchange.text(), exchange.header("content-type")), ("", None));
        assert_eq!(exchange.header("last-event-id"), None);
        exchange.open().await;
        exchange.send("id: 2\ndata: 2\n\n").await;
        drop(exchange);
        // The template is as it was: each attempt is changed anew.
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.line(), "GET /responses/r1?starting_after=2");
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn it_may_fail_for_now_and_for_good() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/"))
        .on_request(|attempt| async move {
            match attempt.number {
                1 => Err("the token server sleeps".into()),
                2 => Ok(attempt.request),
                _ => Err(HookError::stop("the token is revoked")),
            }
        })
        .build()
        .unwrap();
    let client = async {
        let Update::Disconnected(disconnection) = next(&mut source).await else { panic!() };
        assert_eq!(disconnection.cause, Cause::NotPrepared { is_final: false });
        assert_eq!(
            disconnection.reason(),
            "the request could not be prepared: the token server sleeps"
        );
        open(&mut source).await;
        disconnected(&mut source).await;
        let error = failed(&mut source).await;
        assert!(matches!(error, Error::NotPrepared(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the request could not be prepared: the token is revoked; this is final"
        );
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
    };
    both(client, server).await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn the_last_error_says_what_it_said() {
    let policy = Policy { retries_max: Some(0), ..Policy::strict() };
    let mut source = EventSource::builder(nobody())
        .reconnect(policy)
        .on_request(|_| async { Err("the token server sleeps".into()) })
        .build()
        .unwrap();
    let error = failed(&mut source).await;
    assert_eq!(
        error.to_string(),
        "gave up after one attempt: the request could not be prepared: \
         the token server sleeps"
    );
}

#[tokio::test]
async fn one_that_would_repeat_a_post_learns_why_it_cannot() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/"))
        .method(Method::POST)
        .on_request(|attempt| async { Ok(attempt.request) })
        .build()
        .unwrap();
    let client = async {
        assert_eq!(disconnected(&mut source).await.0, Cause::Network);
        failed(&mut source).await
    };
    let server = async { drop(peer.accept().await) };
    let (error, ()) = both(client, server).await;
    let Error::NotReplayed { cause, network, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*cause, Cause::Network);
    assert!(network.is_some(), "{error}");
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn a_scheme_that_is_not_http_is_final() {
    let mut source = EventSource::builder(nobody())
        .on_request(|mut attempt| async move {
            attempt.request.url = "ftp://a.example/".parse()?;
            Ok(attempt.request)
        })
        .build()
        .unwrap();
    let error = failed(&mut source).await;
    assert_eq!(
        error.to_string(),
        "the request could not be prepared: the URL must be http or https, not ftp; this is final"
    );
}

#[tokio::test]
async fn its_headers_do_not_follow_a_redirect_to_another_origin() {
    let (first, second) = (Peer::start().await, Peer::start().await);
    let mut source = quick(&first.url("/"))
        .on_request(|mut attempt| async move {
            if !attempt.crossed_origin {
                attempt.request.headers.insert("authorization", HeaderValue::from_static("t"));
            }
            Ok(attempt.request)
        })
        .reconnect_url(tidings_client::ReconnectUrl::Current)
        .build()
        .unwrap();
    let client = async {
        open(&mut source).await;
        disconnected(&mut source).await;
        let Some(Ok(Update::Open(response))) = soon(source.next()).await else { panic!() };
        assert_eq!(response.status, StatusCode::OK);
    };
    let server = async {
        let mut exchange = first.accept().await;
        assert_eq!(exchange.header("authorization"), Some("t"));
        exchange.answer(307, &format!("location: {}\r\n", second.url("/s")), "").await;
        for _ in 0..2 {
            let mut exchange = second.accept().await;
            assert_eq!(exchange.header("authorization"), None);
            exchange.open().await;
        }
    };
    both(client, server).await;
}
