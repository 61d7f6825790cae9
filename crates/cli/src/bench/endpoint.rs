//! Where the subscribers go, and how each gets its stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, CACHE_CONTROL, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use super::failure::Failure;
use super::head::{HEAD_BYTES_MAX, Head};
use super::transfer::Transfer;
use crate::problem::said;

/// The URL of the stream, resolved once, so that ten thousand subscribers do not ask ten thousand
/// times.
pub(super) struct Endpoint {
    /// Tried in this order, and at most a few.
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The head of the request, up to the headers that differ.
    request: String,
}

/// A connection, with TLS or without.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

/// An event stream that has begun.
pub(super) struct Opened {
    pub(super) connection: Box<dyn Connection>,
    pub(super) transfer: Transfer,
    /// What came with the head.
    pub(super) rest: Vec<u8>,
}

impl Endpoint {
    /// Finds out where `url` is. The error is a sentence.
    pub(super) async fn resolve(url: &Url, headers: &HeaderMap) -> Result<Self, String> {
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(format!("{url} has no host.")),
        };
        let port = url.port_or_known_default().unwrap_or(80);
        let looked_up = timeout(CONNECT_TIME_MAX, lookup_host((host.as_str(), port))).await;
        let addresses: Vec<_> = looked_up
            .map_err(io::Error::from)
            .flatten()
            .map_err(|error| format!("{url} cannot be reached: {error}. Check the host name."))?
            .take(ADDRESSES_MAX)
            .collect();
        if addresses.is_empty() {
            return Err(format!("{url} cannot be reached: its host has no address."));
        }
        let tls = match url.scheme() {
            "https" => Some(tls(host).map_err(|error| format!("TLS cannot be set up: {error}."))?),
            _ => None,
        };
        let request = request(url, headers);
        Ok(Self { addresses, tls, request })
    }

    /// Whether all its addresses are this machine's own.
    pub(super) fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }

    /// Asks for the stream, from after this event on if there is an id.
    pub(super) async fn open(&self, last_event_id: &str) -> Result<Opened, Failure> {
        let mut connection = timeout(CONNECT_TIME_MAX, self.connect())
            .await
            .map_err(|_| Failure::TimedOut(CONNECT_TIME_MAX))?
            .map_err(Failure::Connect)?;
        timeout(HEAD_TIME_MAX, self.ask(&mut connection, last_event_id))
            .await
            .map_err(|_| Failure::TimedOut(HEAD_TIME_MAX))?
            .map(|(transfer, rest)| Opened { connection, transfer, rest })
    }

    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for address in &self.addresses {
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            return Ok(match &self.tls {
                None => Box::new(stream),
                Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
            });
        }
        Err(last)
    }

    async fn ask(
        &self,
        connection: &mut Box<dyn Connection>,
        last_event_id: &str,
    ) -> Result<(Transfer, Vec<u8>), Failure> {
        let mut request = self.request.clone();
        // An id that no header can carry came from the server, which then has to do without.
        if !last_event_id.is_empty() && HeaderValue::from_str(last_event_id).is_ok() {
            request.push_str("last-event-id: ");
            request.push_str(last_event_id);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        connection.write_all(request.as_bytes()).await.map_err(Failure::Network)?;
        connection.flush().await.map_err(Failure::Network)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES_USUAL);
        let head = loop {
            // It ends when the head is there, or longer than a head can be.
            match Head::parse(&bytes)? {
                Some(head) if head.is_interim() => drop(bytes.drain(..head.length)),
                Some(head) => break head,
                None => {
                    let mut part = (&mut *connection).take(HEAD_BYTES_MAX as u64);
                    if part.read_buf(&mut bytes).await.map_err(Failure::Network)? == 0 {
                        return Err(Failure::NoAnswer);
                    }
                }
            }
        };
        let rest = bytes.split_off(head.length);
        let said = if head.is_refusal() {
            explanation(connection, head.transfer, rest.clone()).await
        } else {
            None
        };
        Ok((head.judge(said)?, rest))
    }
}

/// What the body of a refusal says, as far as it comes soon and is short.
async fn explanation(
    connection: &mut Box<dyn Connection>,
    mut transfer: Transfer,
    mut bytes: Vec<u8>,
) -> Option<String> {
    let mut body = Vec::new();
    let read = async {
        while body.len() < REFUSAL_BYTES_MAX && transfer != Transfer::Ended {
            let mut part = &bytes[..];
            while let Ok(Some(text)) = transfer.take(&mut part) {
                body.extend_from_slice(text);
            }
            bytes.clear();
            if transfer == Transfer::Ended
                || !matches!(connection.read_buf(&mut bytes).await, Ok(1..))
            {
                break;
            }
        }
    };
    // What has come by then may do.
    let _ = timeout(REFUSAL_TIME_MAX, read).await;
    said(&String::from_utf8_lossy(&body))
}

/// TLS with the platform's roots.
fn tls(host: String) -> Result<(TlsConnector, ServerName<'static>), Box<dyn std::error::Error>> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    // One stream a connection, as an EventSource over HTTP/1.1 has it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsConnector::from(Arc::new(config)), ServerName::try_from(host)?))
}

fn request(url: &Url, headers: &HeaderMap) -> String {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = format!("GET {target} HTTP/1.1\r\n");
    let mut push = |name: &HeaderName, value: &[u8]| {
        request.push_str(name.as_str());
        request.push_str(": ");
        request.push_str(&String::from_utf8_lossy(value));
        request.push_str("\r\n");
    };
    let usual = [
        (HOST, host),
        (ACCEPT, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (USER_AGENT, concat!("tidings/", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in usual {
        if !headers.contains_key(&name) {
            push(&name, value.as_bytes());
        }
    }
    for (name, value) in headers {
        push(name, value.as_bytes());
    }
    request
}

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// A problem document takes some hundred bytes.
const REFUSAL_BYTES_MAX: usize = 16 << 10;
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(2);
const HEAD_BYTES_USUAL: usize = 1 << 10;
/// A name may have any number of addresses.
const ADDRESSES_MAX: usize = 4;
