//! Asking JavaScript for the headers of an attempt, before it is made.

use std::sync::Arc;

use parking_lot::Mutex;
use tidings_client::{Attempt, HookError, Request};
use tokio::sync::oneshot;

use crate::{headers, inbox::Inbox};

/// What JavaScript was asked, until it answers.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    // An attempt follows another: there is one question at a time.
    waiting: Mutex<Option<oneshot::Sender<Answer>>>,
}

/// Names and values, one after the other; or why there are none.
pub(crate) type Answer = Result<Vec<String>, String>;

impl Asking {
    /// Gives the answer to what was asked last.
    pub(crate) fn answer(&self, answer: Answer) {
        if let Some(waiting) = self.waiting.lock().take() {
            // The source may be closed.
            let _ = waiting.send(answer);
        }
    }

    /// Asks for the headers of an attempt.
    pub(crate) fn ask(
        self: &Arc<Self>,
        inbox: &Inbox,
        mut attempt: Attempt,
    ) -> impl Future<Output = Result<Request, HookError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        // They may hold secrets, which are not for whom a redirect led to.
        let is_own = !attempt.crossed_origin;
        if is_own {
            *self.waiting.lock() = Some(answer);
            inbox.ask(attempt.number, attempt.last_event_id.as_str());
        }
        async move {
            if is_own {
                let answer = answered.await.map_err(|_| HookError::stop("nobody answers"))?;
                for (name, value) in headers::parsed(&answer?).map_err(HookError::retry)? {
                    attempt.request.headers.insert(name, value);
                }
            }
            Ok(attempt.request)
        }
    }
}
