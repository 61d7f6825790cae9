//! Requests and the heads of their responses: what the state machine leaves to HTTP.

#[cfg(feature = "cookies")]
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::header::{COOKIE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Client;
use tidings_proto::source::{self, Location, Target};
use url::Url;

use crate::Request;

/// What makes the requests of one source.
pub(crate) struct Transport {
    client: Client,
    /// How long a refused response may take to say why.
    refusal_wait: Duration,
    #[cfg(feature = "cookies")]
    cookies: Option<Arc<dyn reqwest::cookie::CookieStore>>,
}

impl Transport {
    pub(crate) const fn new(client: Client, refusal_wait: Duration) -> Self {
        Self {
            client,
            refusal_wait,
            #[cfg(feature = "cookies")]
            cookies: None,
        }
    }

    #[cfg(feature = "cookies")]
    pub(crate) fn with_cookies(
        self,
        cookies: Option<Arc<dyn reqwest::cookie::CookieStore>>,
    ) -> Self {
        Self { cookies, ..self }
    }

    /// The body of a refusal; none if nobody waits for it.
    pub(crate) fn refusal_body(
        &self,
        response: reqwest::Response,
    ) -> Option<BoxFuture<'static, Vec<u8>>> {
        let wait = Some(self.refusal_wait).filter(|wait| !wait.is_zero())?;
        Some(refusal_body(response, wait))
    }

    /// Sends what of `call` the machine's `request` is to carry. Dropping the future aborts it.
    pub(crate) fn send(
        &self,
        call: &Request,
        request: &source::Request,
    ) -> BoxFuture<'static, Result<reqwest::Response, reqwest::Error>> {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            if request.carries(name.as_str()) {
                headers.append(name, value.clone());
            }
        }
        for (name, value) in request.headers() {
            // It is made of names, methods and origins, which are text that a header can carry.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let method = Method::from_bytes(request.method.as_bytes()).unwrap_or_default();
        let url = url(request);
        #[cfg(feature = "cookies")]
        let cookies = self.cookies.clone().filter(|_| request.sends_credentials);
        #[cfg(feature = "cookies")]
        if let Some(cookies) = cookies.as_deref().and_then(|store| store.cookies(&url))
            && !headers.contains_key(COOKIE)
        {
            headers.insert(COOKIE, cookies);
        }
        if !request.sends_credentials {
            headers.remove(COOKIE);
        }
        let mut builder = self.client.request(method, url).headers(headers);
        if let Some(body) = call.body.as_ref().filter(|_| request.sends_body) {
            builder = builder.body(body.clone());
        }
        Box::pin(async move {
            let response = builder.send().await?;
            #[cfg(feature = "cookies")]
            if let Some(cookies) = cookies {
                let mut set = response.headers().get_all(http::header::SET_COOKIE).iter();
                cookies.set_cookies(&mut set, response.url());
            }
            Ok(response)
        })
    }
}

/// Where a request goes, with the user name and password of the URL only if they are to be sent.
fn url(request: &source::Request) -> Url {
    let mut url = Url::parse(&request.target.url).expect("targets are made of parsed URLs");
    if !request.sends_credentials {
        // Neither fails for a URL that has a host, as those of http have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    url
}

/// The URL without what may be a secret: user name, password and query.
pub(crate) fn public(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// The URL as the machine looks at it.
pub(crate) fn target(url: &Url) -> Target {
    let mut target = Target::new(url.as_str(), url.origin().ascii_serialization());
    target.has_credentials = !url.username().is_empty() || url.password().is_some();
    target
}

/// The headers as the machine looks at them.
pub(crate) fn pairs(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// Where the `Location` of the response to a request of `requested` leads, if it has one.
pub(crate) fn location(response: &reqwest::Response, requested: &Target) -> Option<Location> {
    let location = response.headers().get(LOCATION)?;
    let base = with_credentials(response.url().clone(), requested);
    Some(match resolve(&base, location) {
        Some(url) => Location::Target(target(&url)),
        None => Location::Invalid,
    })
}

/// The URL of a response with the user name and password of its request, which the HTTP client takes
/// out: a relative `Location` inherits them.
fn with_credentials(mut url: Url, requested: &Target) -> Url {
    if requested.has_credentials
        && let Ok(requested) = Url::parse(&requested.url)
        && requested.origin() == url.origin()
    {
        // Neither fails for a URL that has a host, as those of http have.
        let _ = url.set_username(requested.username());
        let _ = url.set_password(requested.password());
    }
    url
}

/// The http or https URL that `location` names, seen from `base`.
///
/// Standard: "location URL" of Fetch, by which it inherits a fragment.
fn resolve(base: &Url, location: &HeaderValue) -> Option<Url> {
    let location = std::str::from_utf8(location.as_bytes()).ok()?;
    let mut url = base.join(location).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if url.fragment().is_none() {
        url.set_fragment(base.fragment());
    }
    Some(url)
}

/// The body of a refusal, as far as it comes in time and is short.
pub(crate) fn refusal_body(
    mut response: reqwest::Response,
    wait: Duration,
) -> BoxFuture<'static, Vec<u8>> {
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
        let _ = tokio::time::timeout(wait, read).await;
        body
    })
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

/// How long a refusal may take to say why, unless the caller says otherwise.
pub(crate) const REFUSAL_WAIT: Duration = Duration::from_secs(2);
/// A problem document takes some hundred bytes.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &str, location: &str) -> Option<String> {
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
        assert_eq!(resolved(base, "data:text/event-stream,"), None);
        assert_eq!(resolved(base, "http://"), None);
    }

    #[test]
    fn a_target_knows_its_origin_and_its_credentials() {
        let target = |url: &str| super::target(&url.parse().unwrap());
        let plain = target("http://A.example:80/x");
        assert_eq!((&*plain.origin, plain.has_credentials), ("http://a.example", false));
        let secret = target("https://user@a.example:8443/");
        assert_eq!((&*secret.origin, secret.has_credentials), ("https://a.example:8443", true));
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
}
