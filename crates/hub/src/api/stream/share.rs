//! A stream's share of the memory for publishes under way.

use tokio::sync::OwnedSemaphorePermit;

use crate::{api::body, hub::Hub, problem::Problem};

/// So much of `--publishing-bytes-max` as a stream holds, in steps, so that it changes seldom.
pub(super) struct Share(OwnedSemaphorePermit);

impl Share {
    // What a stream takes before it holds an event: a piece as it was read, and the decoder.
    const LEAST_BYTES: usize = 16 << 10;
    const STEP_BYTES: usize = 16 << 10;

    pub(super) fn take(hub: &Hub) -> Result<Self, Problem> {
        body::take(hub, Self::LEAST_BYTES).map(Self)
    }

    /// Takes or gives back what the stream has more or less than before, now that it holds so much.
    pub(super) fn resize(&mut self, hub: &Hub, bytes: usize) -> Result<(), Problem> {
        let wanted = Self::LEAST_BYTES + bytes.next_multiple_of(Self::STEP_BYTES);
        let held = self.0.num_permits();
        if wanted > held {
            self.0.merge(body::take(hub, wanted - held)?);
        } else if wanted < held {
            drop(self.0.split(held - wanted));
        }
        Ok(())
    }
}
