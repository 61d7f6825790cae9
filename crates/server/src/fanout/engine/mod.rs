//! The engine: streams on plain connections, written by a few threads of its own (feature
//! `engine`).
//!
//! ```text
//!                    ┌──────────────── shard ────────────────┐
//!  shared tail ─────►│ batch ─► groups ─► one write a line   ├──► sockets
//!   (rings once      │            ▲                          │
//!    a batch)        │  timers    └── lines out of step:     │
//!  Log::read ───────►│                a subscription each    │
//!                    └───────────────────────────────────────┘
//! ```
//!
//! A *line* is a connection whose request was answered with a stream. Its socket belongs to one
//! *shard*, a thread that waits for all its sockets at once. A line that has all that its shard
//! has seen is *in step*: it is a place in a list, with no task, no queue and no timer of its own.
//! When the shared tail grows, the shard puts the new frames of each group of lines together once,
//! and writes them to each line of the group with one call.
//!
//! A line that is not in step (new, slow, resuming, leaving) has a [`Subscription`], the same that
//! an HTTP body has, and the shard does what that asks for, until it is in step again. Of a
//! peer that takes only a part of what is written nothing is kept but its place, and how many
//! bytes of which event it took: the rest is encoded again, from the tail or from the log.
//!
//! [`Subscription`]: crate::subscription::Subscription

mod framing;
mod groups;
mod inbox;
mod line;
mod outgoing;
mod rest;
mod shard;
mod wheel;

use std::{
    any::Any,
    io,
    net::TcpStream,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

pub use self::framing::Framing;
use self::{
    inbox::{Inbox, Message},
    shard::Shard,
};
use super::{Fanout, Subscriber};

/// How an engine behaves.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// How many threads write. Default one a core that this process may use.
    pub shards: NonZeroUsize,
    /// The time after which a line is closed whose peer takes nothing. Default 60 s.
    pub slow_write: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let shards = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { shards, slow_write: Duration::from_secs(60) }
    }
}

/// A connection whose next bytes are those of a response with a stream.
pub struct Connection {
    /// The socket. Nothing that was written to it before may be on the way still.
    pub socket: TcpStream,
    /// The response's head, as it goes over the wire.
    pub head: Box<[u8]>,
    /// How the body is framed, as the head says.
    pub framing: Framing,
    /// Something that is to live as long as the connection.
    pub held: Box<dyn Any + Send>,
}

/// Writes streams to plain connections. It ends, and closes them, when it is dropped.
#[derive(Debug)]
pub struct Engine {
    shards: Box<[Arc<Inbox>]>,
    next: AtomicUsize,
    lines: watch::Sender<usize>,
}

impl Engine {
    /// Starts the threads. What they ask of the log runs in the present tokio runtime.
    ///
    /// # Errors
    /// Those of the system, which has no more descriptors or threads. The operator's to mend.
    pub fn start(fanout: &Fanout, config: EngineConfig) -> io::Result<Self> {
        let lines = watch::Sender::new(0);
        let mut shards = Vec::with_capacity(config.shards.get());
        for number in 0..config.shards.get() {
            let runtime = Handle::current();
            let shard = Shard::new(fanout, config, runtime, lines.clone())?;
            shards.push(shard.inbox());
            thread::Builder::new()
                .name(format!("tidings-shard-{number}"))
                .spawn(move || shard.run())?;
        }
        Ok(Self { shards: shards.into(), next: AtomicUsize::new(0), lines })
    }

    /// Takes over a connection for the subscriber. The stream ends as one in an HTTP body does,
    /// and the connection with it. An engine that has ended closes it at once.
    pub fn adopt(&self, subscriber: Subscriber, connection: Connection) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        self.lines.send_modify(|lines| *lines += 1);
        if !self.shards[next].put(Message::Adopt(Box::new((subscriber, connection)))) {
            self.lines.send_modify(|lines| *lines -= 1);
        }
    }

    /// How many connections it has.
    pub fn lines(&self) -> usize {
        *self.lines.borrow()
    }

    /// Waits until it has no connection.
    pub async fn all_gone(&self) {
        // It is never closed: the sender is here.
        let _ = self.lines.subscribe().wait_for(|lines| *lines == 0).await;
    }
}

impl Engine {
    /// Ends, and closes the connections that are left.
    pub fn stop(&self) {
        self.shards.iter().for_each(|shard| shard.stop());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { socket, framing, .. } = self;
        f.debug_struct("Connection")
            .field("socket", socket)
            .field("framing", framing)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
