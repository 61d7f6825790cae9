//! The service: listens, serves, and leaves in good order.
//!
//! ```text
//! listener ──► Conn::serve ──► api::answer ──► access, CORS ──► publish │ follow │ …
//!                  │                                              │          │
//!                  │ the socket                               Log::append  Fanout::subscribe
//!                  ▼                                                         │
//!               Engine ◄──── HTTP/1: the head, and the subscriber ───────────┤
//!                            HTTP/2: an HTTP body ◄──────────────────────────┤
//!                            HTTP/1 over TLS: a Line ◄───────────────────────┘
//! ```
//!
//! A request is answered from its head by `api::answer`, whatever carries it; a stream's bytes
//! come from the fan-out's subscriber alone.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use futures_util::FutureExt as _;
use tidings_server::fanout::{
    Fanout, FanoutConfig,
    engine::{Engine, EngineConfig},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, timeout_at},
};
use url::Url;

use crate::{
    api,
    config::Config,
    conn::{Conn, Line, Open, Renewal, Tls},
    demo::Demo,
    hub::{Delivery, Hub},
    store::Opened,
    supervisor,
};

pub use crate::conn::TlsError;

/// A hub that is bound to its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(Arc<Tls>, Renewal)>,
    hub: Hub,
}

// A connection's task leaves what is to be done still to a smaller one.
type Connections = JoinSet<Option<Box<Line>>>;

/// Why a hub left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was told to.
    Told,
    /// Its log is [over](tidings_server::log::LogState::over): it is to be opened anew, and served
    /// by another hub.
    Over,
}

/// Why a hub could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address could not be listened on. The operator's to mend.
    #[error("the address {address} could not be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The threads that write could not be started. The operator's to mend.
    #[error("the threads that write to connections could not be started; is there room for more?")]
    Threads(#[source] io::Error),
}

impl Server {
    // A returning subscriber costs the next hub 30 to 50 µs of a core: at this pace, a quarter
    // of one.
    const LEAVE_PER_SECOND: u32 = 5_000;
    // Beyond the limit, so many connections are told to come back; more are closed unheard.
    const CROWDED_MAX: usize = 256;
    // Connections that wait to be accepted: subscribers return in thousands when a hub restarts,
    // and one that finds no room waits a second and more. The kernel takes the most that
    // net.core.somaxconn allows, which is 4,096 by default.
    const BACKLOG: u32 = 4_096;

    /// Listens on the configured address and follows the log.
    ///
    /// # Errors
    /// [`ServeError::Tls`] if the certificate or its key cannot be served;
    /// [`ServeError::Listen`] if the address is taken or not this machine's;
    /// [`ServeError::Threads`] if the system has no more of them, or of descriptors.
    pub async fn bind(config: Config, log: impl Into<Opened>) -> Result<Self, ServeError> {
        let opened = log.into();
        let log = opened.log.clone();
        let tls = config.tls.clone().map(Tls::new).transpose()?;
        let listen_error = |cause| ServeError::Listen { address: config.listen, cause };
        let listener = listen(config.listen).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let base = config.public_url.clone().unwrap_or_else(|| config.scheme().url_of(address));
        let tail = FanoutConfig { tail_bytes_max: config.tail_bytes_max, ..Default::default() };
        let fanout = Fanout::start(log, tail);
        let slow_write = config.timeouts.slow_write;
        let engine = EngineConfig { slow_write, ..Default::default() };
        let engine = Engine::start(&fanout, engine).map_err(ServeError::Threads)?;
        let hub = Hub::new(config, opened, Delivery { fanout, engine }, base, address);
        Ok(Self { listener, address, tls, hub })
    }

    /// The address that is listened on, with its actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL under which this machine reaches the hub.
    pub fn url(&self) -> Url {
        self.hub.config.scheme().url_of(self.address)
    }

    /// Serves until `leave` is ready or the log is over, then leaves within the drain time: takes no
    /// more connections, sends its subscribers away in their turn, finishes the publishes under way
    /// and closes the log.
    pub async fn run(self, leave: impl Future<Output = ()>) -> Left {
        let Self { listener, tls, hub, .. } = self;
        let (tls, renewal) = tls.unzip();
        let renewal = renewal.map(|renewal| tokio::spawn(renewal.run()));
        let supervisor = tokio::spawn(supervisor::run(hub.log.clone()));
        let demo = Demo::default();
        let router = api::router(hub.clone(), demo.routes(&hub));
        let demos = tokio::spawn(demo.run(hub.clone()));
        let counted = tokio::spawn(be_counted(hub.clone()));
        let mut connections = JoinSet::new();
        let left = tokio::select! {
            () = leave => Left::Told,
            () = supervisor::over(&hub.log) => Left::Over,
            () = accept(&listener, &hub, &router, tls.as_ref(), &mut connections) => Left::Told,
        };
        drop(listener);
        hub.leaving.send_replace(true);
        demos.abort();
        counted.abort();
        renewal.inspect(|renewal| renewal.abort());
        drain(&hub, connections).await;
        supervisor.abort();
        left
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A hub that starts again must not wait for the last one's connections to be forgotten. On
    // Windows the option means something else.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(Server::BACKLOG)
}

async fn be_counted(hub: Hub) {
    if let Some(census) = &hub.census {
        census.answer(|topics| hub.entry(topics)).await;
    }
}

async fn drain(hub: &Hub, mut connections: Connections) {
    let timeouts = &hub.config.timeouts;
    let deadline = Instant::now() + timeouts.drain;
    let subscribers = u32::try_from(hub.fanout.stats().subscribers).unwrap_or(u32::MAX);
    let pace = Duration::from_secs(1) * subscribers / Server::LEAVE_PER_SECOND;
    let retry = hub.config.retry..=hub.config.retry + timeouts.retry_spread;
    hub.fanout.drain(pace.min(timeouts.drain.mul_f64(0.7)), retry);
    // The last tenth is the log's.
    let all_gone = async {
        while let Some(ended) = connections.join_next().await {
            go_on(ended, &mut connections);
        }
        hub.engine.all_gone().await;
    };
    if timeout_at(deadline - timeouts.drain / 10, all_gone).await.is_err() {
        let connections_left = hub.metrics.connections.get();
        tracing::warn!(connections_left, "closing connections that did not end");
        connections.shutdown().await;
    }
    hub.engine.stop();
    if timeout_at(deadline, hub.log.close()).await.is_err() {
        tracing::error!("the log did not close in time");
    }
}

/// Takes connections for as long as it is polled.
async fn accept(
    listener: &TcpListener,
    hub: &Hub,
    router: &Router,
    tls: Option<&Arc<Tls>>,
    connections: &mut Connections,
) {
    let connections_max = hub.config.limits.connections_max;
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            // A stream that is to go on does not wait while no connection can be accepted.
            biased;
            Some(ended) = connections.join_next() => {
                go_on(ended, connections);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                trouble.over();
                let gauge = &hub.metrics.connections;
                let open = usize::try_from(gauge.get()).unwrap_or_default();
                let crowded = open >= connections_max;
                if crowded {
                    hub.metrics.connections_refused.inc();
                }
                if open < connections_max.saturating_add(Server::CROWDED_MAX) {
                    let (tls, open) = (tls.cloned(), Open::new(gauge));
                    let conn = Conn { stream, peer, crowded, tls, open };
                    connections.spawn(conn.serve(hub.clone(), router.clone()));
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => trouble.wait(&error).await,
        }
    }
}

/// Starts what a connection's task left to be done.
fn go_on(ended: Result<Option<Box<Line>>, JoinError>, connections: &mut Connections) {
    if let Ok(Some(line)) = ended {
        connections.spawn((*line).map(|()| None));
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A listener that cannot accept, most often for want of file descriptors.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
}

impl Trouble {
    // Until a connection ends there is nothing to win by trying faster.
    const PAUSE: Duration = Duration::from_millis(100);
    const TELL_EVERY: Duration = Duration::from_secs(10);

    async fn wait(&mut self, error: &io::Error) {
        if self.told.is_none_or(|told| told.elapsed() >= Self::TELL_EVERY) {
            tracing::error!(%error, "no connection can be accepted at present; trying on");
            self.told = Some(Instant::now());
        }
        sleep(Self::PAUSE).await;
    }

    fn over(&mut self) {
        self.told = None;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
