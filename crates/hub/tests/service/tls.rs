//! HTTPS: what TLS must not change, and what it adds.

mod client;

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings_hub::{
    config::Config,
    serve::{ServeError, Server, TlsError},
};
use tidings_server::log::MemoryLog;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

use self::client::Authority;
use crate::support::{Connection, Hub, soon};

#[tokio::test]
async fn streams_and_publishes_are_as_over_plain_http() {
    let authority = Authority::new();
    let hub = authority.hub(|config| config.heartbeat = Duration::from_millis(200)).await;
    let (answer, mut stream) = authority.connect(&hub).await.follow("GET /events/a").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("connection"), Some("close"));
    stream.opened().await;
    let mut publisher = authority.connect(&hub).await;
    let id = publisher.ask("POST /events/a", "one").await.id();
    publisher.ask("POST /events/a", "two").await.id();
    stream.until("data: one").await;
    stream.until("data: two").await;
    // A comment is a heartbeat.
    stream.until("\n:").await;

    let large = "x".repeat(300_000);
    publisher.ask("POST /events/a", &format!("{large} three")).await.id();
    stream.until(&format!("data: {large} three\n\n")).await;

    let resume = format!("GET /events/a\nLast-Event-ID: {id}");
    let (_, mut resumed) = authority.connect(&hub).await.follow(&resume).await;
    let text = resumed.until(" three\n\n").await;
    assert!(text.contains("data: two\n") && !text.contains("data: one\n"), "{text}");
}

#[tokio::test]
async fn a_connection_that_was_used_before_follows() {
    let authority = Authority::new();
    let hub = authority.hub(|_| {}).await;
    let mut connection = authority.connect(&hub).await;
    for _ in 0..3 {
        connection.ask("POST /events/a", "before").await.id();
    }
    // Answered while the stream is asked for.
    connection.send("GET /readyz", "").await;
    connection.send("GET /events/a", "").await;
    assert_eq!(connection.answer().await.body, "ready\n");
    let answer = connection.head().await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    authority.connect(&hub).await.ask("POST /events/a", "after").await.id();
    let mut text = String::new();
    while !text.contains("data: after\n") {
        text.push_str(&connection.chunk().await.expect("it goes on"));
    }
}

#[tokio::test]
async fn http2_is_chosen_where_it_is_offered() {
    let authority = Authority::new();
    let mut hub = authority.hub(|_| {}).await;
    let socket = TcpStream::connect(hub.address).await.unwrap();
    let session = authority.over(socket, &[b"h2", b"http/1.1"]).await;
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(session));
    let (mut sender, connection) = soon(handshake).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = |path: &str| format!("https://localhost:{}{path}", hub.address.port());
    let mut streams = Vec::new();
    for n in 0..10 {
        let follow = Request::get(uri(&format!("/events/{n}")));
        let follow = follow.body(Full::<Bytes>::default()).unwrap();
        let response = soon(sender.send_request(follow)).await.unwrap();
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
async fn plain_http_is_told_to_speak_tls() {
    let authority = Authority::new();
    let hub = authority.hub(|_| {}).await;
    let mut connection = hub.connect().await;
    let answer = connection.ask("POST /events/a", &"x".repeat(10_000)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("https://"), "{answer:?}");
    assert!(connection.is_closed().await);
    // HTTP/2 with prior knowledge, too.
    let mut connection = hub.connect().await;
    connection.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(connection.head().await.status, 400);
}

#[tokio::test]
async fn who_says_nothing_is_closed_before_and_after_the_handshake() {
    let authority = Authority::new();
    let hub = authority.hub(|config| config.timeouts.header = Duration::from_millis(300)).await;
    assert!(hub.connect().await.is_closed().await);
    let mut half = hub.connect().await;
    // The head of a record, and a part of it.
    half.raw(b"\x16\x03\x01\x02\x00\x01").await;
    assert!(half.is_closed().await);
    assert!(authority.connect(&hub).await.is_closed().await);
    let mut idle = authority.connect(&hub).await;
    idle.ask("GET /healthz", "").await;
    assert!(idle.is_closed().await);
    // An open stream is not idle.
    let (_, mut stream) = authority.connect(&hub).await.follow("GET /events/a").await;
    stream.opened().await;
    assert!(authority.connect(&hub).await.is_closed().await);
    authority.connect(&hub).await.ask("POST /events/a", "still here").await.id();
    stream.until("data: still here").await;
}

#[tokio::test]
async fn what_is_no_tls_after_all_is_closed() {
    let authority = Authority::new();
    let hub = authority.hub(|_| {}).await;
    let mut connection = hub.connect().await;
    // A hello with nothing in it that a hello has.
    connection.raw(b"\x16\x03\x01\x00\x08\x01\x00\x00\x04\xff\xff\xff\xff").await;
    let mut alert = Vec::new();
    let _ = soon(connection.0.read_to_end(&mut alert)).await;
    assert_eq!(alert.first(), Some(&21), "an alert: {alert:?}");
}

/// Waits until the hub has so many streams.
async fn streams(authority: &Authority, hub: &Hub, count: usize) {
    let mut asker = authority.connect(hub).await;
    let line = format!("\ntidings_subscribers {count}\n");
    soon(async {
        while !asker.ask("GET /metrics", "").await.body.contains(&line) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_follower_that_goes_away_or_talks_without_end_is_noticed() {
    let authority = Authority::new();
    let hub = authority.hub(|_| {}).await;
    let (_, mut polite) = authority.connect(&hub).await.follow("GET /events/a").await;
    let (_, rude) = authority.connect(&hub).await.follow("GET /events/a").await;
    let (_, mut talker) = authority.connect(&hub).await.follow("GET /events/a").await;
    streams(&authority, &hub, 3).await;
    soon(polite.connection.0.shutdown()).await.unwrap();
    streams(&authority, &hub, 2).await;
    drop(rude);
    streams(&authority, &hub, 1).await;
    // A little of it is passed over.
    talker.connection.raw(b"GET /healthz HTTP/1.1\r\n\r\n").await;
    authority.connect(&hub).await.ask("POST /events/a", "heard").await.id();
    talker.until("data: heard").await;
    let talk = talker.connection.0.write_all(&[b'x'; 300_000]);
    let _ = soon(talk).await;
    streams(&authority, &hub, 0).await;
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_holds_nobody_up() {
    let patience = Duration::from_millis(500);
    let authority = Authority::new();
    let hub = authority.hub(|config| config.timeouts.slow_write = patience).await;
    // A small window, so that the sockets' buffers are full soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let socket = socket.connect(hub.address).await.unwrap();
    let stalled = Connection(BufReader::new(authority.over(socket, &[]).await));
    let (answer, mut stalled) = stalled.follow("GET /events/a").await;
    assert_eq!(answer.status, 200);
    let (_, mut reader) = authority.connect(&hub).await.follow("GET /events/a").await;
    streams(&authority, &hub, 2).await;
    let mut publisher = authority.connect(&hub).await;
    let data = "x".repeat(256 << 10);
    let started = Instant::now();
    for n in 0..40 {
        publisher.ask("POST /events/a", &format!("{n} {data}")).await.id();
        reader.until(&format!("data: {n} ")).await;
    }
    streams(&authority, &hub, 1).await;
    assert!(started.elapsed() >= patience);
    let mut rest = Vec::new();
    let ended = soon(stalled.connection.0.read_to_end(&mut rest)).await;
    assert!(ended.is_err(), "it was cut off, and not ended");
    assert!(rest.len() < 20 * data.len(), "it was cut off early: {}", rest.len());
}

#[tokio::test]
async fn leaving_sends_followers_away_with_a_retry_and_an_end() {
    let authority = Authority::new();
    let mut hub = authority.hub(|_| {}).await;
    let mut streams = Vec::new();
    for n in 0..4 {
        let mut connection = authority.connect(&hub).await;
        if n % 2 == 0 {
            connection.ask("GET /topics", "").await;
        }
        let (_, mut stream) = connection.follow("GET /events/a").await;
        stream.opened().await;
        streams.push(stream);
    }
    let mut idle = authority.connect(&hub).await;
    hub.leave();
    assert!(idle.is_closed().await);
    for mut stream in streams {
        let mut text = String::new();
        while let Some(chunk) = stream.connection.chunk().await {
            text.push_str(&chunk);
        }
        let last = text.lines().rev().find_map(|line| line.strip_prefix("retry: "));
        assert!((3_000..=13_000).contains(&last.unwrap().parse::<u32>().unwrap()), "{text}");
        // Without TLS's own end this would be an error.
        assert_eq!(soon(stream.connection.0.read(&mut [0; 1])).await.unwrap(), 0);
    }
    hub.gone().await;
}

#[tokio::test]
async fn pages_of_plain_http_are_foreign() {
    let authority = Authority::new();
    let hub = authority.hub(|_| {}).await;
    let mut connection = authority.connect(&hub).await;
    let host = hub.address;
    for (origin, status) in [("https", 200), ("http", 403)] {
        let head = format!("POST /events/a\nHost: {host}\nOrigin: {origin}://{host}");
        assert_eq!(connection.ask(&head, "x").await.status, status, "{origin}");
    }
    let foreign = connection.ask("GET /events/a\nHost: evil.example", "").await;
    foreign.is_problem(403, "foreign-host");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let authority = Authority::new();
    let hub = authority.hub(|_| {}).await;
    let served = async || {
        let connection = authority.connect(&hub).await;
        let session = connection.0.get_ref().get_ref().1;
        session.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let before = served().await;
    let renewed = authority.issue();
    assert_eq!(served().await, before, "it is not read for each connection");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    soon(async { while served().await != renewed {} }).await;
}

async fn refusal(config: Config) -> ServeError {
    let log = Arc::new(MemoryLog::new(config.retention, 1));
    Server::bind(config, log).await.expect_err("it does not start")
}

#[tokio::test]
async fn files_that_cannot_be_served_are_refused_by_name() {
    let authority = Authority::new();
    authority.issue();
    let files = authority.files();
    let listen = ([127, 0, 0, 1], 0).into();
    let config = Config { listen, tls: Some(files.clone()), ..Config::default() };
    let read = |path| fs::read_to_string(path).unwrap();
    let (cert, key) = (read(&files.cert), read(&files.key));

    let log = Arc::new(MemoryLog::new(config.retention, 1));
    let server = Server::bind(config.clone(), log).await.unwrap();
    assert_eq!(server.url().as_str(), format!("https://{}/", server.address()));
    drop(server);

    authority.issue();
    fs::write(&files.key, &key).unwrap();
    let mismatch = refusal(config.clone()).await;
    assert!(matches!(mismatch, ServeError::Tls(TlsError::NotAPair { .. })), "{mismatch}");
    for name in ["cert.pem", "key.pem", "issued together"] {
        assert!(mismatch.to_string().contains(name), "{mismatch}");
    }

    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let malformed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (path, text, said) in [
        (&files.cert, "", "no certificate in PEM"),
        (&files.cert, key.as_str(), "no certificate in PEM"),
        (&files.cert, "-----BEGIN CERTIFICATE-----\n!", "no certificate in PEM"),
        (&files.cert, malformed, "--tls-cert names, cannot be used"),
        (&files.key, &cert, "no private key in PEM"),
        (&files.key, &encrypted, "without a passphrase"),
    ] {
        fs::write(&files.cert, &cert).unwrap();
        fs::write(&files.key, &key).unwrap();
        fs::write(path, text).unwrap();
        let error = refusal(config.clone()).await.to_string();
        assert!(error.contains(said) && error.contains(&*path.to_string_lossy()), "{error}");
    }
    fs::remove_file(&files.key).unwrap();
    let error = refusal(config).await.to_string();
    assert!(error.contains("key.pem, which --tls-key names, could not be read"), "{error}");
}
