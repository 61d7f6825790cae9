//! Requests and the heads of their responses: what the state machine leaves to HTTP.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Response};
use rustls::crypto::CryptoProvider;
use tidings_proto::source::{Redirect, RedirectError, Request};
use url::{Host, Url};

/// What makes the requests of one source.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client,
    /// The caller's headers.
    headers: HeaderMap,
}

impl Transport {
    pub(crate) const fn new(client: Client, headers: HeaderMap) -> Self {
        Self { client, headers }
    }

    /// Sends `request`. Dropping the future aborts it.
    pub(crate) fn send(
        &self,
        request: &Request,
    ) -> BoxFuture<'static, Result<Response, reqwest::Error>> {
        let mut headers =
            if request.may_carry_credentials() { self.headers.clone() } else { HeaderMap::new() };
        for (name, value) in request.headers() {
            // The machine hands out only values that a header can carry.
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.entry(HeaderName::from_static(name)).or_insert(value);
            }
        }
        Box::pin(self.client.get(&*request.url).headers(headers).send())
    }
}

/// The redirect that `response` is, if it is one to follow: the five statuses of Fetch, with a
/// `Location`.
pub(crate) fn redirect(response: &Response) -> Option<Result<Redirect, RedirectError>> {
    let status = response.status();
    if !matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    ) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    Some(resolve(response.url(), location).map(|url| Redirect {
        status: status.as_u16(),
        crosses_origin: url.origin() != response.url().origin(),
        url: String::from(url).into(),
    }))
}

/// The URL that `location` names, seen from `base`.
///
/// Standard: "location URL" of Fetch, by which it inherits a fragment.
fn resolve(base: &Url, location: &HeaderValue) -> Result<Url, RedirectError> {
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| RedirectError::Location)?;
    let mut url = base.join(location).map_err(|_| RedirectError::Location)?;
    match (base.scheme(), url.scheme()) {
        ("https", "http") => return Err(RedirectError::Downgrade),
        (_, "http" | "https") => {}
        _ => return Err(RedirectError::Location),
    }
    if url.fragment().is_none() {
        url.set_fragment(base.fragment());
    }
    Ok(url)
}

/// The body of a refusal, as far as it comes soon and is short.
pub(crate) fn refusal_body(mut response: Response) -> BoxFuture<'static, Vec<u8>> {
    Box::pin(async move {
        let mut body = Vec::new();
        let read = async {
            while body.len() < REFUSAL_BYTES_MAX
                && let Ok(Some(chunk)) = response.chunk().await
            {
                let room = REFUSAL_BYTES_MAX - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
        };
        // What has come by then may do.
        let _ = tokio::time::timeout(REFUSAL_TIME_MAX, read).await;
        body
    })
}

/// The `Content-Type`; several are joined with a comma, as Fetch reads them.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> =
        headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}

/// How long the `Retry-After` of a response asks to wait, which is given as seconds or as a date.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The HTTP client of a source to `url` that is given none, for a program that has other requests
/// to make there.
///
/// It has the platform's certificates, follows no redirects, gives up connecting after 30 seconds,
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
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        // A proxy cannot reach this machine's own loopback. Browsers go directly, too.
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
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

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// A problem document takes some hundred bytes.
const REFUSAL_BYTES_MAX: usize = 16 << 10;
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &str, location: &str) -> Result<String, RedirectError> {
        let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
        resolve(&base.parse().unwrap(), &location).map(String::from)
    }

    #[test]
    fn a_location_is_relative_and_inherits_the_fragment() {
        let base = "http://a.example/x/y?z#here";
        assert_eq!(resolved(base, "w").unwrap(), "http://a.example/x/w#here");
        assert_eq!(resolved(base, "/w#there").unwrap(), "http://a.example/w#there");
        assert_eq!(resolved(base, "//b.example").unwrap(), "http://b.example/#here");
        assert_eq!(resolved(base, "https://é.example/").unwrap(), "https://xn--9ca.example/#here");
    }

    #[test]
    fn https_never_falls_to_http() {
        assert_eq!(
            resolved("https://a.example/", "http://a.example/"),
            Err(RedirectError::Downgrade)
        );
        assert_eq!(
            resolved("http://a.example/", "data:text/event-stream,"),
            Err(RedirectError::Location)
        );
        assert_eq!(resolved("http://a.example/", "http://"), Err(RedirectError::Location));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        let wait = |value| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            retry_after(&headers, now)
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:17 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }

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
