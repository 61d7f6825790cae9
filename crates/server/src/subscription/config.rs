//! How a subscription behaves.

use std::time::Duration;

use super::OnGap;
use crate::{frame::Format, log::ReadLimits};

/// How a subscription behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionConfig {
    /// How the stream is written.
    pub format: Format,
    /// The reconnection time that the opening sets. Default 3 s.
    pub retry: Duration,
    /// The silence after which a heartbeat goes out. Default 15 s.
    pub heartbeat: Duration,
    /// Whether cursors go out by themselves, in the opening and with heartbeats. Default true.
    pub cursors: bool,
    /// Where the stream goes on after a gap.
    pub on_gap: OnGap,
    /// One read of the log. Default 128 records, 32 KiB: what a stalled subscriber may hold.
    pub read_limits: ReadLimits,
    /// The pause before a failed read is tried again. Default 1 s.
    pub read_retry: Duration,
}

impl Default for SubscriptionConfig {
    fn default() -> Self {
        Self {
            format: Format::EventStream,
            retry: Duration::from_secs(3),
            heartbeat: Duration::from_secs(15),
            cursors: true,
            on_gap: OnGap::Oldest,
            read_limits: ReadLimits { records_max: 128, bytes_max: 32 << 10 },
            read_retry: Duration::from_secs(1),
        }
    }
}
