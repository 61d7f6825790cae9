//! The client against a scripted server: what the machine promises holds over real sockets.

mod peer;

use std::time::Duration;

use futures_util::FutureExt;
use peer::updates::{both, disconnected, failed, message, next, open, quick};
use peer::{Peer, soon};
use tidings_client::{
    Cause, DecodeError, Error, EventSource, Limits, Policy, Profile, ReadyState, RedirectError,
    Update,
};

#[tokio::test]
async fn messages_arrive_with_all_their_members() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/events?a=1#frag")).unwrap();
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    let client = async {
        let Update::Open(opening) = next(&mut source).await else { panic!() };
        assert_eq!(opening.url.as_str(), peer.url("/events?a=1"));
        assert_eq!(opening.headers["content-type"], "text/event-stream");
        let first = message(&mut source).await;
        assert_eq!((first.event_type.as_str(), first.data.as_str()), ("price", "1\n2"));
        assert_eq!(first.last_event_id, "7");
        assert_eq!(&*first.origin, peer.origin());
        let second = message(&mut source).await;
        assert_eq!((second.event_type.as_str(), second.data.as_str()), ("message", ""));
        assert_eq!(second.last_event_id, "7");
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.line(), "GET /events?a=1");
        assert_eq!(exchange.header("accept"), Some("text/event-stream"));
        assert_eq!(exchange.header("cache-control"), Some("no-cache"));
        assert_eq!(exchange.header("last-event-id"), None);
        exchange.open().await;
        exchange.send("\u{feff}id: 7\nevent: price\ndata: 1\ndata: 2\n\ndata\n\n").await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn it_resumes_over_many_reconnects() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/")).build().unwrap();
    let client = async {
        for round in 0..5 {
            open(&mut source).await;
            let message = message(&mut source).await;
            assert_eq!(message.data, round.to_string());
            // Rounds without an id keep the one before.
            assert_eq!(message.last_event_id, format!("id-{}", round / 2 * 2).as_str());
            disconnected(&mut source).await;
        }
    };
    let server = async {
        for round in 0..5 {
            let mut exchange = peer.accept().await;
            let id = (round > 0).then(|| format!("id-{}", (round - 1) / 2 * 2));
            assert_eq!(exchange.header("last-event-id"), id.as_deref());
            exchange.open().await;
            if round % 2 == 0 {
                exchange.send(format!("id: id-{round}\n")).await;
            }
            exchange.send(format!("data: {round}\n\nid: lost\ndata: cut off")).await;
            // An orderly end and a broken connection are the same to the resume.
            if round % 2 == 0 { drop(exchange) } else { exchange.reset() }
        }
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_broken_connection_is_told_and_repaired() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/")).build().unwrap();
    let client = async {
        // Refused before the response.
        assert_eq!(disconnected(&mut source).await.0, Cause::Network);
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "a");
        // Cut within a chunk of the transfer encoding.
        assert_eq!(disconnected(&mut source).await.0, Cause::Network);
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "b");
    };
    let server = async {
        drop(peer.accept().await);
        let mut exchange = peer.accept().await;
        exchange.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n").await;
        exchange.send("transfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\nff\r\ndata: b").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: b\n\n").await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn retry_is_honoured() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let client = async {
        open(&mut source).await;
        let (cause, delay) = disconnected(&mut source).await;
        assert_eq!((cause, delay), (Cause::Ended, Duration::from_millis(130)));
        assert_eq!(source.reconnection_time(), delay);
        let before = tokio::time::Instant::now();
        open(&mut source).await;
        assert!(before.elapsed() >= delay);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("retry: 130\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_status_but_200_stops_it() {
    for status in [204, 205, 299, 304, 404, 500, 503] {
        let peer = Peer::start().await;
        let mut source = EventSource::new(peer.url("/")).unwrap();
        let server = async {
            let mut exchange = peer.accept().await;
            exchange
                .send(format!("HTTP/1.1 {status} X\r\ncontent-type: text/event-stream\r\n\r\n"))
                .await;
        };
        let (error, ()) = both(failed(&mut source), server).await;
        assert_eq!(*error.cause(), Cause::Status { status, retry_after: None });
        assert!(!error.is_retryable());
        assert!(!peer.is_asked().await);
    }
}

#[tokio::test]
async fn a_refusal_hands_over_what_the_server_says() {
    let long = "x".repeat(100_000);
    for (sent, announced, told) in [
        ("no such pattern", 15, "no such pattern"),
        (&*long, 100_000, &long[..16 << 10]),
        // The rest never comes.
        ("no such", 15, "no such"),
    ] {
        let peer = Peer::start().await;
        let mut source = EventSource::new(peer.url("/")).unwrap();
        let server = async {
            let mut exchange = peer.accept().await;
            let head = format!("HTTP/1.1 422 X\r\ncontent-length: {announced}\r\n\r\n");
            exchange.send(head + sent).await;
            exchange
        };
        let (error, _open) = both(failed(&mut source), server).await;
        let Error::Refused { body, .. } = error else { panic!("{error:?}") };
        assert_eq!(body, told);
    }
}

#[tokio::test]
async fn a_refusal_that_nobody_waits_for_is_told_by_its_head() {
    let peer = Peer::start().await;
    let mut source =
        EventSource::builder(peer.url("/")).refusal_wait(Duration::ZERO).build().unwrap();
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.send("HTTP/1.1 422 X\r\ncontent-length: 15\r\n\r\nno such pattern").await;
        exchange
    };
    let (error, _open) = both(failed(&mut source), server).await;
    let Error::Refused { body, .. } = error else { panic!("{error:?}") };
    assert_eq!(body, "");
}

#[tokio::test]
async fn the_wrong_type_stops_it() {
    let peer = Peer::start().await;
    let mut source =
        EventSource::builder(peer.url("/")).profile(Profile::Resilient).build().unwrap();
    let server = async {
        peer.accept().await.answer(200, "content-type: text/html\r\n", "data: x\n\n").await;
    };
    let (error, ()) = both(failed(&mut source), server).await;
    assert_eq!(
        error.to_string(),
        "the response is text/html, not text/event-stream: data: x; this is final"
    );
}

#[tokio::test]
async fn resilient_outlasts_503_as_long_as_it_asks() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/")).profile(Profile::Resilient).build().unwrap();
    let client = async {
        let (cause, delay) = disconnected(&mut source).await;
        assert_eq!(delay, Duration::from_secs(1));
        assert_eq!(cause, Cause::Status { status: 503, retry_after: Some(delay) });
        open(&mut source).await;
    };
    let server = async {
        peer.accept().await.answer(503, "retry-after: 1\r\n", "").await;
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn the_budget_ends_it_with_the_last_reason() {
    let url = peer::nobody();
    let policy = Policy {
        reconnection_time: Duration::ZERO,
        reconnection_time_min: Duration::ZERO,
        retries_max: Some(1),
        ..Policy::strict()
    };
    let mut source = EventSource::builder(url).reconnect(policy).build().unwrap();
    disconnected(&mut source).await;
    let error = failed(&mut source).await;
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.starts_with("gave up after 2 attempts: the server cannot be reached: "), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn redirects_are_followed_and_the_origin_is_the_last() {
    for status in [301, 302, 303, 307, 308] {
        let (first, second) = (Peer::start().await, Peer::start().await);
        let url = first.url("/a");
        let mut source =
            quick(&url).header("authorization", "secret").header("x-own", "1").build().unwrap();
        let client = async {
            open(&mut source).await;
            assert_eq!(&*message(&mut source).await.origin, second.origin());
            assert_eq!(source.url().as_str(), url);
            disconnected(&mut source).await;
            open(&mut source).await;
        };
        let server = async {
            let mut exchange = first.accept().await;
            assert_eq!(exchange.header("authorization"), Some("secret"));
            exchange.answer(status, "location: /b\r\n", "").await;
            let mut exchange = first.after(exchange).await;
            assert_eq!(exchange.line(), "GET /b");
            assert_eq!(exchange.header("x-own"), Some("1"));
            exchange.answer(status, &format!("location: {}\r\n", second.url("/c")), "").await;
            // Another origin gets neither credentials nor other headers of the caller's.
            let mut exchange = second.accept().await;
            assert_eq!(exchange.header("authorization"), None);
            assert_eq!(exchange.header("x-own"), None);
            assert_eq!(exchange.header("accept"), Some("text/event-stream"));
            exchange.open().await;
            exchange.send("id: 1\ndata: x\n\n").await;
            drop(exchange);
            // The next attempt goes where the redirects led.
            let mut exchange = second.accept().await;
            assert_eq!(exchange.line(), "GET /c");
            assert_eq!(exchange.header("authorization"), None);
            assert_eq!(exchange.header("last-event-id"), Some("1"));
            exchange.open().await;
            exchange
        };
        both(client, server).await;
    }
}

#[tokio::test]
async fn a_relative_redirect_keeps_the_user_name_and_password_of_the_url() {
    let (first, second) = (Peer::start().await, Peer::start().await);
    let url = first.url("/a").replace("://", "://us%40er:p%3Aw@");
    let mut source = quick(&url).build().unwrap();
    let server = async {
        let mut exchange = first.accept().await;
        let given = exchange.header("authorization").unwrap().to_owned();
        assert_eq!(given, "Basic dXNAZXI6cDp3");
        exchange.answer(302, "location: b\r\n", "").await;
        let mut exchange = first.after(exchange).await;
        assert_eq!((exchange.line(), exchange.header("authorization")), ("GET /b", Some(&*given)));
        exchange.answer(302, &format!("location: {}\r\n", second.url("/c")), "").await;
        let mut exchange = second.accept().await;
        assert_eq!(exchange.header("authorization"), None);
        exchange.open().await;
        exchange
    };
    both(open(&mut source), server).await;
}

#[tokio::test]
async fn endless_redirects_stop_it() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let server = async {
        let mut exchange = peer.accept().await;
        for _ in 0..20 {
            exchange.answer(302, "location: /\r\n", "").await;
            exchange = peer.after(exchange).await;
        }
        exchange.answer(302, "location: /\r\n", "").await;
    };
    let (error, ()) = both(failed(&mut source), server).await;
    assert_eq!(*error.cause(), Cause::Redirect(RedirectError::TooMany { redirects_max: 20 }));
}

#[tokio::test]
async fn closing_drops_what_was_received_and_the_connection() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        source.close();
        assert_eq!(source.ready_state(), ReadyState::Closed);
        source.close();
        assert!(soon(source.next()).await.is_none());
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: 1\n\ndata: 2\n\ndata: 3\n\n").await;
        exchange.closed().await;
    };
    both(client, server).await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn dropping_closes_the_connection_at_once() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let client = async {
        open(&mut source).await;
        drop(source);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.closed().await;
    };
    both(client, server).await;
}

#[tokio::test]
async fn waiting_can_be_cancelled_without_loss() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let client = async {
        let mut data = String::new();
        while data.len() < 200 {
            // Every future that is not ready at once is dropped.
            match source.next().now_or_never() {
                Some(Some(Ok(Update::Message(message)))) => data.push_str(&message.data),
                Some(update) => drop(update.unwrap().unwrap()),
                None => tokio::task::yield_now().await,
            }
        }
        assert_eq!(data, "0123456789".repeat(20));
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        for number in 0..200 {
            let event = format!("data: {}\n\n", number % 10);
            for byte in event.as_bytes() {
                exchange.send([*byte]).await;
            }
            tokio::task::yield_now().await;
        }
        exchange
    };
    soon(both(client, server)).await;
}

#[tokio::test]
async fn a_slow_reader_holds_up_the_server() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let client = async {
        open(&mut source).await;
        message(&mut source).await;
        source
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        let event = format!("data: {}\n\n", "x".repeat(10_000));
        exchange.send(&event).await;
        (exchange, event)
    };
    let (mut source, (mut exchange, event)) = both(client, server).await;
    // Nobody polls the source now: what the server can send is what sockets hold.
    let sent = exchange.fill(event.repeat(100).as_bytes()).await;
    assert!(sent < 64 << 20, "{sent} bytes were taken from the server");
    // And the reader finds all of it when it comes back.
    let (received, ()) = both(
        async {
            let mut received = 0;
            while received + event.len() <= sent {
                received += message(&mut source).await.data.len() + "data: \n\n".len();
            }
            received
        },
        async { drop(exchange) },
    )
    .await;
    assert_eq!(received, sent / event.len() * event.len());
}

#[tokio::test]
async fn a_crossed_limit_is_told() {
    let peer = Peer::start().await;
    let limits = Limits { event_data_bytes_max: 10, ..Limits::default() };
    let mut source = quick(&peer.url("/")).limits(limits).build().unwrap();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        let (cause, _) = disconnected(&mut source).await;
        let limit = DecodeError::EventDataTooLong { event_data_bytes_max: 10 };
        assert_eq!(cause, Cause::Limit(limit));
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: 1\n\ndata: 12345678901\n\n").await;
        exchange.closed().await;
    };
    both(client, server).await;
}

#[tokio::test]
async fn an_id_no_header_can_carry_is_left_out_and_told() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/")).last_event_id("\u{1}").build().unwrap();
    let client = async {
        let update = next(&mut source).await;
        assert!(matches!(update, Update::UnsendableId(id) if id == "\u{1}"));
        open(&mut source).await;
        disconnected(&mut source).await;
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), None);
        exchange.open().await;
        exchange.send("id: \u{e9}\n\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("\u{e9}"));
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[test]
fn what_cannot_be_requested_is_refused() {
    for (url, reason) in [
        ("/events", "this is not an absolute URL: relative URL without a base"),
        ("ftp://a.example/", "the URL must be http or https, not ftp"),
    ] {
        assert_eq!(EventSource::new(url).unwrap_err().to_string(), reason);
    }
    let refused = |name: &str, value: &str| {
        EventSource::builder("http://a.example/")
            .header(name, value)
            .build()
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused("a b", "c"), "a header name is not one");
    assert_eq!(refused("a", "b\n"), "the value of a has a character no header can carry");
    assert_eq!(
        refused("Last-Event-ID", "1"),
        "last-event-id is set by the source itself: give it with last_event_id"
    );
}

#[test]
fn a_source_can_be_moved_between_threads() {
    fn is_send<T: Send + Unpin + 'static>() {}
    is_send::<EventSource>();
    is_send::<Update>();
    is_send::<Error>();
}
