//! Answers of the log to what a subscription asks for.

use std::time::Instant;

use super::Shared;
use crate::{
    cursor::Offset,
    log::{Bounds, Page, ReadError, ReadLimits, Since},
    matcher::Filter,
    subscription::{Sought, Subscription},
};

/// What the log says.
#[derive(Debug)]
pub(super) enum Answer {
    Resolved(Result<Option<Offset>, ReadError>, Bounds),
    Read(Result<Page, ReadError>, Bounds),
}

impl Answer {
    pub(super) async fn resolve(shared: &Shared, sought: &Sought) -> Self {
        let found = match sought {
            Sought::Id(id) => shared.log.resolve(id).await,
            Sought::Ahead(cursor) => {
                let reached = shared.log.reach(cursor.reaches()).await;
                reached.map(|reached| reached.then_some(cursor.offset))
            }
        };
        Self::Resolved(found, shared.log.bounds())
    }

    pub(super) async fn read(
        shared: &Shared,
        filter: &Filter,
        since: Since,
        limits: ReadLimits,
    ) -> Self {
        shared.counters.log_read();
        // Never closed, so the permit is always granted; held for the read alone.
        let _permit = shared.reads.acquire().await;
        let read = shared.log.read(since, filter, limits).await;
        Self::Read(read, shared.log.bounds())
    }

    /// The record at `offset`, if it is still there.
    #[cfg(feature = "engine")]
    pub(super) async fn record(
        shared: &Shared,
        offset: Offset,
    ) -> Result<Option<crate::record::SharedRecord>, ReadError> {
        shared.counters.log_read();
        let _permit = shared.reads.acquire().await;
        shared.log.record(offset).await
    }

    pub(super) fn give(self, machine: &mut Subscription, now: Instant) {
        match self {
            Self::Resolved(found, bounds) => machine.handle_resolved(found, bounds, now),
            Self::Read(read, bounds) => machine.handle_read(read, bounds, now),
        }
    }
}
