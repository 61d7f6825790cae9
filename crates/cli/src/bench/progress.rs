//! How far a run has come, on standard error if that is a terminal.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::figures::{micros, rate};
use super::outcome::Sample;
use super::tally::Received;

/// A line that is drawn over again, and taken away at the end.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// While connecting; `wanted` is how many streams there are to be.
    pub(super) fn connecting(wanted: u64) -> Self {
        Self::new(wanted, "connecting {bar:24} {pos}/{len}  {msg}")
    }

    /// While events go to and fro for `time`.
    pub(super) fn running(time: Duration) -> Self {
        Self::new(millis(time), "{bar:24} {prefix}  {msg}")
    }

    fn new(length: u64, template: &str) -> Self {
        // It draws on standard error, and not at all if that is no terminal.
        let bar = ProgressBar::new(length);
        Self {
            bar: match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            },
        }
    }

    pub(super) fn connected(&self, connected: u64, failed: u64) {
        self.bar.set_position(connected + failed);
        if failed > 0 {
            self.bar.set_message(format!("{} failed", HumanCount(failed)));
        }
    }

    /// `elapsed` of the time is over.
    pub(super) fn ran(
        &self,
        elapsed: Duration,
        open: u64,
        received: &Received,
        last: Option<&Sample>,
    ) {
        let left = Duration::from_millis(self.bar.length().unwrap_or(0)).saturating_sub(elapsed);
        let prefix = match left.as_millis().div_ceil(1_000) {
            0 => "waiting for the rest".to_owned(),
            seconds => format!("{seconds} s left"),
        };
        self.bar.set_prefix(prefix);
        self.bar.set_position(millis(elapsed));
        let mut message = format!(
            "{} streams  {} events",
            HumanCount(open),
            HumanCount(received.delivered + received.others)
        );
        if let Some(sample) = last {
            message.push_str(&format!("  {}/s", rate(sample.delivered_per_second)));
            if let Some(p99) = sample.p99_us {
                message.push_str(&format!("  p99 {}", micros(p99)));
            }
        }
        self.bar.set_message(message);
    }
}

impl Drop for Progress {
    /// Takes the line away.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
