//! Gives up on what does not move.

use std::time::{Duration, Instant};

use super::Failure;

/// A value that has to change from time to time.
pub struct Progress {
    value: Option<u64>,
    since: Instant,
    time_max: Duration,
}

impl Progress {
    pub fn new(time_max: Duration) -> Self {
        Self { value: None, since: Instant::now(), time_max }
    }

    /// Fails if `value` is the one that it was for too long, and says why.
    pub fn check(&mut self, value: u64, why: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.value != Some(value) {
            self.value = Some(value);
            self.since = Instant::now();
        } else if self.since.elapsed() > self.time_max {
            return Err(format!("the server has come to a halt: {}", why()).into());
        }
        Ok(())
    }
}
