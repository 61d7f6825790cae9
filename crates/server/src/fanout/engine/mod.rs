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
//! peer that takes only a part of what is written its place is kept, and how many bytes of which
//! event it took: the rest is encoded again, from the tail or from the log. (Where a notice follows
//! events in one write, as at the end of a stream, the bytes are kept until they are taken.)
//!
//! [`Subscription`]: crate::subscription::Subscription

mod behind;
mod desk;
mod follow;
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
    shards: Vec<Arc<Inbox>>,
    next: AtomicUsize,
    lines: watch::Sender<usize>,
}

impl Engine {
    // As good as never, and no moment that cannot be told.
    const SLOW_WRITE_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

    /// Starts the threads. What they ask of the log runs in the present tokio runtime.
    ///
    /// # Errors
    /// Those of the system, which has no more descriptors or threads. The operator's to mend.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(fanout: &Fanout, config: EngineConfig) -> io::Result<Self> {
        let slow_write = config.slow_write.min(Self::SLOW_WRITE_MAX);
        let config = EngineConfig { slow_write, ..config };
        let (shards, next, lines) = (Vec::new(), AtomicUsize::new(0), watch::Sender::new(0));
        // If one of them cannot start, the others end with it.
        let mut engine = Self { shards, next, lines };
        for number in 0..config.shards.get() {
            let runtime = Handle::current();
            let shard = Shard::new(fanout, config, runtime, engine.lines.clone())?;
            engine.shards.push(shard.inbox());
            thread::Builder::new()
                .name(format!("tidings-shard-{number}"))
                .spawn(move || shard.run())?;
        }
        Ok(engine)
    }

    /// Takes over a connection for the subscriber, which must not have been polled. The stream ends
    /// as one in an HTTP body does, and the connection with it. An engine that has ended closes it
    /// at once.
    pub fn adopt(&self, subscriber: Subscriber, connection: Connection) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        self.lines.send_modify(|lines| *lines += 1);
        let mut message = Message::Adopt(Box::new((subscriber, connection)));
        // One that has ended gives it back: the next may have it.
        for shard in self.shards.iter().cycle().skip(next).take(self.shards.len()) {
            match shard.put(message) {
                Ok(()) => return,
                Err(back) => message = back,
            }
        }
        drop(message);
        self.lines.send_modify(|lines| *lines -= 1);
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
