//! What wakes the source when the machine's deadline has come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Rings at a deadline that may be put off again and again at no cost.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// Rings at the deadline or before it.
    set: Option<Pin<Box<Sleep>>>,
    /// Rings when what came while nobody polled has had its time to come through, after the deadline
    /// that it goes with.
    last_call: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Alarm {
    /// Is ready once `deadline`, in time since `start`, has come.
    ///
    /// Where bytes may wait in a socket (`may_be_late`), it gives them a last chance: the silence may
    /// be that of a thread which was too busy to read its sockets.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        start: Instant,
        deadline: Option<Duration>,
        may_be_late: bool,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            self.set = None;
            return Poll::Pending;
        };
        // A deadline that was put off while the alarm was set is looked at when it rings: each piece
        // of the stream puts it off, and to set it anew each time would cost more than the piece.
        while deadline > start.elapsed() {
            let Some(deadline) = start.checked_add(deadline) else {
                // It is past the end of the clock.
                self.set = None;
                return Poll::Pending;
            };
            let alarm = match &mut self.set {
                Some(alarm) if alarm.deadline() <= deadline => alarm,
                _ => self.set.insert(Box::pin(sleep_until(deadline))),
            };
            ready!(alarm.as_mut().poll(context));
            self.set = None;
        }
        if may_be_late {
            let (_, last_call) = match &mut self.last_call {
                Some(last_call) if last_call.0 == deadline => last_call,
                _ => self.last_call.insert((deadline, Box::pin(sleep(LAST_CALL)))),
            };
            ready!(last_call.as_mut().poll(context));
        }
        self.set = None;
        Poll::Ready(())
    }
}

/// How long an idle timeout that has struck waits for what is in the sockets. A runtime reads them all
/// in far less.
const LAST_CALL: Duration = Duration::from_millis(50);
