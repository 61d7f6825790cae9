//! The fan-out: one follower of the log's tail, for any number of subscribers.
//!
//! ```text
//!             ┌───────────┐ records ┌───────────────┐  look   ┌────────────┐ bytes
//!  Log::tail ─►  follower ├────────►│ shared tail   │◄────────┤ Subscriber ├──────► body
//!             └─────┬─────┘         │ encoded once  │         └──┬───▲─────┘
//!                   │ rings         └───────────────┘            │   │
//!                   └────────────────────────────────────────────┼───┘
//!                        Log::read, for those behind the tail ◄──┘
//! ```

mod answer;
#[cfg(feature = "engine")]
pub mod engine;
mod filters;
mod interest;
mod membership;
mod open_session;
mod over;
mod registry;
mod ring;
mod session;
mod stats;
mod subscriber;

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use rand::RngExt as _;
use tokio::{sync::Semaphore, time::Instant};

use self::{
    filters::Filters,
    interest::{Closing, Interest},
    membership::Membership,
    open_session::OpenSession,
    registry::Registry,
    ring::Ring,
    stats::Counters,
};
pub use self::{
    registry::Sessions,
    session::{Closed, Fate, Follows, Session, SessionId},
    stats::FanoutStats,
    subscriber::Subscriber,
};
use crate::{
    cursor::Offset,
    log::{ReadLimits, SharedLog, Since, Tail, TailItem},
    matcher::Filter,
    record::{SharedRecord, Timestamp},
    subscriber_name::SubscriberName,
    subscription::{Start, Subscription, SubscriptionConfig},
    topic::Topic,
};

/// How a fan-out behaves.
#[derive(Debug, Clone, Copy)]
pub struct FanoutConfig {
    /// Bytes of records and frames in the shared tail. Default 64 MiB.
    pub tail_bytes_max: usize,
    /// Reads of the log under way at once, over all subscribers: the rest wait in line, so that
    /// many replays together leave room for publishing. Default 8.
    pub reads_max: usize,
    /// How many sessions that ended are remembered, for [`Fanout::sessions`]. Default 1,000, in at
    /// most 4 MiB; of them no more than four of a name.
    pub closed_sessions_max: usize,
}

impl Default for FanoutConfig {
    fn default() -> Self {
        Self { tail_bytes_max: 64 << 20, reads_max: 8, closed_sessions_max: 1_000 }
    }
}

/// Hands a log's events to its subscribers. Clones are handles on the same fan-out.
#[derive(Debug, Clone)]
pub struct Fanout(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    log: SharedLog,
    ring: RwLock<Ring>,
    interest: Mutex<Interest>,
    filters: Mutex<Filters>,
    // Every subscriber of a record up to here has been rung for.
    rung_through: AtomicU64,
    reads: Arc<Semaphore>,
    counters: Counters,
    registry: Registry,
    // Set once draining: whoever subscribes later is closed as well.
    closing: Mutex<Option<Drain>>,
}

#[derive(Debug, Clone, Copy)]
struct Drain {
    until: Instant,
    retry_min: Duration,
    retry_spread: Duration,
}

/// What a subscriber asks for.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// What it is to get.
    pub filter: Filter,
    /// Where it starts.
    pub start: Start,
    /// How the stream behaves.
    pub config: SubscriptionConfig,
}

/// Who subscribes.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The name by which it is known again; one that has none is given one by chance.
    pub name: Option<SubscriberName>,
    /// Its address, for those who ask for it.
    pub peer: Option<SocketAddr>,
}

impl Fanout {
    /// Follows `log` from now on, in a task of the present tokio runtime that ends with the last
    /// handle and subscriber, or with the log.
    pub fn start(log: SharedLog, config: FanoutConfig) -> Self {
        // In this order: what is committed in between is in both, and passed over once.
        let tail = log.tail();
        let bounds = log.bounds();
        let shared = Arc::new(Shared {
            ring: RwLock::new(Ring::new(bounds.epoch, bounds.last, config.tail_bytes_max)),
            log,
            interest: Mutex::default(),
            filters: Mutex::default(),
            rung_through: AtomicU64::new(bounds.last.0),
            reads: Arc::new(Semaphore::new(config.reads_max.max(1))),
            counters: Counters::default(),
            registry: Registry::new(config.closed_sessions_max, bounds.last),
            closing: Mutex::new(None),
        });
        tokio::spawn(follow(Arc::downgrade(&shared), tail));
        Self(shared)
    }

    /// A new subscriber. It starts at the log's state of this moment, however late it is polled.
    pub fn subscribe(&self, request: Subscribe) -> Subscriber {
        self.subscribe_as(Caller::default(), request)
    }

    /// A new subscriber of this name and address: as [`subscribe`](Self::subscribe).
    pub fn subscribe_as(&self, caller: Caller, request: Subscribe) -> Subscriber {
        let filter = self.0.filters.lock().shared(request.filter);
        let heard = self.0.ring.read().end().heard;
        let bounds = self.0.log.bounds();
        let now = Instant::now().into_std();
        let session = self.0.enter(caller, filter, &request.start);
        let told = Some(session.id.name.clone());
        let machine = Subscription::new(request.config, told, request.start, bounds, heard, now);
        if let Some(start) = machine.start() {
            session.place(start);
        }
        session.rest(machine.phase(), false);
        Subscriber::new(Membership::new(Arc::clone(&self.0), session), machine)
    }

    /// The sessions that are open and the last that ended, by name, from the one after `after`:
    /// at most `count_max`.
    pub fn sessions(&self, after: Option<&SessionId>, count_max: usize) -> Vec<Arc<Session>> {
        self.0.registry.page(after, count_max, self.0.rung_through())
    }

    /// What is known of the subscriber `name`.
    pub fn sessions_of(&self, name: &SubscriberName) -> Sessions {
        self.0.registry.sessions_of(name, self.0.rung_through())
    }

    /// What the fan-out has done, and how many it serves.
    pub fn stats(&self) -> FanoutStats {
        let tail_bytes = self.0.ring.read().bytes();
        self.0.counters.stats(tail_bytes)
    }

    /// How many subscribers follow `topic` by its name.
    pub fn topic_subscribers(&self, topic: &Topic) -> usize {
        self.0.interest.lock().of_topic(topic)
    }

    /// Closes every subscriber, each at its own random moment `within` the time given, after
    /// telling it its own random reconnection time out of `retry`, so that they neither leave nor
    /// return all at once. New subscribers are closed likewise.
    ///
    /// The time stays in force for as long as the subscriber finds nobody to connect to: the
    /// shortest must be one that bears repeating.
    pub fn drain(&self, within: Duration, retry: RangeInclusive<Duration>) {
        let (retry_min, retry_max) = retry.into_inner();
        let retry_spread = retry_max.saturating_sub(retry_min);
        let drain = Drain { until: Instant::now() + within, retry_min, retry_spread };
        *self.0.closing.lock() = Some(drain);
        let interest = self.0.interest.lock();
        interest.bells().for_each(|bell| bell.close(drain.closing()));
        interest.ring_all();
    }
}

impl Drain {
    fn closing(&self) -> Closing {
        let now = Instant::now();
        let mut random = rand::rng();
        let wait = self.until.saturating_duration_since(now).mul_f64(random.random());
        let retry = self.retry_min + self.retry_spread.mul_f64(random.random());
        Closing { retry, at: (now + wait).into_std() }
    }
}

impl Shared {
    fn enter(&self, caller: Caller, filter: Arc<Filter>, start: &Start) -> Arc<OpenSession> {
        let name = caller.name;
        let name = name.unwrap_or_else(|| SubscriberName::from_random(rand::random()));
        let resumed_after = start.requested().map(Box::from);
        self.registry.open(|serial| {
            let id = SessionId { name, serial };
            OpenSession::new(id, filter, caller.peer, resumed_after)
        })
    }

    // `mark` must have been read while it was still rung for.
    fn leave(&self, session: &OpenSession, mark: Offset) {
        let closed = Closed { at: Timestamp::now(), log_end: self.log.bounds().last };
        self.registry.close(session, mark, closed);
    }

    fn rung_through(&self) -> Offset {
        Offset(self.rung_through.load(Ordering::Acquire))
    }

    fn publish(&self, records: Vec<SharedRecord>) {
        let (before, through) = {
            let mut ring = self.ring.write();
            let before = ring.through();
            ring.push(records.iter().cloned());
            (before, ring.through())
        };
        self.interest.lock().ring(&records, before);
        self.rung_through.fetch_max(through.0, Ordering::Release);
    }

    // The tail lost its place: everybody looks again, and reads the log where the ring is short.
    fn restart(&self, through: Offset) {
        self.ring.write().reset(through);
        self.interest.lock().ring_all();
        self.rung_through.fetch_max(through.0, Ordering::Release);
    }
}

async fn follow(shared: Weak<Shared>, mut tail: Tail) {
    loop {
        let item = tail.next().await;
        let Some(shared) = shared.upgrade() else { return };
        match item {
            Some(TailItem::Records(records)) => {
                let through = shared.ring.read().through();
                let is_new =
                    |record: &SharedRecord| record.offset > through || !record.new.kind.is_kept();
                let new = records.into_iter().filter(is_new).collect();
                shared.publish(new);
            }
            Some(TailItem::Lagged) => catch_up(&shared).await,
            None => return,
        }
    }
}

// Reads from the log what the tail skipped: all that is committed by now, for the tail goes on
// from a place before the present end.
async fn catch_up(shared: &Shared) {
    let everything = Filter::everything();
    let end = shared.log.bounds().last;
    let mut failures = 0;
    loop {
        let through = shared.ring.read().through();
        if through >= end {
            return;
        }
        match shared.log.read(Since::after(through), &everything, ReadLimits::default()).await {
            // What is missing concerns those alone who follow it: everybody reads for himself.
            Ok(page) if page.trimmed > through => shared.restart(end.max(page.trimmed)),
            Ok(page) => {
                shared.publish(page.records);
                shared.ring.write().skip_to(page.through);
                // Those who look after many subscribers note it for all of them.
                shared.interest.lock().ring(&[], through);
            }
            Err(_) if failures < READ_RETRIES_MAX => {
                failures += 1;
                tokio::time::sleep(READ_RETRY).await;
            }
            // A record that stays unreadable concerns those alone who follow it: everybody reads
            // for himself what is missing here.
            Err(_) => shared.restart(end),
        }
    }
}

const READ_RETRY: Duration = Duration::from_millis(250);
// A second: whatever passes has passed by then.
const READ_RETRIES_MAX: u32 = 4;
