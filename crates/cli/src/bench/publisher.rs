//! Publishing at a steady rate, whatever the server does (open loop).
//!
//! When an event is due is fixed before the run begins, and stamped on it; all latencies are
//! measured from there. So a server that holds up a publisher does not hide the wait of the events
//! behind it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, StatusCode};
use tokio::sync::{Semaphore, watch};
use url::Url;

use super::stamp::{Stamp, now_nanos};
use super::subscriber::Audience;
use super::tally::enter;
use crate::attempt::{Attempt, PublishError, attempt};
use crate::text::visible;

/// When each event is due, and by whom it is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) start_nanos: u64,
    pub(super) rate: f64,
    /// Events in all.
    pub(super) events: u32,
    pub(super) publishers: u16,
}

/// What the publishers of a run have in common.
pub(super) struct Press {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) size: usize,
    pub(super) run: u64,
    pub(super) schedule: Schedule,
    /// One a publisher: how many of its events are due.
    pub(super) due: Box<[Semaphore]>,
}

/// How far the publishers are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Until {
    /// To the end of the schedule.
    Scheduled,
    /// To the answer to what is under way.
    Answered,
    /// No further.
    Now,
}

/// What one publisher has done.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// How many events it has sent: those with the first numbers.
    pub(super) sent: u32,
    /// Which of them were not acknowledged.
    pub(super) uncertain: BTreeSet<u32>,
    /// Why there is no use in going on.
    pub(super) refused: Option<String>,
}

impl Schedule {
    /// How many publishers it takes that each may wait for its answers: 20 ms for each event.
    pub(super) fn publishers(rate: f64) -> u16 {
        (rate / EVENTS_A_PUBLISHER_EACH_SECOND).ceil().clamp(1.0, PUBLISHERS_MAX) as u16
    }

    /// In the middle of its share of the time, so that any part of the run has as many events as
    /// the rate says.
    fn due_nanos(&self, event: u32) -> u64 {
        self.start_nanos + ((f64::from(event) + 0.5) * 1e9 / self.rate) as u64
    }

    /// The place in the schedule of an event of a publisher, if it has that many.
    fn event(&self, publisher: u16, number: u32) -> Option<u32> {
        let event = number.checked_mul(self.publishers.into())?.checked_add(publisher.into())?;
        (event < self.events).then_some(event)
    }
}

impl Press {
    /// Says when each event is due. It takes a thread of its own, as the runtime's timers are as
    /// coarse as a millisecond, which would be in all latencies.
    pub(super) fn beat(&self, until: &watch::Receiver<Until>) {
        #[cfg(target_os = "linux")]
        // Where it is refused, events are up to 50 µs late.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        for event in 0..self.schedule.events {
            let due_nanos = self.schedule.due_nanos(event);
            loop {
                if *until.borrow() > Until::Scheduled {
                    return;
                }
                let left = due_nanos.saturating_sub(now_nanos());
                if left == 0 {
                    break;
                }
                std::thread::sleep(Duration::from_nanos(left).min(BEAT_MAX));
            }
            self.due[event as usize % self.due.len()].add_permits(1);
        }
    }

    /// Publishes the events of one publisher, each after the answer to the one before.
    pub(super) async fn publish(
        &self,
        publisher: u16,
        audience: &Arc<Audience>,
        mut until: watch::Receiver<Until>,
    ) -> Account {
        let mut account = Account::default();
        let due = &self.due[usize::from(publisher)];
        while let Some(event) = self.schedule.event(publisher, account.sent) {
            tokio::select! {
                biased;
                _ = until.wait_for(|until| *until > Until::Scheduled) => break,
                permit = due.acquire() => match permit {
                    Ok(permit) => permit.forget(),
                    Err(_) => break,
                },
            }
            let number = account.sent;
            let due_nanos = self.schedule.due_nanos(event);
            let stamp = Stamp { run: self.run, boot: audience.boot, publisher, number, due_nanos };
            let request = self
                .client
                .post(self.url.clone())
                .header(CONTENT_TYPE, "text/plain; charset=utf-8")
                .headers(self.headers.clone())
                .body(stamp.data(self.size));
            account.sent += 1;
            account.uncertain.insert(number);
            let sent_nanos = now_nanos();
            let attempt = tokio::select! {
                attempt = attempt(request, &self.url) => attempt,
                _ = until.wait_for(|until| *until == Until::Now) => {
                    audience.tally.published.lock().failures.count("no answer before the end");
                    break;
                }
            };
            let answered_nanos = now_nanos();
            let mut published = audience.tally.published.lock();
            enter(&mut published.lateness, due_nanos, sent_nanos);
            // A server that was never there will not come, and one that has answered may.
            let is_first = account.sent == 1 && published.acknowledged == 0;
            match judge(attempt, is_first) {
                Verdict::Published => {
                    published.acknowledged += 1;
                    enter(&mut published.latency, due_nanos, answered_nanos);
                    account.uncertain.remove(&number);
                }
                Verdict::Failed(reason) => published.failures.count(reason),
                Verdict::Refused(sentence) => {
                    published.failures.count("refused");
                    account.refused = Some(sentence);
                    break;
                }
            }
        }
        account
    }
}

enum Verdict {
    Published,
    /// The next may go better.
    Failed(String),
    /// All that follow will be refused as well.
    Refused(String),
}

fn judge(attempt: Attempt, is_first: bool) -> Verdict {
    let error = match attempt.outcome {
        Ok(_) => return Verdict::Published,
        Err(error) => error,
    };
    match &error {
        PublishError::Refused {
            status:
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::REQUEST_TIMEOUT,
            ..
        } => {}
        PublishError::Refused { .. } | PublishError::Redirected { .. } | PublishError::NotAHub => {
            return Verdict::Refused(error.to_string());
        }
        PublishError::Unreachable { .. } if is_first => return Verdict::Refused(error.to_string()),
        PublishError::Unreachable { .. } | PublishError::Unknown { .. } => {}
    }
    // The URL is the same for all.
    let reason = match error {
        PublishError::Unreachable { reason, .. } => reason.to_string(),
        other => other.to_string(),
    };
    Verdict::Failed(visible(&reason).into_owned())
}

/// So few that each has 20 ms for an answer.
const EVENTS_A_PUBLISHER_EACH_SECOND: f64 = 50.0;
const PUBLISHERS_MAX: f64 = 64.0;
/// How soon the thread that says when events are due hears that it is to end.
const BEAT_MAX: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_somebodys_and_in_time() {
        let schedule = Schedule { start_nanos: 5, rate: 100.0, events: 11, publishers: 3 };
        let mut all = Vec::new();
        for publisher in 0..3 {
            let events = (0..).map_while(|number| schedule.event(publisher, number));
            let events: Vec<u32> = events.collect();
            assert!(events.is_sorted());
            all.extend(events);
        }
        all.sort_unstable();
        assert_eq!(all, (0..11).collect::<Vec<_>>());
        assert_eq!(schedule.due_nanos(0), 5_000_005);
        assert_eq!(schedule.due_nanos(10), 105_000_005);
    }

    #[test]
    fn a_publisher_has_time_for_its_answers() {
        for (rate, publishers) in [(0.1, 1), (50.0, 1), (51.0, 2), (1_000.0, 20), (1e6, 64)] {
            assert_eq!(Schedule::publishers(rate), publishers, "{rate}");
        }
    }
}
