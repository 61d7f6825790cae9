//! The scheme: whether the hub's URL is of plain HTTP or of HTTPS.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::TlsFiles;

/// Whether the hub's URL is of plain HTTP or of HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// That of a hub that serves TLS with these files, if it does.
    pub(crate) fn with(tls: Option<&TlsFiles>) -> Self {
        if tls.is_some() { Self::Https } else { Self::Http }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The URL of a hub that listens on `address`, for this machine.
    pub(crate) fn url_of(self, address: SocketAddr) -> Url {
        let host = match address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let url = format!("{}://{host}:{}/", self.as_str(), address.port());
        Url::parse(&url).expect("an address makes a URL")
    }
}
