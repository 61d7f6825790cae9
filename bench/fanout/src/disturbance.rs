//! What else the machine did while it was measured: on a busy one every figure is too low, and the
//! later ones may be more so than the first.

use std::io;

/// The CPU time of everything so far, in the kernel's ticks.
pub struct Disturbance {
    all: u64,
    ours: u64,
    idle: u64,
}

impl Disturbance {
    /// Begins to look.
    pub fn begin() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let total = stat.lines().next().unwrap_or_default();
        let total = numbers(total.trim_start_matches("cpu "));
        let itself = std::fs::read_to_string("/proc/self/stat")?;
        let itself = itself.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // From the state on, which is not a number: this process's ticks and its children's.
        let itself = numbers(itself.get(1..).unwrap_or_default());
        let (Some(total), Some(itself)) = (total.get(..8), itself.get(10..14)) else {
            return Err(io::Error::other("/proc is not what it was"));
        };
        let idle = total[3] + total[4];
        Ok(Self { all: total.iter().sum(), ours: itself.iter().sum(), idle })
    }

    /// How much of the machine others have had since, in percent.
    pub fn percent(&self) -> io::Result<f64> {
        let now = Self::begin()?;
        let all = now.all - self.all;
        let others = all.saturating_sub(now.idle - self.idle).saturating_sub(now.ours - self.ours);
        Ok(others as f64 / all.max(1) as f64 * 100.0)
    }
}

fn numbers(text: &str) -> Vec<u64> {
    // One that is negative is none of those that are asked for.
    text.split_whitespace().map(|number| number.parse().unwrap_or(0)).collect()
}
