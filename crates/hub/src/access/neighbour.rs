//! The hub's other loopback name: the only other origin whose pages may use a demo.
//!
//! A hub at `127.0.0.1` is also at `localhost`, and to a browser the two are different sites. That
//! is how the demos show, on one machine, what a page of another origin may do. What is let in is
//! an origin with the hub's own scheme and port and a loopback name, and only at the paths of
//! this file, which tell nothing but whether their own cookie came.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderValue, uri::Authority};

use super::{Visitor, is_loopback};
use crate::config::Scheme;

/// Lets the other origin in, with credentials.
pub(crate) const VISITOR: &str = "/demo/visitor";
/// Lets every origin in, without credentials.
pub(crate) const VISITOR_OF_ANYONE: &str = "/demo/visitor/anyone";
/// Hands out the cookie.
pub(crate) const COOKIE: &str = "/demo/visitor/cookie";

/// Which loopback names lead to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbours {
    scheme: Scheme,
    port: u16,
    names: Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// `127.0.0.1` and `localhost`.
    V4,
    /// `[::1]` and `localhost`.
    V6,
    /// The hub is at an address that has no other name.
    None,
}

impl Neighbours {
    pub(crate) fn of(scheme: Scheme, address: SocketAddr) -> Self {
        let names = match address.ip() {
            IpAddr::V4(ip) if ip == Ipv4Addr::LOCALHOST || ip.is_unspecified() => Names::V4,
            IpAddr::V6(ip) if ip.is_unspecified() => Names::V4,
            IpAddr::V6(ip) if ip == Ipv6Addr::LOCALHOST => Names::V6,
            _ => Names::None,
        };
        Self { scheme, port: address.port(), names }
    }

    /// The other origin of this hub, as seen from a page of `own`, if the page can use it.
    pub(super) fn neighbour_of(self, own: &Authority) -> Option<String> {
        if own.port_u16().unwrap_or(self.scheme.default_port()) != self.port {
            return None;
        }
        let is_named = own.host().eq_ignore_ascii_case("localhost");
        let name = match self.names {
            Names::V4 if is_named => "127.0.0.1",
            Names::V4 | Names::V6 if !is_named && is_loopback(own.host()) => "localhost",
            // A Content-Security-Policy has no way to write an address of IPv6.
            _ => return None,
        };
        Some(format!("{}://{name}:{}", self.scheme.as_str(), self.port))
    }

    /// Who comes with `origin` to `path`, if that is a neighbour at a demo that is for it.
    pub(super) fn visitor(self, origin: &HeaderValue, path: &str) -> Option<Visitor> {
        let (scheme, authority) = origin.to_str().ok()?.split_once("://")?;
        let authority: Authority = authority.parse().ok()?;
        let is_neighbour = scheme == self.scheme.as_str()
            && is_loopback(authority.host())
            && authority.port_u16().unwrap_or(self.scheme.default_port()) == self.port
            && !authority.as_str().contains('@')
            && self.names != Names::None;
        match path {
            VISITOR | COOKIE if is_neighbour => Some(Visitor::Listed(origin.clone())),
            VISITOR_OF_ANYONE if is_neighbour => Some(Visitor::Anyone),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Neighbours {
        Neighbours::of(Scheme::Http, address.parse().unwrap())
    }

    fn neighbour(address: &str, own: &str) -> Option<String> {
        at(address).neighbour_of(&own.parse().unwrap())
    }

    #[test]
    fn a_hub_has_another_name_if_that_leads_to_it() {
        let localhost = Some("http://localhost:8080".to_owned());
        let number = Some("http://127.0.0.1:8080".to_owned());
        assert_eq!(neighbour("127.0.0.1:8080", "127.0.0.1:8080"), localhost);
        assert_eq!(neighbour("127.0.0.1:8080", "LocalHost:8080"), number);
        assert_eq!(neighbour("0.0.0.0:8080", "localhost:8080"), number);
        assert_eq!(neighbour("[::1]:8080", "[::1]:8080"), localhost);
        for (address, own) in [
            ("[::1]:8080", "localhost:8080"),
            ("127.0.0.2:8080", "127.0.0.2:8080"),
            // Through a tunnel from another port, or under a name of the world.
            ("127.0.0.1:8080", "localhost:9000"),
            ("127.0.0.1:8080", "localhost"),
            ("0.0.0.0:8080", "hub.example:8080"),
        ] {
            assert_eq!(neighbour(address, own), None, "{own} at {address}");
        }
    }

    #[test]
    fn only_a_neighbour_is_let_in_and_only_where_it_is_meant_to() {
        let hub = at("127.0.0.1:8080");
        let comes = |origin: &str, path| hub.visitor(&origin.parse().unwrap(), path);
        let own = "http://localhost:8080";
        let listed = Some(Visitor::Listed(HeaderValue::from_static("http://localhost:8080")));
        assert_eq!(comes(own, VISITOR), listed);
        assert_eq!(comes(own, COOKIE), listed);
        assert_eq!(comes(own, VISITOR_OF_ANYONE), Some(Visitor::Anyone));
        for path in ["/", "/demo", "/demo/counter", "/demo/visitor/", "/events/demo/list"] {
            assert_eq!(comes(own, path), None, "{path}");
        }
        for origin in [
            "http://localhost:8081",
            "http://localhost",
            "https://localhost:8080",
            "http://evil.example:8080",
            "http://localhost.evil.example:8080",
            "http://me@localhost:8080",
            "http://localhost:8080/",
            "null",
            "",
        ] {
            assert_eq!(comes(origin, VISITOR), None, "{origin}");
        }
        assert_eq!(at("127.0.0.2:8080").visitor(&own.parse().unwrap(), VISITOR), None);
        let hub = Neighbours::of(Scheme::Https, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(hub.visitor(&own.parse().unwrap(), VISITOR), None);
        let own = HeaderValue::from_static("https://localhost:8080");
        assert_eq!(hub.visitor(&own, VISITOR), Some(Visitor::Listed(own.clone())));
        let neighbour = hub.neighbour_of(&"127.0.0.1:8080".parse().unwrap());
        assert_eq!(neighbour.as_deref(), Some("https://localhost:8080"));
    }
}
