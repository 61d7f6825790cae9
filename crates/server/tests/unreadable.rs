//! A log of which some records cannot be read: who does not follow them is none the wiser.

#[expect(unreachable_pub, reason = "a module shared by tests")]
#[macro_use]
mod follower;

use std::sync::Arc;

use futures_core::future::BoxFuture;
use tidings_server::{
    fanout::{Fanout, FanoutConfig},
    log::{
        Log as _, MemoryLog, Page, ReadError, ReadLimits, Retention, Since,
        contract::{Fault, Faulty},
    },
    matcher::{Filter, Matcher},
    record::NewRecord,
    subscription::Start,
    topic::Topic,
};

use follower::{Follower, Path};

over_both! {
    (start_paused = true) => what_the_fanout_cannot_read_holds_up_nobody_else;
}

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

async fn what_the_fanout_cannot_read_holds_up_nobody_else(path: Path) {
    // A feed of one record: whoever does not keep up must read the log.
    let sound = MemoryLog::new(Retention::default(), 1).with_feed_bytes_max(1);
    let log = Arc::new(Faulty::new(sound, Arc::new(Rotten)));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    let server = path.serve(&fanout);
    let filter = Filter::new([Matcher::Exact(topic("sound"))]);
    let mut follower = Follower::new(filter, Start::Latest);
    follower.open(&server).await;
    // The fan-out mostly gets to run only after all of these.
    for number in 0..10 {
        log.append(NewRecord::new(topic("rotten"), "x").into()).await.unwrap();
        log.append(NewRecord::new(topic("sound"), number.to_string()).into()).await.unwrap();
    }
    follower.read_until(&server, |follower| follower.events() == 10).await;
    assert_eq!(follower.data().join(""), "0123456789");
    assert_eq!(follower.seen.len(), 11, "{:?}", follower.seen);
}
