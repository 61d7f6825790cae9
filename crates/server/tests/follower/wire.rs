//! The wire: connections over loopback, written by the engine and read in pieces of any size.

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, TcpListener},
    sync::Mutex,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use tidings_server::fanout::{
    Fanout, Subscriber,
    engine::{Connection, Engine, EngineConfig, Framing},
};
use tokio::net::TcpStream;

use super::chunked::Chunked;

/// Serves streams with an engine, over connections to itself.
pub struct Wires {
    pub fanout: Fanout,
    pub engine: Engine,
    pub way: Way,
    // Who connects is who is accepted next.
    listener: Mutex<TcpListener>,
}

/// How connections are made, and read.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub framing: Framing,
    /// The bytes of the response's head.
    pub head_bytes: usize,
    /// Whether the kernel's buffers are as small as it allows, on both sides.
    pub narrow: bool,
    /// At most so many bytes are read at once.
    pub step_bytes: usize,
    pub shards: usize,
    pub slow_write: Duration,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            framing: Framing::Chunked,
            head_bytes: 0,
            narrow: false,
            step_bytes: 64 << 10,
            shards: 2,
            slow_write: Duration::from_secs(60),
        }
    }
}

/// The peer's end of a connection.
pub struct Wire {
    pub socket: TcpStream,
    pub step_bytes: usize,
    head_bytes: usize,
    // None if the body lasts until the connection is closed.
    chunked: Option<Chunked>,
    // Of the body, not yet asked for.
    body: VecDeque<u8>,
    /// Bytes read by now, head and framing included.
    pub bytes: usize,
}

/// What comes next on a wire.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Bytes(Vec<u8>),
    /// The body is complete.
    End,
    /// The connection broke off within the body.
    Broken,
}

impl Wires {
    pub fn new(fanout: &Fanout, way: Way) -> Self {
        let (shards, slow_write) = (way.shards.try_into().unwrap(), way.slow_write);
        let engine = Engine::start(fanout, EngineConfig { shards, slow_write }).unwrap();
        let listener = Mutex::new(TcpListener::bind("127.0.0.1:0").unwrap());
        Self { fanout: fanout.clone(), engine, way, listener }
    }

    /// Hands the subscriber to the engine, on a new connection.
    pub fn connect(&self, subscriber: Subscriber) -> Wire {
        self.connect_by(self.way, subscriber, ())
    }

    /// The same in another way, with something that lives as long as the connection.
    pub fn connect_by(
        &self,
        way: Way,
        subscriber: Subscriber,
        held: impl std::any::Any + Send,
    ) -> Wire {
        let Way { framing, head_bytes, narrow, step_bytes, .. } = way;
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if narrow {
            client.set_recv_buffer_size(1).unwrap();
            // Else a segment is larger than the buffer, and each waits for a timer.
            client.set_tcp_mss(400).unwrap();
        }
        // Cut off, it is gone at once, and its port is free.
        client.set_linger(Some(Duration::ZERO)).unwrap();
        let socket = {
            let listener = self.listener.lock().unwrap();
            let address: SocketAddr = listener.local_addr().unwrap();
            client.connect(&address.into()).unwrap();
            listener.accept().unwrap().0
        };
        if narrow {
            SockRef::from(&socket).set_send_buffer_size(1).unwrap();
        }
        let head = vec![b'h'; head_bytes].into();
        let held = Box::new(held);
        self.engine.adopt(subscriber, Connection { socket, head, framing, held });
        client.set_nonblocking(true).unwrap();
        Wire {
            socket: TcpStream::from_std(client.into()).unwrap(),
            step_bytes,
            head_bytes,
            chunked: (framing == Framing::Chunked).then(Chunked::default),
            body: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl Wire {
    /// The next bytes of the body, at most `bytes_max`. Cancellation loses nothing.
    pub async fn next(&mut self, bytes_max: usize) -> Next {
        while self.body.is_empty() {
            if self.chunked.as_ref().is_some_and(Chunked::is_done) {
                return Next::End;
            }
            let mut read = vec![0; self.step_bytes];
            self.socket.readable().await.unwrap();
            let read = match self.socket.try_read(&mut read) {
                Ok(0) if self.chunked.is_none() && self.head_bytes == 0 => return Next::End,
                Ok(0) => return Next::Broken,
                Ok(count) => &read[..count],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return Next::Broken,
            };
            self.bytes += read.len();
            let (head, rest) = read.split_at(self.head_bytes.min(read.len()));
            assert!(head.iter().all(|&byte| byte == b'h'), "the head comes first, and once");
            self.head_bytes -= head.len();
            match &mut self.chunked {
                Some(chunked) => chunked.decode(rest, &mut self.body),
                None => self.body.extend(rest),
            }
        }
        let count = self.body.len().min(bytes_max);
        Next::Bytes(self.body.drain(..count).collect())
    }

    /// Whether the last chunk is there but for its end.
    pub fn lacks_an_end(&self) -> bool {
        self.chunked.as_ref().is_some_and(Chunked::lacks_an_end)
    }

    /// All that comes until `end` is there; fails if it ends before, or takes long.
    pub async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let read = async {
            while !text.ends_with(end.as_bytes()) {
                // By single bytes, so that nothing is read beyond.
                match self.next(1).await {
                    Next::Bytes(bytes) => text.extend_from_slice(&bytes),
                    ended => panic!("{ended:?} after {}", String::from_utf8_lossy(&text)),
                }
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, read).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(in_time.is_ok(), "{end:?} does not come after {text:?}");
        text
    }

    /// All that comes, and how it ends.
    pub async fn rest(&mut self) -> (String, Next) {
        let mut text = Vec::new();
        let read = async {
            loop {
                match self.next(usize::MAX).await {
                    Next::Bytes(bytes) => text.extend_from_slice(&bytes),
                    ended => return ended,
                }
            }
        };
        let ended = tokio::time::timeout(DEADLINE, read).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        (text, ended.expect("the stream ends in time"))
    }
}

/// What does not come within it does not come.
pub const DEADLINE: Duration = Duration::from_secs(20);
