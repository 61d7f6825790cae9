//! A harness as the public ones are: it has the service follow streams, and reads what it reports.

use std::cell::Cell;

use reqwest::Method;
use serde_json::{Value, json};
use tidings_client::default_client;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::contract_service;
use crate::peer::{Exchange, Peer, soon};

/// The harness, and a service of its own.
pub struct Harness {
    service: String,
    pub serving: JoinHandle<std::io::Result<()>>,
    client: reqwest::Client,
    /// Serves the streams.
    pub streams: Peer,
    callbacks: Peer,
    count: Cell<u64>,
}

/// What the service answered.
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

/// A stream that the service follows, and its reports.
pub struct Followed<'a> {
    harness: &'a Harness,
    pub location: String,
    name: String,
    reported: u64,
    answered: Option<Exchange>,
}

/// A connection of the service to its stream.
pub struct Connection {
    pub request: Exchange,
}

impl Harness {
    pub async fn start() -> Self {
        Self::with_streams_max(1000).await
    }

    pub async fn with_streams_max(streams_max: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = format!("http://{}", listener.local_addr().unwrap());
        Self {
            client: default_client(&service.parse().unwrap()).unwrap(),
            service,
            serving: tokio::spawn(contract_service::serve(listener, streams_max)),
            streams: Peer::start().await,
            callbacks: Peer::start().await,
            count: Cell::new(0),
        }
    }

    /// Asks the service for something.
    pub async fn ask(&self, method: Method, path: &str, body: impl ToString) -> Answer {
        let url = format!("{}{path}", self.service);
        let response =
            soon(self.client.request(method, url).body(body.to_string()).send()).await.unwrap();
        let location = response.headers().get("location");
        Answer {
            status: response.status().as_u16(),
            location: location.map(|location| location.to_str().unwrap().to_owned()),
            body: response.text().await.unwrap(),
        }
    }

    /// Has a stream followed, with these parameters besides its URLs. Its request is yet to be
    /// accepted.
    pub async fn create(&self, params: Value) -> Followed<'_> {
        self.count.set(self.count.get() + 1);
        let name = self.count.get().to_string();
        let mut whole = json!({
            "streamUrl": self.streams.url(&format!("/stream/{name}")),
            "callbackUrl": self.callbacks.url(&format!("/callback/{name}")),
            "tag": "a test",
            // Harnesses write what is not set like this.
            "initialDelayMs": null,
            "readTimeoutMs": null,
        });
        whole.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        let answer = self.ask(Method::POST, "/", whole).await;
        assert_eq!((answer.status, &*answer.body), (201, ""));
        let location = answer.location.unwrap();
        Followed { harness: self, location, name, reported: 0, answered: None }
    }

    /// Has a stream followed, and opens it.
    pub async fn follow(&self, params: Value) -> (Followed<'_>, Connection) {
        let followed = self.create(params).await;
        let connection = self.accept().await;
        assert_eq!(connection.path(), format!("/stream/{}", followed.name));
        (followed, connection)
    }

    /// The next request for a stream, which is opened.
    pub async fn accept(&self) -> Connection {
        Connection::open(self.streams.accept().await).await
    }

    /// Whether there is a callback that nobody has awaited.
    pub async fn is_called(&self) -> bool {
        self.callbacks.is_asked().await
    }
}

impl Followed<'_> {
    /// The next callback, which is yet to be answered. It has the number that is due.
    pub async fn call(&mut self) -> Exchange {
        let callbacks = &self.harness.callbacks;
        let callback = match self.answered.take() {
            Some(answered) => callbacks.after(answered).await,
            None => callbacks.accept().await,
        };
        self.reported += 1;
        assert_eq!(callback.line(), format!("POST /callback/{}/{}", self.name, self.reported));
        assert_eq!(callback.header("content-type"), Some("application/json"));
        callback
    }

    /// Answers a callback, and says what it reports.
    pub async fn answer(&mut self, mut callback: Exchange, status: u16) -> Value {
        let report = serde_json::from_str(callback.text()).unwrap();
        callback.answer(status, "", "").await;
        self.answered = Some(callback);
        report
    }

    /// The next report, which is taken.
    pub async fn report(&mut self) -> Value {
        let callback = self.call().await;
        self.answer(callback, 202).await
    }

    pub async fn expect_event(&mut self, event_type: &str, data: &str, id: &str) {
        let event = json!({ "type": event_type, "data": data, "id": id });
        assert_eq!(self.report().await, json!({ "kind": "event", "event": event }));
    }

    pub async fn expect_message(&mut self, data: &str) {
        self.expect_event("message", data, "").await;
    }

    pub async fn expect_comment(&mut self, comment: &str) {
        assert_eq!(self.report().await, json!({ "kind": "comment", "comment": comment }));
    }

    /// The sentence of the next report, which is an error.
    pub async fn expect_error(&mut self) -> String {
        let report = self.report().await;
        let sentence = report["error"].as_str().unwrap_or_else(|| panic!("{report} is no error"));
        assert_eq!(report, json!({ "kind": "error", "error": sentence }));
        sentence.to_owned()
    }

    pub async fn command(&self, command: Value) -> Answer {
        self.harness.ask(Method::POST, &self.location, command).await
    }

    pub async fn listen(&self, event_type: &str) {
        let listen = json!({ "command": "listen", "listen": { "type": event_type } });
        assert_eq!(self.command(listen).await.status, 204);
    }

    pub async fn restart(&self) {
        assert_eq!(self.command(json!({ "command": "restart" })).await.status, 204);
    }

    pub async fn delete(&self) -> Answer {
        self.harness.ask(Method::DELETE, &self.location, "").await
    }
}

impl Connection {
    /// Answers the request with a stream.
    pub async fn open(mut request: Exchange) -> Self {
        request
            .send(concat!(
                "HTTP/1.1 200 OK\r\n",
                "content-type: text/event-stream; charset=utf-8\r\n",
                "transfer-encoding: chunked\r\n\r\n",
            ))
            .await;
        Self { request }
    }

    pub fn path(&self) -> &str {
        self.request.line().split_once(' ').unwrap().1
    }

    /// Sends a piece of the stream. It reaches the client as a piece, however the network cuts it,
    /// as it is a chunk of HTTP's.
    pub async fn send(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        self.request.send(format!("{:x}\r\n", piece.len())).await;
        self.request.send(piece).await;
        self.request.send("\r\n").await;
    }

    /// Ends the stream as a server does that has nothing more to say.
    pub async fn end(mut self) {
        self.request.send("0\r\n\r\n").await;
    }

    /// Breaks the connection within the stream.
    pub fn reset(self) {
        self.request.reset();
    }

    pub async fn closed(&mut self) {
        self.request.closed().await;
    }
}
