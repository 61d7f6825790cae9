//! Retention: how much history a log keeps.

use std::time::Duration;

/// How much history is kept: whichever limit is reached first trims the oldest records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records kept at most.
    pub records_max: usize,
    /// Bytes of records kept at most, as the log counts them.
    pub bytes_max: u64,
    /// Records older than this are trimmed, to the second.
    pub age_max: Duration,
}

impl Default for Retention {
    /// 1,000,000 records, 1 GiB, 7 days.
    fn default() -> Self {
        Self {
            records_max: 1_000_000,
            bytes_max: 1 << 30,
            age_max: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}
