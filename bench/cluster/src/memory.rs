//! What processes and the machine hold in memory.

use crate::Failure;

/// What a process holds, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// Resident.
    pub rss: u64,
    /// Resident, with what is shared with others only in part.
    pub pss: u64,
}

/// What a process holds.
pub fn of(process: u32) -> Result<Held, Failure> {
    let path = format!("/proc/{process}/smaps_rollup");
    Ok(Held { rss: bytes_of(&path, "Rss:")?, pss: bytes_of(&path, "Pss:")? })
}

/// What the machine could still give.
pub fn available() -> Result<u64, Failure> {
    bytes_of("/proc/meminfo", "MemAvailable:")
}

/// Fails if the machine has hardly any left.
pub fn watch() -> Result<(), Failure> {
    match available()? {
        ..LEFT_BYTES_MIN => Err("less than 2 GB of memory are left".into()),
        _ => Ok(()),
    }
}

fn bytes_of(path: &str, name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| format!("{path} has no {name}"))? << 10)
}

const LEFT_BYTES_MIN: u64 = 2_000_000_000;
