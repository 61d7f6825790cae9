//! How long to wait before connecting again.
//!
//! A [`Reconnect`] holds the reconnection time of an event source and counts the attempts that
//! failed in a row. It knows no clock and draws no randomness of its own: the jitter comes from the
//! seed it is given, so that the same seed gives the same delays.
//!
//! ```text
//!  delay = reconnection time ──────────── of the stream's `retry:`, else of the policy
//!        + jitter in 0 ..= spread ─────── doubles with every failure in a row, up to backoff_max
//!        at least Retry-After, and reconnection_time_min; at most delay_max
//! ```
//!
//! Standard: WHATWG HTML, "Server-sent events", "reestablish the connection", which lets a client
//! wait longer than the reconnection time when the previous attempt failed.

use core::time::Duration;

/// The rules for reconnecting.
///
/// ```
/// use std::time::Duration;
/// use tidings_proto::reconnect::Policy;
///
/// let patient = Policy { backoff_max: Duration::from_secs(120), ..Policy::resilient() };
/// # let _ = patient;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The reconnection time until the stream sets one with `retry:`. Default: 3 seconds.
    pub reconnection_time: Duration,
    /// The shortest wait, whatever the stream asked for: the floor that keeps `retry: 0` from
    /// becoming a busy loop. Default: 100 milliseconds, so ten attempts a second at most.
    pub reconnection_time_min: Duration,
    /// The longest spread of the jitter, which is added to the reconnection time. Zero turns jitter
    /// and backoff off. Default: zero (strict), 30 seconds (resilient).
    pub backoff_max: Duration,
    /// The longest wait, whatever the stream or a `Retry-After` asked for. Default: none (strict),
    /// 1 hour (resilient).
    pub delay_max: Duration,
    /// How many attempts may fail in a row before the source gives up; zero never reconnects.
    /// Default: no bound, as a source is meant to outlast its server.
    pub retries_max: Option<u32>,
    /// How long a connection must have been open to count as a success when it brought neither an
    /// event nor a comment. Default: 10 seconds.
    pub success_after: Duration,
}

impl Policy {
    /// The standard to the letter: the reconnection time, every time.
    #[must_use]
    pub const fn strict() -> Self {
        Self {
            reconnection_time: Duration::from_secs(3),
            reconnection_time_min: Duration::from_millis(100),
            backoff_max: Duration::ZERO,
            delay_max: Duration::MAX,
            retries_max: None,
            success_after: Duration::from_secs(10),
        }
    }

    /// What a service needs: jitter, so that the clients of a restarted server do not return all at
    /// once, and a backoff that doubles while it stays away.
    #[must_use]
    pub const fn resilient() -> Self {
        Self {
            backoff_max: Duration::from_secs(30),
            delay_max: Duration::from_secs(3600),
            ..Self::strict()
        }
    }
}

/// The reconnection time of a source, and its failures in a row.
#[derive(Debug, Clone)]
pub struct Reconnect {
    policy: Policy,
    reconnection_time: Duration,
    failures: u32,
    random: u64,
}

impl Reconnect {
    /// Starts with the policy's reconnection time and no failure. The seed decides the jitter.
    #[must_use]
    pub const fn new(policy: Policy, seed: u64) -> Self {
        Self { policy, reconnection_time: policy.reconnection_time, failures: 0, random: seed }
    }

    /// The reconnection time in force.
    #[must_use]
    pub const fn reconnection_time(&self) -> Duration {
        self.reconnection_time
    }

    /// How many attempts have failed since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes the reconnection time that the stream has set.
    pub const fn handle_retry(&mut self, time: Duration) {
        self.reconnection_time = time;
    }

    /// A connection did its work: the backoff and the budget start afresh.
    pub const fn handle_success(&mut self) {
        self.failures = 0;
    }

    /// A connection was lost or never came about: how long to wait before the next attempt, or
    /// `None` when the policy allows no more.
    ///
    /// `retry_after` is what the server asked for in the header of that name.
    pub fn handle_failure(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.policy.retries_max.is_some_and(|max| self.failures >= max) {
            return None;
        }
        let jitter = self.jitter();
        self.failures = self.failures.saturating_add(1);
        let wait = self
            .reconnection_time
            .max(retry_after.unwrap_or_default())
            .saturating_add(jitter)
            .max(self.policy.reconnection_time_min);
        Some(wait.min(self.policy.delay_max))
    }

    fn jitter(&mut self) -> Duration {
        // A reconnection time near zero is for streams that end as a matter of course. A server
        // that keeps failing is given time all the same.
        let base = match self.failures {
            0 => self.reconnection_time,
            _ => self.reconnection_time.max(BACKOFF_BASE),
        };
        let doubled = base.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        let spread = doubled.min(self.policy.backoff_max);
        let nanoseconds = u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is uniform in 0 ..= spread, without a division.
        let product = u128::from(self.draw()) * (u128::from(nanoseconds) + 1);
        Duration::from_nanos((product >> 64) as u64)
    }

    /// The next of a sequence of evenly spread numbers (SplitMix64).
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What is doubled when the reconnection time is shorter.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// More doublings than any spread needs, and few enough for a `u32`.
const DOUBLINGS_MAX: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn strict_waits_the_reconnection_time_every_time() {
        let mut reconnect = Reconnect::new(Policy::strict(), 1);
        for _ in 0..100 {
            assert_eq!(reconnect.handle_failure(None), Some(3 * SECOND));
        }
        reconnect.handle_retry(Duration::from_millis(700));
        assert_eq!(reconnect.handle_failure(None), Some(Duration::from_millis(700)));
    }

    #[test]
    fn a_reconnection_time_of_zero_meets_the_floor() {
        let mut reconnect = Reconnect::new(Policy::strict(), 1);
        reconnect.handle_retry(Duration::ZERO);
        assert_eq!(reconnect.handle_failure(None), Some(Duration::from_millis(100)));
    }

    #[test]
    fn the_longest_times_saturate() {
        let mut reconnect = Reconnect::new(Policy::strict(), 1);
        reconnect.handle_retry(Duration::MAX);
        assert_eq!(reconnect.handle_failure(None), Some(Duration::MAX));
        let mut reconnect = Reconnect::new(Policy::resilient(), 1);
        reconnect.handle_retry(Duration::MAX);
        assert_eq!(reconnect.handle_failure(Some(Duration::MAX)), Some(3600 * SECOND));
    }

    #[test]
    fn retry_after_is_the_least_wait() {
        let mut reconnect = Reconnect::new(Policy::resilient(), 1);
        for _ in 0..50 {
            let delay = reconnect.handle_failure(Some(60 * SECOND)).unwrap();
            assert!((60 * SECOND..=90 * SECOND).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn the_budget_counts_failures_in_a_row() {
        let policy = Policy { retries_max: Some(2), ..Policy::strict() };
        let mut reconnect = Reconnect::new(policy, 1);
        assert!(reconnect.handle_failure(None).is_some());
        reconnect.handle_success();
        assert!(reconnect.handle_failure(None).is_some());
        assert!(reconnect.handle_failure(None).is_some());
        assert_eq!(reconnect.handle_failure(None), None);
        assert_eq!(reconnect.handle_failure(None), None);
    }

    #[test]
    fn jitter_reaches_across_its_spread() {
        let delays: Vec<Duration> = (0..1000)
            .map(|seed| Reconnect::new(Policy::resilient(), seed).handle_failure(None).unwrap())
            .collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(*least >= 3 * SECOND && *least < 3 * SECOND + SECOND / 50, "{least:?}");
        assert!(*most <= 6 * SECOND && *most > 6 * SECOND - SECOND / 50, "{most:?}");
    }

    proptest! {
        #[test]
        fn every_delay_is_within_its_bounds(
            seed: u64,
            retry_milliseconds in 0_u64..20_000,
            failures in 0_usize..80,
        ) {
            let policy = Policy::resilient();
            let mut reconnect = Reconnect::new(policy, seed);
            let mut again = Reconnect::new(policy, seed);
            let retry = Duration::from_millis(retry_milliseconds);
            reconnect.handle_retry(retry);
            again.handle_retry(retry);
            for failure in 0..failures {
                let delay = reconnect.handle_failure(None).unwrap();
                let doubled = retry.max(if failure == 0 { retry } else { SECOND })
                    .saturating_mul(1 << failure.min(20));
                let most = (retry + doubled.min(policy.backoff_max)).max(policy.reconnection_time_min);
                prop_assert!(delay >= retry.max(policy.reconnection_time_min));
                prop_assert!(delay <= most, "{delay:?} > {most:?}");
                prop_assert_eq!(again.handle_failure(None), Some(delay));
            }
            reconnect.handle_success();
            let delay = reconnect.handle_failure(None).unwrap();
            prop_assert!(delay <= (retry * 2).max(policy.reconnection_time_min));
        }
    }
}
