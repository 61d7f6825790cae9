//! Configuration: every option of the hub, its default, and where a value may come from.
//!
//! ```text
//! --heartbeat 10s             ┐
//! TIDINGS_HEARTBEAT=10s       ├→ one parser (clap) → Options → merged → Config
//! heartbeat = "10s"  (TOML)   ┘
//! ```
//!
//! A flag wins over the environment, the environment over the file, and the file over the
//! default. All three are read by the same parser: an option has one name and one rule.

mod error;
mod history_rule;
mod nats_site;
mod options;
mod scheme;
mod source;
mod value;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use tidings_server::log::{KeyWindow, MemoryLog, Retention, TopicRules};
use url::Url;

use crate::{disk::Durability, nats};

pub(crate) use self::scheme::Scheme;
pub use self::{
    error::{ConfigError, Origin},
    history_rule::{HistoryRule, HistoryRuleError},
    options::Options,
    value::{CorsOrigin, Listen, LogFormat, ValueError},
};

/// How a hub runs. The fields are what `tidings serve --help` describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The address to listen on; port 0 picks a free one. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// What HTTPS is served with. Default none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where the history is kept. Default: on disk in `./tidings-data`.
    pub store: Store,
    /// How much history is kept. Default 1,000,000 events, 1 GiB (in memory 64 MiB), 7 days.
    pub retention: Retention,
    /// How much of single topics is kept besides. Their patterns are resolved against
    /// [`public_url`](Self::public_url), or else against the address as it is configured. Default
    /// no rules.
    pub topic_rules: TopicRules,
    /// How long idempotency keys are known, and how many. Default 100,000 keys, which take some
    /// 13 MiB, and 24 hours.
    pub key_window: KeyWindow,
    /// How long a stream may be silent before a heartbeat. Default 15 s.
    pub heartbeat: Duration,
    /// The reconnection time that a stream opens with, and the least that it ends with. Default
    /// 3 s.
    pub retry: Duration,
    /// Bytes of recent events that live subscribers share. Default 64 MiB.
    pub tail_bytes_max: usize,
    /// What a request, and all of them together, may ask for.
    pub limits: Limits,
    /// How long the hub waits for its peers.
    pub timeouts: Timeouts,
    /// The other origins whose pages may use the hub. Default none.
    pub cors_origins: Vec<CorsOrigin>,
    /// The URL that the outside world knows the hub by, if it is not the listen address.
    pub public_url: Option<Url>,
    /// Whether to serve everybody who can connect, whatever the address and the `Host`.
    pub insecure_open: bool,
    /// Whether `/metrics` is served. Default true.
    pub metrics: bool,
    /// Whether the demos run, at `/demos` and on topics below `demo/`. Default: if the address is a
    /// loopback one, and the history is not in NATS.
    pub demo: bool,
    /// How the program writes its log. Default text.
    pub log_format: LogFormat,
}

/// The files that HTTPS is served with, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In the process, gone with it.
    Memory,
    /// In files.
    Disk {
        /// The directory.
        dir: PathBuf,
        /// When a publish counts as durable.
        durability: Durability,
        /// Whether to begin a new epoch though nothing seems lost: for a restored backup.
        new_epoch: bool,
    },
    /// In a stream of NATS JetStream, which several hubs share.
    Nats {
        /// The stream, and the way to it.
        site: Box<nats::Site>,
        /// Whether to begin a new epoch though nothing seems lost: for a restored backup.
        new_epoch: bool,
        /// Whether to change the limits that all hubs of the stream share to this one's.
        change_limits: bool,
    },
}

/// What a request, and all of them together, may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a topic or a pattern. Default and most 512.
    pub topic_bytes_max: usize,
    /// Bytes of a publisher's id. Default and most 256.
    pub id_bytes_max: usize,
    /// Bytes of an event type. Default 128.
    pub event_type_bytes_max: usize,
    /// Bytes of an event's data. Default 1 MiB, with NATS 32 KiB less.
    pub data_bytes_max: usize,
    /// Bytes of a publish request's body. Default 1 MiB, with NATS 32 KiB less.
    pub body_bytes_max: usize,
    /// Events of a batch. Default 1,000.
    pub batch_events_max: usize,
    /// Topics and patterns of a subscription, and topics of an event. Default 100.
    pub topics_max: usize,
    /// Bytes of all publish bodies that are being received or appended. Default 256 MiB.
    pub publishing_bytes_max: usize,
    /// Open connections. Default 100,000; a plain HTTP/1.1 one with a stream takes some 450 bytes,
    /// and one over TLS 10 KiB.
    pub connections_max: usize,
    /// Open event streams. Default 100,000.
    pub subscribers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            topic_bytes_max: 512,
            id_bytes_max: 256,
            event_type_bytes_max: 128,
            data_bytes_max: 1 << 20,
            body_bytes_max: 1 << 20,
            batch_events_max: 1_000,
            topics_max: 100,
            publishing_bytes_max: 256 << 20,
            connections_max: 100_000,
            subscribers_max: 100_000,
        }
    }
}

/// How long the hub waits for its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's head, and for the next request of an idle connection. Default 30 s.
    pub header: Duration,
    /// For a publish request's whole body. Default 30 s.
    pub body: Duration,
    /// For the next byte of a streamed publish. Default 60 s.
    pub stream_idle: Duration,
    /// For a connection to take a single byte that waits for it. Default 60 s.
    pub slow_write: Duration,
    /// For everything to end once the hub is told to leave. Default 30 s.
    pub drain: Duration,
    /// Over how long leaving subscribers spread their reconnects, after [`Config::retry`].
    /// Default 10 s.
    pub retry_spread: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(30),
            body: Duration::from_secs(30),
            stream_idle: Duration::from_secs(60),
            slow_write: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            retry_spread: Duration::from_secs(10),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            store: Store::Disk {
                dir: PathBuf::from("tidings-data"),
                durability: Durability::Fsync,
                new_epoch: false,
            },
            retention: Retention::default(),
            topic_rules: TopicRules::default(),
            key_window: KeyWindow::default(),
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(3),
            tail_bytes_max: 64 << 20,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            cors_origins: Vec::new(),
            public_url: None,
            insecure_open: false,
            metrics: true,
            demo: true,
            log_format: LogFormat::Text,
        }
    }
}

impl Config {
    /// Reads the configuration: `flags` over `environment` over the file that they name.
    ///
    /// Of the environment, the variables that begin with `TIDINGS_` and are not empty count.
    ///
    /// # Errors
    /// [`ConfigError`] names the option, where it came from and the rule; the operator's to mend.
    pub fn load(
        flags: Options,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut options = flags.or(source::environment(environment)?);
        if let Some(path) = options.config.take() {
            options = options.or(source::file(&path)?);
        }
        Self::try_from(options)
    }

    /// The scheme of the hub's URL at the address that it listens on.
    pub(crate) fn scheme(&self) -> Scheme {
        Scheme::with(self.tls.as_ref())
    }
}

impl TryFrom<Options> for Config {
    type Error = ConfigError;

    fn try_from(options: Options) -> Result<Self, ConfigError> {
        let default = Self::default();
        let (mut limits, timeouts) = (default.limits, default.timeouts);
        let memory = options.memory.unwrap_or(false);
        let site = nats_site::of(&options)?;
        for (is_given, one, other) in [
            (memory && options.data.is_some(), "memory", "data"),
            (site.is_some() && options.data.is_some(), "nats", "data"),
            (site.is_some() && memory, "nats", "memory"),
        ] {
            if is_given {
                return Err(ConfigError::Conflict { one, other });
            }
        }
        if site.is_some() {
            if options.durability.is_some() {
                return Err(ConfigError::DurabilityOfNats);
            }
            // What NATS servers take as they are set up by default, and all that goes with it.
            limits.data_bytes_max -= nats::Options::MESSAGE_REST_BYTES;
            limits.body_bytes_max -= nats::Options::MESSAGE_REST_BYTES;
        }
        let is_shared = site.is_some();
        let new_epoch = options.new_epoch.unwrap_or(false);
        let store = match site {
            Some(site) => Store::Nats {
                site: Box::new(site),
                new_epoch,
                change_limits: options.nats_change_limits.unwrap_or(false),
            },
            None if memory => Store::Memory,
            None => Store::Disk {
                dir: options.data.unwrap_or_else(|| PathBuf::from("tidings-data")),
                durability: options.durability.unwrap_or(Durability::Fsync),
                new_epoch,
            },
        };
        let history_bytes_default =
            if memory { MemoryLog::BYTES_MAX_DEFAULT } else { default.retention.bytes_max };
        let listen = options.listen.map_or(default.listen, |listen| listen.0);
        let insecure_open = options.insecure_open.unwrap_or(false);
        if !listen.ip().is_loopback() && !insecure_open {
            return Err(ConfigError::Exposed { listen });
        }
        let tls = match (options.tls_cert, options.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(ConfigError::Incomplete { given: "tls-cert", missing: "tls-key" });
            }
            (None, Some(_)) => {
                return Err(ConfigError::Incomplete { given: "tls-key", missing: "tls-cert" });
            }
        };
        let own_url = || Scheme::with(tls.as_ref()).url_of(listen);
        let base = options.public_url.clone().unwrap_or_else(own_url);
        let topic_rules = topic_rules(&options.history_of.unwrap_or_default(), &base)?;
        Ok(Self {
            listen,
            tls,
            store,
            topic_rules,
            retention: Retention {
                records_max: options.history_events.unwrap_or(default.retention.records_max),
                bytes_max: options.history_bytes.map_or(history_bytes_default, |n| n as u64),
                age_max: options.history_age.unwrap_or(default.retention.age_max),
            },
            key_window: KeyWindow {
                keys_max: options.idempotency_keys.unwrap_or(default.key_window.keys_max),
                age_max: options.idempotency_age.unwrap_or(default.key_window.age_max),
            },
            heartbeat: options.heartbeat.unwrap_or(default.heartbeat),
            retry: options.retry.unwrap_or(default.retry),
            tail_bytes_max: options.tail_bytes.unwrap_or(default.tail_bytes_max),
            limits: Limits {
                topic_bytes_max: options.topic_bytes_max.unwrap_or(limits.topic_bytes_max),
                id_bytes_max: options.id_bytes_max.unwrap_or(limits.id_bytes_max),
                event_type_bytes_max: options
                    .event_type_bytes_max
                    .unwrap_or(limits.event_type_bytes_max),
                data_bytes_max: options.data_bytes_max.unwrap_or(limits.data_bytes_max),
                body_bytes_max: options.body_bytes_max.unwrap_or(limits.body_bytes_max),
                batch_events_max: options.batch_events_max.unwrap_or(limits.batch_events_max),
                topics_max: options.topics_max.unwrap_or(limits.topics_max),
                publishing_bytes_max: options
                    .publishing_bytes_max
                    .unwrap_or(limits.publishing_bytes_max),
                connections_max: options.connections_max.unwrap_or(limits.connections_max),
                subscribers_max: options.subscribers_max.unwrap_or(limits.subscribers_max),
            },
            timeouts: Timeouts {
                header: options.header_timeout.unwrap_or(timeouts.header),
                body: options.body_timeout.unwrap_or(timeouts.body),
                stream_idle: options.stream_idle_timeout.unwrap_or(timeouts.stream_idle),
                slow_write: options.slow_write_timeout.unwrap_or(timeouts.slow_write),
                drain: options.drain.unwrap_or(timeouts.drain),
                retry_spread: options.retry_spread.unwrap_or(timeouts.retry_spread),
            },
            cors_origins: options.cors_origin.unwrap_or_default(),
            public_url: options.public_url,
            insecure_open,
            metrics: options.metrics.unwrap_or(default.metrics),
            demo: !options.no_demo.unwrap_or(!listen.ip().is_loopback() || is_shared),
            log_format: options.log_format.unwrap_or(default.log_format),
        })
    }
}

fn topic_rules(rules: &[HistoryRule], base: &Url) -> Result<TopicRules, ConfigError> {
    let resolve = |rule: &HistoryRule| {
        let wrong = |cause| ConfigError::RulePattern { rule: rule.to_string(), cause };
        rule.resolve(base).map_err(wrong)
    };
    let resolved = rules.iter().map(resolve).collect::<Result<_, _>>()?;
    TopicRules::new(resolved).ok_or(ConfigError::TooManyRules { count: rules.len() })
}

#[cfg(test)]
mod tests;
