//! What the default client makes of TLS in unusual surroundings.

mod peer;

use std::process::Command;
use std::sync::Arc;

use peer::{Peer, soon};
use rustls::crypto::{CryptoProvider, ring};
use tidings_client::{Cause, EventSource, Update};

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
