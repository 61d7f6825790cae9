//! A publisher and a subscriber of a hub, over plain connections that are kept.

use std::{net::SocketAddr, sync::Arc};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

use crate::{Failure, ledger::Ledger, stream::Reader};

/// The path of the topic that all follow.
pub const PATH: &str = "/events/bench";

/// Publishes with a POST an event.
pub struct Publisher {
    socket: TcpStream,
    host: SocketAddr,
    answer: Vec<u8>,
}

impl Publisher {
    pub async fn connect(hub: SocketAddr) -> Result<Self, Failure> {
        let socket = TcpStream::connect(hub).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, host: hub, answer: Vec::new() })
    }

    /// Publishes, and waits for the answer.
    pub async fn publish(&mut self, data: &str) -> Result<(), Failure> {
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{data}",
            self.host,
            data.len()
        );
        self.socket.write_all(request.as_bytes()).await?;
        self.answer.clear();
        loop {
            if let Some(end) = answer_end(&self.answer)
                && self.answer.len() >= end
            {
                break;
            }
            if self.socket.read_buf(&mut self.answer).await? == 0 {
                return Err("the hub closed its publisher's connection".into());
            }
        }
        if !self.answer.starts_with(b"HTTP/1.1 20") {
            let answer = String::from_utf8_lossy(&self.answer).into_owned();
            return Err(format!("a publish was answered {answer:?}").into());
        }
        Ok(())
    }
}

/// Where the answer ends, once its head is there.
fn answer_end(answer: &[u8]) -> Option<usize> {
    let head_end = memmem::find(answer, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..head_end]).to_ascii_lowercase();
    let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
    Some(head_end + length.and_then(|length| length.trim().parse().ok()).unwrap_or(0))
}

/// Follows the topic, and notes what comes in the ledger; returns once the stream is open.
pub async fn subscribe(hub: SocketAddr, ledger: Arc<Ledger>) -> Result<JoinHandle<()>, Failure> {
    let mut socket = TcpStream::connect(hub).await?;
    let request = request(hub);
    socket.write_all(request.as_bytes()).await?;
    let mut reader = Reader::default();
    let mut buffer = vec![0; 64 << 10];
    while !reader.is_open() {
        let bytes = socket.read(&mut buffer).await?;
        if bytes == 0 {
            return Err("the hub closed its subscriber's connection".into());
        }
        reader.read(&buffer[..bytes], |payload| ledger.receive([payload]))?;
    }
    Ok(tokio::spawn(async move {
        loop {
            let read = match socket.read(&mut buffer).await {
                Ok(0) => Err("a stream ended".to_owned()),
                Ok(bytes) => reader.read(&buffer[..bytes], |payload| ledger.receive([payload])),
                Err(error) => Err(error.to_string()),
            };
            if let Err(cause) = read {
                return ledger.break_off(cause);
            }
        }
    }))
}

/// How a subscriber asks for the topic's stream.
pub fn request(hub: SocketAddr) -> String {
    format!("GET {PATH} HTTP/1.1\r\nHost: {hub}\r\nAccept: text/event-stream\r\n\r\n")
}
