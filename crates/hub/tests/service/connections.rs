use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings_hub::{config::Config, serve::Server};
use tidings_server::log::MemoryLog;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
    time::Instant,
};

use crate::support::{Connection, Hub, soon};

#[tokio::test]
async fn many_connections_wait_to_be_accepted() {
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let log = Arc::new(MemoryLog::new(config.retention, 1));
    // It is not run, so that it accepts none.
    let server = Server::bind(config, log).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..400 {
        waiting.push(soon(TcpStream::connect(server.address())).await.unwrap());
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let hub = Hub::start().await;
    let mut connection = hub.connect().await;
    for _ in 0..3 {
        assert_eq!(connection.ask("POST /events/a", "x").await.status, 200);
        assert_eq!(connection.ask("GET /topics", "").await.status, 200);
        assert_eq!(connection.ask("POST /events/a*", "x").await.status, 422);
    }
    // Two at once, answered in order.
    connection.send("GET /healthz", "").await;
    connection.send("GET /readyz", "").await;
    for body in ["ok\n", "ready\n"] {
        let answer = connection.head().await;
        assert_eq!(answer.status, 200);
        let mut bytes = vec![0; body.len()];
        soon(connection.0.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(bytes, body.as_bytes());
    }
}

/// The names of the headers of a stream's head, sorted; each must be there once.
const STREAM_HEADERS: [&str; 8] = [
    "cache-control",
    "connection",
    "content-type",
    "date",
    "tidings-subscriber",
    "transfer-encoding",
    "vary",
    "x-accel-buffering",
];

#[tokio::test]
async fn a_stream_has_the_same_head_whatever_its_connection_was_used_for() {
    let hub = Hub::start().await;
    for before in ["", "GET /healthz", "POST /events/b", "GET /events/a*"] {
        let mut connection = hub.connect().await;
        if !before.is_empty() {
            connection.ask(before, "").await;
        }
        connection.send("GET /events/a\nOrigin: http://localhost", "").await;
        let answer = connection.head().await;
        let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, STREAM_HEADERS, "after {before:?}");
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn what_was_asked_before_a_stream_is_answered_before_it() {
    let hub = Hub::start().await;
    let mut connection = hub.connect().await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // More than goes into a socket's buffers, so that it is still on its way when the stream is
    // asked for, and all of it in one piece.
    let many: String = (0..200).map(|_| ask("/openapi.json")).collect();
    connection.raw(format!("{many}{}", ask("/events/a")).as_bytes()).await;
    for _ in 0..200 {
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.body.starts_with('{')), (200, true));
    }
    assert_eq!(connection.head().await.header("content-type"), Some("text/event-stream"));
    hub.post("/events/a", "hello").await.id();
    loop {
        let chunk = connection.chunk().await.expect("the stream goes on");
        if chunk.contains("data: hello\n\n") {
            break;
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_stream_that_ends_with_its_connection() {
    let hub = Hub::start().await;
    let mut connection = hub.connect().await;
    connection.raw(b"GET /events/a HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    let answer = connection.head().await;
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, None));
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("connection"), Some("close"));
    let id = hub.post("/events/a", "one").await.id();
    assert_eq!(hub.ask("DELETE /events/a", "").await.status / 100, 2);
    let mut text = String::new();
    soon(connection.0.read_to_string(&mut text)).await.unwrap();
    assert!(text.contains(&format!("id: {id}\ndata: one\n\n")), "{text}");
    assert!(text.starts_with("id: #"), "no chunk's size in it: {text}");
}

#[tokio::test]
async fn http2_with_prior_knowledge_carries_many_streams() {
    let hub = Hub::start().await;
    let socket = TcpStream::connect(hub.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (mut sender, connection) = soon(handshake).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = |path: &str| format!("http://{}{path}", hub.address);
    let follow =
        |n| Request::get(uri(&format!("/events/{n}"))).body(Full::<Bytes>::default()).unwrap();
    let mut streams = Vec::new();
    for n in 0..10 {
        let response = soon(sender.send_request(follow(n))).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        streams.push(response.into_body());
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        let publish = Request::post(uri(&format!("/events/{n}"))).body("hello".into()).unwrap();
        assert_eq!(soon(sender.send_request(publish)).await.unwrap().status(), 200);
        let mut text = String::new();
        while !text.contains("data: hello") {
            let frame = soon(stream.frame()).await.unwrap().unwrap();
            text.push_str(str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }
    let foreign = Request::get("http://evil.example/events/a").body(Full::default()).unwrap();
    assert_eq!(soon(sender.send_request(foreign)).await.unwrap().status(), 403);
    let mut hub = hub;
    hub.leave();
    for mut stream in streams {
        while let Some(frame) = soon(stream.frame()).await {
            frame.unwrap();
        }
    }
    soon(connection).await.unwrap().unwrap();
    hub.gone().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let hub = Hub::with(|config| config.limits.connections_max = 1).await;
    let (_, mut first) = hub.follow("GET /events/a").await;
    first.opened().await;
    let mut second = hub.connect().await;
    let refused = second.ask("GET /events/a", "").await;
    assert_eq!(refused.status, 200);
    assert!(refused.body.starts_with("retry: "));
    assert!(second.is_closed().await);
    let publish = hub.post("/events/a", "x").await;
    publish.is_problem(503, "crowded");
    assert!(publish.header("retry-after").is_some());
    assert_eq!(hub.log.state().records, 0);
    let foreign = hub.ask("GET /events/a\nOrigin: http://evil.example", "").await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn who_says_nothing_or_half_a_head_is_closed() {
    let hub = Hub::with(|config| config.timeouts.header = Duration::from_millis(150)).await;
    for bytes in ["", "PRI * HT", "GET /healthz HTTP/1.1\r\nHost: loc"] {
        let mut connection = hub.connect().await;
        connection.raw(bytes.as_bytes()).await;
        let mut rest = Vec::new();
        let _ = soon(connection.0.read_to_end(&mut rest)).await;
    }
    // An open stream is not idle.
    let (_, mut stream) = hub.follow("GET /events/a").await;
    let mut idle = hub.connect().await;
    idle.ask("GET /healthz", "").await;
    assert!(idle.is_closed().await);
    hub.post("/events/a", "still here").await.id();
    stream.until("data: still here").await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let hub = Hub::start().await;
    let answer = hub.ask(&format!("GET /healthz\nX: {}", "x".repeat(100_000)), "").await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_holds_nobody_up() {
    let timeout = Duration::from_millis(500);
    let hub = Hub::with(|config| {
        config.timeouts.slow_write = timeout;
        config.limits.data_bytes_max = 1 << 20;
    })
    .await;
    // A small window, so that the sockets' buffers are full soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let stream = socket.connect(hub.address).await.unwrap();
    let mut stalled = Connection(tokio::io::BufReader::new(stream));
    stalled.send("GET /events/a", "").await;
    assert_eq!(stalled.head().await.status, 200);
    let (_, mut reader) = hub.follow("GET /events/a").await;
    let data = "x".repeat(256 << 10);
    let started = Instant::now();
    for n in 0..40 {
        hub.post("/events/a", &format!("{n} {data}")).await.id();
        reader.until(&format!("data: {n} ")).await;
    }
    // The hub lets go of the stalled one.
    soon(async {
        loop {
            let metrics = hub.get("/metrics").await.body;
            if metrics.contains("\ntidings_subscribers 1\n") {
                break;
            }
        }
    })
    .await;
    assert!(started.elapsed() >= timeout);
    let mut rest = Vec::new();
    let _ = soon(stalled.0.read_to_end(&mut rest)).await;
    assert!(rest.len() < 20 * data.len(), "it was cut off early: {}", rest.len());
}
