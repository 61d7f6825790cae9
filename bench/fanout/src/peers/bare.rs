//! The limit: one thread that accepts, reads a request's head, and hands every event to every
//! socket with one system call. What it takes is the kernel's, and no server of streams over TCP
//! takes less for one event at a time.
//!
//! Coalescing, it hands over all that came since in one call, which is the limit of a server that
//! may do so. Either keeps the events' bytes one behind the other, so that a subscriber is a place
//! in them: one whose socket is full goes on from there, and one that comes back after an event is
//! given all after it in one call.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;

use memchr::memmem;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::tape::Tape;

/// Serves until it is killed; prints the subscribers' address and the publisher's.
pub fn serve(coalescing: bool) -> io::Result<()> {
    let (subscribers, publisher) = (listen()?, listen()?);
    let address = |listener: &OwnedFd| -> io::Result<SocketAddr> {
        Ok(net::getsockname(listener)?.try_into()?)
    };
    println!("{} {}", address(&subscribers)?, address(&publisher)?);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &subscribers, EventData::new_u64(SUBSCRIBERS), EventFlags::IN)?;
    epoll::add(&epoll, &publisher, EventData::new_u64(PUBLISHER), EventFlags::IN)?;
    let mut server = Server {
        epoll,
        listener: subscribers,
        publisher: None,
        coalescing,
        connections: Vec::new(),
        free: Vec::new(),
        heads: HashMap::new(),
        tape: Tape::new(),
        unread: Vec::new(),
        buffer: vec![0; BUFFER_BYTES].into(),
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        epoll::wait(&server.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for Event { flags, data } in events.iter().copied() {
            match data.u64() {
                SUBSCRIBERS => server.accept()?,
                PUBLISHER => {
                    let socket = net::accept_with(&publisher, SocketFlags::NONBLOCK)?;
                    epoll::add(&server.epoll, &socket, EventData::new_u64(EVENTS), EventFlags::IN)?;
                    server.publisher = Some(socket.into());
                    server.unread.clear();
                }
                EVENTS => server.take_events()?,
                slot => server.turn_to(slot as usize, flags)?,
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    publisher: Option<TcpStream>,
    coalescing: bool,
    connections: Vec<Connection>,
    /// Slots of connections that are closed.
    free: Vec<u32>,
    /// Heads of requests that came in parts.
    heads: HashMap<usize, Vec<u8>>,
    tape: Tape,
    /// What of an event came so far.
    unread: Vec<u8>,
    buffer: Box<[u8]>,
}

struct Connection {
    socket: Option<TcpStream>,
    /// How far on the tape it is, or none before its request.
    place: Option<u64>,
    /// Whether its socket is full.
    full: bool,
}

impl Server {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match net::accept_with(&self.listener, SocketFlags::NONBLOCK) {
                Ok(socket) => TcpStream::from(socket),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It went away while it waited.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let slot = self.free.pop().map_or(self.connections.len(), |slot| slot as usize);
            epoll::add(&self.epoll, &socket, EventData::new_u64(slot as u64), EDGES)?;
            let connection = Connection { socket: Some(socket), place: None, full: false };
            match self.connections.get_mut(slot) {
                Some(closed) => *closed = connection,
                None => self.connections.push(connection),
            }
        }
    }

    /// Reads what the publisher sent, and hands it on.
    fn take_events(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.publisher else { return Ok(()) };
        match socket.read(&mut self.buffer) {
            Ok(0) => self.publisher = None,
            Ok(bytes) => {
                self.unread.extend_from_slice(&self.buffer[..bytes]);
                let mut from = 0;
                while let Some((length, rest)) = self.unread[from..].split_first_chunk() {
                    let length = u32::from_le_bytes(*length) as usize;
                    let Some(data) = rest.get(..length) else { break };
                    self.tape.add(data);
                    from += 4 + length;
                    if !self.coalescing {
                        self.hand_on();
                    }
                }
                self.unread.drain(..from);
                if self.coalescing {
                    self.hand_on();
                }
                if self.tape.is_long() {
                    let behind = self.connections.iter().filter_map(|one| one.place).min();
                    self.tape.trim(behind.unwrap_or(u64::MAX));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn hand_on(&mut self) {
        for connection in &mut self.connections {
            if !connection.full {
                connection.send(&self.tape, self.coalescing);
            }
        }
    }

    fn turn_to(&mut self, slot: usize, flags: EventFlags) -> io::Result<()> {
        if flags.intersects(EventFlags::IN | ENDED) {
            self.read_request(slot, flags)?;
        }
        if let Some(connection) = self.connections.get_mut(slot)
            && connection.full
            && flags.contains(EventFlags::OUT)
        {
            connection.full = false;
            connection.send(&self.tape, self.coalescing);
        }
        Ok(())
    }

    fn read_request(&mut self, slot: usize, flags: EventFlags) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(slot) else { return Ok(()) };
        let Some(socket) = &mut connection.socket else { return Ok(()) };
        let bytes = match socket.read(&mut self.buffer) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // A reset is an end as well.
            Err(_) => 0,
        };
        if bytes == 0 || flags.intersects(ENDED) {
            *connection = Connection { socket: None, place: None, full: false };
            self.heads.remove(&slot);
            self.free.push(slot as u32);
            return Ok(());
        }
        let read = &self.buffer[..bytes];
        let whole = match self.heads.remove(&slot) {
            None if read.ends_with(b"\r\n\r\n") => read,
            begun => {
                let mut head = begun.unwrap_or_default();
                head.extend_from_slice(read);
                if !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
                    self.heads.insert(slot, head);
                    return Ok(());
                }
                self.buffer[..head.len()].copy_from_slice(&head);
                &self.buffer[..head.len()]
            }
        };
        let resumed = last_event_id(whole).and_then(|id| self.tape.after(id));
        connection.open(resumed.unwrap_or(self.tape.end()));
        connection.send(&self.tape, true);
        Ok(())
    }
}

impl Connection {
    fn open(&mut self, place: u64) {
        let Some(socket) = &mut self.socket else { return };
        // A socket that has taken nothing yet takes a head. If it is gone, its end comes next.
        let _ = socket.write(HEAD);
        self.place = Some(place);
    }

    /// Hands over what there is, event by event or all at once, until the socket is full.
    fn send(&mut self, tape: &Tape, coalescing: bool) {
        let (Some(socket), Some(place)) = (&mut self.socket, &mut self.place) else { return };
        while *place < tape.end() {
            let bytes = if coalescing { tape.from(*place) } else { tape.event_at(*place) };
            match socket.write(bytes) {
                Ok(written) => *place += written as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.full = true;
                    return;
                }
                // Its end comes next.
                Err(_) => return,
            }
        }
    }
}

fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn last_event_id(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"Last-Event-ID: ";
    let value = &head[memmem::find(head, NAME)? + NAME.len()..];
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |id: u64, digit| id.wrapping_mul(10) + u64::from(digit - b'0')))
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n";
const SUBSCRIBERS: u64 = u64::MAX;
const PUBLISHER: u64 = u64::MAX - 1;
const EVENTS: u64 = u64::MAX - 2;
const EDGES: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);
const EVENTS_MAX: usize = 1_024;
const BUFFER_BYTES: usize = 64 << 10;
const HEAD_BYTES_MAX: usize = 16 << 10;
const BACKLOG: i32 = 4_096;
