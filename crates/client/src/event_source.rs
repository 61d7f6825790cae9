//! The source: the one loop between the sockets and the state machine.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use reqwest::Response;
use tidings_proto::EventId;
use tidings_proto::source::{Config, Output, ReadyState, ResponseHead, Source};
use tokio::time::{Instant, Sleep, sleep};
use url::Url;

use crate::transport::{self, Transport};
use crate::{BuildError, Builder, Disconnection, Error, Message, NetworkError, Opening, Update};

/// Follows an event stream: a [`Stream`] of [`Update`]s that reconnects and resumes by itself.
///
/// The stream ends after an `Err`, which says why the source is closed for good, or after
/// [`EventSource::close`]. It does its work while it is polled, within a tokio runtime. Dropping a
/// future that waits for the next update loses nothing; dropping the source closes its connection
/// at once.
///
/// Memory: what the decoder's [`Limits`](crate::Limits) allow for one event, and one chunk as the
/// HTTP client read it. Nothing is queued for a slow reader.
pub struct EventSource {
    url: Url,
    source: Source,
    transport: Transport,
    io: Io,
    /// When the machine's time began.
    start: Instant,
    /// The response that is about to be told as open.
    opening: Option<Opening>,
    /// The origin of the present connection.
    origin: Arc<str>,
    /// What the network said, until the machine's account of it is delivered.
    network: Option<NetworkError>,
    /// What the server said with its refusal, until the machine's account of it is delivered.
    refusal: Vec<u8>,
}

/// What the source waits for.
enum Io {
    Idle,
    Requesting(BoxFuture<'static, Result<Response, reqwest::Error>>),
    Reading {
        body: BoxStream<'static, Result<Bytes, reqwest::Error>>,
        chunk: Bytes,
    },
    /// Closed for good, and about to say so.
    Refused(BoxFuture<'static, Vec<u8>>),
    Sleeping(Pin<Box<Sleep>>),
}

impl EventSource {
    /// Follows the event stream at `url`, exactly as the standard says.
    ///
    /// # Errors
    /// [`BuildError`] if `url` is not an absolute http or https URL.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::builder(url).build()
    }

    /// Sets up a source with headers, a profile, an id to resume after, and more.
    pub fn builder(url: impl AsRef<str>) -> Builder {
        Builder::new(url.as_ref().to_owned())
    }

    pub(crate) fn start(url: Url, config: Config, transport: Transport) -> Self {
        Self {
            source: Source::new(url.as_str(), config, rand::random()),
            origin: origin(&url),
            url,
            transport,
            io: Io::Idle,
            start: Instant::now(),
            opening: None,
            network: None,
            refusal: Vec::new(),
        }
    }

    /// The URL that the source was created with. Redirects do not change it.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the source is connecting, open, or closed for good.
    #[must_use]
    pub const fn ready_state(&self) -> ReadyState {
        self.source.ready_state()
    }

    /// The id that the next connection resumes after: that of the last event received, or of a
    /// block of the stream that only moved the id.
    #[must_use]
    pub const fn last_event_id(&self) -> &EventId {
        self.source.last_event_id()
    }

    /// The reconnection time in force.
    #[must_use]
    pub const fn reconnection_time(&self) -> Duration {
        self.source.reconnection_time()
    }

    /// Closes the source for good and its connection at once. Nothing is delivered after it, not
    /// even what has already been received. Closing twice does nothing.
    pub fn close(&mut self) {
        self.source.close();
        self.io = Io::Idle;
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Makes progress until there is an update, the end, or something to wait for.
    fn poll_update(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Update, Error>>> {
        loop {
            if let Io::Refused(body) = &mut self.io {
                self.refusal = ready!(body.as_mut().poll(context));
                self.io = Io::Idle;
            }
            while let Some(output) = self.source.poll_output() {
                if let Some(item) = self.item(output) {
                    return Poll::Ready(Some(item));
                }
            }
            if let Some(request) = self.source.poll_request() {
                tracing::debug!(url = %request.url, "connecting");
                self.io = Io::Requesting(self.transport.send(&request));
                continue;
            }
            let now = self.now();
            match &mut self.io {
                Io::Requesting(response) => {
                    let response = ready!(response.as_mut().poll(context));
                    self.io = Io::Idle;
                    self.handle_response(now, response);
                }
                Io::Reading { chunk, .. } if chunk.has_remaining() => {
                    let mut rest = &chunk[..];
                    self.source.handle_bytes(now, &mut rest);
                    let taken = chunk.len() - rest.len();
                    chunk.advance(taken);
                }
                Io::Reading { body, chunk } => match ready!(body.poll_next_unpin(context)) {
                    Some(Ok(bytes)) => *chunk = bytes,
                    Some(Err(error)) => self.handle_error(now, error),
                    None => {
                        self.io = Io::Idle;
                        self.source.handle_end(now);
                    }
                },
                Io::Sleeping(sleep) => {
                    ready!(sleep.as_mut().poll(context));
                    self.io = Io::Idle;
                    self.source.handle_timeout(now);
                }
                Io::Idle | Io::Refused(_) => match self.source.poll_deadline() {
                    Some(deadline) => {
                        self.io = Io::Sleeping(Box::pin(sleep(deadline.saturating_sub(now))));
                    }
                    // Neither a request nor a deadline nor a connection: it is closed.
                    None => return Poll::Ready(None),
                },
            }
        }
    }

    fn handle_response(&mut self, now: Duration, response: Result<Response, reqwest::Error>) {
        let response = match response {
            Ok(response) => response,
            Err(error) => return self.handle_error(now, error),
        };
        match transport::redirect(&response) {
            Some(Ok(redirect)) => {
                tracing::debug!(status = redirect.status, url = %redirect.url, "redirected");
                return self.source.handle_redirect(now, redirect);
            }
            Some(Err(error)) => return self.source.handle_redirect_error(now, error),
            None => {}
        }
        let mut head = ResponseHead::new(response.status().as_u16());
        let content_type = transport::content_type(response.headers());
        head.content_type = content_type.as_deref();
        head.retry_after = transport::retry_after(response.headers(), SystemTime::now());
        self.source.handle_response(now, head);
        let is_refusal = response.status().is_client_error() || response.status().is_server_error();
        if self.source.ready_state() == ReadyState::Closed && is_refusal {
            self.io = Io::Refused(transport::refusal_body(response));
        } else if self.source.ready_state() == ReadyState::Open {
            self.origin = origin(response.url());
            self.opening =
                Some(Opening { url: response.url().clone(), headers: response.headers().clone() });
            self.io = Io::Reading { body: response.bytes_stream().boxed(), chunk: Bytes::new() };
        }
    }

    fn handle_error(&mut self, now: Duration, error: reqwest::Error) {
        self.io = Io::Idle;
        self.network = Some(error.into());
        self.source.handle_error(now);
    }

    /// What an output of the machine means to the user.
    fn item(&mut self, output: Output) -> Option<Result<Update, Error>> {
        Some(Ok(match output {
            Output::Open => Update::Open(self.opening.take()?),
            Output::Message(event) => Update::Message(Message {
                event_type: event.event_type,
                data: event.data,
                last_event_id: event.last_event_id,
                origin: Arc::clone(&self.origin),
            }),
            Output::Comment(text) => Update::Comment(text),
            Output::Retry(time) => Update::Retry(time),
            Output::UnsendableId(id) => {
                tracing::warn!(%id, "the last event id cannot be sent as a header");
                Update::UnsendableId(id)
            }
            Output::Disconnected { cause, delay } => {
                // The machine may have given up a connection that still stands.
                self.io = Io::Idle;
                let network = self.network.take();
                let disconnection = Disconnection { cause, network, delay };
                tracing::debug!(reason = %disconnection, ?delay, "disconnected");
                Update::Disconnected(disconnection)
            }
            Output::Failed { cause, retries } => {
                self.io = Io::Idle;
                let network = self.network.take();
                return Some(Err(match retries {
                    Some(retries) => Error::RetriesExhausted { retries, cause, network },
                    None => Error::Failed { cause, body: std::mem::take(&mut self.refusal) },
                }));
            }
            // The machine has learnt to tell something that has no update yet.
            _ => return None,
        }))
    }
}

impl Stream for EventSource {
    type Item = Result<Update, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Update, Error>>> {
        self.poll_update(context)
    }
}

impl FusedStream for EventSource {
    fn is_terminated(&self) -> bool {
        // The error that says why is still to be delivered while the machine is already closed.
        self.ready_state() == ReadyState::Closed && !self.source.has_output()
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource")
            .field("url", &self.url.as_str())
            .field("ready_state", &self.ready_state())
            .field("last_event_id", self.last_event_id())
            .finish_non_exhaustive()
    }
}

fn origin(url: &Url) -> Arc<str> {
    url.origin().ascii_serialization().into()
}
