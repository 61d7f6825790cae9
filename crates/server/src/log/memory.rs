//! The memory log: keeps its history in the process, and forgets it with the process.

use std::{collections::BTreeMap, sync::Arc};

use futures_core::future::BoxFuture;
use parking_lot::RwLock;

use super::{
    AppendError, Appended, Batch, Bounds, Feed, Index, KeyWindow, Keys, Log, LogState, Look, Page,
    Place, ReadError, ReadLimits, Retention, Since, Tail, Taken, TopicRules, TopicSummary,
};
use crate::{
    cursor::{Epoch, Offset},
    matcher::Filter,
    record::{PublisherId, Record, SharedRecord, Timestamp},
};

/// A log in memory: a bounded history, a new epoch each time it is made.
#[derive(Debug)]
pub struct MemoryLog {
    epoch: Epoch,
    retention: Retention,
    feed: Feed,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    // Those that the index has.
    records: BTreeMap<Offset, SharedRecord>,
    index: Index<()>,
    keys: Keys,
    time: Timestamp,
    closed: bool,
}

impl MemoryLog {
    /// The memory log's default bound in bytes: 64 MiB.
    pub const BYTES_MAX_DEFAULT: u64 = 64 << 20;
    // The feed only bridges the moment until its followers wake.
    const FEED_BYTES_MAX: usize = 8 << 20;

    /// An empty log. `seed` must be random: it names the epoch.
    pub fn new(retention: Retention, seed: u64) -> Self {
        let state = State {
            records: BTreeMap::new(),
            index: Index::new(Offset::ZERO),
            keys: Keys::new(KeyWindow::default()),
            time: Timestamp::default(),
            closed: false,
        };
        Self {
            epoch: Epoch::from_random(seed),
            retention,
            feed: Feed::new(Self::FEED_BYTES_MAX),
            state: RwLock::new(state),
        }
    }

    /// Keeps at most `bytes_max` bytes for followers of the tail that have not woken yet.
    /// Default 8 MiB.
    #[must_use]
    pub fn with_feed_bytes_max(mut self, bytes_max: usize) -> Self {
        self.feed = Feed::new(bytes_max);
        self
    }

    /// Knows idempotency keys for this long, and so many. Default [`KeyWindow::default`].
    #[must_use]
    pub fn with_key_window(mut self, window: KeyWindow) -> Self {
        self.state.get_mut().keys = Keys::new(window);
        self
    }

    /// Trims topics by these rules besides. Default none.
    #[must_use]
    pub fn with_topic_rules(mut self, rules: TopicRules) -> Self {
        self.state.get_mut().index = Index::new(Offset::ZERO).with_rules(rules);
        self
    }

    fn append_now(&self, batch: Batch) -> Result<Appended, AppendError> {
        let mut state = self.state.write();
        if state.closed {
            return Err(AppendError::Closed);
        }
        state.time = state.time.max(Timestamp::now());
        let time = state.time;
        let last = state.index.last();
        let taken = state.keys.take(&batch.records, last, time)?;
        let mut appended = Vec::with_capacity(batch.records.len());
        for (new, taken) in batch.records.into_iter().zip(&taken) {
            let offset = match *taken {
                Taken::Appended(offset) => offset,
                Taken::Repeated(_) => continue,
                Taken::Passed => {
                    let offset = state.index.last();
                    appended.push(Arc::new(Record { offset, time, new }));
                    continue;
                }
            };
            let record = Arc::new(Record { offset, time, new });
            let bytes = u32::try_from(record.memory_bytes()).unwrap_or(u32::MAX);
            let earliest = record.new.id.as_ref().is_none_or(|id| !state.index.has_id(id));
            let place = Place { offset, time, bytes, location: () };
            state.index.push(place, &record.new, earliest);
            state.records.insert(offset, Arc::clone(&record));
            appended.push(record);
        }
        state.keys.trim();
        state.trim(&self.retention, time);
        // Inside the lock: the order of the feed is the order of the offsets.
        self.feed.publish(appended);
        Ok(Appended::new(self.epoch, taken))
    }
}

impl State {
    fn page(&self, look: &mut Look, filter: &Filter, limits: ReadLimits) -> Option<Page> {
        let ReadLimits { records_max, bytes_max } = limits;
        let selection = self.index.select(look, filter, records_max, bytes_max)?;
        let records = selection.hits.iter().filter_map(|hit| self.records.get(&hit.offset));
        let records = records.filter(|record| filter.sees(record)).cloned().collect();
        Some(Page::of(&selection, records))
    }

    fn trim(&mut self, retention: &Retention, now: Timestamp) {
        let Self { index, records, .. } = self;
        index.trim(retention, now, usize::MAX, |dropped| {
            records.remove(&dropped.offset);
        });
    }
}

impl Log for MemoryLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move { self.append_now(batch) })
    }

    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            self.trim_by_age();
            let mut look = Look::new(since);
            loop {
                if let Some(page) = self.state.read().page(&mut look, filter, limits) {
                    return Ok(page);
                }
                tokio::task::yield_now().await;
            }
        })
    }

    fn tail(&self) -> Tail {
        self.feed.tail()
    }

    fn bounds(&self) -> Bounds {
        self.trim_by_age();
        let state = self.state.read();
        Bounds { epoch: self.epoch, first: state.index.first(), last: state.index.last() }
    }

    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>> {
        Box::pin(async move {
            let state = self.state.read();
            let found = state.index.find_id(id).and_then(|hit| state.records.get(&hit.offset));
            Ok(found
                .filter(|record| record.new.id.as_ref() == Some(id))
                .map(|record| record.offset))
        })
    }

    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>> {
        Box::pin(async move {
            self.trim_by_age();
            Ok(self.state.read().records.get(&offset).cloned())
        })
    }

    fn ended(&self, filter: &Filter) -> Option<Offset> {
        self.state.read().index.ended(filter)
    }

    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary> {
        self.state.read().index.summaries(after, count_max, Timestamp::now())
    }

    fn state(&self) -> LogState {
        let state = self.state.read();
        LogState {
            records: state.index.records(),
            bytes: state.index.bytes(),
            topics: state.index.topics_with_records(),
            ..LogState::default()
        }
    }

    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async { Ok(()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.state.write().closed = true })
    }
}

impl MemoryLog {
    fn trim_by_age(&self) {
        let now = Timestamp::now();
        if self.state.read().index.is_over(&self.retention, now) {
            self.state.write().trim(&self.retention, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin};

    use super::*;
    use crate::log::{
        SharedLog,
        contract::{Setup, Subject, sparse::Sparse},
    };

    fn open(setup: Setup) -> MemoryLog {
        let log = MemoryLog::new(setup.retention, 1).with_key_window(setup.keys);
        log.with_topic_rules(setup.rules)
    }

    struct Memory;

    impl Subject for Memory {
        fn open_with(&self, setup: Setup) -> SharedLog {
            Arc::new(open(setup))
        }

        fn reopen_with(
            &self,
            log: SharedLog,
            _: Setup,
        ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>> {
            Box::pin(async { log })
        }
    }

    crate::contract_tests!(Memory);

    /// The same logs, with gaps between their offsets.
    struct Gaps;

    impl Subject for Gaps {
        fn open_with(&self, setup: Setup) -> SharedLog {
            Arc::new(Sparse::new(open(setup)))
        }

        fn reopen_with(
            &self,
            log: SharedLog,
            _: Setup,
        ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>> {
            Box::pin(async { log })
        }
    }

    mod with_gaps {
        crate::contract_tests!(super::Gaps);
    }
}
