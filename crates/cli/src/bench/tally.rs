//! What has been counted so far, by subscribers and publishers that run at the same time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use parking_lot::{Mutex, MutexGuard};

/// Times in microseconds, with three digits, growing as they need to.
pub(super) type Times = Histogram<u64>;

/// The counts of a run.
pub(super) struct Tally {
    /// Each subscriber enters what it receives in one of a few, so that they seldom meet.
    shards: Box<[Mutex<Received>]>,
    pub(super) published: Mutex<Published>,
    pub(super) connections: Mutex<Connections>,
    open: AtomicU64,
}

/// What subscribers have received.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// From when an event was due to when it was received.
    pub(super) latency: Times,
    /// Events of this run that a subscriber received for the first time.
    pub(super) delivered: u64,
    pub(super) repeated: u64,
    pub(super) out_of_order: u64,
    /// Events that are not of this run.
    pub(super) others: u64,
    /// Notices of a hub that events are gone.
    pub(super) gaps: u64,
    /// Bytes of the connections, without the heads.
    pub(super) bytes: u64,
    /// When the last event came.
    pub(super) last_nanos: u64,
}

/// What became of the publishes.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) acknowledged: u64,
    /// From when an event was due to the answer.
    pub(super) latency: Times,
    /// From when an event was due to when it was sent.
    pub(super) lateness: Times,
    /// How many were not acknowledged, by reason.
    pub(super) failures: Reasons,
}

/// What became of the streams after they had begun.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections {
    /// How many broke off, by reason.
    pub(super) lost: Reasons,
    pub(super) reconnects: u64,
    /// How many subscribers were not let in again.
    pub(super) given_up: Reasons,
}

/// Counts by reason, of which there are few: past a bound they are counted together.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Reasons(BTreeMap<String, u64>);

impl Tally {
    pub(super) fn new() -> Self {
        let shards = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        Self {
            shards: (0..shards).map(|_| Mutex::new(Received::default())).collect(),
            published: Mutex::default(),
            connections: Mutex::default(),
            open: AtomicU64::new(0),
        }
    }

    /// Where this subscriber enters what it receives.
    pub(super) fn received(&self, subscriber: usize) -> MutexGuard<'_, Received> {
        self.shards[subscriber % self.shards.len()].lock()
    }

    /// What all have received.
    pub(super) fn all_received(&self) -> Received {
        let mut all = Received::default();
        for shard in &self.shards {
            all.add(&shard.lock());
        }
        all
    }

    /// How many streams are open.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Received {
    fn add(&mut self, other: &Self) {
        // Both grow by themselves, so that neither can refuse.
        let _ = self.latency.add(&other.latency);
        self.delivered += other.delivered;
        self.repeated += other.repeated;
        self.out_of_order += other.out_of_order;
        self.others += other.others;
        self.gaps += other.gaps;
        self.bytes += other.bytes;
        self.last_nanos = self.last_nanos.max(other.last_nanos);
    }
}

impl Default for Received {
    fn default() -> Self {
        Self {
            latency: times(),
            delivered: 0,
            repeated: 0,
            out_of_order: 0,
            others: 0,
            gaps: 0,
            bytes: 0,
            last_nanos: 0,
        }
    }
}

impl Default for Published {
    fn default() -> Self {
        Self { acknowledged: 0, latency: times(), lateness: times(), failures: Reasons::default() }
    }
}

impl Reasons {
    pub(super) fn count(&mut self, reason: impl Into<String>) {
        let mut reason = reason.into();
        if !self.0.contains_key(&reason) && self.0.len() >= REASONS_MAX {
            reason = "for other reasons".into();
        }
        *self.0.entry(reason).or_default() += 1;
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each with how often it was, such as "connection reset (3), status 503".
    pub(super) fn words(&self) -> String {
        let words = self.0.iter().map(|(reason, count)| match count {
            1 => reason.clone(),
            _ => format!("{reason} ({})", indicatif::HumanCount(*count)),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// An empty histogram of times.
pub(super) fn times() -> Times {
    Times::new(3).expect("three digits are allowed")
}

/// Enters the time from one moment to another.
pub(super) fn enter(times: &mut Times, from_nanos: u64, to_nanos: u64) {
    // It grows by itself, so that it cannot refuse.
    let _ = times.record(to_nanos.saturating_sub(from_nanos) / 1_000);
}

const REASONS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded() {
        let mut reasons = Reasons::default();
        for reason in 0..100 {
            reasons.count(format!("{reason:02}"));
            reasons.count("00");
        }
        assert_eq!(reasons.total(), 200);
        assert!(reasons.words().starts_with("00 (101), 01, 02"), "{}", reasons.words());
        assert!(reasons.words().ends_with(", for other reasons (80)"), "{}", reasons.words());
    }

    #[test]
    fn what_shards_received_is_added_up() {
        let tally = Tally::new();
        for subscriber in 0..10 {
            let mut received = tally.received(subscriber);
            received.delivered += 1;
            received.last_nanos = subscriber as u64;
            enter(&mut received.latency, 1_000, (subscriber as u64 + 2) * 1_000);
        }
        let all = tally.all_received();
        assert_eq!((all.delivered, all.last_nanos), (10, 9));
        assert_eq!((all.latency.len(), all.latency.min(), all.latency.max()), (10, 1, 10));
    }
}
