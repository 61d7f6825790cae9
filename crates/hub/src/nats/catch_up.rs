//! Catching up: to fold what another hub may have folded already.
//!
//! A subscriber that comes from another hub may have got what this one has not folded yet.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use tidings_server::log::ReadError;
use tokio::{sync::Mutex, time::timeout};

use super::{Shared, error::told, reading::store_error};

/// Asks where the stream ends, once for all who want to know it at the same time.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    // Counts those who wanted to know.
    arrivals: AtomicU64,
    answer: Mutex<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    // How many had come when it was asked for.
    arrivals: u64,
    last_sequence: u64,
}

// A hub that is further behind says so to the subscriber, which asks again.
const WAIT_MAX: Duration = Duration::from_secs(5);

impl Shared {
    /// Waits until all is folded that is in the stream at this moment.
    ///
    /// # Errors
    /// [`ReadError`] if the servers do not say what that is, or it takes long.
    pub(super) async fn catch_up(&self) -> Result<(), ReadError> {
        let last_sequence = self.last_sequence().await?;
        let folded = timeout(WAIT_MAX, self.has_folded(last_sequence)).await;
        folded
            .map_err(|_| store_error(format!("the stream is not followed to {last_sequence} yet")))
    }

    async fn last_sequence(&self) -> Result<u64, ReadError> {
        let CatchUp { arrivals, answer } = &self.catch_up;
        let arrival = arrivals.fetch_add(1, SeqCst) + 1;
        let mut answer = answer.lock().await;
        if answer.arrivals < arrival {
            let arrivals = arrivals.load(SeqCst);
            let info = self.link.stream.get_info().await;
            let last_sequence =
                info.map_err(|error| store_error(told(&error)))?.state.last_sequence;
            *answer = Answer { arrivals, last_sequence };
        }
        Ok(answer.last_sequence)
    }
}
