//! The mailbox of a JavaScript thread: one way to wake it, for all its sources.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use napi::{
    Status,
    bindgen_prelude::Function,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use parking_lot::Mutex;

use crate::source::Line;

// Held by no event loop: what keeps the process alive is for JavaScript to say.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Tells a JavaScript thread which of its sources have something.
pub(crate) struct Bell {
    wake: Wake,
    rung: Mutex<Vec<u32>>,
}

/// The mailbox of a JavaScript thread. When it goes, as it does with its thread, all its sources are
/// closed.
#[napi]
pub struct Mailbox {
    bell: Arc<Bell>,
    lines: Mutex<HashMap<u32, Weak<Line>>>,
    next: AtomicU32,
}

impl Bell {
    /// Has JavaScript look at this source. False if it is gone.
    pub(crate) fn ring(&self, id: u32) -> bool {
        let is_first = {
            let mut rung = self.rung.lock();
            rung.push(id);
            rung.len() == 1
        };
        // Whoever was first has woken it already, and it will look at all.
        !is_first || self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").field("rung", &self.rung).finish_non_exhaustive()
    }
}

#[napi]
impl Mailbox {
    /// A mailbox that calls `wake` when [`Mailbox::rung`] has something to say.
    #[napi(constructor)]
    pub fn new(wake: Function<'_, (), ()>) -> napi::Result<Self> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .build()?;
        let bell = Arc::new(Bell { wake, rung: Mutex::default() });
        Ok(Self { bell, lines: Mutex::default(), next: AtomicU32::new(0) })
    }

    /// The numbers of the sources that have something, each until it is looked at.
    #[napi]
    pub fn rung(&self) -> Vec<u32> {
        std::mem::take(&mut self.bell.rung.lock())
    }
}

impl Mailbox {
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// A number for a source.
    pub(crate) fn number(&self) -> u32 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Closes the source with the mailbox.
    pub(crate) fn enter(&self, id: u32, line: &Arc<Line>) {
        let mut lines = self.lines.lock();
        // Those that are gone are swept out once they may be half of all.
        if lines.len() == lines.capacity() {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        lines.insert(id, Arc::downgrade(line));
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        for line in self.lines.lock().values().filter_map(Weak::upgrade) {
            line.close();
        }
    }
}
