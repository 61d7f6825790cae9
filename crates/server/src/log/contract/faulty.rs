//! Logs that misbehave, for the tests of those who use a log.

use std::{fmt, sync::Arc};

use futures_core::future::BoxFuture;

use crate::{
    cursor::Offset,
    log::{
        AppendError, Appended, Batch, Bounds, Log, LogState, MemoryLog, Page, ReadError,
        ReadLimits, Since, Tail, TopicSummary,
    },
    matcher::Filter,
    record::{PublisherId, SharedRecord},
};

/// What a log does otherwise than it should: what is not written it does as it should.
pub trait Fault: Send + Sync {
    /// In place of [`Log::append`].
    fn append<'a>(
        &'a self,
        log: &'a MemoryLog,
        batch: Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        log.append(batch)
    }

    /// In place of [`Log::read`].
    fn read<'a>(
        &'a self,
        log: &'a MemoryLog,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        log.read(since, filter, limits)
    }

    /// In place of [`Log::state`].
    fn state(&self, log: &MemoryLog) -> LogState {
        log.state()
    }

    /// In place of [`Log::reopen`].
    fn reopen<'a>(&'a self, log: &'a MemoryLog) -> BoxFuture<'a, Result<(), AppendError>> {
        log.reopen()
    }
}

/// A memory log with a [`Fault`].
pub struct Faulty {
    log: MemoryLog,
    fault: Arc<dyn Fault>,
}

impl Faulty {
    /// The log with the fault, which the test may keep a hand on.
    pub fn new(log: MemoryLog, fault: Arc<dyn Fault>) -> Self {
        Self { log, fault }
    }
}

impl Log for Faulty {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.fault.append(&self.log, batch)
    }

    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.fault.read(&self.log, since, filter, limits)
    }

    fn tail(&self) -> Tail {
        self.log.tail()
    }

    fn bounds(&self) -> Bounds {
        self.log.bounds()
    }

    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>> {
        self.log.resolve(id)
    }

    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>> {
        self.log.record(offset)
    }

    fn ended(&self, filter: &Filter) -> Option<Offset> {
        self.log.ended(filter)
    }

    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary> {
        self.log.topics(after, count_max)
    }

    fn state(&self) -> LogState {
        self.fault.state(&self.log)
    }

    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        self.fault.reopen(&self.log)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.log.close()
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("log", &self.log).finish_non_exhaustive()
    }
}
