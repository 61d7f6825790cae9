//! The same over HTTP/2, where the stream is one of many on its connection.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::channel::{Channel, Sender};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings_client::{Cause, EventSource};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;

use crate::peer::soon;
use crate::peer::updates::{both, disconnected, message, open, quick};

/// A server that opens an event stream for each request, and hands it to the test.
struct Peer {
    url: String,
    streams: UnboundedReceiver<(HeaderMap, Sender<Bytes, io::Error>)>,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (opened, streams) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let opened = opened.clone();
                let service = service_fn(move |request: http::Request<_>| {
                    let (sender, body) = Channel::new(1);
                    let _ = opened.send((request.headers().clone(), sender));
                    let response = Response::builder().header("content-type", "text/event-stream");
                    async { Ok::<_, Infallible>(response.body(body).unwrap()) }
                });
                let connection = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, streams }
    }

    fn source(&self) -> EventSource {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
        quick(&self.url).client(client).build().unwrap()
    }

    async fn accept(&mut self) -> (HeaderMap, Sender<Bytes, io::Error>) {
        soon(self.streams.recv()).await.unwrap()
    }
}

async fn send(stream: &mut Sender<Bytes, io::Error>, bytes: &'static str) {
    soon(stream.send_data(Bytes::from_static(bytes.as_bytes()))).await.unwrap();
}

/// Waits until the client has given up the stream.
async fn closed(mut stream: Sender<Bytes, io::Error>) {
    soon(async { while stream.send_data(Bytes::from_static(b":\n")).await.is_ok() {} }).await;
}

#[tokio::test]
async fn it_resumes_after_the_end_and_after_a_reset() {
    let mut peer = Peer::start().await;
    let mut source = peer.source();
    let (received, is_received) = oneshot::channel();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        assert_eq!(disconnected(&mut source).await.0, Cause::Ended);
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "2");
        received.send(()).unwrap();
        assert_eq!(disconnected(&mut source).await.0, Cause::Network);
        open(&mut source).await;
        source
    };
    let server = async {
        let (headers, mut stream) = peer.accept().await;
        assert_eq!(headers["accept"], "text/event-stream");
        assert_eq!(headers.get("last-event-id"), None);
        send(&mut stream, "id: 1\ndata: 1\n\nid: lost\ndata: cut off").await;
        drop(stream);
        let (headers, mut stream) = peer.accept().await;
        assert_eq!(headers["last-event-id"], "1");
        send(&mut stream, "id: 2\ndata: 2\n\n").await;
        // A reset takes back what is still on its way.
        soon(is_received).await.unwrap();
        stream.abort(io::Error::other("reset"));
        let (headers, stream) = peer.accept().await;
        assert_eq!(headers["last-event-id"], "2");
        stream
    };
    let (mut source, stream) = both(client, server).await;
    // Asking for another, closing and dropping give up the stream at once.
    source.reconnect();
    let ((), (_, stream)) = both(
        async {
            assert_eq!(disconnected(&mut source).await.0, Cause::Asked);
            open(&mut source).await;
        },
        async {
            closed(stream).await;
            peer.accept().await
        },
    )
    .await;
    source.close();
    assert!(soon(source.next()).await.is_none());
    closed(stream).await;
}

#[tokio::test]
async fn a_slow_reader_holds_up_the_server() {
    let mut peer = Peer::start().await;
    let mut source = peer.source();
    let ((), (_, mut stream)) = both(open(&mut source), peer.accept()).await;
    let event = Bytes::from(format!("data: {}\n\n", "x".repeat(10_000)));
    // What the windows of HTTP/2 let through, and no more.
    let mut sent = 0;
    let fill = async {
        while stream.send_data(event.clone()).await.is_ok() {
            sent += 1;
        }
    };
    let filled = tokio::time::timeout(std::time::Duration::from_millis(500), fill).await;
    filled.unwrap_err();
    assert!((1..2_000).contains(&sent), "{sent} events were taken from the server");
    for _ in 0..sent - 1 {
        assert_eq!(message(&mut source).await.data.len(), 10_000);
    }
    drop(source);
    closed(stream).await;
}
