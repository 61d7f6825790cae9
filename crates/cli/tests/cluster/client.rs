//! How publishers and subscribers reach a hub.

use std::time::Duration;

/// A client without a proxy, as everything is on loopback.
pub(crate) fn new() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(2));
    builder.build().expect("the options are good")
}
