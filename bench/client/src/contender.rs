//! How each contender follows a stream.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tidings_client::{EventSource, Limits, Update};
use tidings_proto::decode::Decoder;

use crate::workload::Sink;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// Our source; many of them share one HTTP client.
    Tidings,
    /// Our source as `EventSource::new` makes it, each with an HTTP client of its own.
    TidingsNew,
    EventsourceClient,
    ReqwestEventsource,
    /// The body that our source reads, into our decoder: what is left of our source without its
    /// state machine.
    Decoder,
    /// The limit: the body that our source reads, and nothing made of it.
    Reqwest,
    /// What that limit is built on, over a bare connection.
    Hyper,
}

impl Contender {
    pub const ALL: [Self; 7] = [
        Self::Tidings,
        Self::TidingsNew,
        Self::EventsourceClient,
        Self::ReqwestEventsource,
        Self::Decoder,
        Self::Reqwest,
        Self::Hyper,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Tidings => "tidings",
            Self::TidingsNew => "tidings, new()",
            Self::EventsourceClient => "eventsource-client",
            Self::ReqwestEventsource => "reqwest-eventsource",
            Self::Decoder => "reqwest + decoder",
            Self::Reqwest => "bare reqwest",
            Self::Hyper => "bare hyper",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }

    /// Whether it makes events of the bytes.
    pub const fn parses(self) -> bool {
        !matches!(self, Self::Reqwest | Self::Hyper)
    }

    pub const fn is_peer(self) -> bool {
        matches!(self, Self::EventsourceClient | Self::ReqwestEventsource)
    }
}

/// What makes a contender's requests, for as many sources as there are.
#[derive(Clone)]
pub enum Http {
    Tidings(reqwest::Client),
    TidingsNew,
    EventsourceClient(Box<launchdarkly_sdk_transport::HyperTransport>),
    ReqwestEventsource(reqwest_0_12::Client),
    Decoder(reqwest::Client),
    Reqwest(reqwest::Client),
    Hyper,
}

impl Http {
    pub fn new(contender: Contender) -> Result<Self, Failure> {
        // Of this it only takes that the host is loopback.
        let url = "http://127.0.0.1/".parse()?;
        Ok(match contender {
            Contender::Tidings => Self::Tidings(tidings_client::default_client(&url)?),
            Contender::TidingsNew => Self::TidingsNew,
            Contender::EventsourceClient => {
                let transport = launchdarkly_sdk_transport::HyperTransport::builder();
                Self::EventsourceClient(Box::new(transport.disable_proxy().build_http()?))
            }
            Contender::ReqwestEventsource => {
                Self::ReqwestEventsource(reqwest_0_12::Client::builder().no_proxy().build()?)
            }
            Contender::Decoder => Self::Decoder(tidings_client::default_client(&url)?),
            Contender::Reqwest => Self::Reqwest(tidings_client::default_client(&url)?),
            Contender::Hyper => Self::Hyper,
        })
    }

    /// Connects, and comes back as soon as the head of the response is here.
    pub async fn open(&self, url: &str) -> Result<Source, Failure> {
        Ok(match self {
            Self::Tidings(client) => {
                open_tidings(EventSource::builder(url).client(client.clone()).build()?).await?
            }
            Self::TidingsNew => open_tidings(EventSource::new(url)?).await?,
            Self::EventsourceClient(transport) => {
                use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
                let mut stream = ClientBuilder::for_url(url)?
                    .reconnect(ReconnectOptions::reconnect(false).build())
                    .build_with_transport(transport.as_ref().clone())
                    .stream();
                match stream.next().await {
                    Some(Ok(SSE::Connected(_))) => Source::EventsourceClient(stream),
                    other => return Err(format!("did not open: {other:?}").into()),
                }
            }
            Self::ReqwestEventsource(client) => {
                use reqwest_eventsource::{Event, EventSource, retry::Never};
                let mut stream = EventSource::new(client.get(url))?;
                stream.set_retry_policy(Box::new(Never));
                match stream.next().await {
                    Some(Ok(Event::Open)) => Source::ReqwestEventsource(Box::new(stream)),
                    other => return Err(format!("did not open: {other:?}").into()),
                }
            }
            Self::Decoder(client) => Source::Decoder(Box::new(client.get(url).send().await?)),
            Self::Reqwest(client) => Source::Reqwest(Box::new(client.get(url).send().await?)),
            Self::Hyper => open_hyper(url).await?,
        })
    }
}

async fn open_tidings(mut source: EventSource) -> Result<Source, Failure> {
    match source.next().await {
        Some(Ok(Update::Open(_))) => Ok(Source::Tidings(Box::new(source))),
        other => Err(format!("did not open: {other:?}").into()),
    }
}

async fn open_hyper(url: &str) -> Result<Source, Failure> {
    let url: hyper::Uri = url.parse()?;
    let host = url.authority().ok_or("a URL without a host")?.as_str();
    let socket = tokio::net::TcpStream::connect(host).await?;
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(url.path())
        .header(hyper::header::HOST, host)
        .body(Empty::<Bytes>::new())?;
    Ok(Source::Hyper(send.send_request(request).await?.into_body()))
}

/// A stream that is open.
pub enum Source {
    Tidings(Box<EventSource>),
    EventsourceClient(EventsourceClientStream),
    ReqwestEventsource(Box<reqwest_eventsource::EventSource>),
    Decoder(Box<reqwest::Response>),
    Reqwest(Box<reqwest::Response>),
    Hyper(Incoming),
}

type EventsourceClientStream =
    Pin<Box<dyn Stream<Item = eventsource_client::Result<eventsource_client::SSE>> + Send + Sync>>;

impl Source {
    /// Reads to the end of the response. An error ends it as well: what is missing then, the sink
    /// knows.
    pub async fn read(self, sink: &mut impl Sink) {
        match self {
            Self::Tidings(mut source) => {
                while let Some(Ok(update)) = source.next().await {
                    match update {
                        Update::Message(event) => sink.event(
                            event.event_type.as_str(),
                            &event.data,
                            event.last_event_id.as_str(),
                        ),
                        Update::Disconnected(_) => break,
                        _ => {}
                    }
                }
            }
            Self::EventsourceClient(mut stream) => {
                use eventsource_client::SSE;
                while let Some(Ok(item)) = stream.next().await {
                    if let SSE::Event(event) = item {
                        let id = event.id.as_deref().unwrap_or_default();
                        sink.event(&event.event_type, &event.data, id);
                    }
                }
            }
            Self::ReqwestEventsource(mut source) => {
                use reqwest_eventsource::Event;
                while let Some(Ok(item)) = source.next().await {
                    if let Event::Message(event) = item {
                        sink.event(&event.event, &event.data, &event.id);
                    }
                }
            }
            Self::Decoder(mut response) => {
                let mut decoder = Decoder::new(Limits::default());
                while let Ok(Some(chunk)) = response.chunk().await {
                    let mut chunk = &chunk[..];
                    while let Ok(Some(event)) = decoder.poll_event(&mut chunk) {
                        sink.event(
                            event.event_type.as_str(),
                            &event.data,
                            event.last_event_id.as_str(),
                        );
                    }
                }
            }
            Self::Reqwest(mut response) => {
                while let Ok(Some(chunk)) = response.chunk().await {
                    sink.bytes(&chunk);
                }
            }
            Self::Hyper(mut body) => {
                while let Some(Ok(frame)) = body.frame().await {
                    if let Some(chunk) = frame.data_ref() {
                        sink.bytes(chunk);
                    }
                }
            }
        }
    }
}

/// Whatever keeps a contender from being measured; it ends the bench.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
