//! What is told on the hub's own machine only.

use std::net::SocketAddr;

use http::request::Parts;

use crate::{
    access::{self, Access, Visitor},
    problem::{Kind, Problem},
};

/// The address at the other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a proxy adds to the requests that it passes on: with one of them, a loopback peer is the
/// proxy, and whoever is behind it may be anybody. One that adds none, as nginx does unless told,
/// is not known from the operator: docs/proxies.md has it pass on no such request.
const PROXY_HEADERS: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Refuses whoever is not the operator, as far as that can be told without keys: a request must
/// come from this machine, name it by a loopback name, and be of no other site's page.
pub(crate) fn check(parts: &Parts, access: &Access) -> Result<(), Problem> {
    let refuse = |why: &str| {
        let detail = format!(
            "{why}; ask on the hub's own machine, at a loopback address and not through a proxy"
        );
        Err(Problem::new(Kind::LocalOnly, detail))
    };
    let peer = parts.extensions.get::<Peer>();
    if !peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback()) {
        return refuse("the connection is not from this machine");
    }
    if let Some(header) = PROXY_HEADERS.iter().find(|name| parts.headers.contains_key(**name)) {
        return refuse(&format!("the header {header} says that the request came by a proxy"));
    }
    // An open hub answers to any name: one that a stranger's page had resolved to this machine
    // would let the page ask by a browser here.
    if !access::is_loopback(access::authority(parts)?.host()) {
        return refuse("the hub was asked by a name that is not a loopback one");
    }
    if access.check(parts)? != Visitor::Own {
        return refuse("the request is of a page of another origin");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::config::{Config, CorsOrigin};

    fn ask(peer: Option<&str>, headers: &[(&str, &str)]) -> Result<(), Kind> {
        let config = Config {
            insecure_open: true,
            cors_origins: vec![CorsOrigin::Any],
            ..Config::default()
        };
        let mut request = Request::builder().uri("/subscribers");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(peer) = peer {
            request = request.extension(Peer(peer.parse().unwrap()));
        }
        let parts = request.body(()).unwrap().into_parts().0;
        check(&parts, &Access::new(&config, None)).map_err(|problem| problem.kind)
    }

    #[test]
    fn only_peers_of_this_machine_are_told() {
        for peer in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(ask(Some(peer), &[]), Ok(()), "{peer}");
        }
        for peer in ["10.0.0.1:1", "192.168.1.7:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert_eq!(ask(Some(peer), &[]), Err(Kind::LocalOnly), "{peer}");
        }
        assert_eq!(ask(None, &[]), Err(Kind::LocalOnly), "a peer that is not known");
    }

    #[test]
    fn nobody_is_told_through_a_proxy_or_by_a_foreign_page() {
        let local = Some("127.0.0.1:1");
        for header in PROXY_HEADERS {
            assert_eq!(ask(local, &[(header, "")]), Err(Kind::LocalOnly), "{header}");
        }
        assert_eq!(ask(local, &[("host", "evil.example")]), Err(Kind::LocalOnly));
        let origin = ("origin", "http://page.example");
        assert_eq!(ask(local, &[origin]), Err(Kind::LocalOnly), "though its origin is allowed");
        let own = [("host", "localhost:8080"), ("origin", "http://localhost:8080")];
        assert_eq!(ask(local, &own), Ok(()));
    }
}
