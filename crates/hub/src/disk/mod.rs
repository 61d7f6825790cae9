//! The disk log: segment files of its own, and an index in memory that a start rebuilds.
//!
//! ```text
//!  append ─► queue ─► writer ── frame ──► active segment ── fdatasync ─┐
//!                    (thread)                                           │
//!                       ▲      index ◄── feed ◄── answer ◄──────────────┘
//!                       │        │
//!    helper (thread) ───┘        └─► read: choose under a lock, then pread
//!    prepares the next segment, removes those that are trimmed, compacts those that mostly are
//! ```
//!
//! # The directory
//!
//! ```text
//!  LOCK              held by the process that has the log open; its inode and time of birth
//!                    tell this directory from a copy
//!  manifest          format, epoch, and how the log was left, as text with a checksum
//!  trims             how far each topic was trimmed, written before segments are removed
//!  0000000007.log    segments, in order
//!  0000000008.log
//!  *.damaged         what a start could not trust, set aside
//! ```
//!
//! A segment is zeroed in advance, so that a commit changes no metadata. All numbers are
//! little-endian; a checksum is the CRC-32 of all that follows it in its frame or record.
//!
//! ```text
//!  segment   magic F7 "tidings" │ format u32 │ number u32 │ prepared bytes u32 │ checksum u32 │
//!            frames… │ zeros up to the prepared bytes
//!  frame     magic F7 "Tf" FE │ checksum u32 │ body bytes u32 │ records u32 │ first offset u64 │
//!            chain u32 │ zero sectors u32 │ checksum of bytes 8 to 31 u32 │ 0 u32 │ records… │
//!            zeros up to a multiple of 8 bytes, and over the end of a sector that is too short
//!            for the next header
//!  record    checksum u32 │ bytes after this field u32 │ offset u64 │ time ms u64 │ flags u16 │
//!            topics u16 │ topics: (bytes u16 │ text)… │ [event: bytes u32 │ text] │
//!            [id: bytes u16 │ text] │ [retry: s u64 │ ns u32] │
//!            [idempotency key: digest 16 bytes │ fingerprint 16 bytes] │ data
//!
//!  compacted the segment's header, its bytes as prepared │ magic F7 "Tc" FE │ checksum u32 of all
//!            that follows │ first number that it stands for u32 │ chain u32 │ next chain u32 │
//!            records u32 │ first offset u64 │ next offset u64 │ bytes of records u32 │ 0 u32 │
//!            records…
//!  trims     magic F7 "tidtri3" │ first offset u64 │ first segment u64 │ floor u64 │
//!            topics: (trimmed u64 │ remembered u64 │ ended u64 │ bytes u16 │ text)… │ checksum u32
//! ```
//!
//! A frame is what one commit writes, whole or not at all. Its *chain* is the checksum of the
//! frame before it, also across segments: bytes of an earlier write never pass for the next
//! frame, and a segment that is missing or cut off is noticed. Any change of the format is a
//! new format number, which older versions refuse, and this version reads all before it:
//!
//! | format | since |
//! | --- | --- |
//! | 1 | the beginning |
//! | 2 | records may have idempotency keys |
//! | 3 | records may be marks: the end of a topic, or its opening; segments may be compacted |
//!
//! The keys that the log knows are rebuilt from the records by a start. A record that retention
//! has trimmed lies there until its segment is removed or compacted, and its key counts until then.
//!
//! # Compaction
//!
//! Segments go from the front, once all their records are trimmed. Where topics are trimmed by
//! rules of their own, one old record would keep all that came after it. So the helper copies what
//! is left of neighbours that are together less than half live into one *compacted* segment: it
//! has the number of the last of them and stands for all, and it says which chain leads in and
//! out. Before anything is left out the trims are written, so that a start does not list again for
//! a topic what that had trimmed. The copy gets its name at once, in place of the last source; a
//! start that finds sources beside it removes them. What was trimmed by then and lies in no
//! snapshot may be found again after a crash, and is trimmed again.
//!
//! With that, the segments before the one that is written take at most twice the bytes of the
//! records that are kept, and 72 bytes a file; while the helper works, its copy besides. No two
//! neighbours are together mostly trimmed, unless they hold half a segment of what is kept, so
//! that there are few files. What cannot be compacted, such as a segment with a record that cannot
//! be read, is passed over until the log is 64 segments further on, and holds up nothing else.
//!
//! # What a start finds
//!
//! - One frame at the end that was being written was never acknowledged under
//!   [`Durability::Fsync`]: it is cut off, and the epoch goes on. It must look the part: the
//!   segment has the length it was prepared with; the header is there, follows the last good
//!   frame, and has nothing but zeros after its extent, and more of its sectors (512 bytes, by
//!   their place in the file) are zeros than were when it was written. Or the header's sector is
//!   zeros, and nothing stands farther than the largest group reaches. A header that is zeros in
//!   a sector that is not is of a group that was withdrawn, see below.
//! - A whole frame that was not acknowledged, because the process ended first, is kept.
//! - Anything else that is missing or unreadable is damage: what stands after it is set aside,
//!   never deleted, and the log begins a new epoch. Only the loss of the oldest records leaves
//!   the newer ones where they are; it counts as a trim. The manifest says which segments there
//!   must be, and the trim snapshot which of them may be gone.
//! - One thing cannot be seen after an unclean end: that whole sectors turned to zeros over the
//!   end of what was written, or within the last frame, in the last segment, just as if they had
//!   never been written. No other damage that is short of forgery passes.
//! - After an unclean end under [`Durability::Os`], and in a copy of the directory, the log
//!   begins a new epoch too.
//!
//! # When a write fails
//!
//! The log latches: the group that was written and all that wait are refused, and reads go on.
//! The group's header is overwritten and that is synced; then nothing was appended, and the
//! answer is [`AppendError::Latched`]. If the disk refuses that too, a restart may find the group
//! or not, and the answer is [`AppendError::Unknown`]. `reopen` goes on in a fresh segment, whose
//! first frame is empty and chained to the last acknowledged one: what stood behind that is
//! superseded for good.

mod active;
mod compacted;
mod compaction;
mod frame;
mod helper;
mod manifest;
mod options;
mod pace;
mod queue;
mod read;
mod recover;
mod scan;
mod segment;
#[cfg(test)]
mod sim;
mod storage;
mod tail;
#[cfg(test)]
mod tests;
mod trims;
mod window;
mod writer;

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use futures_core::future::BoxFuture;
use parking_lot::RwLock;
use tidings_server::{
    cursor::{Epoch, Offset},
    log::{
        AppendError, Appended, Batch, Bounds, Feed, Index, Log, LogState, Look, Page, ReadError,
        ReadLimits, Selection, Since, Tail, TopicSummary,
    },
    matcher::Filter,
    record::{PublisherId, SharedRecord},
};

pub use self::options::{Durability, OpenError, Options};
use self::{
    active::Active,
    helper::Helper,
    queue::Queue,
    read::{Span, fetch, spans},
    recover::{Recovered, recover},
    segment::Segment,
    storage::{Disk, Storage},
    writer::Writer,
};
use crate::stored;

/// A log in a directory.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tidings_hub::disk::{DiskLog, Options};
/// use tidings_server::{log::Log, record::NewRecord, topic::Topic};
///
/// let log = DiskLog::open(Options::new("/var/lib/tidings"))?;
/// let appended = log.append(NewRecord::new(Topic::new("rooms/42")?, "hello").into()).await?;
/// println!("durable at {}", appended.last().expect("a batch of one"));
/// log.close().await;
/// # Ok(())
/// # }
/// ```
///
/// Reads need a tokio runtime, for its threads that may block. A log that is dropped without
/// [`close`](Log::close) is left as by a crash.
#[derive(Debug)]
pub struct DiskLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    storage: Arc<dyn Storage>,
    options: Options,
    epoch: Epoch,
    queue: Queue,
    state: RwLock<State>,
    feed: Feed,
}

#[derive(Debug)]
struct State {
    index: Index<Location>,
    // In order of their numbers; the last one is written.
    segments: VecDeque<Kept>,
    // Whether there may be segments to compact.
    may_compact: bool,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Location {
    segment: u32,
    at: u32,
}

/// A segment and the last record in it; of the one before, if it has none.
#[derive(Debug)]
struct Kept {
    segment: Arc<Segment>,
    last: Offset,
    // Of its records that are kept, and of the file.
    live_bytes: u64,
    file_bytes: u64,
}

impl DiskLog {
    /// Opens the log in the directory of the options, or makes one there.
    ///
    /// It blocks: about a second for a million records.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way. Nothing was lost by the attempt.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let storage = Disk::new(&options.dir).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                OpenError::NotDirectory { dir: options.dir.clone() }
            }
            _ => {
                let path = options.dir.clone();
                OpenError::Io { action: "make the directory", path, source }
            }
        })?;
        Self::open_on(Arc::new(storage), options, rand::random(), true)
    }

    fn open_on(
        storage: Arc<dyn Storage>,
        options: Options,
        seed: u64,
        helper_beside: bool,
    ) -> Result<Self, OpenError> {
        options.check()?;
        let Recovered { lock, manifest, scan } = recover(&*storage, &options, seed)?;
        let io = |source| OpenError::Io {
            action: "start the log in",
            path: options.dir.clone(),
            source,
        };
        let helper = Helper::new(Arc::clone(&storage), helper_beside).map_err(io)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(options.queue_records_max, options.queue_bytes_max),
            state: RwLock::new(State {
                index: scan.index,
                segments: scan.kept.into(),
                may_compact: true,
            }),
            feed: Feed::new(options.feed_bytes_max),
            epoch: manifest.epoch,
            options: options.clone(),
            storage,
        });
        shared.trim();
        let end = (scan.end, scan.chain);
        let active = Active::start(Arc::clone(&shared), lock, helper, manifest, end).map_err(io)?;
        let writer = Writer::new(Arc::clone(&shared), active, scan.keys, scan.time);
        let thread = thread::Builder::new().name("tidings-log".to_owned());
        let writer = thread.spawn(move || writer.run()).map_err(io)?;
        Ok(Self { shared, writer: Some(writer) })
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        self.shared.queue.stop();
        if let Some(writer) = self.writer.take() {
            // It has reported its own panic, if it had one.
            let _ = writer.join();
        }
    }
}

impl Log for DiskLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            // Also of ephemeral events, which wait in the queue as others do.
            let bytes = batch.records.iter().map(stored::encoded_bytes).sum();
            let bytes_max = self.shared.options.batch_bytes_max;
            if bytes > bytes_max {
                return Err(AppendError::TooLarge { bytes, bytes_max });
            }
            let answer = self.shared.queue.append(batch.records, bytes)?;
            let gone = |_| AppendError::Unknown { cause: "the log's writer ended".into() };
            answer.await.map_err(gone)?
        })
    }

    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            self.shared.trim();
            let mut look = Look::new(since);
            let (selection, spans) = loop {
                if let Some(selected) = self.shared.state.read().select(&mut look, filter, limits) {
                    break selected;
                }
                tokio::task::yield_now().await;
            };
            let mut records = Vec::new();
            if !spans.is_empty() {
                let fetched = read::blocking(move || fetch(&spans)).await?;
                let seen = fetched.into_iter().filter(|record| filter.sees(record));
                records.extend(seen.map(Arc::new));
            }
            Ok(Page::of(&selection, records))
        })
    }

    fn tail(&self) -> Tail {
        self.shared.feed.tail()
    }

    fn bounds(&self) -> Bounds {
        self.shared.trim();
        let state = self.shared.state.read();
        Bounds { epoch: self.shared.epoch, first: state.index.first(), last: state.index.last() }
    }

    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>> {
        Box::pin(async move {
            self.shared.trim();
            let spans = {
                let state = self.shared.state.read();
                let Some(hit) = state.index.find_id(id) else { return Ok(None) };
                spans(&state, &[hit])
            };
            let records = read::blocking(move || fetch(&spans)).await?;
            // The index knows ids by their hashes alone.
            let found = records.first().filter(|record| record.new.id.as_ref() == Some(id));
            Ok(found.map(|record| record.offset))
        })
    }

    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>> {
        Box::pin(async move {
            self.shared.trim();
            let spans = {
                let state = self.shared.state.read();
                let Some(hit) = state.index.find(offset) else { return Ok(None) };
                spans(&state, &[hit])
            };
            let records = read::blocking(move || fetch(&spans)).await?;
            Ok(records.into_iter().next().map(Arc::new))
        })
    }

    fn ended(&self, filter: &Filter) -> Option<Offset> {
        self.shared.state.read().index.ended(filter)
    }

    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary> {
        self.shared.trim();
        self.shared.state.read().index.summaries(after, count_max, self.shared.storage.now())
    }

    fn state(&self) -> LogState {
        self.shared.trim();
        let mut log = LogState::default();
        {
            let state = self.shared.state.read();
            log.records = state.index.records();
            log.bytes = state.index.bytes();
            log.topics = state.index.topics_with_records();
        }
        log.latched = self.shared.queue.latched();
        log
    }

    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async { self.shared.queue.reopen().await.unwrap_or(Err(AppendError::Closed)) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // An error means that the writer has ended, and there is nothing left to close.
            let _ = self.shared.queue.close().await;
        })
    }
}

impl Shared {
    // One trim holds the index this long at most: about five milliseconds.
    const TRIM_RECORDS_MAX: usize = 16_384;

    /// Trims what the retention keeps no longer. Whoever looks at the log does so first, so that
    /// the writer can answer before it trims, and no record is seen past its age.
    fn trim(&self) {
        let now = self.storage.now();
        let retention = &self.options.retention;
        while self.state.read().index.is_over(retention, now) {
            let State { index, segments, may_compact } = &mut *self.state.write();
            // Somebody else may have trimmed meanwhile.
            index.trim(retention, now, Self::TRIM_RECORDS_MAX, |dropped| {
                let number = dropped.location.segment;
                let at = segments.binary_search_by_key(&number, |kept| kept.segment.number);
                if let Some(kept) = at.ok().and_then(|at| segments.get_mut(at)) {
                    kept.live_bytes -= u64::from(dropped.bytes);
                    *may_compact |= kept.is_wasteful();
                }
            });
        }
    }
}

impl State {
    fn select(
        &self,
        look: &mut Look,
        filter: &Filter,
        limits: ReadLimits,
    ) -> Option<(Selection<Location>, Vec<Span>)> {
        let ReadLimits { records_max, bytes_max } = limits;
        let selection = self.index.select(look, filter, records_max, bytes_max)?;
        let spans = spans(self, &selection.hits);
        Some((selection, spans))
    }
}

impl State {
    fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        let at = self.segments.binary_search_by_key(&number, |kept| kept.segment.number).ok()?;
        self.segments.get(at).map(|kept| Arc::clone(&kept.segment))
    }
}

impl Kept {
    fn new(segment: &Arc<Segment>, last: Offset) -> Self {
        let file_bytes = segment.zeroed_bytes;
        Self { segment: Arc::clone(segment), last, live_bytes: 0, file_bytes }
    }
}
