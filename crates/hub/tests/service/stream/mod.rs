//! Streamed publishing.

mod ends;
mod keys;
mod limits;
mod order;

use std::sync::Arc;

use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use tidings_hub::config::Config;
use tidings_server::{
    cursor::Offset,
    log::{
        AppendError, Appended, Batch, Log as _, MemoryLog, ReadLimits, Retention, SharedLog, Since,
        contract::{Fault, Faulty},
    },
    matcher::Filter,
    record::SharedRecord,
};
use tokio::sync::Semaphore;

use crate::support::{Answer, Connection, Hub, soon};

/// Who publishes a stream, in chunks as the test says.
struct Sender(Connection);

impl Sender {
    /// `head` is the target, and more header lines.
    async fn begin(hub: &Hub, head: &str) -> Self {
        Self::on(hub.connect().await, head).await
    }

    async fn on(mut connection: Connection, head: &str) -> Self {
        let (target, more) = head.split_once('\n').unwrap_or((head, ""));
        let more: String = more.lines().map(|line| format!("{line}\r\n")).collect();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n{more}\r\n"
        );
        connection.raw(head.as_bytes()).await;
        Self(connection)
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.raw(&chunk(bytes.as_ref())).await;
    }

    async fn end(&mut self) -> Answer {
        self.0.raw(b"0\r\n\r\n").await;
        self.0.answer().await
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Publishes all of `body` as one stream.
async fn stream(hub: &Hub, head: &str, body: impl AsRef<[u8]>) -> Answer {
    let mut sender = Sender::begin(hub, head).await;
    sender.send(body).await;
    sender.end().await
}

/// All that is in the log.
async fn records(log: &SharedLog) -> Vec<SharedRecord> {
    let mut all = Vec::new();
    let mut after = Offset::ZERO;
    loop {
        let everything = Filter::everything();
        let since = Since::after(after);
        let page = log.read(since, &everything, ReadLimits::default()).await.unwrap();
        if page.records.is_empty() {
            return all;
        }
        after = page.through;
        all.extend(page.records);
    }
}

async fn data(log: &SharedLog) -> Vec<String> {
    records(log).await.iter().map(|record| record.new.data.to_string()).collect()
}

/// Waits until a metric has a value that is wanted.
async fn metric(hub: &Hub, name: &str, wanted: impl Fn(u64) -> bool) -> u64 {
    soon(async {
        loop {
            let metrics = hub.get("/metrics").await.body;
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            let value = line.unwrap_or_else(|| panic!("no {name}")).trim().parse().unwrap();
            if wanted(value) {
                break value;
            }
        }
    })
    .await
}

/// Each append takes a permit, and fails as it is told.
struct Gated {
    gate: Semaphore,
    error: Mutex<Option<AppendError>>,
}

impl Gated {
    /// A hub over a gated log, and its gate.
    async fn hub(change: impl FnOnce(&mut Config)) -> (Hub, Arc<Self>) {
        let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        change(&mut config);
        let gated = Arc::new(Self { gate: Semaphore::new(0), error: Mutex::new(None) });
        let log = Faulty::new(MemoryLog::new(Retention::default(), 1), gated.clone());
        (Hub::over(config, Arc::new(log)).await, gated)
    }
}

impl Fault for Gated {
    fn append<'a>(
        &'a self,
        log: &'a MemoryLog,
        batch: Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            let error = self.error.lock().clone();
            match error {
                Some(error) => Err(error),
                None => log.append(batch).await,
            }
        })
    }
}
