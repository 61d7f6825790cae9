//! How the log is: whether it follows the stream, and whether the stream takes messages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::watch;

/// How the log is.
#[derive(Debug)]
pub(super) struct Health {
    state: watch::Sender<Reasons>,
    behind: AtomicU64,
}

/// Why no events are taken; each is none if it is no reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reasons {
    // The log has ended: it is to be opened anew.
    over: Option<Arc<str>>,
    closed: bool,
    // The stream cannot be followed at present.
    away: Option<Arc<str>>,
    // The stream does not say that it takes messages.
    stalled: Option<Arc<str>>,
}

impl Health {
    /// Of a log that follows its stream.
    pub(super) fn new() -> Self {
        Self { state: watch::Sender::default(), behind: AtomicU64::new(0) }
    }

    /// Why no events are taken, if so.
    pub(super) fn latched(&self) -> Option<Arc<str>> {
        let reasons = self.state.borrow();
        [&reasons.over, &reasons.away, &reasons.stalled].into_iter().flatten().next().cloned()
    }

    pub(super) fn over(&self) -> Option<Arc<str>> {
        self.state.borrow().over.clone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.borrow().closed
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.state.borrow().stalled.is_some()
    }

    pub(super) fn end(&self, cause: &str) {
        self.state.send_modify(|reasons| {
            reasons.over.get_or_insert_with(|| cause.into());
        });
    }

    pub(super) fn close(&self) {
        self.state.send_modify(|reasons| reasons.closed = true);
    }

    /// Whether the stream can be followed.
    pub(super) fn set_away(&self, cause: Option<&str>) {
        self.set(cause, |reasons| &mut reasons.away);
    }

    /// Whether the stream takes messages.
    pub(super) fn set_stalled(&self, cause: Option<&str>) {
        self.set(cause, |reasons| &mut reasons.stalled);
    }

    fn set(&self, cause: Option<&str>, of: impl Fn(&mut Reasons) -> &mut Option<Arc<str>>) {
        self.state.send_if_modified(|reasons| {
            let reason = of(reasons);
            let is_new = reason.as_deref() != cause;
            if is_new {
                *reason = cause.map(Arc::from);
            }
            is_new
        });
    }

    /// Waits until events are taken, but not for long.
    pub(super) async fn recovered(&self, wait_max: Duration) -> Result<(), Arc<str>> {
        let mut state = self.state.subscribe();
        let sound = state.wait_for(|reasons| {
            reasons.over.is_none() && reasons.away.is_none() && reasons.stalled.is_none()
        });
        // The sender is there as long as this is.
        let _ = tokio::time::timeout(wait_max, sound).await;
        self.latched().map_or(Ok(()), Err)
    }

    /// How many messages of the stream are still to be folded.
    pub(super) fn behind(&self) -> u64 {
        self.behind.load(Relaxed)
    }

    pub(super) fn set_behind(&self, messages: u64) {
        self.behind.store(messages, Relaxed);
    }
}
