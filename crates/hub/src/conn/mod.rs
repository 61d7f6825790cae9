//! A connection: from the socket to the requests on it, and its end.

mod ahead;
mod first;
mod takeover;
mod tls;
mod wire;

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use http::Request;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Interval, interval, timeout},
};

pub use self::tls::TlsError;
use self::{ahead::Ahead, first::First, takeover::Stream, tls::Session, wire::Wire};
pub(crate) use self::{
    takeover::{MayTakeOver, Takeover},
    tls::{Line, Renewal, Tls},
};
use crate::{api, held::Held, hub::Hub, local::Peer};

// The head of a request, and what a stalled reader may leave in hyper's buffer beside the frame
// that did not fit.
const BUFFER_BYTES_MAX: usize = 16 << 10;
const HTTP2_STREAMS_MAX: u32 = 1_000;

/// A connection, from the socket to the requests on it.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// One too many: its requests are told to come back later.
    pub(crate) crowded: bool,
    /// If it is one of TLS, what that is served with.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) open: Open,
}

/// Counts a connection while it is open.
pub(crate) struct Open(Gauge);

impl Open {
    pub(crate) fn new(connections: &Gauge) -> Self {
        connections.inc();
        Self(connections.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Conn {
    /// Serves it until it ends, is idle for too long, the hub leaves, or something smaller takes
    /// it over: for a plain one that is the engine, for one of TLS the line that is returned.
    pub(crate) async fn serve(self, hub: Hub, router: Router) -> Option<Box<Line>> {
        let Self { stream, peer, crowded, tls, open } = self;
        let wire = Wire::new(stream, hub.config.timeouts.slow_write);
        let requests = Requests { hub, router, peer, crowded, waiting: wire.waiting() };
        if let Some(tls) = tls {
            // A handshake is large, and plain connections do not need it.
            let (stream, session) = Box::pin(requests.serve_tls(&tls, wire)).await?;
            return Some(Box::new(Line::new(stream, session, open)));
        }
        if let Some((stream, wire)) = requests.serve(wire).await {
            stream.start(&requests.hub, wire.into_stream(), open);
        }
        None
    }
}

/// What the requests on a connection are served with.
struct Requests {
    hub: Hub,
    router: Router,
    peer: SocketAddr,
    crowded: bool,
    // Whether a write to the socket waits for the peer.
    waiting: Arc<AtomicBool>,
}

impl Requests {
    /// What is to happen before there is a request: none if that takes too long, or the hub leaves.
    async fn in_time<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let mut leaving = self.hub.leaving.subscribe();
        tokio::select! {
            done = timeout(self.hub.config.timeouts.header, what) => done.ok(),
            _ = leaving.wait_for(|leaving| *leaving) => None,
        }
    }

    /// Shakes hands, and serves the connection as what was agreed.
    async fn serve_tls(&self, tls: &Tls, wire: Wire) -> Option<(Stream, Session)> {
        let accepted = self.in_time(Box::pin(tls.accept(wire))).await?;
        let (session, http2) = accepted?;
        if http2 {
            Box::pin(self.http2(Ahead::new(Bytes::new(), session))).await;
            return None;
        }
        self.serve(session).await
    }

    /// Serves the connection, until it ends, or is to carry a stream and nothing else.
    async fn serve<S>(&self, mut io: S) -> Option<(Stream, S)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // Whoever says nothing, or half a head, is not heard any longer.
        let first = self.in_time(first::read(&mut io, BUFFER_BYTES_MAX)).await?;
        let (first, ahead) = first?;
        // What is to come is large, and most connections do not need it.
        match first {
            First::Http2 => {
                Box::pin(self.http2(Ahead::new(ahead, io))).await;
                None
            }
            First::Other => Box::pin(self.http1(Ahead::new(ahead, io), None)).await,
            First::Stream(request) => {
                let version = request.version();
                let request = with_peer(request.map(|()| Body::empty()), self.peer);
                let router = self.router.clone();
                let mut answer = api::answer(&self.hub, router, request, self.crowded).await;
                match Stream::take(&mut answer, version) {
                    Some(stream) => Some((stream, io)),
                    None => Box::pin(self.http1(Ahead::new(ahead, io), Some(answer))).await,
                }
            }
        }
    }

    // `answer` is the answer to the first request, if there is one already.
    async fn http1<S>(&self, io: Ahead<S>, answer: Option<Response>) -> Option<(Stream, S)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let timeouts = &self.hub.config.timeouts;
        let activity = Arc::new(Activity::default());
        let answer = Mutex::new(answer);
        let taken = Mutex::new(None);
        let service = service_fn(|request: Request<Incoming>| {
            let guard = activity.begin();
            let (hub, router, taken) = (&self.hub, self.router.clone(), &taken);
            let answer = answer.lock().take();
            let version = request.version();
            let request = with_peer(request.map(Body::new), self.peer);
            async move {
                let mut response = match answer {
                    Some(answer) => answer,
                    None => api::answer(hub, router, request, self.crowded).await,
                };
                if let Some(stream) = Stream::take(&mut response, version) {
                    *taken.lock() = Some(stream);
                    // hyper is to write nothing: it is dropped.
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(response.map(|body| Held::new(body, guard)))
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(timeouts.header)
            .max_buf_size(BUFFER_BYTES_MAX)
            .keep_alive(!self.crowded);
        let mut connection = builder.serve_connection(TokioIo::new(io), service);
        let mut ending = Ending::new(&self.hub, &activity);
        let stream = loop {
            let progress = poll_fn(|cx| {
                if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                    return Poll::Ready(Some(ended));
                }
                // Not before what was answered earlier is on its way.
                let is_taken = taken.lock().is_some() && !self.waiting.load(Relaxed);
                if is_taken { Poll::Ready(None) } else { Poll::Pending }
            });
            tokio::select! {
                ended = progress => match ended {
                    Some(ended) => {
                        log_end(ended);
                        return None;
                    }
                    None => break taken.lock().take()?,
                },
                what = ending.next() => match what {
                    End::InPeace => Pin::new(&mut connection).graceful_shutdown(),
                    End::AtOnce => return None,
                }
            }
        };
        Some((stream, connection.into_parts().io.into_inner().into_inner()))
    }

    async fn http2<S>(&self, io: Ahead<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let timeouts = &self.hub.config.timeouts;
        let activity = Arc::new(Activity::default());
        let service = service_fn(|request: Request<Incoming>| {
            let guard = activity.begin();
            let (hub, router, crowded) = (self.hub.clone(), self.router.clone(), self.crowded);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(self.peer));
            async move {
                let response = api::answer(&hub, router, request, crowded).await;
                Ok::<_, Infallible>(response.map(|body| Held::new(body, guard)))
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS_MAX)
            .max_header_list_size(BUFFER_BYTES_MAX as u32)
            .max_send_buf_size(BUFFER_BYTES_MAX)
            .keep_alive_interval(timeouts.slow_write)
            .keep_alive_timeout(timeouts.slow_write);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        let mut ending = Ending::new(&self.hub, &activity);
        loop {
            tokio::select! {
                ended = connection.as_mut() => return log_end(ended),
                what = ending.next() => match what {
                    End::InPeace => connection.as_mut().graceful_shutdown(),
                    End::AtOnce => return,
                }
            }
        }
    }
}

fn with_peer(mut request: Request<Body>, peer: SocketAddr) -> Request<Body> {
    request.extensions_mut().insert(Peer(peer));
    if first::is_simple(&request) {
        request.extensions_mut().insert(MayTakeOver);
    }
    request
}

fn log_end(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// When a connection is to end.
struct Ending<'a> {
    leaving: tokio::sync::watch::Receiver<bool>,
    activity: &'a Activity,
    idle: Interval,
    seen: Option<usize>,
    ending: bool,
}

enum End {
    /// Once the requests under way are answered.
    InPeace,
    AtOnce,
}

impl<'a> Ending<'a> {
    fn new(hub: &Hub, activity: &'a Activity) -> Self {
        let leaving = hub.leaving.subscribe();
        let idle = interval(hub.config.timeouts.header);
        Self { leaving, activity, idle, seen: None, ending: false }
    }

    async fn next(&mut self) -> End {
        loop {
            tokio::select! {
                _ = self.leaving.wait_for(|leaving| *leaving), if !self.ending => {
                    self.ending = true;
                    return End::InPeace;
                }
                // HTTP/1.1 has its own timeout for a head; this is for HTTP/2, and for those who
                // say nothing more.
                _ = self.idle.tick() => {
                    let now = self.activity.idle_since_request();
                    let is_idle = now.is_some() && now == self.seen;
                    self.seen = now;
                    if is_idle {
                        let before = std::mem::replace(&mut self.ending, true);
                        return if before { End::AtOnce } else { End::InPeace };
                    }
                }
            }
        }
    }
}

/// The requests of a connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> Guard {
        self.begun.fetch_add(1, Relaxed);
        Guard(Arc::clone(self))
    }

    /// If nothing is under way: how many requests there were.
    fn idle_since_request(&self) -> Option<usize> {
        let ended = self.ended.load(Relaxed);
        (self.begun.load(Relaxed) == ended).then_some(ended)
    }
}

/// A request under way, until its response is written or dropped.
#[derive(Debug)]
struct Guard(Arc<Activity>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}
