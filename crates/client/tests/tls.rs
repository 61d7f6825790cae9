//! What the default client makes of TLS in unusual surroundings.

mod peer;

use std::process::Command;
use std::sync::Arc;

use peer::{Peer, soon};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use tidings_client::{Cause, EventSource, RootsError, Update, client_with_roots};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Follows plain http, and returns the reason why https cannot be.
async fn follow() -> String {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    let (update, _exchange) = tokio::join!(source.next(), server);
    assert!(matches!(update, Some(Ok(Update::Open(_)))), "{update:?}");

    let mut source = EventSource::new(peer.url("/").replace("http:", "https:")).unwrap();
    match soon(source.next()).await {
        Some(Ok(Update::Disconnected(disconnection))) => {
            assert_eq!(disconnection.cause, Cause::Unreachable);
            disconnection.to_string()
        }
        update => panic!("{update:?}"),
    }
}

#[tokio::test]
async fn a_provider_that_the_program_installed_is_left_alone() {
    // Like ring's, but told apart by having no key exchange groups but one.
    let mut provider = ring::default_provider();
    provider.kx_groups.truncate(1);
    provider.install_default().unwrap();
    follow().await;
    assert_eq!(CryptoProvider::get_default().map(Arc::as_ref).unwrap().kx_groups.len(), 1);
}

#[tokio::test]
#[ignore = "the next test runs it in a process without certificates"]
async fn without_certificates() {
    follow().await;
    assert!(CryptoProvider::get_default().is_none());
}

#[test]
fn plain_http_needs_no_certificates() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "without_certificates"])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            // Who does not trust it leaves.
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            socket.read_u8().await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n";
            socket.write_all(answer).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });

    let mut source = EventSource::new(&url).unwrap();
    match soon(source.next()).await {
        Some(Ok(Update::Disconnected(loss))) => assert_eq!(loss.cause, Cause::Unreachable),
        update => panic!("{update:?}"),
    }

    let client = client_with_roots(source.url(), own.cert.pem().as_bytes()).unwrap();
    let mut source = EventSource::builder(&url).client(client).build().unwrap();
    let update = soon(source.next()).await;
    assert!(matches!(update, Some(Ok(Update::Open(_)))), "{update:?}");
    server.abort();
}

#[test]
fn what_is_no_certificate_is_refused() {
    let url = "https://localhost/".parse().unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", broken] {
        let refused = client_with_roots(&url, pem.as_bytes());
        assert!(matches!(refused, Err(RootsError::Pem { .. })), "{pem:?}: {refused:?}");
    }
}
