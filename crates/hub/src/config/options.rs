//! The options as they are written: each may be absent.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::{
    history_rule::HistoryRule,
    value::{CorsOrigin, Listen, LogFormat, base_url, count, duration, size},
};
use crate::{
    disk::Durability,
    nats::{Replicas, Secret, Storage, StreamName},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const MIB: usize = 1 << 20;
const TIB: usize = 1 << 40;

macro_rules! options {
    ($($(#[$attribute:meta])* $name:ident: $type:ty,)*) => {
        /// What the operator set, by flags, environment or file.
        ///
        /// The texts are the program's help, and the names also those of the environment
        /// (`TIDINGS_HISTORY_AGE`) and the file (`history_age`).
        #[derive(Debug, Clone, Default, PartialEq, clap::Args)]
        pub struct Options {
            $($(#[$attribute])* pub $name: Option<$type>,)*
        }

        impl Options {
            /// These options, and where one is not set, the other's.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)* }
            }
        }
    };
}

options! {
    /// Read options from this TOML file. A flag wins over the environment, and the environment
    /// over the file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Listen on this address. Port 0 picks a free port, which the log names. Addresses that
    /// other machines can reach need --insecure-open [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Listen,

    /// Serve HTTPS, with the certificate in this PEM file: the server's own first, and then those
    /// that lead to a root that clients know. Give --tls-key as well. Files that were renewed are
    /// read again within a minute [default: plain HTTP].
    #[arg(long, value_name = "FILE")]
    tls_cert: PathBuf,

    /// The private key of the certificate in --tls-cert: a PEM file (PKCS #8, SEC1 or PKCS #1),
    /// without a passphrase.
    #[arg(long, value_name = "FILE")]
    tls_key: PathBuf,

    /// Keep the history in this directory, which is made if it is missing
    /// [default: tidings-data].
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Keep the history in memory alone: it is gone when the hub stops.
    #[arg(long, value_name = "BOOL", hide_possible_values = true,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    memory: bool,

    /// Keep the history in a stream of NATS JetStream, and share it with all hubs that name the
    /// same stream: a publish to any of them reaches the subscribers of all. Give each the same
    /// history and idempotency options. Name one or more servers of a cluster, with a comma between
    /// them, as nats://HOST:4222 or tls://HOST:4222, with nats://USER:PASSWORD@HOST or
    /// nats://TOKEN@HOST for who the hub is. Other users of the machine can see a password in a
    /// command line, but not in TIDINGS_NATS or in the file of --config.
    #[arg(long, value_name = "URL", value_delimiter = ',', num_args = 1)]
    nats: Vec<Secret>,

    /// The stream in NATS, which is made if it is missing. Its subjects are all those below its
    /// name, and only hubs are to write there [default: tidings].
    #[arg(long, value_name = "NAME")]
    nats_stream: StreamName,

    /// Have the stream kept on so many NATS servers, 1, 3 or 5: a majority of them must run. A
    /// stream that is there must have it so [default: 3 in a cluster of NATS servers, else 1, and
    /// for a stream that is there whatever it has].
    #[arg(long, value_name = "COUNT")]
    nats_replicas: Replicas,

    /// Have the NATS servers keep the stream in files, or in memory [default: file].
    #[arg(long, value_name = "STORAGE", value_enum)]
    nats_storage: Storage,

    /// Show NATS the credentials in this file: a JWT and the seed of its key, as nsc writes them.
    /// It is read when the hub starts.
    #[arg(long, value_name = "FILE")]
    nats_creds: PathBuf,

    /// Sign for NATS with the seed of an NKEY that is in this file. It is read when the hub starts.
    #[arg(long, value_name = "FILE")]
    nats_nkey: PathBuf,

    /// Speak TLS with NATS, and trust the roots in this PEM file alone [default: TLS if a URL
    /// begins with tls:// or the server asks for it, and the roots that the system trusts].
    #[arg(long, value_name = "FILE")]
    nats_ca: PathBuf,

    /// Speak TLS with NATS, and show it the certificate in this PEM file. Give --nats-key as well.
    #[arg(long, value_name = "FILE")]
    nats_cert: PathBuf,

    /// The private key of the certificate in --nats-cert: a PEM file, without a passphrase.
    #[arg(long, value_name = "FILE")]
    nats_key: PathBuf,

    /// Change the limits that all hubs of the stream share, those of --history-… and
    /// --idempotency-…, to those of this start. The other hubs are to be stopped before.
    #[arg(long, value_name = "BOOL", hide_possible_values = true,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    nats_change_limits: bool,

    /// When the hub starts, wait this long for NATS servers that cannot be reached or are not
    /// ready, such as those that start at the same time [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = duration(Duration::ZERO..=24 * HOUR))]
    nats_wait: Duration,

    /// Answer a publish once the event is on the disk (fsync), or once the operating system has
    /// it (os), which is faster and loses the newest events when the machine fails. With --nats
    /// it is for the NATS servers to say (their sync_interval) [default: fsync].
    #[arg(long, value_name = "LEVEL", value_enum)]
    durability: Durability,

    /// Begin a new epoch: after a backup was restored, so that ids of the events lost since are
    /// never mistaken for others.
    #[arg(long, value_name = "BOOL", hide_possible_values = true,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    new_epoch: bool,

    /// Keep at most this many events. A subscriber that resumes may still get older ones that are
    /// in memory (--tail-bytes) [default: 1000000].
    #[arg(long, value_name = "COUNT", value_parser = count(1..=u32::MAX as usize))]
    history_events: usize,

    /// Keep at most this many bytes of events [default: 1GiB, with --memory 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = size(MIB..=64 * TIB))]
    history_bytes: usize,

    /// Keep events for at most this long. A subscriber that resumes may still get older ones that
    /// are in memory (--tail-bytes) [default: 7d].
    #[arg(long, value_name = "DURATION", value_parser = duration(SECOND..=CENTURY))]
    history_age: Duration,

    /// Keep less of one topic, or of each topic that a URL Pattern matches: 'topic=NAME LIMITS' or
    /// 'pattern=PATTERN LIMITS', where the limits are one or more of events=COUNT, bytes=SIZE and
    /// age=DURATION. With events=1 the last event of each topic is kept, and no other. The first
    /// rule that is for a topic holds for it, for each topic by itself, and the limits of the whole
    /// history hold besides. Give it once for each rule, up to 100; in the environment, write one a
    /// line [default: none].
    #[arg(long, value_name = "RULE", value_delimiter = '\n')]
    history_of: Vec<HistoryRule>,

    /// Know at most this many idempotency keys. A publish that is sent again with a key that is
    /// known is not published again. A key takes about 130 bytes of memory [default: 100000].
    #[arg(long, value_name = "COUNT", value_parser = count(1..=100_000_000))]
    idempotency_keys: usize,

    /// Know idempotency keys for at most this long. A restart finds those whose events are still
    /// in the history [default: 24h].
    #[arg(long, value_name = "DURATION", value_parser = duration(SECOND..=CENTURY))]
    idempotency_age: Duration,

    /// Share at most this many bytes of recent events among live subscribers; who is further
    /// behind reads from the history [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = size(MIB..=TIB))]
    tail_bytes: usize,

    /// Send a heartbeat on a stream that was silent for this long. Keep it below the idle
    /// timeout of every proxy in front [default: 15s].
    #[arg(long, value_name = "DURATION", value_parser = duration(SECOND..=HOUR))]
    heartbeat: Duration,

    /// Tell subscribers to wait this long before they reconnect [default: 3s].
    #[arg(long, value_name = "DURATION", value_parser = duration(MS..=HOUR))]
    retry: Duration,

    /// Let pages of this origin publish and follow, with credentials. Give it once for each
    /// origin, or '*' for every origin, without credentials; the origin null, which local files and
    /// sandboxed frames have, is refused even so [default: none].
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<CorsOrigin>,

    /// The URL that the hub is known by outside, for instance behind a proxy. Its host is
    /// answered to, its origin may use the hub, and URL Patterns are resolved against it
    /// [default: the listen address].
    #[arg(long, value_name = "URL", value_parser = base_url)]
    public_url: Url,

    /// Serve everybody who can connect, on any address and under any host name, though the hub
    /// has no keys. Pages of other origins are refused all the same.
    #[arg(long, value_name = "BOOL", hide_possible_values = true,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    insecure_open: bool,

    /// Serve Prometheus metrics at /metrics [default: true].
    #[arg(long, value_name = "BOOL", hide_possible_values = true,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    metrics: bool,

    /// Leave out the demos: the page /demos, and what it publishes on topics below demo/. They run
    /// by default if only this machine can reach the hub, and not with --nats, where each hub would
    /// publish them on the same topics; --no-demo=false switches them on.
    #[arg(long, value_name = "BOOL", hide_possible_values = true,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    no_demo: bool,

    /// Refuse topics and patterns that are longer than this, in bytes [default: 512].
    #[arg(long, value_name = "SIZE", value_parser = size(1..=512))]
    topic_bytes_max: usize,

    /// Refuse publishers' ids that are longer than this, in bytes [default: 256].
    #[arg(long, value_name = "SIZE", value_parser = size(1..=256))]
    id_bytes_max: usize,

    /// Refuse event types that are longer than this, in bytes [default: 128].
    #[arg(long, value_name = "SIZE", value_parser = size(1..=4_096))]
    event_type_bytes_max: usize,

    /// Refuse events with more data than this. With --nats, an event must fit with 32 KiB to
    /// spare into the largest message that the NATS servers take, their max_payload
    /// [default: 1MiB, with --nats 992KiB].
    #[arg(long, value_name = "SIZE", value_parser = size(1..=16 * MIB))]
    data_bytes_max: usize,

    /// Refuse publish requests with a larger body than this. With --nats, it must fit with 32 KiB
    /// to spare into the max_payload of the NATS servers [default: 1MiB, with --nats 992KiB].
    #[arg(long, value_name = "SIZE", value_parser = size(1..=64 * MIB))]
    body_bytes_max: usize,

    /// Refuse batches of more events than this [default: 1000].
    #[arg(long, value_name = "COUNT", value_parser = count(1..=10_000))]
    batch_events_max: usize,

    /// Refuse subscriptions to more topics and patterns than this, and events with more topics
    /// [default: 100].
    #[arg(long, value_name = "COUNT", value_parser = count(1..=1_000))]
    topics_max: usize,

    /// Ask publishers to come back later while the publishes under way hold more than this
    /// [default: 256MiB].
    #[arg(long, value_name = "SIZE", value_parser = size(MIB..=TIB))]
    publishing_bytes_max: usize,

    /// Ask clients to come back later while more connections than this are open
    /// [default: 100000].
    #[arg(long, value_name = "COUNT", value_parser = count(1..=10_000_000))]
    connections_max: usize,

    /// Ask subscribers to come back later while more streams than this are open
    /// [default: 100000].
    #[arg(long, value_name = "COUNT", value_parser = count(1..=10_000_000))]
    subscribers_max: usize,

    /// Close a connection that takes longer than this to send the head of a request, or that is
    /// idle for longer [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = duration(100 * MS..=HOUR))]
    header_timeout: Duration,

    /// Refuse a publish whose body takes longer than this to arrive [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = duration(100 * MS..=HOUR))]
    body_timeout: Duration,

    /// End a streamed publish of which no byte came for this long; a comment line keeps it alive
    /// [default: 60s].
    #[arg(long, value_name = "DURATION", value_parser = duration(100 * MS..=24 * HOUR))]
    stream_idle_timeout: Duration,

    /// Close a connection that took nothing for this long while something waited for it
    /// [default: 60s].
    #[arg(long, value_name = "DURATION", value_parser = duration(100 * MS..=HOUR))]
    slow_write_timeout: Duration,

    /// When told to leave, be gone within this time [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = duration(100 * MS..=HOUR))]
    drain: Duration,

    /// When leaving, tell each subscriber to wait for --retry and a part of its own of this time
    /// before it reconnects, so that they do not all come at once [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = duration(MS..=HOUR))]
    retry_spread: Duration,

    /// Write the log as text for people, or as JSON, an object a line. RUST_LOG chooses what is
    /// logged [default: text].
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: LogFormat,
}
