//! The HTTP client of sources that are given none.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::Client;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
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
    // Reading the platform's roots takes longer than anything else here.
    static TLS: OnceLock<rustls::ClientConfig> = OnceLock::new();
    client(url, TLS.get_or_init(|| tls(&[])).clone())
}

/// A [default client](default_client) that also trusts the certificate authorities in `pem`, such as a
/// company's own. Build it once: it reads the platform's roots anew.
///
/// # Errors
/// [`RootsError`] if `pem` has no certificate, or one that cannot be read; or if the environment's
/// proxy settings cannot be read.
pub fn client_with_roots(url: &Url, pem: &[u8]) -> Result<Client, RootsError> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|error| RootsError::Pem { reason: error.to_string() })?;
    let mut known = RootCertStore::empty();
    for root in &roots {
        let added = known.add(root.clone());
        added.map_err(|error| RootsError::Pem { reason: error.to_string() })?;
    }
    if roots.is_empty() {
        return Err(RootsError::Pem { reason: "it has none".to_owned() });
    }
    client(url, tls(&roots)).map_err(RootsError::Client)
}

/// Why a client cannot trust what it is to trust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The text has no certificate, or one that cannot be read. The caller is at fault.
    #[error("the certificates cannot be read, which must be PEM: {reason}")]
    Pem {
        /// What is wrong with it.
        reason: String,
    },
    /// The client could not be built, because of the environment.
    #[error("the HTTP client could not be built: {0}")]
    Client(#[source] reqwest::Error),
}

fn client(url: &Url, tls: rustls::ClientConfig) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
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

/// TLS with the platform's roots and these. If the platform has none, it is with these alone: then
/// https fails with an error that says so, and http works, which building a client the usual way
/// would not allow.
///
/// A cryptography provider that the program has installed is used; none is installed.
fn tls(roots: &[CertificateDer<'static>]) -> rustls::ClientConfig {
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
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots.iter().cloned(), provider);
    let mut config = match verifier {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no root certificates of the platform, so https connections will fail");
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots.iter().cloned());
            builder.with_root_certificates(store).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
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
