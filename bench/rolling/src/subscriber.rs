//! A subscriber that does what a browser's `EventSource` does.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tidings_proto::{Decoder, Limits};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::tally::Tally;

/// The topic of all events.
pub const TOPIC: &str = "rolling";

/// A subscriber, which comes back for as long as it is polled.
pub struct Subscriber {
    number: usize,
    hubs: Arc<[SocketAddr]>,
    tally: Arc<Tally>,
    // Outlives the connections, as the last id and the reconnection time do.
    decoder: Decoder,
    next: u64,
}

enum End {
    /// The hub closed the stream, or it broke.
    Closed,
    /// No hub took the connection.
    Refused,
}

impl Subscriber {
    pub fn new(number: usize, hubs: &Arc<[SocketAddr]>, tally: &Arc<Tally>) -> Self {
        let (hubs, tally) = (Arc::clone(hubs), Arc::clone(tally));
        Self { number, hubs, tally, decoder: Decoder::new(Limits::default()), next: 0 }
    }

    pub async fn run(mut self) {
        loop {
            match self.follow().await {
                Ok(End::Closed) => self.tally.closed(),
                Ok(End::Refused) => self.tally.refused(),
                Err(wrong) => return self.tally.wrong(self.number, wrong),
            }
            self.decoder.end_stream();
            sleep(self.decoder.reconnection_time().unwrap_or(RETRY)).await;
        }
    }

    // Follows one stream to its end.
    async fn follow(&mut self) -> Result<End, String> {
        let Some((mut stream, at)) = self.connect().await else { return Ok(End::Refused) };
        if self.request(&mut stream).await.is_err() {
            return Ok(End::Refused);
        }
        let mut buffer = [0; 4_096];
        let mut filled = 0;
        // The head, which is some hundred bytes.
        let body = loop {
            let Ok(read @ 1..) = stream.read(&mut buffer[filled..]).await else {
                return Ok(End::Refused);
            };
            filled += read;
            if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if filled == buffer.len() {
                return Err("the head of the answer has no end".to_owned());
            }
        };
        if buffer.get(8..12) != Some(b" 200") {
            let line = String::from_utf8_lossy(&buffer[..filled.min(40)]).into_owned();
            return Err(format!("a browser would have given up at {line:?}"));
        }
        self.tally.opened(at);
        self.take(&buffer[body..filled])?;
        loop {
            match stream.read(&mut buffer).await {
                Ok(read @ 1..) => self.take(&buffer[..read])?,
                _ => return Ok(End::Closed),
            }
        }
    }

    // The next hub in turn, or the first after it that answers, as behind a proxy.
    async fn connect(&self) -> Option<(TcpStream, usize)> {
        let turn = self.tally.turn();
        for offset in 0..self.hubs.len() {
            let at = (turn + offset) % self.hubs.len();
            if let Ok(stream) = TcpStream::connect(self.hubs[at]).await {
                return Some((stream, at));
            }
        }
        None
    }

    async fn request(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        // Version 1.0, so that what follows the head is the stream as it is.
        let mut request = format!("GET /events/{TOPIC} HTTP/1.0\r\nHost: 127.0.0.1\r\n");
        if !self.decoder.last_event_id().is_empty() {
            request += &format!("Last-Event-ID: {}\r\n", self.decoder.last_event_id());
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some(event) =
            self.decoder.poll_event(&mut bytes).map_err(|error| error.to_string())?
        {
            match event.event_type.as_str() {
                "message" => {}
                "tidings.cursor" => continue,
                other => return Err(format!("it was sent {other}: {}", event.data)),
            }
            if event.data.parse() != Ok(self.next) {
                let (next, came) = (self.next, event.data);
                return Err(format!("it was sent event {came} where {next} was to come"));
            }
            self.next += 1;
            self.tally.received(self.number, self.next);
        }
        Ok(())
    }
}

// Until a hub has said another: that of most browsers.
const RETRY: Duration = Duration::from_secs(3);
