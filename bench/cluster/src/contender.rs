//! What is compared: bare streams of NATS, and logs.

use std::sync::Arc;

use async_nats::jetstream::{
    self,
    consumer::push::{Ordered, OrderedConfig},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tempfile::TempDir;
use tidings_hub::disk::{self, DiskLog};
use tidings_server::{
    log::{Batch, Log as _, MemoryLog, ReadLimits, Retention, SharedLog, Since, Tail, TailItem},
    matcher::Filter,
    record::{NewRecord, SharedRecord},
    topic::Topic,
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    Failure, http,
    hub::{Hub, Recipe},
    ledger::{DEADLINE, Ledger},
    payload::PAYLOAD_BYTES,
    stage::Stage,
};

/// A way from a publisher to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A publish to JetStream on one connection, and an ordered push consumer on another.
    Bare,
    /// As bare, and the connection that publishes has a consumer, too, as every hub follows the
    /// stream: the servers send each message twice, as they do for two hubs.
    BareTwice,
    /// An append to a log, and the tail of the same one.
    OneLog,
    /// An append to one log, and the tail of another one of the same stream.
    Clustered,
    /// A POST to one hub, and a stream of another one.
    Hubs,
    Memory,
    Disk,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare NATS",
            Self::BareTwice => "bare NATS, two consumers",
            Self::OneLog => "clustered log, one hub",
            Self::Clustered => "clustered log, two hubs",
            Self::Hubs => "two hubs, HTTP",
            Self::Memory => "memory log",
            Self::Disk => "disk log, fsync",
        }
    }

    pub fn is_in_nats(self) -> bool {
        !matches!(self, Self::Memory | Self::Disk)
    }
}

/// A contender that runs, and whoever receives what it is given.
pub struct Contender {
    pub kind: Kind,
    pub sender: Sender,
    pub ledger: Arc<Ledger>,
    receiver: JoinHandle<()>,
    /// The consumer of the connection that publishes, and how many events it has.
    near: Option<(JoinHandle<()>, watch::Receiver<u64>)>,
    logs: Vec<SharedLog>,
    hubs: Vec<Hub>,
    _directory: Option<TempDir>,
    stream: String,
}

/// Where events are handed in.
#[derive(Clone)]
pub enum Sender {
    Bare { context: jetstream::Context, subject: String },
    Log { log: SharedLog, topic: Topic },
    Http(Arc<Mutex<http::Publisher>>),
}

/// What is handed in at once.
pub enum Message {
    Bytes(Bytes),
    Batch(Batch),
    Text(String),
}

impl Contender {
    /// Starts one, with a stream of its own if it is in NATS.
    pub async fn start(
        kind: Kind,
        stage: &mut Stage,
        stream: &str,
        recipe: Option<&Recipe>,
    ) -> Result<Self, Failure> {
        let ledger = Arc::new(Ledger::new());
        let mut logs: Vec<SharedLog> = Vec::new();
        let mut hubs = Vec::new();
        let mut directory = None;
        let mut near_consumer = None;
        let (sender, receiver);
        match kind {
            Kind::Bare | Kind::BareTwice => {
                stage.make_stream(stream).await?;
                let (near, far) = stage.places(stream).await;
                let context = stage.connect(&near).await?;
                let following = stage.connect(&far).await?;
                receiver = follow_stream(&following, stream, &ledger).await?;
                if kind == Kind::BareTwice {
                    near_consumer = Some(count_stream(&context, stream).await?);
                }
                sender = Sender::Bare { context, subject: format!("{stream}.bench") };
            }
            Kind::OneLog | Kind::Clustered => {
                // The stream is made, so that somebody leads it.
                stage.open(stream, &stage.urls()[0]).await?.close().await;
                let (near, far) = stage.places(stream).await;
                logs.push(Arc::new(stage.open(stream, &near).await?));
                if kind == Kind::Clustered {
                    logs.push(Arc::new(stage.open(stream, &far).await?));
                }
                receiver = follow_log(&logs[logs.len() - 1], &ledger);
                sender = Sender::log(&logs[0]);
            }
            Kind::Hubs => {
                let recipe = recipe.ok_or("hubs need a recipe")?;
                let start = |url: String| {
                    let (stream, urls) = (stream.to_owned(), vec![url]);
                    Hub::start(&Recipe { stream, urls, ..recipe.clone() })
                };
                hubs.push(start(stage.urls()[0].clone())?);
                let (near, far) = stage.places(stream).await;
                hubs = vec![start(near)?, start(far)?];
                receiver = http::subscribe(hubs[1].address, Arc::clone(&ledger)).await?;
                let publisher = http::Publisher::connect(hubs[0].address).await?;
                sender = Sender::Http(Arc::new(Mutex::new(publisher)));
            }
            Kind::Memory | Kind::Disk => {
                let log: SharedLog = if kind == Kind::Memory {
                    Arc::new(MemoryLog::new(Retention::default(), 1))
                } else {
                    let data = directory.insert(TempDir::new()?);
                    Arc::new(DiskLog::open(disk::Options::new(data.path()))?)
                };
                receiver = follow_log(&log, &ledger);
                sender = Sender::log(&log);
                logs.push(log);
            }
        }
        let stream = stream.to_owned();
        Ok(Self {
            kind,
            sender,
            ledger,
            receiver,
            near: near_consumer,
            logs,
            hubs,
            _directory: directory,
            stream,
        })
    }

    /// Waits until whoever receives has so many events since the beginning.
    pub async fn has(&mut self, count: u64) -> Result<(), Failure> {
        self.ledger.has(count).await?;
        if let Some((_, received)) = &mut self.near {
            let all = received.wait_for(|&received| received >= count);
            let received =
                *timeout(DEADLINE, all).await.map_err(|_| "the near consumer is late")??;
            if received != count {
                return Err(format!("the near consumer has {received} events of {count}").into());
            }
        }
        Ok(())
    }

    /// Ends it, and deletes its stream.
    pub async fn close(self, stage: &Stage) -> Result<(), Failure> {
        self.receiver.abort();
        if let Some((counter, _)) = &self.near {
            counter.abort();
        }
        drop(self.hubs);
        for log in self.logs {
            log.close().await;
        }
        if self.kind.is_in_nats() {
            stage.delete_stream(&self.stream).await?;
        }
        Ok(())
    }
}

impl Sender {
    fn log(log: &SharedLog) -> Self {
        let topic = Topic::new("bench").expect("it is a topic");
        Self::Log { log: Arc::clone(log), topic }
    }

    /// Makes a message of these events.
    pub fn message(&self, payloads: &[String]) -> Message {
        match self {
            Self::Bare { .. } => Message::Bytes(payloads.concat().into()),
            Self::Http(_) => Message::Text(payloads.concat()),
            Self::Log { topic, .. } => {
                let record = |payload: &String| NewRecord::new(topic.clone(), payload.as_str());
                Message::Batch(Batch::new(payloads.iter().map(record).collect()))
            }
        }
    }

    /// Hands it in, and waits until it is taken.
    pub async fn send(&self, message: Message) -> Result<(), Failure> {
        match (self, message) {
            (Self::Bare { context, subject }, Message::Bytes(bytes)) => {
                context.publish(subject.clone(), bytes).await?.await?;
            }
            (Self::Log { log, .. }, Message::Batch(batch)) => {
                log.append(batch).await?;
            }
            (Self::Http(publisher), Message::Text(text)) => {
                publisher.lock().await.publish(&text).await?;
            }
            _ => return Err("a message is another contender's".into()),
        }
        Ok(())
    }
}

async fn messages(context: &jetstream::Context, stream: &str) -> Result<Ordered, Failure> {
    let deliver_subject = context.client().new_inbox();
    let config = OrderedConfig { deliver_subject, ..OrderedConfig::default() };
    let consumer = context.get_stream(stream).await?.create_consumer(config).await?;
    Ok(consumer.messages().await?)
}

async fn follow_stream(
    context: &jetstream::Context,
    stream: &str,
    ledger: &Arc<Ledger>,
) -> Result<JoinHandle<()>, Failure> {
    let mut messages = messages(context, stream).await?;
    let ledger = Arc::clone(ledger);
    Ok(tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            match message {
                Ok(message) => ledger.receive(message.payload.chunks(PAYLOAD_BYTES)),
                Err(error) => return ledger.break_off(error.to_string()),
            }
        }
    }))
}

/// Counts the events of a stream; looks into none.
async fn count_stream(
    context: &jetstream::Context,
    stream: &str,
) -> Result<(JoinHandle<()>, watch::Receiver<u64>), Failure> {
    let mut messages = messages(context, stream).await?;
    let (count, received) = watch::channel(0);
    let counter = tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            count.send_modify(|count| *count += (message.payload.len() / PAYLOAD_BYTES) as u64);
        }
    });
    Ok((counter, received))
}

fn follow_log(log: &SharedLog, ledger: &Arc<Ledger>) -> JoinHandle<()> {
    let tail = log.tail();
    let (log, ledger) = (Arc::clone(log), Arc::clone(ledger));
    tokio::spawn(async move {
        if let Err(cause) = take_all(&log, tail, &ledger).await {
            ledger.break_off(cause);
        }
    })
}

async fn take_all(log: &SharedLog, mut tail: Tail, ledger: &Ledger) -> Result<(), String> {
    let everything = Filter::everything();
    let mut last = log.bounds().last;
    let take = |records: &[SharedRecord]| {
        ledger.receive(records.iter().map(|record| record.new.data.as_bytes()));
    };
    while let Some(item) = tail.next().await {
        match item {
            TailItem::Records(records) => {
                // Some of them may have been read already.
                let new = records.partition_point(|record| record.offset <= last);
                take(&records[new..]);
                last = records.last().map_or(last, |record| record.offset.max(last));
            }
            TailItem::Lagged => {
                let through = log.bounds().last;
                while last < through {
                    let page = log.read(Since::after(last), &everything, ReadLimits::default());
                    let page = page.await.map_err(|error| error.to_string())?;
                    take(&page.records);
                    last = page.through;
                }
            }
        }
    }
    Ok(())
}
