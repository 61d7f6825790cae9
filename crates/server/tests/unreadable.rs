//! A log of which some records cannot be read: who does not follow them is none the wiser.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use tidings_server::{
    cursor::Offset,
    fanout::{Fanout, FanoutConfig, Subscribe},
    log::*,
    matcher::{Filter, Matcher},
    record::{NewRecord, PublisherId, SharedRecord},
    subscription::{Start, SubscriptionConfig},
    topic::Topic,
};

/// A log whose records of the topic `rotten` cannot be read.
struct Rotten(MemoryLog);

impl Log for Rotten {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.0.append(batch)
    }
    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        if filter.matches_topic(&topic("rotten")) {
            return Box::pin(async { Err(ReadError::Store { cause: "damaged".into() }) });
        }
        self.0.read(since, filter, limits)
    }
    fn tail(&self) -> Tail {
        self.0.tail()
    }
    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }
    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>> {
        self.0.resolve(id)
    }
    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>> {
        self.0.record(offset)
    }
    fn ended(&self, filter: &Filter) -> Option<Offset> {
        self.0.ended(filter)
    }
    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary> {
        self.0.topics(after, count_max)
    }
    fn state(&self) -> LogState {
        self.0.state()
    }
    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        self.0.reopen()
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_fanout_cannot_read_holds_up_nobody_else() {
    // A feed of one record: whoever does not keep up must read the log.
    let log = Arc::new(Rotten(MemoryLog::new(Retention::default(), 1).with_feed_bytes_max(1)));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let mut subscriber = fanout.subscribe(Subscribe {
        filter: Filter::new([Matcher::Exact(topic("sound"))]),
        start: Start::Latest,
        config: SubscriptionConfig::default(),
    });
    // The fan-out gets to run only after all of these.
    for number in 0..10 {
        log.append(NewRecord::new(topic("rotten"), "x").into()).await.unwrap();
        log.append(NewRecord::new(topic("sound"), format!("number {number}")).into())
            .await
            .unwrap();
    }
    let mut text = String::new();
    let all = async {
        while let Some(bytes) = subscriber.next().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            if text.contains("number 9") {
                break;
            }
        }
    };
    // The clock is virtual.
    let in_time = tokio::time::timeout(Duration::from_secs(600), all).await;
    assert!(in_time.is_ok(), "only {text}");
    assert_eq!(text.matches("data: number").count(), 10, "{text}");
}
