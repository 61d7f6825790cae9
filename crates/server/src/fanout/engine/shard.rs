//! A shard: a thread, its lines, and what wakes it.

mod delivery;
mod timers;

use std::{
    collections::HashMap,
    io,
    net::Shutdown,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use slab::Slab;
use socket2::SockRef;
use tokio::{runtime::Handle, sync::watch};

use super::{
    Connection, EngineConfig,
    desk::{Desk, Next},
    groups::Groups,
    inbox::{Inbox, Message},
    line::{Line, LineKey, State},
    outgoing::Outgoing,
    wheel::{Clock, Tick, Wheel},
};
use crate::{
    cursor::Epoch,
    fanout::{
        Drain, Fanout, Shared, Subscriber,
        interest::{Bell, Closing},
    },
    subscription::{Delivered, SubscriptionConfig, TailPlace},
};

/// A thread's lines.
pub(super) struct Shard {
    poll: Poll,
    inbox: Arc<Inbox>,
    bell: Arc<Bell>,
    shared: Arc<Shared>,
    runtime: Handle,
    slow_write: Duration,
    open: watch::Sender<usize>,

    lines: Slab<Line>,
    serial: u32,
    groups: Groups,
    // Each once: nearly all lines have the same.
    configs: Vec<Arc<SubscriptionConfig>>,
    // Lines that go on in the next turn.
    again: Vec<LineKey>,
    // Lines that look again when the shard has seen more.
    look: Vec<LineKey>,
    wheel: Wheel<LineKey>,
    clock: Clock,
    now: Instant,
    tick: Tick,

    epoch: Epoch,
    // All lines that are in step have got all there is for them up to here.
    seen: TailPlace,
    drain: Option<Drain>,
    closings: HashMap<u32, Closing>,

    out: Outgoing,
    tally: Delivered,
    scratch: Box<[u8]>,
}

const WAKE: Token = Token(usize::MAX);

impl Shard {
    const EVENTS: usize = 1_024;
    // Unsent bytes in the kernel: enough to keep a fast peer busy, little for a stalled one.
    const NOT_SENT_BYTES_MAX: u32 = 64 << 10;
    // Whoever has more of them shares none for a while.
    const CONFIGS_MAX: usize = 64;

    pub(super) fn new(
        fanout: &Fanout,
        config: EngineConfig,
        runtime: Handle,
        open: watch::Sender<usize>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(mio::Waker::new(poll.registry(), WAKE)?));
        let shared = Arc::clone(&fanout.0);
        let (seen, epoch) = {
            let ring = shared.ring.read();
            (ring.end(), ring.epoch())
        };
        let bell = Arc::new(Bell::of_shard(seen.after));
        shared.interest.lock().add_shard(&bell);
        let now = Instant::now();
        let clock = Clock::new(now);
        Ok(Self {
            poll,
            inbox,
            bell,
            shared,
            runtime,
            slow_write: config.slow_write,
            open,
            lines: Slab::new(),
            serial: 0,
            groups: Groups::default(),
            configs: Vec::new(),
            again: Vec::new(),
            look: Vec::new(),
            wheel: Wheel::new(),
            clock,
            now,
            tick: clock.tick(now),
            epoch,
            seen,
            drain: None,
            closings: HashMap::new(),
            out: Outgoing::default(),
            tally: Delivered::default(),
            scratch: vec![0; 4 << 10].into(),
        })
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }

    /// Serves the lines until it is told to stop, and closes those that are left.
    pub(super) fn run(mut self) {
        // What a filter's closure does is not the shard's: the others' connections are closed in
        // good order, and the other shards go on.
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve()));
        if ended.is_err() {
            tracing::error!("a shard panicked; its connections are closed");
        }
        self.shared.interest.lock().remove_shard(&self.bell);
        let Self { inbox, lines, open, .. } = self;
        let late = inbox.close();
        let newcomers = late.iter().filter(|late| matches!(late, Message::Adopt(_))).count();
        let left = newcomers + lines.len();
        drop((late, lines));
        open.send_modify(|lines| *lines -= left);
    }

    fn serve(&mut self) {
        let mut events = Events::with_capacity(Self::EVENTS);
        let waker = Waker::from(Arc::clone(&self.inbox));
        let mut more = false;
        loop {
            // In this order: what rings from now on wakes the poll.
            self.bell.listen(&waker);
            let wait = match more || !self.again.is_empty() || self.bell.is_rung() {
                true => Some(Duration::ZERO),
                false => self.until_due(),
            };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard cannot wait for its connections and ends");
                return;
            }
            self.now = Instant::now();
            self.tick = self.clock.tick(self.now);
            // First of all: an event tells of the line that has the place, and not of one that
            // is given it by a message.
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.ready(event);
            }
            for message in self.inbox.take() {
                self.handle(message);
            }
            // After the messages: taking them is what lets the inbox wake the shard again.
            if self.inbox.is_stopped() {
                return;
            }
            for key in std::mem::take(&mut self.again) {
                self.go_on(key);
            }
            self.look_after_due();
            if self.bell.take().is_some() || more {
                self.start_drain();
                more = self.sweep();
            }
            if self.tally != Delivered::default() {
                self.shared.counters.add(std::mem::take(&mut self.tally));
            }
        }
    }

    fn until_due(&self) -> Option<Duration> {
        let due = self.clock.moment(self.wheel.next()?);
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Adopt(newcomer) => {
                let (subscriber, connection) = *newcomer;
                self.adopt(subscriber, connection);
            }
            Message::Answer(key, answer) => {
                let now = self.now;
                if let Some(line) = self.line(key) {
                    line.handle(|subscription| answer.give(subscription, now));
                    self.go_on(key);
                }
            }
            Message::Found(key, Ok(Some(record))) => {
                self.with(key, |line, desk| line.found(key, &record, desk));
            }
            // The rest of the event is gone: its subscriber comes back and is told.
            Message::Found(key, _) => self.remove(key),
        }
    }

    fn adopt(&mut self, subscriber: Subscriber, connection: Connection) {
        let Connection { socket, head, framing, held } = connection;
        let is_polled = subscriber.is_polled();
        let Subscriber { mut member, machine, .. } = subscriber;
        if is_polled {
            tracing::error!("a subscriber that was polled cannot be given to the engine");
            drop(member);
            self.open.send_modify(|lines| *lines -= 1);
            return;
        }
        prepare(&socket, self.slow_write);
        let config = self.shared_config(machine.config());
        member.join(&self.bell);
        let entry = self.lines.vacant_entry();
        let id = entry.key() as u32;
        self.serial = self.serial.wrapping_add(1);
        let key = LineKey { id, serial: self.serial };
        let mut socket = TcpStream::from_std(socket);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, Token(id as usize), interest)
        {
            tracing::warn!(%error, "a connection could not be waited for and is closed");
            drop(member);
            self.open.send_modify(|lines| *lines -= 1);
            return;
        }
        let seat = self.groups.join(id, &member.session.filter, machine.config().format, framing);
        entry.insert(Line::new(
            socket, key.serial, seat, framing, head, machine, member, held, config, self.tick,
        ));
        if let Some(drain) = self.drain {
            self.close(key, drain.closing());
        }
        self.go_on(key);
    }

    fn shared_config(&mut self, config: &SubscriptionConfig) -> Arc<SubscriptionConfig> {
        if let Some(known) = self.configs.iter().find(|known| ***known == *config) {
            return Arc::clone(known);
        }
        if self.configs.len() == Self::CONFIGS_MAX {
            self.configs.clear();
        }
        let config = Arc::new(*config);
        self.configs.push(Arc::clone(&config));
        config
    }

    fn line(&mut self, key: LineKey) -> Option<&mut Line> {
        self.lines.get_mut(key.id as usize).filter(|line| line.serial == key.serial)
    }

    fn ready(&mut self, event: &mio::event::Event) {
        let id = event.token().0;
        let Some(line) = self.lines.get_mut(id) else { return };
        let key = LineKey { id: id as u32, serial: line.serial };
        let gone = event.is_error()
            || ((event.is_readable() || event.is_read_closed()) && !line.hear(&mut self.scratch));
        if gone {
            return self.remove(key);
        }
        if event.is_writable()
            && let State::Behind(behind) = &mut line.state
            && behind.blocked.take().is_some()
        {
            self.go_on(key);
        }
    }

    fn go_on(&mut self, key: LineKey) {
        self.with(key, |line, desk| line.go_on(key, desk));
    }

    // Lets a line do something, and does what comes of it.
    fn with(&mut self, key: LineKey, act: impl FnOnce(&mut Line, &mut Desk<'_>) -> Next) {
        let Some(line) = self.lines.get_mut(key.id as usize) else { return };
        if line.serial != key.serial {
            return;
        }
        let mut desk = Desk {
            ring: &self.shared.ring,
            epoch: self.epoch,
            seen: self.seen,
            now: self.now,
            tick: self.tick,
            clock: self.clock,
            out: &mut self.out,
            tally: &mut self.tally,
            runtime: &self.runtime,
            inbox: &self.inbox,
        };
        let next = act(line, &mut desk);
        match next {
            Next::InStep => {
                let due = line.heartbeat_at(self.clock);
                self.schedule(key, due);
            }
            Next::Look(until) => {
                if line.will_look() {
                    self.look.push(key);
                }
                self.schedule(key, until);
            }
            Next::Again => self.again.push(key),
            Next::Wait(until) => self.schedule(key, until),
            Next::Blocked => self.schedule(key, self.now + self.slow_write),
            Next::Answer => {}
            Next::Gone => self.remove(key),
        }
    }

    fn remove(&mut self, key: LineKey) {
        if self.line(key).is_none() {
            return;
        }
        let mut line = self.lines.remove(key.id as usize);
        if line.is_within_event() {
            // So that also who knows the end only by the connection's sees that it is none.
            let _ = SockRef::from(&line.socket).set_linger(Some(Duration::ZERO));
        }
        if let Some(moved) = self.groups.leave(line.seat)
            && let Some(moved) = self.lines.get_mut(moved as usize)
        {
            moved.seat.at = line.seat.at;
        }
        self.closings.remove(&key.id);
        let _ = self.poll.registry().deregister(&mut line.socket);
        let _ = line.socket.shutdown(Shutdown::Write);
        drop(line);
        self.open.send_modify(|lines| *lines -= 1);
    }
}

// None of these is needed for correctness: an old kernel without them serves as well.
fn prepare(socket: &std::net::TcpStream, slow_write: Duration) {
    let _ = socket.set_nonblocking(true);
    let socket = SockRef::from(socket);
    // An event goes out when it is written; what can go together is written together.
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(Shard::NOT_SENT_BYTES_MAX);
    // A peer that vanished without a word is noticed by the heartbeats it does not confirm.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(slow_write));
}
