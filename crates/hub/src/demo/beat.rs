//! The clock and the heartbeat: events that the hub itself publishes, once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tidings_proto::event::EventName;
use tidings_server::{
    matcher::{Filter, Matcher},
    record::{Kind, NewRecord},
    topic::Topic,
};
use tokio::time::{Instant, sleep};

use super::Demo;
use crate::{api, hub::Hub};

const CLOCK: &str = "demo/clock";
const HEARTBEAT: &str = "demo/heartbeat";
/// How long a pause of the heartbeat lasts: long enough to be noticed, and to see it end.
pub(super) const PAUSE: Duration = Duration::from_secs(6);

impl Demo {
    /// Publishes the clock and the heartbeat while somebody follows them, until the task is aborted.
    pub(crate) async fn run(self, hub: Hub) {
        if !hub.config.demo {
            return;
        }
        let topic = |name| Topic::new(name).expect("a demo's topic is one");
        let (clock, heartbeat) = (topic(CLOCK), topic(HEARTBEAT));
        let beat = EventName::new("heartbeat").expect("an event type");
        loop {
            // On the second, as a clock should be.
            sleep(until_next_second(SystemTime::now())).await;
            let mut records = Vec::new();
            if is_due(&hub, &clock) {
                let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
                records.push(live(&clock, &time));
            }
            if is_due(&hub, &heartbeat) && !self.heartbeat.is_on() {
                let event = Some(beat.clone());
                records.push(NewRecord { event, ..live(&heartbeat, "beat") });
            }
            if records.is_empty() {
                continue;
            }
            // A clock that cannot be told is late; the next second has a newer time.
            if let Err(error) = api::take(&hub, records).await {
                tracing::debug!(%error, "the demos' clock was not published");
            }
        }
    }
}

// While somebody follows. If it was ended nobody can, and to publish opens it again.
fn is_due(hub: &Hub, topic: &Topic) -> bool {
    hub.fanout.topic_subscribers(topic) > 0
        || hub.log.ended(&Filter::new([Matcher::Exact(topic.clone())])).is_some()
}

// A second that has passed is of no use to anybody: nothing of it is kept.
fn live(topic: &Topic, data: &str) -> NewRecord {
    NewRecord { kind: Kind::Ephemeral, ..NewRecord::new(topic.clone(), data) }
}

/// Until when the heartbeat pauses.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    pub(super) fn begin(&self) {
        *self.0.lock() = Some(Instant::now() + PAUSE);
    }

    fn is_on(&self) -> bool {
        self.0.lock().is_some_and(|end| Instant::now() < end)
    }
}

// A little past the second, so that the clock never shows the last one.
fn until_next_second(now: SystemTime) -> Duration {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let past = Duration::from_nanos(u64::from(since.subsec_nanos()));
    Duration::from_millis(1_005) - past
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_second_is_never_far_and_never_passed_over() {
        for (nanos, ms) in [(0, 1_005), (500_000_000, 505), (999_999_999, 5)] {
            let now = UNIX_EPOCH + Duration::new(7, nanos);
            assert_eq!(until_next_second(now).as_millis(), ms);
        }
    }
}
