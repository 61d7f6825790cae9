//! The publisher of the load: one connection, and bytes that are cheap to make.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use memchr::memmem;

use super::payload::{PAYLOAD_BYTES, Payload};

/// How events are published.
#[derive(Debug, Clone)]
pub enum Form {
    /// A length in four bytes, little-endian, and the payload: the limit's.
    Raw,
    /// A POST an event to a path, pipelined where several are under way.
    Posts { paths: Paths },
    /// One POST whose body goes on, a chunk for the events that go at once.
    Stream { path: String },
}

/// Where an event is posted to.
#[derive(Debug, Clone)]
pub enum Paths {
    One(String),
    /// In turn, with the number of the turn after this.
    Turns(String, u64),
}

/// A connection that publishes.
pub struct Publisher {
    pub socket: TcpStream,
    host: SocketAddr,
    form: Form,
    unsent: Vec<u8>,
    /// The events of a stream's next chunk.
    chunk: Vec<u8>,
    answers: Answers,
}

impl Publisher {
    pub fn connect(server: SocketAddr, form: Form) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut unsent = Vec::new();
        if let Form::Stream { path } = &form {
            write!(
                unsent,
                "POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Type: text/event-stream\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            )?;
        }
        let answers = Answers::default();
        Ok(Self { socket, host: server, form, unsent, chunk: Vec::new(), answers })
    }

    /// Adds event `number` to what is sent next.
    pub fn add(&mut self, number: u64, payload: &Payload) -> io::Result<()> {
        match &self.form {
            Form::Raw => {
                self.unsent.extend_from_slice(&(PAYLOAD_BYTES as u32).to_le_bytes());
                self.unsent.extend_from_slice(payload);
            }
            Form::Posts { paths } => {
                self.unsent.extend_from_slice(b"POST ");
                match paths {
                    Paths::One(path) => self.unsent.extend_from_slice(path.as_bytes()),
                    Paths::Turns(path, turns) => write!(self.unsent, "{path}{}", number % turns)?,
                }
                write!(
                    self.unsent,
                    " HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n\
                     Content-Length: {PAYLOAD_BYTES}\r\n\r\n",
                    self.host
                )?;
                self.unsent.extend_from_slice(payload);
            }
            Form::Stream { .. } => {
                self.chunk.extend_from_slice(b"data: ");
                self.chunk.extend_from_slice(payload);
                self.chunk.extend_from_slice(b"\n\n");
            }
        }
        Ok(())
    }

    /// Sends as much as the socket takes.
    pub fn send(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            write!(self.unsent, "{:x}\r\n", self.chunk.len())?;
            self.unsent.append(&mut self.chunk);
            self.unsent.extend_from_slice(b"\r\n");
        }
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(bytes) => drop(self.unsent.drain(..bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub fn is_sent(&self) -> bool {
        self.unsent.is_empty() && self.chunk.is_empty()
    }

    /// Ends a stream's body.
    pub fn end(&mut self) -> io::Result<()> {
        if matches!(self.form, Form::Stream { .. }) {
            self.send()?;
            self.unsent.extend_from_slice(b"0\r\n\r\n");
            self.send()?;
        }
        Ok(())
    }

    /// Reads the answers that are there.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => {
                    return Err(io::Error::other("the server closed its publisher's connection"));
                }
                Ok(bytes) => self.answers.read(&buffer[..bytes])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many answers there were, each of them a success.
    pub fn answers(&self) -> u64 {
        self.answers.count
    }

    /// How many answers there are to be once `events` were taken.
    pub fn answers_to(&self, events: u64) -> u64 {
        match self.form {
            Form::Raw => 0,
            Form::Posts { .. } => events,
            Form::Stream { .. } => 1,
        }
    }
}

/// Counts the heads of answers, wherever a read ends.
#[derive(Default)]
struct Answers {
    count: u64,
    unread: Vec<u8>,
}

impl Answers {
    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unread.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(at) = memmem::find(&self.unread[from..], STATUS_LINE) {
            let start = from + at;
            match self.unread.get(start + STATUS_LINE.len()) {
                Some(b'2') => self.count += 1,
                Some(_) => {
                    let head = String::from_utf8_lossy(&self.unread[start..]).into_owned();
                    return Err(io::Error::other(format!("a publish was answered {head:?}")));
                }
                None => {
                    from = start;
                    break;
                }
            }
            from = start + STATUS_LINE.len();
        }
        // What remains may be the beginning of a status line.
        let kept = (self.unread.len() - from).min(STATUS_LINE.len());
        self.unread.drain(..self.unread.len() - kept);
        Ok(())
    }
}

const STATUS_LINE: &[u8] = b"HTTP/1.1 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_wherever_reads_end() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 201 Created\r\n\r\n";
        for cut in 0..=whole.len() {
            let mut answers = Answers::default();
            answers.read(&whole[..cut]).expect("successes");
            answers.read(&whole[cut..]).expect("successes");
            assert_eq!(answers.count, 2, "{cut}");
        }
        assert!(Answers::default().read(b"HTTP/1.1 503 Gone\r\n\r\n").is_err());
    }
}
