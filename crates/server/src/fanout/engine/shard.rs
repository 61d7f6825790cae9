//! A shard: a thread, its lines, and what wakes it.

use std::{
    collections::HashMap,
    io,
    net::Shutdown,
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
    groups::{Group, Groups},
    inbox::{Inbox, Message},
    line::{Desk, Line, LineKey, Next, Question, State},
    outgoing::Outgoing,
    wheel::{Clock, Tick, Wheel},
};
use crate::{
    cursor::Epoch,
    fanout::{
        Drain, Fanout, Shared, Subscriber,
        answer::Answer,
        interest::{Bell, Closing},
        ring::Entry,
    },
    record::Timestamp,
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
    // One look at the shared tail: as much as one write is to take along.
    const BATCH_ENTRIES: usize = 1_024;
    const BATCH_BYTES: usize = 64 << 10;
    const EVENTS: usize = 1_024;
    // Unsent bytes in the kernel: enough to keep a fast peer busy, little for a stalled one.
    const NOT_SENT_BYTES_MAX: u32 = 64 << 10;
    // Configurations beyond that are not looked for among the others.
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
        self.serve();
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
            let wait = match more || self.bell.is_rung() {
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
            if self.inbox.is_stopped() {
                return;
            }
            // First of all: an event tells of the line that has the place, and not of one that
            // is given it by a message.
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.ready(event);
            }
            for message in self.inbox.take() {
                self.handle(message);
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
        let Subscriber { mut member, machine, .. } = subscriber;
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
        let (runtime, shared, inbox) = (&self.runtime, &self.shared, &self.inbox);
        let filter = Arc::clone(&line.member.session.filter);
        let mut ask = |key: LineKey, question: Question| {
            let (shared, inbox, filter) = (Arc::clone(shared), Arc::clone(inbox), filter.clone());
            runtime.spawn(async move {
                let _ = inbox.put(match question {
                    Question::Resolve(id) => {
                        Message::Answer(key, Answer::resolve(&shared, &id).await)
                    }
                    Question::Read(since, limits) => {
                        Message::Answer(key, Answer::read(&shared, &filter, since, limits).await)
                    }
                    Question::Record(offset) => {
                        Message::Found(key, shared.log.record(offset).await)
                    }
                });
            });
        };
        let mut desk = Desk {
            ring: &self.shared.ring,
            epoch: self.epoch,
            seen: self.seen,
            now: self.now,
            tick: self.tick,
            clock: self.clock,
            out: &mut self.out,
            tally: &mut self.tally,
            ask: &mut ask,
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
            Next::Wait(until) => self.schedule(key, until),
            Next::Blocked => self.schedule(key, self.now + self.slow_write),
            Next::Answer => {}
            Next::Gone => self.remove(key),
        }
    }

    // It is looked after at that moment, or before.
    fn schedule(&mut self, key: LineKey, at: Instant) {
        let tick = self.clock.not_before(at);
        let Some(line) = self.line(key) else { return };
        if tick < line.due {
            line.due = tick;
            self.wheel.insert(tick, key);
        }
    }

    fn look_after_due(&mut self) {
        while let Some((tick, keys)) = self.wheel.pop(self.tick) {
            for key in keys {
                // Else it was looked after since.
                if let Some(line) = self.line(key).filter(|line| line.due == tick) {
                    line.due = Tick::NEVER;
                    self.look_after(key);
                }
            }
        }
    }

    fn look_after(&mut self, key: LineKey) {
        let (now, seen, clock, slow_write) = (self.now, self.seen, self.clock, self.slow_write);
        let closing = self.closings.get(&key.id).copied();
        let is_closing = closing.is_some_and(|closing| closing.at <= now);
        if is_closing {
            self.closings.remove(&key.id);
        }
        let Some(line) = self.line(key) else { return };
        if is_closing {
            // One that takes nothing hears of it as soon as it takes something.
            line.fall_back(seen).closing = closing;
        } else if let Some(closing) = closing {
            self.schedule(key, closing.at);
        }
        let Some(line) = self.line(key) else { return };
        if let State::Behind(behind) = &line.state
            && let Some(since) = behind.blocked
        {
            let until = clock.moment(since) + slow_write;
            if until > now {
                return self.schedule(key, until);
            }
            // Closing in peace would leave what is unsent with the kernel, for a peer that is not
            // there.
            let _ = SockRef::from(&line.socket).set_linger(Some(Duration::ZERO));
            return self.remove(key);
        }
        if let State::InStep = line.state {
            let heartbeat_at = line.heartbeat_at(clock);
            if heartbeat_at > now {
                return self.schedule(key, heartbeat_at);
            }
            line.fall_back(seen);
        }
        self.go_on(key);
    }

    fn start_drain(&mut self) {
        let drain = *self.shared.closing.lock();
        if self.drain.is_some() || drain.is_none() {
            return;
        }
        self.drain = drain;
        let keys: Vec<_> = self.keys().collect();
        for (key, drain) in keys.into_iter().zip(std::iter::repeat(drain).flatten()) {
            self.close(key, drain.closing());
        }
    }

    fn close(&mut self, key: LineKey, closing: Closing) {
        self.closings.insert(key.id, closing);
        self.schedule(key, closing.at);
    }

    fn keys(&self) -> impl Iterator<Item = LineKey> {
        self.lines.iter().map(|(id, line)| LineKey { id: id as u32, serial: line.serial })
    }

    /// Brings the lines in step up to the tail's end, or a part of the way; says whether there is
    /// more.
    fn sweep(&mut self) -> bool {
        let (before, shared) = (self.seen, Arc::clone(&self.shared));
        let (batch, end) = {
            let ring = shared.ring.read();
            (ring.since(before, Self::BATCH_ENTRIES, Self::BATCH_BYTES), ring.end())
        };
        match batch {
            Some((entries, through)) => {
                self.seen = through;
                self.deliver(&entries, before);
            }
            // The tail went on too far: each line reads the log for itself.
            None => {
                self.seen = end;
                for key in self.keys().collect::<Vec<_>>() {
                    if let Some(line) = self.line(key).filter(|line| line.is_in_step()) {
                        line.fall_back(before);
                        self.go_on(key);
                    }
                }
            }
        }
        self.bell.sweep(self.seen.after);
        for key in std::mem::take(&mut self.look) {
            if let Some(line) = self.line(key) {
                line.looks();
                self.go_on(key);
            }
        }
        self.seen != end
    }

    // Sends each group what is for it.
    fn deliver(&mut self, entries: &[Arc<Entry>], before: TailPlace) {
        let (mut dirty, mut found) = (Vec::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate() {
            let at = at as u32;
            for topic in &entry.record.new.topics {
                self.groups.following(topic, &mut found);
                for &id in &found {
                    let Some(group) = self.groups.get_mut(id) else { continue };
                    if group.pending.last() == Some(&at) || !group.filter.sees(&entry.record) {
                        continue;
                    }
                    if group.pending.is_empty() {
                        dirty.push(id);
                    }
                    group.pending.push(at);
                }
            }
        }
        for id in dirty {
            self.deliver_to(id, entries, before);
        }
    }

    fn deliver_to(&mut self, id: u32, entries: &[Arc<Entry>], before: TailPlace) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let mut out = std::mem::take(&mut self.out);
        let (last, marks) = put_together(group, entries, before, self.epoch, &mut out);
        group.pending.clear();
        let lines = std::mem::take(&mut group.lines);
        let bytes = &out.bytes[..];
        let mut others = Vec::new();
        for &id in &lines {
            let Some(line) = self.lines.get_mut(id as usize) else { continue };
            if bytes.is_empty() || !line.is_in_step() {
                continue;
            }
            let written = line.write(bytes);
            if !written.as_ref().is_ok_and(|&written| written == bytes.len()) {
                others.push((LineKey { id, serial: line.serial }, written.ok()));
                line.fall_back(before);
            }
        }
        // In a round of its own: a send leaves little in the caches, and what is noted here of one
        // line after the other is fetched together.
        let delivered = Delivered { events: out.events(), bytes: bytes.len() as u64, gap: None };
        let (mut taken, now) = (0, Timestamp::now());
        for &id in &lines {
            let Some(line) = self.lines.get_mut(id as usize) else { continue };
            if !bytes.is_empty() && line.is_in_step() {
                line.sent_at = self.tick;
                line.told = last.unwrap_or(line.told);
                line.member.session.hand_over(self.seen.after, delivered, now);
                taken += 1;
            }
        }
        self.tally.events += taken * delivered.events;
        self.tally.bytes += taken * delivered.bytes;
        for &(key, written) in &others {
            if let (Some(line), Some(written)) = (self.lines.get_mut(key.id as usize), written) {
                line.fall_behind(before, &out, written, &mut self.tally, self.tick);
                if marks {
                    // The mark may lie before the event that is half sent.
                    line.ask_ended(self.seen);
                }
            }
        }
        let ending: Vec<_> = match marks {
            true => lines.clone(),
            false => Vec::new(),
        };
        if let Some(group) = self.groups.get_mut(id) {
            group.lines = lines;
        }
        self.out = out;
        for (key, written) in others {
            match written {
                Some(_) => self.schedule(key, self.now + self.slow_write),
                None => self.remove(key),
            }
        }
        for id in ending {
            let Some(line) = self.lines.get_mut(id as usize).filter(|line| line.is_in_step())
            else {
                continue;
            };
            line.ask_ended(self.seen);
            let key = LineKey { id, serial: line.serial };
            self.go_on(key);
        }
    }

    fn remove(&mut self, key: LineKey) {
        if self.line(key).is_none() {
            return;
        }
        let mut line = self.lines.remove(key.id as usize);
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

// The frames of what is pending for a group; the last record among them, and whether a topic
// ended or was opened.
fn put_together(
    group: &Group,
    entries: &[Arc<Entry>],
    before: TailPlace,
    epoch: Epoch,
    out: &mut Outgoing,
) -> (Option<crate::cursor::Offset>, bool) {
    let (mut last, mut marks) = (None, false);
    out.clear();
    out.start_events(before);
    for entry in group.pending.iter().filter_map(|&at| entries.get(at as usize)) {
        let kind = entry.record.new.kind;
        if !kind.is_event() {
            marks = true;
            continue;
        }
        let (place, kept) = (entry.after(), kind.is_kept());
        out.push_event(group.framing, entry.frame(group.format, epoch), place, kept);
        if kept {
            last = Some(place.after);
        }
    }
    (last, marks)
}

// None of these is needed for correctness: an old kernel without them serves as well.
fn prepare(socket: &std::net::TcpStream, slow_write: Duration) {
    let _ = socket.set_nonblocking(true);
    let socket = SockRef::from(socket);
    // An event goes out when it is written; what can go together is written together.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(Shard::NOT_SENT_BYTES_MAX);
    // A peer that vanished without a word is noticed by the heartbeats it does not confirm.
    let _ = socket.set_tcp_user_timeout(Some(slow_write));
}
