//! A connection: from the socket to the requests on it, and its end.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{net::TcpStream, time::interval};

use crate::{api, held::Held, hub::Hub, local::Peer, slow_write::SlowWrite};

// The head of a request, and what a stalled reader may leave in hyper's buffer beside the frame
// that did not fit.
const BUFFER_BYTES_MAX: usize = 16 << 10;
const HTTP2_STREAMS_MAX: u32 = 1_000;

/// Serves a connection until it ends, is idle for too long, or the hub leaves.
///
/// A `crowded` connection is one too many: its requests are told to come back later.
pub(crate) async fn serve(stream: TcpStream, hub: Hub, router: Router, crowded: bool) {
    let timeouts = &hub.config.timeouts;
    let activity = Arc::new(Activity::default());
    let peer = stream.peer_addr().ok().map(Peer);
    let service = service_fn(|request: Request<Incoming>| {
        let guard = activity.begin();
        let (hub, router) = (hub.clone(), router.clone());
        async move {
            let mut request = request.map(Body::new);
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            let response = api::answer(&hub, router, request, crowded).await;
            Ok::<_, Infallible>(response.map(|body| Held::new(body, guard)))
        }
    });
    let io = TokioIo::new(SlowWrite::new(stream, timeouts.slow_write));
    let builder = builder(&hub, crowded);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut leaving = hub.leaving.subscribe();
    let mut idle = interval(timeouts.header);
    let mut seen = None;
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection broke off");
                }
                return;
            }
            _ = leaving.wait_for(|leaving| *leaving), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            // HTTP/1.1 has its own timeout for a head; this is for HTTP/2, and for those who
            // connect and say nothing.
            _ = idle.tick() => {
                let now = activity.idle_since_request();
                if now.is_some() && now == seen {
                    if ending {
                        return;
                    }
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                seen = now;
            }
        }
    }
}

fn builder(hub: &Hub, crowded: bool) -> auto::Builder<TokioExecutor> {
    let timeouts = &hub.config.timeouts;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.header)
        .max_buf_size(BUFFER_BYTES_MAX)
        .keep_alive(!crowded);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(BUFFER_BYTES_MAX as u32)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .keep_alive_interval(timeouts.slow_write)
        .keep_alive_timeout(timeouts.slow_write);
    builder
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
