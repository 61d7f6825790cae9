//! A hub on a free port, and a client that sees HTTP/1.1 as it is on the wire.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tidings_hub::{
    config::{Config, Store},
    serve::{Left, Server},
};
use tidings_server::log::{MemoryLog, SharedLog};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

const SOON: Duration = Duration::from_secs(20);

/// Waits for what must happen, and fails clearly if it does not.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("it happens within 20 s")
}

pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    pub(crate) log: SharedLog,
    leave: Option<oneshot::Sender<()>>,
    running: JoinHandle<Left>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            store: Store::Memory,
            ..Config::default()
        };
        change(&mut config);
        let log = MemoryLog::new(config.retention, rand::random());
        let log = Arc::new(log.with_topic_rules(config.topic_rules.clone()));
        Self::over(config, log).await
    }

    pub(crate) async fn over(config: Config, log: SharedLog) -> Self {
        let server = Server::bind(config, log.clone()).await.unwrap();
        let address = server.address();
        let (leave, told) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = told.await;
        }));
        Self { address, log, leave: Some(leave), running }
    }

    /// Tells the hub to leave.
    pub(crate) fn leave(&mut self) {
        let _ = self.leave.take().unwrap().send(());
    }

    /// Waits until it has left.
    pub(crate) async fn gone(self) {
        soon(self.running).await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    /// One request on a connection of its own. `head` is the request line without the version,
    /// and more header lines.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.ask(head, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target}"), "").await
    }

    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        self.ask(&format!("POST {target}"), body).await
    }

    pub(crate) async fn batch(&self, body: &str) -> Answer {
        self.ask("POST /events\nContent-Type: application/x-ndjson", body).await
    }

    /// Opens a stream; the head of its answer is read.
    pub(crate) async fn follow(&self, head: &str) -> (Answer, Stream) {
        self.connect().await.follow(head).await
    }
}

/// A client's connection.
pub(crate) struct Connection<S = TcpStream>(pub(crate) BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Opens a stream; the head of its answer is read.
    pub(crate) async fn follow(mut self, head: &str) -> (Answer, Stream<S>) {
        self.send(head, "").await;
        let answer = self.head().await;
        (answer, Stream { connection: self, text: String::new() })
    }

    pub(crate) async fn ask(&mut self, head: &str, body: &str) -> Answer {
        self.send(head, body).await;
        if head.starts_with("HEAD ") { self.head().await } else { self.answer().await }
    }

    /// The next answer, with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        answer.body = self.body(&answer).await;
        answer
    }

    pub(crate) async fn send(&mut self, head: &str, body: &str) {
        let mut lines = head.lines();
        let mut text = format!("{} HTTP/1.1\r\n", lines.next().unwrap());
        if !head.to_ascii_lowercase().contains("\nhost:") {
            text.push_str("Host: localhost\r\n");
        }
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if !body.is_empty() || head.starts_with("POST") {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        self.raw(text.as_bytes()).await;
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> Answer {
        let status_line = self.line().await;
        let status = status_line.split(' ').nth(1).expect("a status line").parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return Answer { status, headers, body: String::new() };
            }
            let (name, value) = line.split_once(": ").expect("a header line");
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) async fn body(&mut self, answer: &Answer) -> String {
        if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            soon(self.0.read_exact(&mut body)).await.unwrap();
            return String::from_utf8(body).unwrap();
        }
        let mut body = String::new();
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                body.push_str(&chunk);
            }
        }
        body
    }

    /// The next chunk of a chunked body; `None` for the last, empty one.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = usize::from_str_radix(&self.line().await, 16).expect("a chunk's size");
        let mut chunk = vec![0; size + 2];
        soon(self.0.read_exact(&mut chunk)).await.unwrap();
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends as it must");
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        soon(self.0.read_line(&mut line)).await.unwrap();
        assert!(line.ends_with("\r\n"), "a whole line, not {line:?}");
        line.truncate(line.len() - 2);
        line
    }

    /// Whether the hub closed the connection, with nothing more on it.
    pub(crate) async fn is_closed(&mut self) -> bool {
        matches!(soon(self.0.read(&mut [0; 1])).await, Ok(0) | Err(_))
    }
}

/// A stream that is open.
pub(crate) struct Stream<S = TcpStream> {
    pub(crate) connection: Connection<S>,
    text: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// All that came, once `text` is in it.
    pub(crate) async fn until(&mut self, text: &str) -> &str {
        // Heartbeats come for ever: the whole wait has the deadline, not each chunk.
        let deadline = Instant::now() + SOON;
        while !self.text.contains(text) {
            let chunk = timeout_at(deadline, self.connection.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.text));
            self.text.push_str(&chunk.unwrap_or_else(|| panic!("it ends in {:?}", self.text)));
        }
        &self.text
    }

    /// All that came, once the opening is there.
    pub(crate) async fn opened(&mut self) -> &str {
        self.until("event: tidings.cursor\n").await;
        self.until("}\n\n").await
    }

    /// All that came, once the stream has ended.
    pub(crate) async fn end(mut self) -> String {
        while let Some(chunk) = self.connection.chunk().await {
            self.text.push_str(&chunk);
        }
        self.text
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let first = found.next();
        assert!(found.next().is_none(), "{name} is there once");
        first.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Checks that it is a problem of this kind.
    pub(crate) fn is_problem(&self, status: u16, slug: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem
    }
}
