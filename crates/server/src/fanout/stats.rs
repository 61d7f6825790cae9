//! What a fan-out counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::subscription::{Delivered, GapReason};

/// What a fan-out has done since it was started, and how many it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FanoutStats {
    /// Subscribers now.
    pub subscribers: usize,
    /// Bytes in the shared tail now.
    pub tail_bytes: usize,
    /// Subscribers ever.
    pub opened: u64,
    /// Events handed to subscribers' connections.
    pub events: u64,
    /// Bytes handed to subscribers' connections.
    pub bytes: u64,
    /// Pages that subscribers behind the shared tail read from the log.
    pub log_reads: u64,
    gaps: [u64; GapReason::ALL.len()],
}

impl FanoutStats {
    /// Gap notices with this reason.
    pub fn gaps(&self, reason: GapReason) -> u64 {
        self.gaps[reason as usize]
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    subscribers: AtomicUsize,
    opened: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    log_reads: AtomicU64,
    gaps: [AtomicU64; GapReason::ALL.len()],
}

impl Counters {
    pub(super) fn opened(&self) {
        self.subscribers.fetch_add(1, Relaxed);
        self.opened.fetch_add(1, Relaxed);
    }

    pub(super) fn left(&self) {
        self.subscribers.fetch_sub(1, Relaxed);
    }

    pub(super) fn log_read(&self) {
        self.log_reads.fetch_add(1, Relaxed);
    }

    pub(super) fn add(&self, delivered: Delivered) {
        self.events.fetch_add(delivered.events, Relaxed);
        self.bytes.fetch_add(delivered.bytes, Relaxed);
        if let Some(gap) = delivered.gap {
            self.gaps[gap.reason as usize].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn stats(&self, tail_bytes: usize) -> FanoutStats {
        FanoutStats {
            subscribers: self.subscribers.load(Relaxed),
            tail_bytes,
            opened: self.opened.load(Relaxed),
            events: self.events.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            log_reads: self.log_reads.load(Relaxed),
            gaps: self.gaps.each_ref().map(|gap| gap.load(Relaxed)),
        }
    }
}
