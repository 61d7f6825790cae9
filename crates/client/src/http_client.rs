//! The HTTP client of sources that are given none.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::Client;
use rustls::crypto::CryptoProvider;
use url::{Host, Url};

/// The HTTP client of a source to `url` that is given none, for a program that has other requests
/// to make there.
///
/// It has the platform's certificates, follows no redirects, asks for no compression, gives up connecting after 30 seconds,
/// probes idle connections every 60 seconds, and uses no proxy to loopback addresses.
///
/// # Errors
/// The environment's proxy settings cannot be read.
pub fn default_client(url: &Url) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls().clone())
        // The state machine follows redirects, and decides which headers go along.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(TCP_KEEPALIVE)
        // It decodes nothing, and without this a server may choose any coding.
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, IDENTITY)]))
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        // A proxy cannot reach this machine's own loopback. Browsers go directly, too.
        builder = builder.no_proxy();
    }
    builder.build()
}

/// Whether the URL leads to this machine itself, by its address or by its name.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// TLS with the platform's roots, and with none if it has none: then https fails with an error that
/// says so, and http works, which building a client the usual way would not allow.
///
/// A cryptography provider that the program has installed is used; none is installed.
fn tls() -> &'static rustls::ClientConfig {
    // Reading the platform's roots takes longer than anything else here.
    static TLS: OnceLock<rustls::ClientConfig> = OnceLock::new();
    TLS.get_or_init(|| {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .or_else(|_| {
                // The program's provider supports no usual version of TLS.
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                rustls::ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
            })
            .expect("ring supports the usual versions of TLS");
        let mut config = match rustls_platform_verifier::Verifier::new(provider) {
            Ok(verifier) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth(),
            Err(error) => {
                tracing::warn!(%error, "no root certificates, so https connections will fail");
                builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    })
}

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_by_address_and_name() {
        for url in
            ["http://127.9.9.9/", "http://[::1]:80/", "http://LOCALHOST/", "http://a.localhost/"]
        {
            assert!(is_loopback(&url.parse().unwrap()), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://example.com/", "http://localhost.example/"] {
            assert!(!is_loopback(&url.parse().unwrap()), "{url}");
        }
    }
}
