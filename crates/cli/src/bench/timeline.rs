//! What happened when: a sample every so often.

use std::time::Duration;

use super::outcome::{Sample, per_second};
use super::tally::{Received, Times};

/// The samples of a run, of which there are so many whatever its length.
pub(super) struct Timeline {
    every: Duration,
    last: Duration,
    last_published: u64,
    last_events: u64,
    last_latency: Option<Times>,
    samples: Vec<Sample>,
}

impl Timeline {
    /// For a run that is to take this long, with this many events a second.
    pub(super) fn new(duration: Duration, rate: f64) -> Self {
        let few = Duration::from_secs_f64(SAMPLE_EVENTS_MIN / rate).min(duration / SAMPLES_MIN);
        Self {
            every: (duration / SAMPLES_USUAL).max(SAMPLE_TIME_MIN).max(few),
            last: Duration::ZERO,
            last_published: 0,
            last_events: 0,
            last_latency: None,
            samples: Vec::new(),
        }
    }

    /// Takes a sample, if it is time for one or the run is at its end.
    pub(super) fn sample(
        &mut self,
        elapsed: Duration,
        published: u64,
        received: &Received,
        is_end: bool,
    ) {
        let time = elapsed.saturating_sub(self.last);
        let is_due = time >= self.every || is_end && time >= self.every / 2;
        if !is_due || self.samples.len() >= SAMPLES_MAX {
            return;
        }
        let events = received.delivered + received.others;
        let mut latency = received.latency.clone();
        if let Some(last) = &self.last_latency {
            // What was there is there still, so that it cannot refuse.
            let _ = latency.subtract(last);
        }
        let quantile =
            |quantile| (!latency.is_empty()).then(|| latency.value_at_quantile(quantile));
        self.samples.push(Sample {
            seconds: elapsed.as_secs_f64(),
            published_per_second: per_second(published - self.last_published, time),
            delivered_per_second: per_second(events - self.last_events, time),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        });
        self.last = elapsed;
        self.last_published = published;
        self.last_events = events;
        self.last_latency = Some(received.latency.clone());
    }

    pub(super) fn last(&self) -> Option<&Sample> {
        self.samples.last()
    }

    pub(super) fn into_samples(self) -> Vec<Sample> {
        self.samples
    }
}

/// So many that a plot of them is smooth.
const SAMPLES_USUAL: u32 = 120;
/// With the time that is waited for the rest, there are a few hundred at most.
const SAMPLES_MAX: usize = 1_000;
/// Of fewer events a rate is more chance than rate, unless the run would have hardly a sample.
const SAMPLE_EVENTS_MIN: f64 = 10.0;
const SAMPLES_MIN: u32 = 10;
const SAMPLE_TIME_MIN: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_came_since_the_last() {
        let mut timeline = Timeline::new(Duration::from_secs(120), 10.0);
        let mut received = Received::default();
        let mut at = |millis, published, is_end: bool, received: &Received| {
            timeline.sample(Duration::from_millis(millis), published, received, is_end);
            timeline.samples.clone()
        };
        received.delivered = 10;
        received.latency.record_n(100, 10).unwrap();
        assert!(at(999, 5, false, &received).is_empty());
        assert_eq!(at(2_000, 5, false, &received).len(), 1);
        received.delivered = 40;
        received.latency.record_n(300, 30).unwrap();
        let samples = at(3_000, 8, false, &received);
        let expected = Sample {
            seconds: 3.0,
            published_per_second: 3.0,
            delivered_per_second: 30.0,
            p50_us: Some(300),
            p99_us: Some(300),
        };
        assert_eq!(samples[1..], [expected]);
        assert_eq!(samples[0].delivered_per_second, 5.0);
        assert_eq!(at(3_400, 8, true, &received).len(), 2);
        assert_eq!(at(3_500, 8, true, &received)[2].p99_us, None);
    }
}
