//! The stream of a hub, of what the options say.

use super::{ConfigError, Options};
use crate::nats::{Auth, Servers, Site, TlsFiles};

/// The stream, and the way to it, if the hub is to have one.
pub(super) fn of(options: &Options) -> Result<Option<Site>, ConfigError> {
    let Some(urls) = &options.nats else {
        return match first_set(options) {
            Some(given) => Err(ConfigError::Incomplete { given, missing: "nats" }),
            None => Ok(None),
        };
    };
    let (servers, named) = Servers::parse(urls)?;
    let mut site = Site::new(servers);
    site.auth = auth(options, named)?;
    site.tls = tls(options)?;
    site.replicas = options.nats_replicas;
    site.stream = options.nats_stream.clone().unwrap_or(site.stream);
    site.storage = options.nats_storage.unwrap_or(site.storage);
    site.wait = options.nats_wait.unwrap_or(site.wait);
    Ok(Some(site))
}

/// The first of the options that mean nothing without `--nats`.
fn first_set(options: &Options) -> Option<&'static str> {
    let set = [
        ("nats-stream", options.nats_stream.is_some()),
        ("nats-replicas", options.nats_replicas.is_some()),
        ("nats-storage", options.nats_storage.is_some()),
        ("nats-creds", options.nats_creds.is_some()),
        ("nats-nkey", options.nats_nkey.is_some()),
        ("nats-ca", options.nats_ca.is_some()),
        ("nats-cert", options.nats_cert.is_some()),
        ("nats-key", options.nats_key.is_some()),
        ("nats-change-limits", options.nats_change_limits.is_some()),
        ("nats-wait", options.nats_wait.is_some()),
    ];
    set.into_iter().find_map(|(option, is_set)| is_set.then_some(option))
}

fn auth(options: &Options, named: Option<Auth>) -> Result<Option<Auth>, ConfigError> {
    match (&options.nats_creds, &options.nats_nkey, named) {
        (Some(_), Some(_), _) => {
            Err(ConfigError::Conflict { one: "nats-creds", other: "nats-nkey" })
        }
        (Some(_), None, Some(_)) => Err(ConfigError::NatsUserTwice { other: "nats-creds" }),
        (None, Some(_), Some(_)) => Err(ConfigError::NatsUserTwice { other: "nats-nkey" }),
        (Some(path), None, None) => Ok(Some(Auth::Credentials(path.clone()))),
        (None, Some(path), None) => Ok(Some(Auth::Nkey(path.clone()))),
        (None, None, named) => Ok(named),
    }
}

fn tls(options: &Options) -> Result<TlsFiles, ConfigError> {
    let client = match (&options.nats_cert, &options.nats_key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => {
            return Err(ConfigError::Incomplete { given: "nats-cert", missing: "nats-key" });
        }
        (None, Some(_)) => {
            return Err(ConfigError::Incomplete { given: "nats-key", missing: "nats-cert" });
        }
    };
    Ok(TlsFiles { ca: options.nats_ca.clone(), client })
}
