//! What a run has shown: the figures behind the summary, the report and the JSON.

use std::time::Duration;

use serde::Serialize;

use super::tally::{Reasons, Times};
use crate::text::count;

/// Everything that a run has shown. Its JSON is what `--json` prints.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    /// The version of the program.
    pub(super) version: &'static str,
    /// When it began, as RFC 3339 has it.
    pub(super) began: String,
    pub(super) url: String,
    pub(super) publish_url: Option<String>,
    pub(super) command: String,
    pub(super) asked: Asked,
    /// Whether it was ended by Ctrl-C.
    pub(super) interrupted: bool,
    pub(super) connects: Connects,
    pub(super) published: Option<Publishes>,
    pub(super) delivered: Deliveries,
    /// From when an event was due to when a subscriber had it.
    pub(super) latency: Option<Quantiles>,
    pub(super) streams: Streams,
    /// The latencies, in steps that grow by about a tenth.
    pub(super) latencies: Vec<Bar>,
    pub(super) timeline: Vec<Sample>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Asked {
    pub(super) subscribers: usize,
    pub(super) events_per_second: Option<f64>,
    pub(super) data_bytes: Option<usize>,
    pub(super) duration_seconds: f64,
    /// In a line, for people.
    #[serde(skip)]
    pub(super) sentence: String,
}

/// How the streams began.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Connects {
    pub(super) connected: u64,
    pub(super) failed: Reasons,
    /// From the first attempt to the last answer.
    pub(super) seconds: f64,
    /// From the attempt to connect to the head of the response.
    pub(super) head: Option<Quantiles>,
}

/// What was published.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Publishes {
    pub(super) publishers: u16,
    /// How many events there were to be.
    pub(super) scheduled: u32,
    pub(super) acknowledged: u64,
    pub(super) failed: Reasons,
    pub(super) events_per_second: f64,
    /// From when an event was due to its answer.
    pub(super) answered: Option<Quantiles>,
    /// From when an event was due to when it was sent.
    pub(super) sent: Option<Quantiles>,
    /// Why the server takes no events, as a sentence.
    pub(super) refused: Option<String>,
}

/// What was delivered, by what the events hold.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Deliveries {
    /// Events of this run, each counted once a subscriber; while listening, all events.
    pub(super) events: u64,
    pub(super) events_per_second: f64,
    pub(super) bytes: u64,
    /// What could be known about them; while listening, nothing.
    pub(super) check: Option<Check>,
    /// Events of others, while a run publishes.
    pub(super) others: u64,
    /// Notices of the hub that events are gone.
    pub(super) gaps: u64,
}

/// Whether every subscriber has got every event, once and in order.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Check {
    pub(super) expected: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) out_of_order: u64,
    /// How many subscribers have lost any.
    pub(super) subscribers_with_losses: u64,
}

/// What became of the streams after they had begun.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Streams {
    pub(super) broken_off: Reasons,
    pub(super) reconnected: u64,
    pub(super) given_up: Reasons,
}

/// Times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50_us: u64,
    pub(super) p90_us: u64,
    pub(super) p99_us: u64,
    pub(super) p999_us: u64,
    pub(super) max_us: u64,
}

/// How many latencies are from one time to another, the latter excluded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Bar {
    pub(super) from_us: f64,
    pub(super) to_us: f64,
    pub(super) events: u64,
}

/// What happened up to a moment, since the sample before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) published_per_second: f64,
    pub(super) delivered_per_second: f64,
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
}

impl Quantiles {
    /// Those of `times`, if there are any.
    pub(super) fn of(times: &Times) -> Option<Self> {
        (!times.is_empty()).then(|| Self {
            p50_us: times.value_at_quantile(0.5),
            p90_us: times.value_at_quantile(0.9),
            p99_us: times.value_at_quantile(0.99),
            p999_us: times.value_at_quantile(0.999),
            max_us: times.max(),
        })
    }
}

impl Bar {
    /// The latencies in steps that are as wide on a logarithmic scale as `STEPS_A_DECADE` make them,
    /// from the first that has any to the last.
    pub(super) fn of(times: &Times) -> Vec<Self> {
        let step = |time: u64| (time.max(1) as f64).log10() * STEPS_A_DECADE;
        let edge = |step: i64| 10f64.powf(step as f64 / STEPS_A_DECADE);
        let mut bars: Vec<Self> = Vec::new();
        if times.is_empty() {
            return bars;
        }
        let first = step(times.min()).floor() as i64;
        let last = step(times.max()).floor() as i64;
        bars.extend((first..=last).map(|at| Self {
            from_us: edge(at),
            to_us: edge(at + 1),
            events: 0,
        }));
        for value in times.iter_recorded() {
            let at = (step(value.value_iterated_to()).floor() as i64).clamp(first, last) - first;
            if let Some(bar) = usize::try_from(at).ok().and_then(|at| bars.get_mut(at)) {
                bar.events += value.count_at_value();
            }
        }
        bars
    }
}

impl Outcome {
    /// What is wrong with it, if anything is: the sentence to end with.
    pub(super) fn fault(&self) -> Option<String> {
        if let Some(refused) =
            self.published.as_ref().and_then(|published| published.refused.as_ref())
        {
            return Some(format!(
                "an event could not be published: {refused}. If events are published elsewhere, \
                 say where with --publish; --no-publish only listens."
            ));
        }
        let mut faults = Vec::new();
        if let Some(check) = &self.delivered.check {
            // What was still on its way at Ctrl-C is not known to be lost.
            if check.lost > 0 && !self.interrupted {
                let subscribers = count(check.subscribers_with_losses, "subscriber");
                faults.push(format!("{} lost, by {subscribers}", were(check.lost, "event")));
            }
            if check.repeated > 0 {
                faults.push(format!("{} repeated", were(check.repeated, "event")));
            }
            if check.out_of_order > 0 {
                faults.push(format!("{} out of order", were(check.out_of_order, "event")));
            }
        }
        if let Some(published) = &self.published
            && published.failed.total() > 0
        {
            let failed = were(published.failed.total(), "event");
            faults.push(format!("{failed} not acknowledged: {}", published.failed.words()));
        }
        if let Some(published) = &self.published
            && !self.interrupted
        {
            let sent = published.acknowledged + published.failed.total();
            let unsent = u64::from(published.scheduled).saturating_sub(sent);
            if unsent > 0 {
                faults.push(format!(
                    "{} not sent, as the answers took too long",
                    were(unsent, "event")
                ));
            }
        }
        let failed = &self.connects.failed;
        if failed.total() > 0 {
            let failures = count(failed.total(), "subscriber");
            faults.push(format!("{failures} could not connect: {}", failed.words()));
        }
        let given_up = &self.streams.given_up;
        if given_up.total() > 0 {
            let failures = count(given_up.total(), "subscriber");
            faults.push(format!("{failures} could not connect again: {}", given_up.words()));
        }
        (!faults.is_empty()).then(|| format!("{}.", faults.join("; ")))
    }
}

fn were(number: u64, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "was" } else { "were" })
}

/// Events a second over this time.
pub(super) fn per_second(events: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { events as f64 / time.as_secs_f64() }
}

const STEPS_A_DECADE: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tally::times;

    #[test]
    fn every_latency_is_in_a_bar() {
        let mut latencies = times();
        for time in [0, 1, 9, 10, 11, 999, 123_456, 123_457, 88_000_000] {
            latencies.record(time).unwrap();
        }
        let bars = Bar::of(&latencies);
        assert_eq!(bars.iter().map(|bar| bar.events).sum::<u64>(), 9);
        assert!(bars.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
        assert!(bars[0].events > 0 && bars[bars.len() - 1].events > 0);
        assert!(Bar::of(&times()).is_empty());
        assert_eq!(Quantiles::of(&times()), None);
    }
}
