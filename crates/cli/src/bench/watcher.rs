//! A look at a run while it is under way.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::progress::Progress;
use super::publisher::Account;
use super::subscriber::Audience;
use super::tally::Received;
use super::timeline::Timeline;

/// Looks at the counts from time to time, and shows them.
pub(super) struct Watcher<'r> {
    audience: &'r Audience,
    timeline: &'r mut Timeline,
    progress: Progress,
    began: Instant,
    ticks: Interval,
}

impl<'r> Watcher<'r> {
    pub(super) fn new(
        audience: &'r Audience,
        duration: Duration,
        timeline: &'r mut Timeline,
    ) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let progress = Progress::running(duration);
        Self { audience, timeline, progress, began: Instant::now(), ticks }
    }

    pub(super) async fn tick(&mut self) {
        self.ticks.tick().await;
        self.look(false);
    }

    fn look(&mut self, is_end: bool) -> Received {
        let elapsed = self.began.elapsed();
        let tally = &self.audience.tally;
        let received = tally.all_received();
        let published = tally.published.lock().acknowledged;
        self.timeline.sample(elapsed, published, &received, is_end);
        self.progress.ran(elapsed, tally.open(), &received, self.timeline.last());
        received
    }

    /// Waits until all who ever had a stream have everything, or nothing has come for a while. A
    /// server that is behind goes on delivering after the last publish, and a stream that is being
    /// opened again has its rest before it.
    pub(super) async fn wait_for_rest(&mut self, accounts: &[Account], connected: u64) {
        let tally = &self.audience.tally;
        let uncertain = accounts.iter().any(|account| !account.uncertain.is_empty());
        let sent: u64 = accounts.iter().map(|account| u64::from(account.sent)).sum();
        let began = Instant::now();
        let (mut delivered, mut moved) = (0, began);
        while began.elapsed() < REST_TIME_MAX {
            let received = self.look(false);
            // What may not be published may still come.
            if received.delivered >= sent * connected && !uncertain {
                break;
            }
            let given_up = tally.connections.lock().given_up.total();
            let is_reopening = tally.open() < connected.saturating_sub(given_up);
            if received.delivered > delivered || is_reopening {
                (delivered, moved) = (received.delivered, Instant::now());
            }
            if moved.elapsed() > QUIET_TIME {
                break;
            }
            self.ticks.tick().await;
        }
    }

    pub(super) fn finish(mut self) {
        self.look(true);
    }
}

/// Between a look at the counts and the next.
const TICK: Duration = Duration::from_millis(100);
/// How long the rest is waited for when it goes on coming, and when nothing comes.
const REST_TIME_MAX: Duration = Duration::from_secs(30);
pub(super) const QUIET_TIME: Duration = Duration::from_secs(3);
