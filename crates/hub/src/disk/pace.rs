//! The pace at which the next segment is zeroed: well ahead of the writer, and no faster, for
//! what the helper writes delays the commits that run meanwhile.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// Shared by the writer, who says how far it is, and the helper, who keeps ahead.
#[derive(Debug, Default)]
pub(super) struct Pace {
    // How much of the active segment is used, in parts of `WHOLE`.
    used: AtomicU64,
    urgency: Mutex<Urgency>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    #[default]
    Paced,
    // The writer waits for the segment.
    AtOnce,
    // Nobody needs it any more.
    Never,
}

const WHOLE: u64 = 1 << 20;
// Without need a segment of 64 MiB takes about ten seconds.
const PAUSE: Duration = Duration::from_millis(40);

impl Pace {
    /// Says how much of the active segment is used.
    pub(super) fn used(&self, bytes: u64, of: u64) {
        self.used.store(bytes * WHOLE / of.max(1), Ordering::Relaxed);
    }

    /// The segment is waited for.
    pub(super) fn hurry(&self) {
        self.set(Urgency::AtOnce);
    }

    /// The segment is no longer needed.
    pub(super) fn stop(&self) {
        self.set(Urgency::Never);
    }

    fn set(&self, urgency: Urgency) {
        *self.urgency.lock() = urgency;
        self.changed.notify_all();
    }

    /// Waits until it is time for the next piece of a segment of which this much is ready; false
    /// if it is no longer needed.
    pub(super) fn wait(&self, ready: u64, of: u64) -> bool {
        let mut urgency = self.urgency.lock();
        // Ready when the active segment is half full.
        let ahead = ready * WHOLE / of.max(1) > 2 * self.used.load(Ordering::Relaxed);
        if *urgency == Urgency::Paced && ahead {
            self.changed.wait_for(&mut urgency, PAUSE);
        }
        *urgency != Urgency::Never
    }
}
