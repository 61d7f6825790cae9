//! Several logs on one stream.

use std::time::Duration;

use async_nats::jetstream::{self, stream::Stream};
use tidings_hub::nats::{NatsLog, OpenError, Options, StreamName};
use tidings_server::{
    cursor::Offset,
    idempotency::Key,
    log::{Log, ReadLimits, Since, Tail, TailItem, TopicSummary},
    matcher::Filter,
    record::{NewRecord, PublisherId, SharedRecord},
    topic::Topic,
};
use tokio::time::{interval, timeout};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it comes in time")
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asked = timeout(DEADLINE, async {
        let mut turn = interval(Duration::from_millis(10));
        while !is_so().await {
            turn.tick().await;
        }
    });
    assert!(asked.await.is_ok(), "{what}, within {DEADLINE:?}");
}

/// What opens logs at this server, with nothing that is cleared by itself.
pub(crate) fn options(url: &str) -> Options {
    let mut options = Options::new(url.parse().expect("a URL"));
    options.site.stream = StreamName::new("log").expect("a name");
    options
}

/// As `options`, and everything superfluous is deleted at once.
pub(crate) fn eager(url: &str) -> Options {
    let mut options = options(url);
    options.eager_upkeep = true;
    options.clear_after = Duration::ZERO;
    options
}

pub(crate) async fn open(options: &Options) -> NatsLog {
    try_open(options).await.expect("the log opens")
}

pub(crate) async fn try_open(options: &Options) -> Result<NatsLog, OpenError> {
    soon(NatsLog::open(options.clone())).await
}

/// The stream itself, as an operator reaches it.
pub(crate) async fn stream(url: &str) -> (jetstream::Context, Stream) {
    let jetstream = jetstream::new(async_nats::connect(url).await.expect("a connection"));
    let stream = jetstream.get_stream("log").await.expect("the stream");
    (jetstream, stream)
}

pub(crate) fn event(topic: &str, data: &str) -> NewRecord {
    NewRecord::new(Topic::new(topic).expect("a topic"), data)
}

pub(crate) fn keyed(topic: &str, data: &str, key: &str) -> NewRecord {
    event(topic, data).once(Key::new("", key).expect("a key"))
}

pub(crate) async fn append(log: &NatsLog, new: NewRecord) -> Offset {
    let appended = soon(log.append(new.into())).await.expect("it is appended");
    appended.last().expect("it has a place")
}

/// Publishes until it is taken: the log may be about to recover.
pub(crate) async fn append_at_last(log: &NatsLog, new: NewRecord) -> Offset {
    let mut place = None;
    until("the log takes events again", async || {
        place = log.append(new.clone().into()).await.ok().and_then(|appended| appended.last());
        place.is_some()
    })
    .await;
    place.expect("it was taken")
}

/// All that the log gives of everything.
pub(crate) async fn read_all(log: &NatsLog) -> Vec<SharedRecord> {
    let mut records = Vec::new();
    let mut since = Since::default();
    let filter = Filter::everything();
    loop {
        let page = soon(log.read(since, &filter, ReadLimits::default())).await.expect("a page");
        records.extend(page.records);
        if page.through == since.after || page.through >= log.bounds().last {
            return records;
        }
        since = Since { after: page.through, told: page.trimmed, trims_seen: page.trims_seen };
    }
}

/// What all logs of a stream have in common once they have folded the same.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) bounds: tidings_server::log::Bounds,
    pub(crate) records: Vec<SharedRecord>,
    topics: Vec<TopicSummary>,
    ids: Vec<Option<Offset>>,
    count: usize,
    bytes: u64,
}

/// How the log looks to its users, who publish with these ids.
pub(crate) async fn view(log: &NatsLog, ids: &[PublisherId]) -> View {
    let mut resolved = Vec::new();
    for id in ids {
        resolved.push(soon(log.resolve(id)).await.expect("an answer"));
    }
    let mut topics = log.topics(None, usize::MAX);
    // They depend on the moment.
    topics.iter_mut().for_each(|topic| topic.recent = 0);
    let state = log.state();
    View {
        bounds: log.bounds(),
        records: read_all(log).await,
        topics,
        ids: resolved,
        count: state.records,
        bytes: state.bytes,
    }
}

/// The next records of a tail, up to the one at `last`.
pub(crate) async fn tailed(tail: &mut Tail, last: Offset) -> Vec<SharedRecord> {
    let mut all: Vec<SharedRecord> = Vec::new();
    while all.last().is_none_or(|record| record.offset < last) {
        match soon(tail.next()).await {
            Some(TailItem::Records(records)) => all.extend(records),
            other => panic!("not records: {other:?}"),
        }
    }
    all
}

/// Waits until the log says that it is over.
pub(crate) async fn over(log: &NatsLog) -> String {
    until("the log is over", async || log.state().over.is_some()).await;
    log.state().over.expect("it is over").to_string()
}
