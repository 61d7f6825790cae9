//! A log of which some records cannot be read: who does not follow them is none the wiser.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use tidings_server::{
    fanout::{Fanout, FanoutConfig, Subscribe},
    log::{
        Log as _, MemoryLog, Page, ReadError, ReadLimits, Retention, Since,
        contract::{Fault, Faulty},
    },
    matcher::{Filter, Matcher},
    record::NewRecord,
    subscription::{Start, SubscriptionConfig},
    topic::Topic,
};

/// Records of the topic `rotten` cannot be read.
struct Rotten;

impl Fault for Rotten {
    fn read<'a>(
        &'a self,
        log: &'a MemoryLog,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        if filter.matches_topic(&topic("rotten")) {
            return Box::pin(async { Err(ReadError::Store { cause: "damaged".into() }) });
        }
        log.read(since, filter, limits)
    }
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_fanout_cannot_read_holds_up_nobody_else() {
    // A feed of one record: whoever does not keep up must read the log.
    let sound = MemoryLog::new(Retention::default(), 1).with_feed_bytes_max(1);
    let log = Arc::new(Faulty::new(sound, Arc::new(Rotten)));
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
