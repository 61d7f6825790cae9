//! One of the subscribers: a task over a connection, and little else, so that there can be many.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tidings_proto::decode::{DecodeError, Decoder, EventRef, Item, Limits};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::endpoint::{Endpoint, Opened};
use super::failure::{Failure, reason};
use super::ledger::{Arrival, Ledger};
use super::stamp::{Stamp, now_nanos};
use super::tally::{Received, Tally, enter};
use super::transfer::{BrokenChunks, Transfer};

/// What the subscribers of a run have in common.
pub(super) struct Audience {
    pub(super) endpoint: Endpoint,
    pub(super) tally: Tally,
    /// The run whose events are waited for; without one, whatever comes is counted.
    pub(super) run: Option<u64>,
    pub(super) boot: u32,
}

/// A subscriber, from its first request to the end of the run.
pub(super) struct Subscriber {
    audience: Arc<Audience>,
    index: usize,
    decoder: Decoder,
    ledger: Ledger,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the server ended the stream")]
    Ended,
    #[error("{}", reason(.0))]
    Network(std::io::Error),
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Chunks(#[from] BrokenChunks),
}

impl Subscriber {
    pub(super) fn new(audience: Arc<Audience>, index: usize, publishers: usize) -> Self {
        Self {
            audience,
            index,
            decoder: Decoder::new(Limits::default()),
            ledger: Ledger::new(publishers),
        }
    }

    /// Follows until it is told to stop, and tells what it has received. `opened` is told how long
    /// the first head took, or why there is no stream; then nothing is waited for.
    pub(super) async fn run(
        mut self,
        opened: mpsc::Sender<Result<u64, Failure>>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<Ledger> {
        let asked_nanos = now_nanos();
        // Boxed, as it takes more room than all that comes after it.
        let stream = tokio::select! {
            stream = Box::pin(self.audience.endpoint.open("")) => stream,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(failure) => {
                let _ = opened.send(Err(failure)).await;
                return None;
            }
        };
        self.audience.tally.opened();
        let _ = opened.send(Ok(now_nanos() - asked_nanos)).await;
        drop(opened);
        tokio::select! {
            () = self.follow(stream) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        Some(self.ledger)
    }

    /// Follows from stream to stream, until there is none any more.
    async fn follow(&mut self, mut stream: Opened) {
        loop {
            let end = self.read(stream).await;
            let tally = &self.audience.tally;
            tally.closed();
            tally.connections.lock().lost.count(end.to_string());
            self.decoder.end_stream();
            let Some(next) = Box::pin(self.reconnect()).await else { return };
            stream = next;
            let tally = &self.audience.tally;
            tally.opened();
            tally.connections.lock().reconnects += 1;
        }
    }

    async fn reconnect(&self) -> Option<Opened> {
        let asked = self.decoder.reconnection_time().unwrap_or(RECONNECTION_TIME);
        let asked = asked.clamp(RECONNECTION_TIME_MIN, RECONNECTION_TIME_MAX);
        let mut attempts = 0;
        loop {
            // What a server says to many at once is spread, or they all come back at once.
            sleep(asked.mul_f64(1.0 + rand::random::<f64>() / 2.0)).await;
            attempts += 1;
            match self.audience.endpoint.open(self.decoder.last_event_id()).await {
                Ok(stream) => return Some(stream),
                Err(failure) => {
                    let is_final = matches!(
                        failure,
                        Failure::Status { status: 200..=428 | 430..=499, .. } | Failure::NotAStream(_)
                    );
                    if is_final || attempts == ATTEMPTS_MAX {
                        let mut connections = self.audience.tally.connections.lock();
                        connections.given_up.count(failure.to_string());
                        return None;
                    }
                }
            }
        }
    }

    /// Reads a stream to its end.
    async fn read(&mut self, stream: Opened) -> End {
        let Opened { mut connection, mut transfer, rest } = stream;
        if let Err(end) = self.take(&rest, &mut transfer) {
            return end;
        }
        drop(rest);
        poll_fn(|context| {
            // One buffer a thread, as a subscriber that waits needs none.
            BUFFER.with_borrow_mut(|buffer| {
                loop {
                    let mut read = ReadBuf::new(buffer);
                    let result = ready!(Pin::new(&mut connection).poll_read(context, &mut read));
                    let end = match result {
                        Err(error) => End::Network(error),
                        Ok(()) if read.filled().is_empty() => End::Ended,
                        Ok(()) => match self.take(read.filled(), &mut transfer) {
                            Ok(()) => continue,
                            Err(end) => end,
                        },
                    };
                    return Poll::Ready(end);
                }
            })
        })
        .await
    }

    /// Enters what `bytes` bring.
    fn take(&mut self, mut bytes: &[u8], transfer: &mut Transfer) -> Result<(), End> {
        let nanos = now_nanos();
        let mut received = self.audience.tally.received(self.index);
        received.bytes += bytes.len() as u64;
        while let Some(mut part) = transfer.take(&mut bytes)? {
            while let Some(item) = self.decoder.poll_item(&mut part)? {
                if let Item::Event(event) = item {
                    let audience = &self.audience;
                    enter_event(event, nanos, audience, &mut self.ledger, &mut received);
                }
            }
        }
        if *transfer == Transfer::Ended { Err(End::Ended) } else { Ok(()) }
    }
}

fn enter_event(
    event: EventRef<'_>,
    nanos: u64,
    audience: &Audience,
    ledger: &mut Ledger,
    received: &mut Received,
) {
    match event.event_type() {
        "tidings.gap" => return received.gaps += 1,
        "tidings.cursor" => return,
        _ => {}
    }
    received.last_nanos = nanos;
    let stamp = Stamp::find(event.data());
    if let Some(stamp) = stamp.filter(|stamp| audience.run == Some(stamp.run)) {
        match ledger.enter(stamp.publisher, stamp.number) {
            Some(Arrival::Repeated) => return received.repeated += 1,
            Some(Arrival::OutOfOrder) => received.out_of_order += 1,
            Some(Arrival::InOrder) => {}
            None => return received.others += 1,
        }
        received.delivered += 1;
        enter(&mut received.latency, stamp.due_nanos, nanos);
        return;
    }
    received.others += 1;
    // The clock of another run is ours if the machine is.
    if let Some(stamp) = stamp
        && audience.run.is_none()
        && audience.boot != 0
        && stamp.boot == audience.boot
    {
        enter(&mut received.latency, stamp.due_nanos, nanos);
    }
}

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_BYTES].into_boxed_slice());
}

/// What one read takes at most: enough that a burst costs few of them.
const BUFFER_BYTES: usize = 64 << 10;
/// When to come back to a server that has not said.
const RECONNECTION_TIME: Duration = Duration::from_secs(1);
/// A server that says 0 is not to be hammered, and one that says an hour not to be waited for.
const RECONNECTION_TIME_MIN: Duration = Duration::from_millis(100);
const RECONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// Attempts in a row to reconnect.
const ATTEMPTS_MAX: u32 = 10;
