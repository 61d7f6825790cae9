//! TLS: the handshake, and what it is made with.
//!
//! ```text
//!  socket ──► first byte ──► handshake ──► ALPN ──► HTTP/2: hyper
//!                 │                          │
//!                 ▼                          └────► HTTP/1: the first request ──► Line │ hyper
//!            plain HTTP: 400
//! ```

mod certificate;
mod error;
mod line;
mod plain;
mod renewal;

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    server::{NoServerSessionStorage, ServerConnection},
};
use tokio::sync::Semaphore;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use self::error::TlsError;
use self::{certificate::Pem, renewal::Served};
pub(crate) use self::{line::Line, renewal::Renewal};
use super::wire::Wire;
use crate::config::TlsFiles;

/// A connection of TLS after its handshake.
pub(super) type Session = Box<TlsStream<Wire>>;

/// Makes TLS of plain connections.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    handshakes: Semaphore,
}

impl Tls {
    // Some 30 KiB each: 60 MiB when as many peers as this have said hello at once.
    const HANDSHAKES_MAX: usize = 2_000;
    // What waits, encrypted, for a peer that takes nothing: a record, which is the least that a
    // large event is written in.
    const BUFFER_BYTES_MAX: usize = 16 << 10;
    // Each costs the handshake a write and the client some memory; one is enough to come back
    // with.
    const TICKETS: usize = 1;
    const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
    // The first byte of a TLS connection: the type of a record with a handshake in it.
    const HANDSHAKE: u8 = 22;

    /// TLS with the certificate in these files, and what keeps it up to date.
    pub(crate) fn new(files: TlsFiles) -> Result<(Arc<Self>, Renewal), TlsError> {
        let pem = Pem::read(&files)?;
        let served = Arc::new(Served::new(pem.certified_key(&files)?));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unavailable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&served) as _);
        config.alpn_protocols = Self::ALPN.map(<[u8]>::to_vec).into();
        // Who comes back shows a ticket that holds all there is to know: nothing is kept here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Unavailable)?;
        config.send_tls13_tickets = Self::TICKETS;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let tls = Self { acceptor, handshakes: Semaphore::new(Self::HANDSHAKES_MAX) };
        Ok((Arc::new(tls), Renewal::new(files, pem, served)))
    }

    /// Shakes hands with the peer. Gives the session, and whether HTTP/2 was chosen; none if there
    /// is no session to be had.
    pub(super) async fn accept(&self, wire: Wire) -> Option<(Session, bool)> {
        let mut first = [0];
        if wire.stream().peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first[0] != Self::HANDSHAKE {
            plain::refuse(wire).await;
            return None;
        }
        // Only now: whoever says nothing keeps nobody waiting.
        let _turn = self.handshakes.acquire().await.ok()?;
        let small = |session: &mut ServerConnection| {
            session.set_buffer_limit(Some(Self::BUFFER_BYTES_MAX));
        };
        match self.acceptor.accept_with(wire, small).await {
            Ok(session) => {
                let http2 = session.get_ref().1.alpn_protocol() == Some(Self::ALPN[0]);
                Some((Box::new(session), http2))
            }
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    }
}
