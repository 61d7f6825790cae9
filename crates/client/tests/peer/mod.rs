//! A server that does as the test says, on a port of its own.
//!
//! What is awaited has a deadline, so that a test fails rather than hangs.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod updates;

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Awaits `future`, and fails the test if it takes longer than any machine should.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes in time")
}

/// A URL at which nobody listens.
pub fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// The server. It takes requests from all its connections, as a client may open one and send its
/// request on another.
pub struct Peer {
    origin: String,
    requests: Mutex<UnboundedReceiver<Exchange>>,
    connections: UnboundedSender<TcpStream>,
}

impl Peer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (connections, mut reused) = mpsc::unbounded_channel();
        let (requests, received) = mpsc::unbounded_channel();
        // It ends with the runtime of the test.
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    Some(stream) = reused.recv() => stream,
                };
                let requests = requests.clone();
                tokio::spawn(async move {
                    if let Some(exchange) = Exchange::read(stream).await {
                        let _ = requests.send(exchange);
                    }
                });
            }
        });
        Self { origin, requests: Mutex::new(received), connections }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The next request.
    pub async fn accept(&self) -> Exchange {
        soon(async { self.requests.lock().await.recv().await }).await.unwrap()
    }

    /// The next request, which may come on the connection of `answered`.
    pub async fn after(&self, answered: Exchange) -> Exchange {
        self.connections.send(answered.stream).unwrap();
        self.accept().await
    }

    /// Whether there is a request that was not accepted.
    pub async fn is_asked(&self) -> bool {
        tokio::task::yield_now().await;
        self.requests.lock().await.try_recv().is_ok()
    }
}

/// A request, and the connection to answer it on.
pub struct Exchange {
    stream: TcpStream,
    head: String,
    pub body: Vec<u8>,
}

impl Exchange {
    async fn read(mut stream: TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            // A client may open a connection that it then has no use for; and TLS is not spoken
            // here, which a handshake is told by the end.
            if stream.read_buf(&mut bytes).await.ok()? == 0 || bytes.starts_with(TLS_HANDSHAKE) {
                return None;
            }
        };
        let mut body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap();
        let mut exchange = Self { stream, head, body: Vec::new() };
        assert_eq!(exchange.header("transfer-encoding"), None);
        let length = exchange.header("content-length").map_or(0, |length| length.parse().unwrap());
        while body.len() < length {
            assert_ne!(soon(exchange.stream.read_buf(&mut body)).await.unwrap(), 0);
        }
        exchange.body = body;
        Some(exchange)
    }

    /// The method and target, such as `GET /events`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends what a client may not be there to take any more, and says whether it was.
    pub async fn sent(&mut self, bytes: &[u8]) -> bool {
        soon(self.stream.write_all(bytes)).await.is_ok()
    }

    /// Sends the same again and again until the client has closed the connection.
    pub async fn send_until_closed(&mut self, bytes: &str) {
        soon(async { while self.stream.write_all(bytes.as_bytes()).await.is_ok() {} }).await;
    }

    /// Answers with an event stream that ends when the connection does.
    pub async fn open(&mut self) {
        self.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await;
    }

    /// Answers with a whole response.
    pub async fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Waits until the client has closed the connection.
    pub async fn closed(&mut self) {
        let mut bytes = [0; 16];
        match soon(self.stream.read(&mut bytes)).await {
            Ok(count) => assert_eq!(count, 0, "the client goes on sending"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// Breaks the connection, so that the client sees an error rather than an end.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Writes until the connection has taken nothing for half a second, and says how much it took.
    ///
    /// That the peer stops reading cannot be awaited, only that it has.
    pub async fn fill(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while let Ok(written) =
            tokio::time::timeout(Duration::from_millis(500), self.stream.write(bytes)).await
        {
            sent += written.unwrap();
        }
        sent
    }
}

const TLS_HANDSHAKE: &[u8] = &[22];
