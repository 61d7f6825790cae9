//! The batches whose outcome is not known yet.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tidings_server::log::{AppendError, Appended};
use tokio::{sync::oneshot, time::Instant};

pub(super) type Answer = Result<Appended, AppendError>;

/// The batches whose outcome is not known yet, by their numbers.
#[derive(Debug)]
pub(super) struct Pending {
    state: Mutex<State>,
    wait_max: Duration,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    deadline: Instant,
}

impl Pending {
    pub(super) fn new(wait_max: Duration) -> Self {
        Self { state: Mutex::default(), wait_max }
    }

    /// Gives a batch its number, and says where its outcome comes; `None` if `count_max` are
    /// waiting already.
    pub(super) fn begin(&self, count_max: usize) -> Option<(u64, oneshot::Receiver<Answer>)> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if state.waiting.len() >= count_max {
            return None;
        }
        state.last += 1;
        let number = state.last;
        let deadline = Instant::now() + self.wait_max;
        state.waiting.insert(number, Waiting { answer, deadline });
        Some((number, receiver))
    }

    /// Says what became of a batch, unless that was said before.
    pub(super) fn answer(&self, number: u64, answer: Answer) {
        let waiting = self.state.lock().waiting.remove(&number);
        if let Some(waiting) = waiting {
            // Whoever asked may be gone.
            let _ = waiting.answer.send(answer);
        }
    }

    /// Gives up the batches that have waited too long: their outcome is unknown. How many those
    /// are.
    pub(super) fn expire(&self, now: Instant) -> usize {
        let mut count = 0;
        loop {
            let expired = {
                let mut state = self.state.lock();
                let oldest = state.waiting.first_entry();
                oldest.filter(|oldest| oldest.get().deadline <= now).map(|oldest| oldest.remove())
            };
            let Some(waiting) = expired else { return count };
            let cause = format!("the stream did not give it back within {:?}", self.wait_max);
            let _ = waiting.answer.send(Err(AppendError::Unknown { cause: cause.into() }));
            count += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }
}
