//! The server of all contenders, in a process of its own: it frames each stream once and then only
//! writes, so that it costs as little as a server can.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::num::{NonZeroUsize, ParseIntError};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::workload::Workload;

/// What a connection asks for, and thereby the path of its request.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub workload: Workload,
    pub chunks: Chunks,
    pub passes: u64,
    /// Whether the head is sent at once and the stream only when the server is told to.
    pub held: bool,
}

impl Order {
    pub fn url(&self, server: SocketAddr) -> String {
        let Self { workload, chunks, passes, held } = self;
        format!("http://{server}/{}/{chunks}/{passes}/{held}", workload.name())
    }

    fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        Some(Self {
            workload: Workload::named(parts.next()?)?,
            chunks: parts.next()?.parse().ok()?,
            passes: parts.next()?.parse().ok()?,
            held: parts.next()?.parse().ok()?,
        })
    }
}

/// What is sent as a chunk of the chunked transfer coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chunks {
    /// Each event, as by a server that sends what it has at once.
    Events,
    /// So many bytes, wherever the events end.
    Bytes(NonZeroUsize),
}

impl Chunks {
    /// About what a packet holds.
    pub const PACKET: Self = Self::Bytes(NonZeroUsize::new(1_400).unwrap());
    pub const LARGE: Self = Self::Bytes(NonZeroUsize::new(16 << 10).unwrap());
}

impl fmt::Display for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str("event"),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

impl FromStr for Chunks {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text == "event" { Ok(Self::Events) } else { text.parse().map(Self::Bytes) }
    }
}

/// The server's process, which ends when this is dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    pub fn start() -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { process, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets all held streams go.
pub fn release(server: SocketAddr) -> io::Result<()> {
    control(server, "/release").map(drop)
}

/// The bytes of streams that the server could write so far.
pub fn written_bytes(server: SocketAddr) -> io::Result<u64> {
    control(server, "/written")?.trim().parse().map_err(io::Error::other)
}

/// Blocks for as long as the server takes to answer, which has nothing else to do then.
fn control(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = StdTcpStream::connect(server)?;
    stream.set_read_timeout(Some(CONTROL_TIME_MAX))?;
    write!(stream, "GET {path} HTTP/1.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Serves until the standard input ends, which it does with whoever started the server.
pub async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut streams: HashMap<(&str, Chunks), Arc<[u8]>> = HashMap::new();
    let (release, released) = watch::channel(());
    let (release, written) = (Arc::new(release), Arc::new(AtomicU64::new(0)));
    loop {
        let (mut socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let Some(path) = path(&mut socket).await? else { continue };
        match path.as_str() {
            "/release" => {
                release.send_replace(());
            }
            "/written" => {
                let written = written.load(Ordering::Relaxed).to_string();
                socket.write_all(written.as_bytes()).await?;
            }
            path => {
                let order = Order::parse(path).ok_or(io::ErrorKind::InvalidInput)?;
                let stream = streams
                    .entry((order.workload.name(), order.chunks))
                    .or_insert_with(|| chunked(order).into());
                let (stream, written) = (Arc::clone(stream), Arc::clone(&written));
                let mut released = released.clone();
                released.mark_unchanged();
                tokio::spawn(async move {
                    // A contender that leaves early is found out by what it has not read.
                    let _ = send(socket, order, &stream, released, &written).await;
                });
            }
        }
    }
}

async fn send(
    mut socket: TcpStream,
    order: Order,
    stream: &[u8],
    mut released: watch::Receiver<()>,
    written: &AtomicU64,
) -> io::Result<()> {
    socket.write_all(HEAD).await?;
    if order.held {
        released.changed().await.map_err(io::Error::other)?;
    }
    for _ in 0..order.passes {
        let mut rest = stream;
        while !rest.is_empty() {
            let bytes = socket.write(rest).await?;
            written.fetch_add(bytes as u64, Ordering::Relaxed);
            rest = &rest[bytes..];
        }
    }
    socket.write_all(b"0\r\n\r\n").await
}

/// The path of the request, or none if the peer went away. Requests come one after the other, so
/// that one at a time may be waited for.
async fn path(socket: &mut TcpStream) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if socket.read_buf(&mut request).await? == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(None);
        }
    }
    let request = String::from_utf8_lossy(&request);
    Ok(request.split(' ').nth(1).map(str::to_owned))
}

/// A pass in the chunked transfer coding, without its end.
fn chunked(order: Order) -> Vec<u8> {
    let pass = order.workload.pass();
    let mut chunked = Vec::with_capacity(pass.stream().len() * 2);
    let chunks: Vec<&[u8]> = match order.chunks {
        Chunks::Bytes(bytes) => pass.stream().chunks(bytes.get()).collect(),
        Chunks::Events => frames(pass.stream()).collect(),
    };
    for chunk in chunks {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked
}

/// A stream cut behind its blank lines.
fn frames(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut last = 0;
    stream.split_inclusive(move |byte| {
        let ends = (last, *byte) == (b'\n', b'\n');
        last = if ends { 0 } else { *byte };
        ends
    })
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
const REQUEST_BYTES_MAX: usize = 16 << 10;
const CONTROL_TIME_MAX: Duration = Duration::from_secs(10);
