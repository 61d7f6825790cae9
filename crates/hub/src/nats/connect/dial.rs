//! One try to connect.

use std::{error::Error, io, time::Duration};

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions};

use super::{
    super::{OpenError, Site},
    Link, Trouble,
    credentials::Credentials,
    witness::Witness,
};

// A server that is silent for two of them is given up.
const PING_EVERY: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects once. The connection, once it is there, is made again whenever it is lost.
pub(super) async fn dial(
    site: &Site,
    credentials: &Credentials,
    witness: &Witness,
) -> Result<Client, Trouble> {
    let witness = witness.clone();
    let options = ConnectOptions::new()
        .name("tidings")
        .ping_interval(PING_EVERY)
        .request_timeout(Some(Link::REQUEST_TIMEOUT))
        .connection_timeout(CONNECT_TIMEOUT.min(site.wait.max(Duration::from_secs(1))))
        .max_reconnects(None)
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            witness.hear(event);
            std::future::ready(())
        });
    let connecting = credentials.show(options).connect(site.servers.as_slice());
    connecting.await.map_err(|cause| trouble(site, credentials, cause))
}

/// The pause before the `attempt`th try in a row: none, then 20 ms, and up to 2 s.
fn pause(attempt: usize) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_millis(10 << attempt.saturating_sub(1).min(8)).min(PAUSE_MAX),
    }
}

const PAUSE_MAX: Duration = Duration::from_secs(2);

fn trouble(site: &Site, credentials: &Credentials, cause: ConnectError) -> Trouble {
    let servers = site.servers.clone();
    let text = cause.to_string().to_ascii_lowercase();
    let is_refused = match cause.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => true,
        _ => {
            ["authentication expired", "authentication revoked"].iter().any(|no| text.contains(no))
        }
    };
    let tls = tls_error(&cause).map(tls_advice);
    let tls = tls.or((cause.kind() == ConnectErrorKind::Tls).then_some(TLS_FILES));
    let cause = Box::new(cause);
    if is_refused {
        let advice = credentials.advice();
        Trouble::Final(OpenError::Unauthorized { servers, advice, cause })
    } else if let Some(advice) = tls {
        Trouble::Final(OpenError::Tls { servers, advice, cause })
    } else {
        Trouble::NotYet(OpenError::Unreachable { servers, wait: site.wait, cause: Some(cause) })
    }
}

fn tls_error(error: &ConnectError) -> Option<&rustls::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        // An I/O error's source is that of what it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let wrapped = wrapped.and_then(|error| error.downcast_ref());
        if let Some(error) = wrapped.or_else(|| error.downcast_ref()) {
            return Some(error);
        }
        next = error.source();
    }
    None
}

fn tls_advice(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidMessage(_) => {
            "the server seems to speak none there: then its URL begins with nats://, and --nats-ca, \
             --nats-cert and --nats-key are left out"
        }
        rustls::Error::InvalidCertificate(_) => {
            "--nats-ca names the roots to trust, and the host in the URL is to be one that the \
             server's certificate names"
        }
        rustls::Error::AlertReceived(_) => {
            "the server wants a certificate of the hub's that it trusts: give it with --nats-cert \
             and --nats-key"
        }
        _ => TLS_FILES,
    }
}

const TLS_FILES: &str = "see that --nats-ca, --nats-cert and --nats-key name the right files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_two_seconds() {
        let pauses = [1, 2, 3, 8, 9, 100, usize::MAX].map(|attempt| pause(attempt).as_millis());
        assert_eq!(pauses, [0, 20, 40, 1_280, 2_000, 2_000, 2_000]);
    }
}
