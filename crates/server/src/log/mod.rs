//! The log: one ordered sequence of records, and the contract that every log keeps.

mod feed;
mod index;
mod keys;
mod memory;
mod retention;

#[cfg(any(test, feature = "contract"))]
/// The contract of a log, as tests that every log passes.
pub mod contract;

use std::{fmt, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use smallvec::SmallVec;

pub use self::{
    feed::{Feed, Tail, TailItem},
    index::{Hit, Index, Look, Place, Selection, Trim},
    keys::{KeyWindow, Keys},
    memory::MemoryLog,
    retention::{Retention, TopicRule, TopicRules},
};
use crate::{
    cursor::{Cursor, Epoch, Offset},
    matcher::Filter,
    record::{NewRecord, PublisherId, SharedRecord},
    topic::Topic,
};

/// An ordered, durable sequence of records.
///
/// The contract, which `contract` tests on every log:
///
/// - [`append`](Self::append) answers once the batch is as durable as the operator chose, all of
///   it or none. What it acknowledged is never lost but by retention.
/// - The records of a batch that are new get rising offsets in its order, with no other records
///   between them. They need not follow one another by one: only the answer says, for each record,
///   where it stands.
/// - A record with an idempotency key ([`NewRecord::once`]) is appended once: while the log knows
///   the key, the same event under it is a repetition, which appends nothing, changes nothing,
///   also not for how long the key is known, and is answered with the offset of the first. That
///   holds within a batch as well, of which the other records are appended all the same. Another
///   event under the key is [refused](AppendError::KeyReused), and the batch with it.
/// - Of publishes under one key at the same time one is appended, and the others are answered when
///   its outcome is known. A batch that was not appended leaves no key behind.
/// - A key is as durable as its record: stored with it, in one write. The log knows it for the
///   time and up to the count of its [`KeyWindow`], also when the record itself was trimmed
///   meanwhile; but after a restart only if the record was kept.
/// - A record is visible, to [`read`](Self::read), [`tail`](Self::tail), [`bounds`](Self::bounds),
///   [`resolve`](Self::resolve) and [`record`](Self::record), only once it is that durable; and whatever the tail has
///   yielded, or an append acknowledged, a read that starts later sees.
/// - The tail yields every committed record once and in order, whoever appended it, or says that
///   the follower fell behind.
/// - An [ephemeral](crate::record::Kind::Ephemeral) event is yielded by the tail in its turn, once
///   what is before it in its batch is visible. It takes no offset, and is nowhere else.
/// - The [end](crate::record::Kind::Ended) of a topic is a record like others: in its order, with
///   an offset, in reads and the tail.
/// - An offset is never used twice for different events within an epoch.
/// - The first failed write latches the log: appends are refused until
///   [`reopen`](Self::reopen) succeeds, reads go on.
pub trait Log: Send + Sync + 'static {
    /// Appends a batch, less what it repeats, all of it or none, and answers once it is durable.
    ///
    /// Dropping the future does not take the batch back: its outcome is then unknown.
    ///
    /// # Errors
    /// [`AppendError`] says whether something may have been appended.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// The records after a place that `filter` matches, oldest first, within `limits`; and
    /// whether others of them were trimmed.
    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>>;

    /// Follows the log from its present end.
    fn tail(&self) -> Tail;

    /// The epoch, and what there is to read.
    fn bounds(&self) -> Bounds;

    /// The offset of the earliest record with the publisher's id `id`, if it is still there.
    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>>;

    /// Whether the log has got as far as `offset`.
    ///
    /// A log that others append to takes in first what they had appended when it was asked, and so
    /// does [`resolve`](Self::resolve) before it says that there is no such id: whoever got an
    /// event from another of them may ask for what comes after it.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be found out at present.
    fn reach(&self, offset: Offset) -> BoxFuture<'_, Result<bool, ReadError>> {
        let reached = self.bounds().last >= offset;
        Box::pin(std::future::ready(Ok(reached)))
    }

    /// The record at `offset`, if it is still there.
    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>>;

    /// The place by which all of the topics that `filter` names had ended, and none was opened
    /// since: what is published to them from then on opens them again. None if one of them is open
    /// or was never ended, and with patterns, which topics to come may match.
    ///
    /// The end of a topic is known for as long as the log keeps a record of the topic, and
    /// afterwards while it remembers how far the topic was trimmed.
    fn ended(&self, filter: &Filter) -> Option<Offset>;

    /// The topics with records, by name, from the one after `after`: at most `count_max`.
    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary>;

    /// How the log is, for health checks and metrics.
    fn state(&self) -> LogState;

    /// Tries to leave the latched state.
    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>>;

    /// Finishes appends under way and closes the store cleanly. Later appends are refused.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A cheap handle on a log.
pub type SharedLog = Arc<dyn Log>;

/// Records to be appended together: all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// The records in their order.
    pub records: Vec<NewRecord>,
}

impl Batch {
    /// A batch of these records.
    pub fn new(records: Vec<NewRecord>) -> Self {
        Self { records }
    }
}

impl From<NewRecord> for Batch {
    fn from(record: NewRecord) -> Self {
        Self::new(vec![record])
    }
}

/// Where an acknowledged batch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The present epoch, in which all the offsets hold.
    pub epoch: Epoch,
    /// What became of each record, in the order of the batch.
    pub records: SmallVec<[Taken; 1]>,
}

impl Appended {
    /// Says where a batch stands.
    pub fn new(epoch: Epoch, records: SmallVec<[Taken; 1]>) -> Self {
        Self { epoch, records }
    }

    /// Where the batch's first record stands; none if it has none that is kept.
    pub fn first(&self) -> Option<Offset> {
        self.records.iter().find_map(Taken::offset)
    }

    /// Where the batch's last record stands; none if it has none that is kept.
    pub fn last(&self) -> Option<Offset> {
        self.records.iter().rev().find_map(Taken::offset)
    }
}

/// What became of a record of an acknowledged batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was appended, and stands there.
    Appended(Offset),
    /// It repeats the event that stands there, or stood there until it was trimmed.
    Repeated(Offset),
    /// It is ephemeral: it was handed to those who follow the tail, and stands nowhere.
    Passed,
}

impl Taken {
    /// Where the record stands, if it is kept.
    pub fn offset(&self) -> Option<Offset> {
        match *self {
            Self::Appended(offset) | Self::Repeated(offset) => Some(offset),
            Self::Passed => None,
        }
    }

    /// Whether nothing was appended for it.
    pub fn is_repeated(&self) -> bool {
        matches!(self, Self::Repeated(_))
    }
}

/// Why a batch was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Too much is waiting to be written. Nothing was appended; try again later.
    #[error("the log is overloaded: too many events are waiting to be written")]
    Overloaded,
    /// A write failed, or what the log is written to is away, and the log takes no more until that
    /// is mended. Nothing was appended.
    #[error("the log takes no events at present: {cause}")]
    Latched {
        /// What failed.
        cause: Arc<str>,
    },
    /// The batch may have been appended or not. Only an idempotency key makes a retry safe.
    #[error("the outcome of the append is unknown: {cause}")]
    Unknown {
        /// What failed.
        cause: Arc<str>,
    },
    /// The batch is larger than this log can take at once. The caller's to mend.
    #[error("the batch has {bytes} bytes, and this log takes at most {bytes_max} at once")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The largest that fits.
        bytes_max: usize,
    },
    /// A record has an idempotency key under which another event was published. Nothing was
    /// appended. The publisher's fault: a key stands for one event.
    #[error("the idempotency key was used for another event before")]
    KeyReused {
        /// Which record of the batch, counted from 0: the first such one.
        record: usize,
    },
    /// The log was closed. Nothing was appended.
    #[error("the log is closed")]
    Closed,
}

impl AppendError {
    /// Whether the same append may succeed later without repeating an event, whether or not its
    /// records have keys.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Latched { .. })
    }
}

/// How much one read may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Records a page.
    pub records_max: usize,
    /// Bytes of records a page, as the log counts them; a single larger record is given whole.
    pub bytes_max: usize,
}

impl Default for ReadLimits {
    /// 256 records, 256 KiB.
    fn default() -> Self {
        Self { records_max: 256, bytes_max: 256 << 10 }
    }
}

/// What a reader has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since {
    /// The place after which it reads on.
    pub after: Offset,
    /// What was trimmed up to here, it knows of. Zero, or before `after`, if of nothing.
    pub told: Offset,
    /// [`Page::trims_seen`] of the last page that it was given by this log for the same filter,
    /// since when neither of the others went back; zero if there is none. It spares the log to
    /// look at what it looked at then.
    pub trims_seen: u64,
}

impl Since {
    /// Of a reader that has what there is up to `after`, and knows of nothing that was trimmed
    /// after that.
    pub fn after(after: Offset) -> Self {
        Self { after, ..Self::default() }
    }

    /// Up to where it has the records, or knows that some are gone.
    pub fn known(&self) -> Offset {
        self.after.max(self.told)
    }
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The records in their order.
    pub records: Vec<SharedRecord>,
    /// All that matches up to here, and is kept, has been given: the next read goes on after it.
    pub through: Offset,
    /// The furthest record that the filter's topics match and that was trimmed, if the reader
    /// does not [know of it](Since::known); else zero.
    ///
    /// Records that match may be missing up to there, and none after it. It may lie before the
    /// page's records, among them, or after.
    pub trimmed: Offset,
    /// What the next read gives as [`Since::trims_seen`].
    pub trims_seen: u64,
}

impl Page {
    /// These records, and all there are up to `through`.
    pub fn new(records: Vec<SharedRecord>, through: Offset) -> Self {
        Self { records, through, trimmed: Offset::ZERO, trims_seen: 0 }
    }

    /// The page of what was selected, once its records were fetched.
    pub fn of<L>(selection: &Selection<L>, records: Vec<SharedRecord>) -> Self {
        let &Selection { through, trimmed, trims_seen, .. } = selection;
        Self { records, through, trimmed, trims_seen }
    }
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store could not be read. The environment's fault; try again later.
    #[error("the log could not be read: {cause}")]
    Store {
        /// What failed.
        cause: Arc<str>,
    },
}

impl ReadError {
    /// Whether the same read may succeed later.
    pub fn is_retryable(&self) -> bool {
        true
    }
}

/// What there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The incarnation of the log.
    pub epoch: Epoch,
    /// The oldest record's offset, or the one after `last` if there is none.
    pub first: Offset,
    /// The newest record's offset, kept even when that record is trimmed; zero if there never
    /// was one.
    pub last: Offset,
}

impl Bounds {
    /// The cursor before the oldest record.
    pub fn oldest(&self) -> Cursor {
        Cursor::new(self.epoch, self.first.previous())
    }

    /// The cursor after the newest record.
    pub fn latest(&self) -> Cursor {
        Cursor::new(self.epoch, self.last)
    }
}

/// A topic and what the log keeps of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSummary {
    /// The topic.
    pub topic: Topic,
    /// How many events it has.
    pub records: usize,
    /// The offset of its newest record.
    pub last: Offset,
    /// Whether it has ended, and was not opened since.
    pub ended: bool,
    /// How many of its events are of the last [`RECENT`](Self::RECENT).
    pub recent: usize,
}

impl TopicSummary {
    /// The time that [`recent`](Self::recent) looks back, to the second.
    pub const RECENT: Duration = Duration::from_secs(10);
}

/// How a log is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogState {
    /// Records kept.
    pub records: usize,
    /// Bytes of the records kept, as the log's retention counts them.
    pub bytes: u64,
    /// Topics with records.
    pub topics: usize,
    /// Why no appends are taken, if a write failed or what it is written to is away.
    pub latched: Option<Arc<str>>,
    /// Why the log has ended, if it has: it takes and gives nothing any more, and what is there is
    /// to be opened as another log, maybe of another epoch. Only of a log that others write to.
    pub over: Option<Arc<str>>,
    /// How much the log knows of that it has not taken in yet, in whatever others write it in: 0
    /// of a log that only this process writes.
    pub behind: u64,
}

impl fmt::Debug for dyn Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("bounds", &self.bounds()).finish_non_exhaustive()
    }
}
