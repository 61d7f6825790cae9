//! Metrics, in the OpenMetrics text format.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};
use tidings_server::{
    fanout::Fanout,
    log::{Appended, SharedLog, Taken},
    subscription::GapReason,
};
use tokio::sync::Semaphore;

type Outcome = [(&'static str, &'static str); 1];

/// What the hub counts by itself, and where the rest is looked up.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    publishes: Family<Outcome, Counter>,
    publish_streams: Gauge,
    appended: Counter,
    repeated: Counter,
    ephemeral: Counter,
    append_seconds: Histogram,
}

impl Metrics {
    /// The media type of [`encode`](Self::encode).
    pub(crate) const CONTENT_TYPE: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
    // From a memory log's 50 µs to a disk in trouble.
    const APPEND_BUCKETS_S: [f64; 13] = [
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0,
        10.0,
    ];

    pub(crate) fn new(log: &SharedLog, fanout: &Fanout, publishing: Publishing) -> Self {
        let mut registry = Registry::with_prefix("tidings");
        let connections = Gauge::default();
        let connections_refused = Counter::default();
        let publishes = Family::default();
        let publish_streams = Gauge::default();
        let appended = Counter::default();
        let repeated = Counter::default();
        let ephemeral = Counter::default();
        let append_seconds = Histogram::new(Self::APPEND_BUCKETS_S);
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "connections_refused",
            "Connections refused because too many were open",
            connections_refused.clone(),
        );
        registry.register(
            "publishes",
            "Publish requests by outcome: ok, or the problem's name",
            publishes.clone(),
        );
        registry.register(
            "publish_streams",
            "Streamed publishes under way",
            publish_streams.clone(),
        );
        registry.register("events_appended", "Events that the log took", appended.clone());
        registry.register(
            "events_repeated",
            "Events not published again, as their idempotency key was known",
            repeated.clone(),
        );
        registry.register(
            "events_ephemeral",
            "Ephemeral events that were passed on, and not kept",
            ephemeral.clone(),
        );
        registry.register_with_unit(
            "append",
            "How long the log took to make a publish durable",
            Unit::Seconds,
            append_seconds.clone(),
        );
        registry.register_collector(Box::new(Live {
            log: log.clone(),
            fanout: fanout.clone(),
            publishing,
        }));
        Self {
            registry,
            connections,
            connections_refused,
            publishes,
            publish_streams,
            appended,
            repeated,
            ephemeral,
            append_seconds,
        }
    }

    /// Counts a publish request.
    pub(crate) fn published(&self, outcome: &'static str) {
        self.publishes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A streamed publish has begun.
    pub(crate) fn streams_begun(&self) {
        self.publish_streams.inc();
    }

    /// A streamed publish has ended.
    pub(crate) fn streams_ended(&self) {
        self.publish_streams.dec();
    }

    /// Counts what the log took of a publish.
    pub(crate) fn appended(&self, appended: &Appended, took: Duration) {
        let count = |is: fn(&Taken) -> bool| appended.records.iter().filter(|t| is(t)).count();
        let repeated = count(Taken::is_repeated);
        let ephemeral = count(|taken| *taken == Taken::Passed);
        let new = appended.records.len() - repeated - ephemeral;
        self.appended.inc_by(new as u64);
        self.repeated.inc_by(repeated as u64);
        self.ephemeral.inc_by(ephemeral as u64);
        // A mere repetition waits for no disk.
        if new > 0 {
            self.append_seconds.observe(took.as_secs_f64());
        }
    }

    /// All metrics as text.
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// The memory for publishes under way.
pub(crate) struct Publishing {
    pub(crate) bytes_max: usize,
    /// A permit for each byte that is free.
    pub(crate) free: Arc<Semaphore>,
}

impl Publishing {
    fn bytes(&self) -> u64 {
        self.bytes_max.saturating_sub(self.free.available_permits()) as u64
    }
}

/// What is looked up when somebody asks.
struct Live {
    log: SharedLog,
    fanout: Fanout,
    publishing: Publishing,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.fanout.stats();
        let state = self.log.state();
        let gauges = [
            ("subscribers", "Open streams", stats.subscribers as u64),
            (
                "tail_bytes",
                "Bytes of recent events that subscribers share",
                stats.tail_bytes as u64,
            ),
            ("publishing_bytes", "Bytes that publishes under way hold", self.publishing.bytes()),
            ("log_records", "Events in the history", state.records as u64),
            ("log_bytes", "Bytes of the events in the history", state.bytes),
            ("log_topics", "Topics with events in the history", state.topics as u64),
            (
                "log_behind_messages",
                "Messages of the stream that this hub has still to take in; 0 without --nats",
                state.behind,
            ),
            ("log_latched", "1 while the log takes no events", u64::from(state.latched.is_some())),
        ];
        for (name, help, value) in gauges {
            gauge(&mut encoder, name, help, value)?;
        }
        if let Some(bytes) = resident_bytes() {
            gauge(&mut encoder, "process_resident_bytes", "Memory of the process", bytes)?;
        }
        let counters = [
            ("streams_opened", "Streams ever opened", stats.opened),
            ("events_delivered", "Events handed to connections", stats.events),
            ("bytes_delivered", "Bytes of events handed to connections", stats.bytes),
            ("log_reads", "Pages read from the log for subscribers", stats.log_reads),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        let help = "Gap notices by reason";
        let mut gaps = encoder.encode_descriptor("gaps", help, None, MetricType::Counter)?;
        for reason in GapReason::ALL {
            let labels = [("reason", reason.as_str())];
            ConstCounter::new(stats.gaps(reason)).encode(gaps.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

/// The process's resident memory, where the system tells it as a file.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
