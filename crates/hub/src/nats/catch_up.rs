//! Catching up: to fold what another hub may have folded already.
//!
//! A subscriber that comes from another hub may have got what this one has not folded yet. Where the
//! stream ends, its leader says; but one that has just begun to lead, or was frozen, may say less than
//! is in the stream. So before anybody is told that something is not there, a message of our own goes
//! into the stream: whatever was taken before it is folded before it.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use async_nats::jetstream::context::PublishErrorKind;
use tidings_server::log::ReadError;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout},
};

use super::{Shared, error::told, message, reading::store_error};

/// Asks where the stream ends, once for all who want to know it at the same time.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    // Counts those who wanted to know.
    arrivals: AtomicU64,
    answer: Mutex<Answer>,
    // Those who had to know for certain.
    doubts: AtomicU64,
    certainty: Mutex<Certainty>,
}

#[derive(Debug, Default)]
struct Answer {
    // How many had come when it was asked for.
    arrivals: u64,
    last_sequence: u64,
}

#[derive(Debug, Default)]
struct Certainty {
    // How many had come when the message was sent.
    doubts: u64,
    sent: Option<Instant>,
}

// However many ask for what there is not, the stream gets no more messages for it.
const CERTAIN_EVERY: Duration = Duration::from_millis(100);
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

    /// Waits until all is folded that was in the stream when this was called, whatever its leader
    /// knows.
    ///
    /// # Errors
    /// [`ReadError`] if the stream does not take a message, or it takes long.
    pub(super) async fn catch_up_for_certain(&self) -> Result<(), ReadError> {
        let CatchUp { doubts, certainty, .. } = &self.catch_up;
        let doubt = doubts.fetch_add(1, SeqCst) + 1;
        let mut certainty = certainty.lock().await;
        if certainty.doubts >= doubt {
            return Ok(());
        }
        if let Some(sent) = certainty.sent {
            sleep_until(sent + CERTAIN_EVERY).await;
        }
        let doubts = doubts.load(SeqCst);
        certainty.sent = Some(Instant::now());
        let sent = self.link.jetstream.publish(self.subjects.tick.clone(), message::tick()).await;
        let sent = sent.map_err(|error| store_error(told(&error)))?.await;
        match sent {
            Ok(taken) => {
                let folded = timeout(WAIT_MAX, self.has_folded(taken.sequence)).await;
                folded.map_err(|_| {
                    let sequence = taken.sequence;
                    store_error(format!("the stream is not followed to {sequence} yet"))
                })?;
            }
            // It leads, as it refuses: a stream that takes nothing more has all that it had.
            Err(error) if error.kind() == PublishErrorKind::Other => {}
            Err(error) => return Err(store_error(told(&error))),
        }
        certainty.doubts = doubts;
        Ok(())
    }

    async fn last_sequence(&self) -> Result<u64, ReadError> {
        let CatchUp { arrivals, answer, .. } = &self.catch_up;
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
