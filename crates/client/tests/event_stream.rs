//! `EventStream`: bytes to events, and its end.

mod chunks;
mod peer;

use std::time::Duration;

use chunks::{Chunks, Failed, Step, items};
use futures_core::stream::FusedStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use peer::{Peer, soon};
use tidings_client::{Cause, DecodeError, EventId, EventStream, Limits, ReadError, default_client};

/// A BOM, the three line ends, an event that only moves the id, characters of several bytes, a
/// reconnection time, a type, and an event that is never finished.
const STREAM: &[u8] = "\u{feff}data: a\r\rid: 1\r\ndata: ü🦀\r\ndata\r\n\r\n:c\nretry: 70\n\
    event: x\ndata: b\n\nid: 2\n\nid: 3\ndata: never"
    .as_bytes();

/// Type, data and last event id of the events of `STREAM`.
const EVENTS: [(&str, &str, &str); 3] =
    [("message", "a", ""), ("message", "ü🦀\n", "1"), ("x", "b", "1")];

fn read(steps: Vec<Step>) {
    let (source, watch) = Chunks::new(steps.clone());
    let mut events = EventStream::new(source);
    let read = items(&mut events);
    let read: Vec<_> = read.iter().map(|event| event.as_ref().unwrap()).collect();
    let texts: Vec<_> = read
        .iter()
        .map(|event| (event.event_type.as_str(), event.data.as_str(), event.last_event_id.as_str()))
        .collect();
    assert_eq!(texts, EVENTS, "{steps:?}");
    assert_eq!(events.last_event_id(), "2");
    assert_eq!(events.reconnection_time(), Some(Duration::from_millis(70)));
    assert!(events.is_terminated() && watch.is_dropped());
}

#[test]
fn events_are_the_same_at_every_cut() {
    for cut in 0..=STREAM.len() {
        let (before, after) = STREAM.split_at(cut);
        read(vec![Step::Chunk(before), Step::Chunk(after)]);
        read(vec![Step::Chunk(before), Step::Pending, Step::Chunk(b""), Step::Chunk(after)]);
    }
    for size in 1..9 {
        read(STREAM.chunks(size).flat_map(|chunk| [Step::Pending, Step::Chunk(chunk)]).collect());
    }
}

#[test]
fn an_event_comes_with_the_byte_that_ends_it() {
    let (source, _watch) = Chunks::new([
        Step::Chunk(b"data: a\r\n\r"),
        Step::Pending,
        Step::Chunk(b"\ndata: b\n"),
        Step::Pending,
    ]);
    let mut events = EventStream::new(source);
    assert_eq!(events.next().now_or_never().unwrap().unwrap().unwrap().data, "a");
    assert!(events.next().now_or_never().is_none(), "a CR at the end of a chunk ends the line");
    assert!(events.next().now_or_never().is_none(), "its LF is no blank line");
    assert!(events.next().now_or_never().unwrap().is_none());
}

#[test]
fn chunks_may_be_anything_that_is_bytes() {
    fn check<B: AsRef<[u8]>>(chunk: B) {
        let mut events = EventStream::new(stream::iter([Ok::<_, Failed>(chunk)]));
        assert_eq!(items(&mut events).pop().unwrap().unwrap().data, "a");
    }
    check("data: a\n\n");
    check(String::from("data: a\n\n"));
    check(b"data: a\n\n");
    check(Vec::from(b"data: a\n\n"));
    check(bytes::Bytes::from_static(b"data: a\n\n"));
}

#[test]
fn a_slow_reader_holds_up_the_source() {
    let chunk = Step::Chunk(b"data: a\n\ndata: b\n\n:c\n\n");
    let (source, _watch) = Chunks::new(vec![chunk; 5]);
    let counted = stream::unfold(source, |mut source| async move {
        let chunk = source.next().await?;
        Some((chunk.map(|chunk| (chunk, source.steps_left())), source))
    });
    let left = std::cell::Cell::new(5);
    let source = counted.map_ok(|(chunk, steps_left)| {
        left.set(steps_left);
        chunk
    });
    let mut events = Box::pin(EventStream::new(source));
    for (data, steps_left) in [("a", 4), ("b", 4), ("a", 3), ("b", 3), ("a", 2)] {
        assert_eq!(events.next().now_or_never().unwrap().unwrap().unwrap().data, data);
        assert_eq!(left.get(), steps_left, "no chunk is asked for while one has events");
    }
}

#[test]
fn an_error_of_the_source_is_passed_on_after_what_was_whole() {
    let (source, watch) = Chunks::new([
        Step::Chunk(b"id: 1\ndata: a\n\ndata: half"),
        Step::Fail,
        Step::Chunk(b"\n\ndata: b\n\n"),
    ]);
    let mut events = EventStream::new(source);
    let items = items(&mut events);
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].as_ref().unwrap().data, "a");
    assert_eq!(items[1], Err(ReadError::Source(Failed)));
    assert_eq!(items[1].as_ref().unwrap_err().to_string(), "the source failed");
    assert_eq!(events.last_event_id(), "1");
    assert!(events.is_terminated() && watch.is_dropped());
}

#[test]
fn crossing_a_limit_ends_the_stream_and_drops_the_source() {
    for cut in 0..18 {
        let stream = b"data: abc\n\ndata: abcd\n\ndata: a\n\n";
        let (before, after) = stream.split_at(cut);
        let (source, watch) = Chunks::new([Step::Chunk(before), Step::Chunk(after)]);
        let limits = Limits { event_data_bytes_max: 3, ..Limits::default() };
        let mut events = EventStream::new(source).with_limits(limits);
        let items = items(&mut events);
        assert_eq!(items.len(), 2, "nothing comes after an error");
        assert_eq!(items[0].as_ref().unwrap().data, "abc");
        let error = DecodeError::EventDataTooLong { event_data_bytes_max: 3 };
        assert_eq!(items[1], Err(ReadError::Limit(error)));
        assert_eq!(items[1].as_ref().unwrap_err().to_string(), error.to_string());
        assert!(events.is_terminated() && watch.is_dropped());
    }
}

#[test]
fn a_stream_goes_on_from_an_earlier_id_in_whichever_order_it_is_set_up() {
    let id = EventId::new("41").unwrap();
    let limits = Limits { event_data_bytes_max: 1, ..Limits::default() };
    let stream = "data: a\n\nid: 42\ndata: b\n\ndata: cc\n\n";
    for mut events in [
        EventStream::new(Chunks::whole(stream)).with_limits(limits).with_last_event_id(&id),
        EventStream::new(Chunks::whole(stream)).with_last_event_id(&id).with_limits(limits),
    ] {
        assert_eq!(events.last_event_id(), "41");
        let items = items(&mut events);
        assert_eq!(items[0].as_ref().unwrap().last_event_id, "41");
        assert_eq!(items[1].as_ref().unwrap().last_event_id, "42");
        assert!(items[2].is_err());
    }
}

#[tokio::test]
async fn a_response_is_read_and_its_connection_closed_by_dropping() {
    let peer = Peer::start().await;
    let client = async {
        let client = default_client(&peer.origin().parse().unwrap()).unwrap();
        let response = client.post(peer.url("/ask")).body("?").send().await.unwrap();
        let mut events = EventStream::from_response(response).await.unwrap();
        let event = soon(events.try_next()).await.unwrap().unwrap();
        assert_eq!((event.event_type.as_str(), &*event.data), ("x", "a"));
    };
    let server = async {
        let mut exchange = peer.accept().await;
        assert_eq!((exchange.line(), exchange.text()), ("POST /ask", "?"));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n\r\n";
        exchange.send(head).await;
        exchange.send("event: x\ndata: a\n\n").await;
        exchange.closed().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error_that_keeps_the_url_to_itself() {
    let peer = Peer::start().await;
    let client = async {
        let client = default_client(&peer.origin().parse().unwrap()).unwrap();
        let response = client.get(peer.url("/?token=secret")).send().await.unwrap();
        let mut events = EventStream::from_response(response).await.unwrap();
        assert_eq!(soon(events.try_next()).await.unwrap().unwrap().data, "a");
        let error = soon(events.try_next()).await.unwrap_err();
        assert!(matches!(error, ReadError::Source(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        assert!(soon(events.try_next()).await.unwrap().is_none());
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange
            .send(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\n",
            )
            .await;
        // The connection ends before the length is reached.
        exchange.send("data: a\n\n").await;
    };
    tokio::join!(client, server);
}

/// What becomes of a response with this head and body.
async fn refused(status: u16, headers: &str, body: &str) -> tidings_client::Refusal {
    let peer = Peer::start().await;
    let client = async {
        let client = default_client(&peer.origin().parse().unwrap()).unwrap();
        let response = client.get(peer.url("/")).send().await.unwrap();
        soon(EventStream::from_response(response)).await.unwrap_err()
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.answer(status, headers, body).await;
        exchange
    };
    tokio::join!(client, server).0
}

#[tokio::test]
async fn a_status_that_is_not_200_is_a_refusal_with_the_body() {
    let body = r#"{"error":{"message":"no such key"}}"#;
    let refusal = refused(401, "content-type: text/event-stream\r\n", body).await;
    assert_eq!(refusal.status(), 401);
    assert_eq!(refusal.body, body);
    assert!(format!("{refusal:?}").contains("no such key"), "{refusal:?}");
    assert!(!refusal.is_retryable());
    assert_eq!(
        refusal.to_string(),
        format!("the server answered with status 401, not 200: {body}")
    );

    let refusal = refused(429, "retry-after: 7\r\n", "").await;
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(refusal.cause, Cause::Status { status: 429, retry_after });
    assert!(refusal.is_retryable());
    assert_eq!(refusal.to_string(), "the server answered with status 429, not 200");

    // Success, but not a stream.
    let refusal = refused(202, "content-type: text/event-stream\r\n", "").await;
    assert_eq!(refusal.status(), 202);
}

#[tokio::test]
async fn another_type_is_a_refusal_with_the_body() {
    let refusal = refused(200, "content-type: application/json\r\n", "{}").await;
    assert_eq!(refusal.status(), 200);
    assert_eq!(refusal.body, "{}");
    assert!(!refusal.is_retryable());
    let sentence = "the response is application/json, not text/event-stream: {}";
    assert_eq!(refusal.to_string(), sentence);

    let refusal = refused(200, "", "").await;
    assert_eq!(refusal.cause, Cause::ContentType { content_type: None });
}

#[tokio::test]
async fn the_body_of_a_refusal_is_kept_to_16_kib_and_shown_in_part() {
    let body = format!("\u{1b}[31m{}", "x".repeat(20_000));
    let refusal = refused(500, "", &body).await;
    assert_eq!(refusal.body, body[..16 << 10]);
    assert!(refusal.is_retryable());
    let sentence = refusal.to_string();
    assert!(sentence.chars().count() < 400 && !sentence.contains('\u{1b}'), "{sentence}");

    // The limit cuts a character in two.
    let refusal = refused(500, "", &format!("x{}", "é".repeat(10_000))).await;
    assert_eq!(refusal.body, format!("x{}\u{fffd}", "é".repeat((8 << 10) - 1)));
}
