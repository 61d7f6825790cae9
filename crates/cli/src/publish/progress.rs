//! How far a long publish has come.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// A line on standard error, if that is a terminal and the input takes longer than a moment.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    /// How long the input is in bytes, if that is known.
    input_bytes: Option<u64>,
    enabled: bool,
}

impl Progress {
    pub(super) fn new(input_bytes: Option<u64>, enabled: bool) -> Self {
        Self { bar: None, started: Instant::now(), input_bytes, enabled }
    }

    /// This many events, from the first this many bytes of the input, are published.
    pub(super) fn update(&mut self, events: u64, bytes: u64) {
        let elapsed = self.started.elapsed();
        if !self.enabled || elapsed < MOMENT {
            return;
        }
        let input_bytes = self.input_bytes;
        let bar = self.bar.get_or_insert_with(|| bar(input_bytes));
        bar.set_position(bytes);
        let each_second = (events as f64 / elapsed.as_secs_f64()) as u64;
        bar.set_message(format!("{} events, {}/s", HumanCount(events), HumanCount(each_second)));
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(input_bytes: Option<u64>) -> ProgressBar {
    // It draws on standard error, and not at all if that is no terminal.
    let (bar, template) = match input_bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {percent:>3}%  {msg}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

const MOMENT: Duration = Duration::from_secs(1);
