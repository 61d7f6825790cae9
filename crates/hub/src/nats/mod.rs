//! The clustered log: one NATS JetStream stream, that any number of hubs append to and follow.
//!
//! ```text
//!              hub                                    NATS              other hubs
//!  append ─► Appender ── a batch, in one message ──► stream ─────────────► …
//!    ▲                                                 │
//!    │ what became of it                               │ every message, in order
//!    └──────────── State ◄── fold ◄── Follower ◄───────┘
//!                   │  └─► Feed ─► the tail
//!                   └─► read: choose under a lock, then fetch from the stream or the cache
//! ```
//!
//! # The stream is the log, and every hub folds it alike
//!
//! A message holds one or more batches, each whole. Every hub reads every message in the stream's
//! order and folds it to the same state: which records there are and where, which idempotency
//! keys are known, what is trimmed. The fold looks at nothing but the messages; what time it is,
//! they say. So no hub is special, and none asks another: that a key is appended once, across all
//! hubs, follows from there being one order. Whoever sent a batch learns what became of it when it
//! comes back.
//!
//! A record's offset is the sequence of its message and its index there, so that it is the same for
//! every hub, whatever else goes wrong.
//!
//! # What is deleted
//!
//! The hubs trim by their own limits, which they share, and not the server by the stream's: to the
//! record, by rules for single topics, and remembering how far each topic was trimmed. Messages of
//! which nothing is kept are deleted later. What a hub that starts cannot know without them is
//! written into the stream before, as a checkpoint. Only from the front is anything deleted:
//! what is kept among much that is not is carried to the end first.
//!
//! # Epochs
//!
//! Every checkpoint says the epoch. A hub notices when the stream is not as it left it (see
//! `follower`), and when messages are missing that no checkpoint accounts for (see `opening`);
//! then it begins a new epoch. A log whose epoch has ended is [over](LogState::over), and has to be
//! opened anew.

mod appender;
mod catch_up;
mod census;
mod checkpoint;
mod checkpoints;
mod connect;
mod error;
mod follower;
mod health;
mod held;
mod limits;
mod message;
mod opening;
mod options;
mod pending;
mod reading;
mod secret;
mod servers;
mod state;
mod subject;
mod upkeep;

use std::{fmt, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tidings_server::{
    cursor::Offset,
    log::{
        AppendError, Appended, Batch, Bounds, Feed, Log, LogState, Look, Page, ReadError,
        ReadLimits, Selection, Since, Tail, TopicSummary,
    },
    matcher::Filter,
    record::{PublisherId, SharedRecord, Timestamp},
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use self::{
    appender::Queue,
    catch_up::CatchUp,
    connect::Link,
    health::Health,
    limits::Limits,
    message::BATCHES_HEADER_BYTES,
    pending::Pending,
    reading::Reading,
    state::{Location, State},
    subject::Subjects,
};
pub use self::{
    census::{Census, Entry},
    error::{Difference, Differences, Fault, OpenError},
    options::{
        Auth, Options, Replicas, ReplicasError, Site, Storage, StreamName, StreamNameError,
        TlsFiles,
    },
    secret::Secret,
    servers::{Servers, ServersError},
};

/// A log in a stream of NATS JetStream.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tidings_hub::nats::{NatsLog, Options};
/// use tidings_server::{log::Log, record::NewRecord, topic::Topic};
///
/// let log = NatsLog::open(Options::new("nats://127.0.0.1:4222".parse()?)).await?;
/// let appended = log.append(NewRecord::new(Topic::new("rooms/42")?, "hello").into()).await?;
/// println!("in the stream at {}", appended.last().expect("a batch of one"));
/// log.close().await;
/// # Ok(())
/// # }
/// ```
pub struct NatsLog {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    options: Options,
    limits: Limits,
    subjects: Subjects,
    link: Link,
    // From chance: tells this log's batches from those of others.
    node: u64,
    state: RwLock<State>,
    // The newest message that was folded.
    folded: watch::Sender<u64>,
    feed: Feed,
    health: Health,
    queue: Queue,
    pending: Pending,
    reading: Reading,
    catch_up: CatchUp,
}

impl NatsLog {
    // The feed only bridges the moment until its followers wake.
    const FEED_BYTES_MAX: usize = 8 << 20;
    // A read that misses records looks again, as they may have been trimmed or carried meanwhile.
    const LOOKS_MAX: u32 = 3;
    // `reopen` waits so long for what comes back by itself.
    const RECOVERY_WAIT: Duration = Duration::from_secs(10);

    /// Connects, makes the stream if it is not there, and reads what it holds.
    ///
    /// It reads all messages of the stream: about a second for some 100,000, or 100 MiB.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let link = Link::open(&options).await?;
        let state = link.permitted(opening::open(&link, &options, None)).await?;
        let shared = Arc::new(Shared {
            limits: Limits::of(&options),
            subjects: Subjects::of(&options.site.stream),
            node: rand::random(),
            folded: watch::Sender::new(state.through()),
            state: RwLock::new(state),
            feed: Feed::new(Self::FEED_BYTES_MAX),
            health: Health::new(),
            queue: Queue::default(),
            pending: Pending::new(options.append_wait),
            reading: Reading::new(link.clone()),
            catch_up: CatchUp::default(),
            link,
            options,
        });
        let mut tasks = JoinSet::new();
        let task = Arc::clone(&shared);
        tasks.spawn(async move { follower::run(&task).await });
        let task = Arc::clone(&shared);
        tasks.spawn(async move { appender::run(&task).await });
        let task = Arc::clone(&shared);
        tasks.spawn(async move { upkeep::run(&task).await });
        Ok(Self { shared, tasks: Mutex::new(tasks) })
    }
}

impl Shared {
    /// The largest message that the servers take, in bytes.
    fn message_bytes_max(&self) -> usize {
        self.link.client.max_payload().max(BATCHES_HEADER_BYTES)
    }

    /// Why no events are taken, if so. A connection that is broken is known at once, and that the
    /// stream is not followed only when a heartbeat is missing.
    fn latched(&self) -> Option<Arc<str>> {
        let is_broken =
            || self.link.client.connection_state() != async_nats::connection::State::Connected;
        self.health.latched().or_else(|| is_broken().then(|| "NATS is away".into()))
    }

    /// Waits until the message was folded.
    async fn has_folded(&self, sequence: u64) {
        let mut folded = self.folded.subscribe();
        // The sender is there as long as this is.
        let _ = folded.wait_for(|folded| *folded >= sequence).await;
    }

    async fn select(
        &self,
        since: Since,
        filter: &Filter,
        ReadLimits { records_max, bytes_max }: ReadLimits,
    ) -> Selection<Location> {
        let mut look = Look::new(since);
        loop {
            let selected =
                self.state.read().index.select(&mut look, filter, records_max, bytes_max);
            if let Some(selection) = selected {
                return selection;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The record that `find` finds, if it is there.
    async fn one(
        &self,
        find: impl Fn(&State) -> Option<(Offset, Location)>,
    ) -> Result<Option<SharedRecord>, ReadError> {
        for _ in 0..NatsLog::LOOKS_MAX {
            let Some(place) = find(&self.state.read()) else { return Ok(None) };
            if let Some(record) = self.reading.records([place]).await?.pop() {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

impl Log for NatsLog {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(appender::append(&self.shared, batch))
    }

    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            let shared = &self.shared;
            let mut looks = 0;
            loop {
                looks += 1;
                let mut selection = shared.select(since, filter, limits).await;
                let places = selection.hits.iter().map(|hit| (hit.offset, hit.location));
                let mut records = shared.reading.records(places).await?;
                if records.len() < selection.hits.len() {
                    if looks < Self::LOOKS_MAX {
                        continue;
                    }
                    // Somebody else deleted them: then they are gone for whoever reads them.
                    let is_gone = |offset: &Offset| {
                        records.binary_search_by_key(offset, |record| record.offset).is_err()
                    };
                    let mut offsets = selection.hits.iter().map(|hit| hit.offset);
                    if let Some(gone) = offsets.rfind(is_gone) {
                        tracing::error!(offset = gone.0, "an event is missing in the stream");
                        let told = if gone > since.known() { gone } else { Offset::ZERO };
                        selection.trimmed = selection.trimmed.max(told);
                    }
                }
                records.retain(|record| filter.sees(record));
                return Ok(Page::of(&selection, records));
            }
        })
    }

    fn tail(&self) -> Tail {
        self.shared.feed.tail()
    }

    fn bounds(&self) -> Bounds {
        let state = self.shared.state.read();
        Bounds { epoch: state.epoch, first: state.index.first(), last: state.index.last() }
    }

    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>> {
        Box::pin(async move {
            let find = |state: &State| {
                let hit = state.index.find_id(id)?;
                Some((hit.offset, hit.location))
            };
            let mut found = self.shared.one(find).await?;
            if found.is_none() {
                // Another hub may know it already.
                self.shared.catch_up().await?;
                found = self.shared.one(find).await?;
            }
            if found.is_none() {
                self.shared.catch_up_for_certain().await?;
                found = self.shared.one(find).await?;
            }
            // The index knows ids by their hashes alone.
            let found = found.filter(|record| record.new.id.as_ref() == Some(id));
            Ok(found.map(|record| record.offset))
        })
    }

    fn reach(&self, offset: Offset) -> BoxFuture<'_, Result<bool, ReadError>> {
        Box::pin(async move {
            let has_reached = || self.shared.state.read().index.last() >= offset;
            if !has_reached() {
                self.shared.catch_up().await?;
            }
            if !has_reached() {
                self.shared.catch_up_for_certain().await?;
            }
            Ok(has_reached())
        })
    }

    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>> {
        Box::pin(async move {
            let find = |state: &State| Some((offset, state.index.find(offset)?.location));
            self.shared.one(find).await
        })
    }

    fn ended(&self, filter: &Filter) -> Option<Offset> {
        self.shared.state.read().index.ended(filter)
    }

    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary> {
        self.shared.state.read().index.summaries(after, count_max, Timestamp::now())
    }

    fn state(&self) -> LogState {
        let mut log = LogState::default();
        {
            let state = self.shared.state.read();
            log.records = state.index.records();
            log.bytes = state.index.bytes();
            log.topics = state.index.topics_with_records();
        }
        log.latched = self.shared.latched();
        log.over = self.shared.health.over();
        log.behind = self.shared.health.behind();
        log
    }

    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async {
            let recovered = self.shared.health.recovered(Self::RECOVERY_WAIT).await;
            recovered.map_err(|cause| AppendError::Latched { cause })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.shared.health.close();
            while !self.shared.pending.is_empty() && self.shared.health.over().is_none() {
                // Each is answered, or given up, before long.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut tasks = std::mem::take(&mut *self.tasks.lock());
            tasks.shutdown().await;
            // Of a log that is over, some are still waiting, and nobody else answers them now.
            self.shared.pending.expire(Instant::now() + self.shared.options.append_wait);
        })
    }
}

impl fmt::Debug for NatsLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("NatsLog");
        out.field("stream", &self.shared.options.site.stream.as_str()).finish_non_exhaustive()
    }
}
