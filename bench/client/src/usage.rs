//! What the present process has used.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Its CPU time, in user and kernel, of all its threads.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What of its memory is resident, and the most that ever was, in bytes. The kernel's buffers of
/// its sockets are in neither.
pub fn resident() -> std::io::Result<Resident> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: u64| kib << 10).ok_or(std::io::ErrorKind::InvalidData)
    };
    Ok(Resident { now_bytes: field("VmRSS:")?, peak_bytes: field("VmHWM:")? })
}

#[derive(Debug, Clone, Copy)]
pub struct Resident {
    pub now_bytes: u64,
    pub peak_bytes: u64,
}
