//! Access without keys: who may speak to the hub, and what a request may do.

pub(crate) mod neighbour;

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::{HeaderMap, HeaderValue, header, request::Parts, uri::Authority};
use parking_lot::Mutex;
use tidings_server::matcher::Filter;

use self::neighbour::Neighbours;
use crate::{
    config::{Config, CorsOrigin, Scheme},
    problem::{Kind, Problem},
};

/// The rules on `Host` and `Origin` that keep web pages of strangers away.
#[derive(Debug)]
pub(crate) struct Access {
    scheme: Scheme,
    any_host: bool,
    public_host: Option<String>,
    public_origin: Option<String>,
    any_origin: bool,
    origins: Vec<String>,
    neighbours: Option<Neighbours>,
    told: Told,
}

/// What is known of the page, if any, that a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Not a page of another origin.
    Own,
    /// A page of this listed origin.
    Listed(HeaderValue),
    /// A page of some origin, and every origin may come, without credentials.
    Anyone,
}

impl Access {
    /// `neighbours` are let in at the demos, if these run.
    pub(crate) fn new(config: &Config, neighbours: Option<Neighbours>) -> Self {
        let exact = config.cors_origins.iter().filter_map(|origin| match origin {
            CorsOrigin::Exact(origin) => Some(origin.clone()),
            CorsOrigin::Any => None,
        });
        let public_url = config.public_url.as_ref();
        Self {
            scheme: config.scheme(),
            any_host: config.insecure_open,
            public_host: public_url.and_then(|url| url.host_str()).map(str::to_owned),
            public_origin: public_url.map(|url| url.origin().ascii_serialization()),
            any_origin: config.cors_origins.contains(&CorsOrigin::Any),
            origins: exact.collect(),
            neighbours,
            told: Told::default(),
        }
    }

    /// Judges a request by its `Host` and `Origin`, whatever it asks for.
    pub(crate) fn check(&self, parts: &Parts) -> Result<Visitor, Problem> {
        let authority = authority(parts)?;
        if !self.answers_to(authority.host()) {
            self.told.foreign_host(authority.host());
            let detail = format!(
                "without keys the hub answers to localhost and loopback addresses only, not to \
                 {:?}",
                authority.host()
            );
            return Err(Problem::new(Kind::ForeignHost, detail).of("Host"));
        }
        let mut origins = parts.headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) if is_cross_site(&parts.headers) => {
                Err(self.foreign_origin("another site", &authority))
            }
            (None, _) => Ok(Visitor::Own),
            (Some(origin), None) => self.visitor(origin, &authority, parts.uri.path()),
            (Some(_), Some(_)) => {
                Err(Problem::new(Kind::Malformed, "there must be one Origin header").of("Origin"))
            }
        }
    }

    /// The other origin of this hub, as seen from a page of `own`, if the demos run and the page
    /// can use it.
    pub(crate) fn neighbour_of(&self, own: &Authority) -> Option<String> {
        self.neighbours?.neighbour_of(own)
    }

    fn answers_to(&self, host: &str) -> bool {
        self.any_host
            || is_loopback(host)
            || self.public_host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host))
    }

    fn visitor(
        &self,
        origin: &HeaderValue,
        authority: &Authority,
        path: &str,
    ) -> Result<Visitor, Problem> {
        let text = origin.to_str().unwrap_or_default();
        if self.public_origin.as_deref() == Some(text) || is_same(text, self.scheme, authority) {
            return Ok(Visitor::Own);
        }
        if self.origins.iter().any(|listed| listed == text) {
            return Ok(Visitor::Listed(origin.clone()));
        }
        if let Some(visitor) = self.neighbours.and_then(|hub| hub.visitor(origin, path)) {
            return Ok(visitor);
        }
        // A document without an origin of its own may be anybody's, a local file or a sandbox.
        if self.any_origin && text != "null" {
            return Ok(Visitor::Anyone);
        }
        Err(self.foreign_origin(&format!("{text:?}"), authority))
    }

    fn foreign_origin(&self, whose: &str, authority: &Authority) -> Problem {
        self.told.foreign_origin(whose, authority);
        let detail = format!(
            "pages of {whose} may not use this hub; give their origin with --cors-origin to allow \
             it"
        );
        Problem::new(Kind::ForeignOrigin, detail).of("Origin")
    }
}

/// The refusals that the log has told of. A page sees no more than that CORS failed, so the operator
/// must learn of it here: of each once, as anybody can ask for any number of them.
#[derive(Debug, Default)]
struct Told(Mutex<HashSet<String>>);

impl Told {
    // They come from anybody, so both their number and their length are bounded: 16 KiB in all.
    const COUNT_MAX: usize = 64;
    const CHARS_MAX: usize = 256;

    fn foreign_host(&self, host: &str) {
        if let Some(host) = self.first(host) {
            tracing::warn!(
                "refused requests for the host {host:?}; if that is how this hub is known, give \
                 its URL with --public-url"
            );
        }
    }

    fn foreign_origin(&self, whose: &str, authority: &Authority) {
        if let Some(refusal) = self.first(&format!("{whose} at {authority}")) {
            tracing::warn!(
                "refused pages of {refusal}; --cors-origin allows an origin to use the hub, and \
                 --public-url names the hub's own"
            );
        }
    }

    /// The text as it is to be told, unless it was, or too many others were.
    fn first(&self, text: &str) -> Option<String> {
        let text: String = text.chars().take(Self::CHARS_MAX).collect();
        let mut told = self.0.lock();
        (told.len() < Self::COUNT_MAX && told.insert(text.clone())).then_some(text)
    }
}

/// The host that the request is for: the target's if it names one, and the `Host` header's;
/// never two different ones.
pub(crate) fn authority(parts: &Parts) -> Result<Authority, Problem> {
    let malformed = |detail: &str| Problem::new(Kind::Malformed, detail).of("Host");
    let mut headers = parts.headers.get_all(header::HOST).iter();
    let named = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(host), None) => Some(
            Authority::try_from(host.as_bytes())
                .map_err(|_| malformed("the Host header is no host"))?,
        ),
        (Some(_), Some(_)) => return Err(malformed("there must be one Host header")),
    };
    let authority = match (parts.uri.authority().cloned(), named) {
        (Some(target), Some(named)) if target != named => {
            return Err(malformed("the Host header differs from the request target"));
        }
        (target, named) => target.or(named).ok_or_else(|| malformed("a Host header is missing"))?,
    };
    if authority.as_str().contains('@') {
        return Err(malformed("a host has no user"));
    }
    Ok(authority)
}

pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .and_then(|host| host.parse::<Ipv6Addr>().ok())
            .is_some_and(|address| address.is_loopback())
}

// Behind a proxy a hub of plain HTTP does not see which scheme the page has; a page of the same
// host and port is the hub's own with either. One that serves TLS has none but of https.
fn is_same(origin: &str, scheme: Scheme, authority: &Authority) -> bool {
    let (rest, default_port) = match origin.split_once("://") {
        Some(("http", rest)) if scheme == Scheme::Http => (rest, ":80"),
        Some(("https", rest)) => (rest, ":443"),
        _ => return false,
    };
    let own = authority.as_str();
    rest.eq_ignore_ascii_case(own.strip_suffix(default_port).unwrap_or(own))
}

// Browsers leave out `Origin` where a page embeds another site without asking for its content.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let says = |name, value: &str| headers.get(name).is_some_and(|header| header == value);
    (says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site"))
        && !says("sec-fetch-mode", "navigate")
}

/// What a request may do. Without keys: publish everything, see what is not private.
///
/// It is judged for each request, and at delivery for each record.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grant;

impl Grant {
    /// What it may see of the records that `filter` matches.
    pub(crate) fn see(self, filter: Filter) -> Filter {
        filter.only(|record| !record.new.private)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::config::TlsFiles;

    fn access(config: Config) -> Access {
        Access::new(&config, None)
    }

    fn check(access: &Access, target: &str, headers: &[(&str, &str)]) -> Result<Visitor, Kind> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        access.check(&request.body(()).unwrap().into_parts().0).map_err(|problem| problem.kind)
    }

    #[test]
    fn only_loopback_names_are_answered_to() {
        let access = access(Config::default());
        for host in ["localhost", "LocalHost:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:1"] {
            assert_eq!(check(&access, "/", &[("host", host)]), Ok(Visitor::Own), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", "0.0.0.0"] {
            assert_eq!(check(&access, "/", &[("host", host)]), Err(Kind::ForeignHost), "{host}");
            let absolute = format!("http://{host}/");
            assert_eq!(check(&access, &absolute, &[]), Err(Kind::ForeignHost), "{host}");
        }
        for headers in [
            &[][..],
            &[("host", "")],
            &[("host", "a b")],
            &[("host", "localhost"), ("host", "localhost")],
            &[("host", "me@localhost")],
        ] {
            assert_eq!(check(&access, "/", headers), Err(Kind::Malformed), "{headers:?}");
        }
        let mixed = check(&access, "http://localhost/", &[("host", "evil.example")]);
        assert_eq!(mixed, Err(Kind::Malformed));
        assert_eq!(check(&access, "http://localhost:1/", &[]), Ok(Visitor::Own));
    }

    #[test]
    fn only_the_own_and_listed_origins_may_come() {
        let listed = "https://app.example";
        let config =
            Config { cors_origins: vec![CorsOrigin::Exact(listed.into())], ..Config::default() };
        let access = access(config);
        let from = |host, origin| check(&access, "/", &[("host", host), ("origin", origin)]);
        assert_eq!(from("localhost:8080", "http://localhost:8080"), Ok(Visitor::Own));
        assert_eq!(from("localhost:80", "http://localhost"), Ok(Visitor::Own));
        assert_eq!(
            from("localhost:8080", listed),
            Ok(Visitor::Listed(HeaderValue::from_static("https://app.example")))
        );
        for origin in
            ["http://localhost:3000", "http://evil.example", "null", "", "https://app.example:1"]
        {
            assert_eq!(from("localhost:8080", origin), Err(Kind::ForeignOrigin), "{origin}");
        }
        let embedded = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
        assert_eq!(check(&access, "/", &embedded), Err(Kind::ForeignOrigin));
        let link = [embedded[0], embedded[1], ("sec-fetch-mode", "navigate")];
        assert_eq!(check(&access, "/", &link), Ok(Visitor::Own));
    }

    #[test]
    fn a_hub_that_serves_tls_has_no_page_of_plain_http() {
        let tls = Some(TlsFiles { cert: "cert.pem".into(), key: "key.pem".into() });
        let access = access(Config { tls, ..Config::default() });
        let from = |host, origin| check(&access, "/", &[("host", host), ("origin", origin)]);
        assert_eq!(from("localhost:8080", "https://localhost:8080"), Ok(Visitor::Own));
        assert_eq!(from("localhost", "https://localhost"), Ok(Visitor::Own));
        for (host, origin) in
            [("localhost:8080", "http://localhost:8080"), ("localhost", "http://localhost")]
        {
            assert_eq!(from(host, origin), Err(Kind::ForeignOrigin), "{origin}");
        }
    }

    #[test]
    fn each_refusal_is_told_once_and_not_without_end() {
        let told = Told::default();
        assert_eq!(told.first("a").as_deref(), Some("a"));
        assert_eq!(told.first("a"), None);
        assert_eq!(told.first(&"x".repeat(10_000)).unwrap().len(), Told::CHARS_MAX);
        let more = (0..1_000).filter(|n| told.first(&n.to_string()).is_some()).count();
        assert_eq!(more, Told::COUNT_MAX - 2);
    }

    #[test]
    fn the_public_url_and_the_open_hub_widen_the_rules() {
        let public_url = Some("https://hub.example/sub/".parse().unwrap());
        let public = access(Config { public_url, ..Config::default() });
        let own = [("host", "hub.example"), ("origin", "https://hub.example")];
        assert_eq!(check(&public, "/", &own), Ok(Visitor::Own));
        assert_eq!(check(&public, "/", &[("host", "other.example")]), Err(Kind::ForeignHost));
        let open = access(Config {
            insecure_open: true,
            cors_origins: vec![CorsOrigin::Any],
            ..Config::default()
        });
        let from = |origin| check(&open, "/", &[("host", "any.example"), ("origin", origin)]);
        assert_eq!(from("http://any.example"), Ok(Visitor::Own));
        assert_eq!(from("https://page.example"), Ok(Visitor::Anyone));
        assert_eq!(from("null"), Err(Kind::ForeignOrigin));
    }
}
