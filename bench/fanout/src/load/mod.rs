//! The load: thousands of subscribers and a publisher in one thread, which reads whatever came into
//! one buffer and checks every event that is in it.
//!
//! It looks for events without rest, and never sleeps while a server is measured: else the server
//! would have to wake it, and pay for that. With one subscriber, an event at a time, the limit's
//! 27 µs an event became 41. What the load costs is therefore not its CPU time, but the time in
//! which it had something to do; where that is nearly all of the time the report says so. Most of
//! what it does when streams open is the kernel's: both ends of a handshake on loopback are made
//! by whoever connects.

mod ledger;
mod payload;
mod phases;
mod progress;
mod publisher;
mod subscriber;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::net::sockopt;

use crate::interrupt;
use ledger::{Ledger, Next};
use progress::Progress;
use subscriber::{Reader, Subscriber};

pub use payload::PAYLOAD_BYTES;
pub use publisher::{Form, Paths, Publisher};

pub type Failure = Box<dyn std::error::Error>;

/// See the [module](self).
pub struct Load {
    server: SocketAddr,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Box<[u8]>,
    began: Instant,
    publisher: Option<Publisher>,
    subscribers: Vec<Subscriber>,
    /// Those whose answer has not begun.
    unopened: usize,
    ledger: Ledger,
    /// How long there was something to do.
    busy: Duration,
}

/// Who is to connect.
pub struct Crowd<'a> {
    pub count: usize,
    /// The path that the one of a number follows.
    pub path: &'a dyn Fn(usize) -> String,
    /// The header with which all of them resume.
    pub last_event_id: Option<&'a str>,
    /// How events are shared out among them.
    pub share: Share,
}

/// Which events a subscriber is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All from the first that comes.
    FromFirst,
    /// All from the one of this number.
    From(u64),
    /// Each subscriber one after the other.
    InTurn,
}

/// Where a span of time began.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begin: Instant,
    busy: Duration,
    delivered: u64,
}

/// What happened in a span of time.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub wall: Duration,
    /// How long the load had something to do.
    pub busy: Duration,
    pub delivered: u64,
}

impl Load {
    pub fn new(server: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            server,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_MAX),
            buffer: vec![0; BUFFER_BYTES].into(),
            began: Instant::now(),
            publisher: None,
            subscribers: Vec::new(),
            unopened: 0,
            ledger: Ledger::new(),
            busy: Duration::ZERO,
        })
    }

    /// Connects a publisher, in place of the one before.
    pub fn publish_with(&mut self, server: SocketAddr, form: Form) -> Result<(), Failure> {
        let publisher = Publisher::connect(server, form)?;
        let data = EventData::new_u64(PUBLISHER);
        epoll::add(&self.epoll, &publisher.socket, data, EventFlags::IN | EventFlags::ET)?;
        self.publisher = Some(publisher);
        Ok(())
    }

    /// Connects the crowd besides whoever is there, and waits until each has its answer's head.
    pub fn connect(&mut self, crowd: &Crowd) -> Result<(), Failure> {
        let first = self.subscribers.len();
        self.ledger.receivers = match crowd.share {
            Share::InTurn => 1,
            Share::FromFirst | Share::From(_) => (first + crowd.count) as u64,
        };
        let mut progress = Progress::new(OPEN_TIME_MAX);
        for which in 0..crowd.count {
            self.open(which, crowd)?;
            while self.unopened >= OPENING_MAX {
                self.turn(Duration::from_millis(10))?;
                progress.check(self.unopened as u64, || "its answers do not come".to_owned())?;
            }
            // The kernel may have something to say to those that are open already.
            self.turn(Duration::ZERO)?;
        }
        while self.unopened > 0 {
            self.turn(Duration::from_millis(10))?;
            let unopened = self.unopened;
            progress.check(unopened as u64, || format!("{unopened} answers did not come"))?;
        }
        Ok(())
    }

    /// Closes every subscriber's connection at once, by a reset, so that its port is free again.
    pub fn cut(&mut self) {
        for one in &self.subscribers {
            // Without it the port is free a minute later.
            let _ = sockopt::set_socket_linger(&one.socket, Some(Duration::ZERO));
        }
        self.subscribers.clear();
        self.unopened = 0;
    }

    /// Reads no more from all but the first `reading` subscribers.
    pub fn stall(&mut self, reading: usize) -> Result<(), Failure> {
        for one in &self.subscribers[reading..] {
            epoll::delete(&self.epoll, &one.socket)?;
        }
        self.ledger.receivers = reading as u64;
        Ok(())
    }

    /// Turns to the sockets for `time`, such as while a server settles.
    pub fn idle(&mut self, time: Duration) -> Result<(), Failure> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// The last event id that the first subscriber was given.
    pub fn last_id(&self) -> Option<String> {
        let id = self.subscribers.first()?.reader.last_id.as_ref()?;
        (!id.is_empty()).then(|| String::from_utf8_lossy(id).into_owned())
    }

    pub fn published(&self) -> u64 {
        self.ledger.published
    }

    fn open(&mut self, which: usize, crowd: &Crowd) -> Result<(), Failure> {
        let begin = Instant::now();
        let socket = TcpStream::connect(self.server)?;
        socket.set_nonblocking(true)?;
        let mut request = Vec::new();
        write!(
            request,
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n",
            (crowd.path)(which),
            self.server
        )?;
        if let Some(id) = crowd.last_event_id {
            write!(request, "Last-Event-ID: {id}\r\n")?;
        }
        request.extend_from_slice(b"\r\n");
        if (&socket).write(&request)? < request.len() {
            return Err("a socket does not take a request".into());
        }
        let next = match crowd.share {
            Share::FromFirst => Next { number: Next::ANY, step: 1 },
            Share::From(number) => Next { number, step: 1 },
            Share::InTurn => Next { number: which as u64, step: crowd.count as u64 },
        };
        let slot = self.subscribers.len();
        epoll::add(
            &self.epoll,
            &socket,
            EventData::new_u64(slot as u64),
            EventFlags::IN | EventFlags::RDHUP | EventFlags::ET,
        )?;
        self.subscribers.push(Subscriber { socket, reader: Reader::new(next, slot == 0) });
        self.unopened += 1;
        self.busy += begin.elapsed();
        Ok(())
    }

    fn publish(&mut self, count: u64) -> Result<(), Failure> {
        let Some(publisher) = &mut self.publisher else {
            return Err("there is no publisher".into());
        };
        if count > 0 {
            let begin = Instant::now();
            let nanos = nanos(self.began, begin);
            for _ in 0..count {
                let number = self.ledger.published;
                publisher.add(number, &self.ledger.publish(nanos))?;
            }
            publisher.send()?;
            self.busy += begin.elapsed();
        } else if !publisher.is_sent() {
            publisher.send()?;
        }
        Ok(())
    }

    /// Reads whatever has come, waiting up to `wait` for something.
    fn turn(&mut self, wait: Duration) -> Result<(), Failure> {
        if let Some(publisher) = &mut self.publisher
            && !publisher.is_sent()
        {
            publisher.send()?;
        }
        if interrupt::is_told() {
            return Err("interrupted".into());
        }
        let wait = Timespec::try_from(wait)?;
        self.events.clear();
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&wait))?;
        if self.events.is_empty() {
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            return Ok(());
        }
        let begin = Instant::now();
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            match data.u64() {
                PUBLISHER => {
                    if let Some(publisher) = &mut self.publisher {
                        publisher.read(&mut self.buffer)?;
                    }
                }
                slot => self.read(slot as usize, flags)?,
            }
        }
        self.ledger.settle();
        self.busy += begin.elapsed();
        Ok(())
    }

    fn read(&mut self, slot: usize, flags: EventFlags) -> Result<(), Failure> {
        // It may have been cut since.
        let Some(one) = self.subscribers.get_mut(slot) else { return Ok(()) };
        loop {
            let bytes = match one.socket.read(&mut self.buffer) {
                Ok(0) => return Err("the server closed a subscriber's connection".into()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let was_opened = one.reader.opened;
            let nanos = nanos(self.began, Instant::now());
            one.reader.read(&self.buffer[..bytes], &mut self.ledger, nanos)?;
            self.unopened -= usize::from(one.reader.opened && !was_opened);
            // A read that is not full has emptied the socket, and what comes later is told again.
            if bytes < self.buffer.len() && !flags.intersects(ENDED) {
                return Ok(());
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.cut();
    }
}

fn nanos(began: Instant, now: Instant) -> u64 {
    u64::try_from((now - began).as_nanos()).unwrap_or(u64::MAX)
}

const PUBLISHER: u64 = u64::MAX;
/// About a microsecond between two looks, in which the server has what both cores share.
const PAUSES: usize = 16;
const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);
const EVENTS_MAX: usize = 1_024;
const BUFFER_BYTES: usize = 256 << 10;
/// Fewer than the shortest queue of a server's listener has room for.
const OPENING_MAX: usize = 128;
/// A server that opens no stream for so long never will.
const OPEN_TIME_MAX: Duration = Duration::from_secs(10);
