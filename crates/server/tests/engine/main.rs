//! The engine: what only it has, as its streams go over real connections. What it shares with
//! bodies is tested over both by the other files.

#[expect(unreachable_pub, reason = "a module shared by tests")]
#[macro_use]
#[path = "../follower/mod.rs"]
mod follower;

mod endings;
mod groups;
mod heartbeats;
mod partial;
mod peers;
mod questions;
mod sessions;

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng as _, rngs::StdRng};
use tidings_server::{
    fanout::{Caller, Fanout, FanoutConfig, Session, Subscribe},
    log::{Batch, Log as _, MemoryLog, Retention},
    matcher::{Filter, Matcher},
    record::{Kind, NewRecord},
    subscriber_name::SubscriberName,
    subscription::{Start, SubscriptionConfig},
    topic::Topic,
};

use follower::wire::{DEADLINE, Way, Wire, Wires};

struct Hub {
    log: Arc<MemoryLog>,
    fanout: Fanout,
    wires: Wires,
}

impl Hub {
    fn new(way: Way) -> Self {
        Self::with(way, Retention::default(), FanoutConfig::default().tail_bytes_max)
    }

    fn with(way: Way, retention: Retention, tail_bytes_max: usize) -> Self {
        let log = Arc::new(MemoryLog::new(retention, 1));
        let config = FanoutConfig { tail_bytes_max, ..FanoutConfig::default() };
        let fanout = Fanout::start(log.clone(), config);
        let wires = Wires::new(&fanout, way);
        Self { log, fanout, wires }
    }

    async fn publish(&self, records: impl IntoIterator<Item = NewRecord>) {
        self.log.append(Batch::new(records.into_iter().collect())).await.unwrap();
    }

    /// A stream of `filter` from now on, that has opened.
    async fn follow(&self, way: Way, filter: Filter) -> Wire {
        self.follow_with(way, filter, SubscriptionConfig::default()).await
    }

    async fn follow_with(&self, way: Way, filter: Filter, config: SubscriptionConfig) -> Wire {
        let request = Subscribe { filter, start: Start::Latest, config };
        let mut wire = self.wires.connect_by(way, self.fanout.subscribe(request), ());
        wire.until("}\n\n").await;
        wire
    }

    /// A stream with a name, from there on.
    fn connect_as(&self, way: Way, name: &str, filter: Filter, start: Start) -> Wire {
        let caller = Caller { name: Some(SubscriberName::new(name).unwrap()), peer: None };
        let config = SubscriptionConfig::default();
        let subscriber = self.fanout.subscribe_as(caller, Subscribe { filter, start, config });
        self.wires.connect_by(way, subscriber, ())
    }

    fn session(&self, name: &str) -> Arc<Session> {
        let name = SubscriberName::new(name).unwrap();
        self.fanout.sessions_of(&name).sessions[0].clone()
    }

    async fn is_deserted(&self) {
        in_time(self.wires.engine.all_gone()).await;
        assert_eq!((self.wires.engine.lines(), self.fanout.stats().subscribers), (0, 0));
    }
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn exact(name: &str) -> Filter {
    Filter::new([Matcher::Exact(topic(name))])
}

fn event(name: &str, data: impl ToString) -> NewRecord {
    NewRecord::new(topic(name), data.to_string())
}

fn of_kind(kind: Kind, name: &str, data: impl ToString) -> NewRecord {
    NewRecord { kind, ..event(name, data) }
}

fn mark(kind: Kind, name: &str) -> NewRecord {
    NewRecord::mark(kind, topic(name))
}

fn narrow(head_bytes: usize) -> Way {
    Way { narrow: true, head_bytes, ..Way::default() }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("it comes in time")
}

/// Awaits a state that nobody tells of.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let looks = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, looks).await;
    assert!(in_time.is_ok(), "never: {what}");
}

fn random() -> StdRng {
    let seed = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("TIDINGS_TEST_SEED is a u64"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
