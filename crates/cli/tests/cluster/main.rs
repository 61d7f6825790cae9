//! Hubs as they are run, over NATS servers as they are run, while both are killed, frozen and cut
//! off: everything that was acknowledged arrives, once and in order, at everybody.
//!
//! `TIDINGS_FAULTS=40` makes it last longer, and `TIDINGS_TEST_SEED` gives the same faults again,
//! though never at the same moments.

mod bare;
mod checked;
mod checker;
mod client;
mod fault;
mod ledger;
mod node;
mod publisher;
mod replicas;
mod stage;
mod subscriber;

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use checker::{Delivered, Follows, check};
use fault::Fault;
use ledger::Ledger;
use publisher::{Publisher, TOPICS};
use replicas::Replicas;
use stage::{Settled, Stage};
use subscriber::Subscriber;

/// In the environment: the seed of an earlier run.
const SEED: &str = "TIDINGS_TEST_SEED";
/// In the environment: how many faults are to come.
const FAULTS: &str = "TIDINGS_FAULTS";

const PUBLISHERS: u64 = 4;
const SUBSCRIBERS_OF_ALL: usize = 4;
/// How long the last events may take to reach everybody.
const ARRIVED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hub_alone_loses_nothing_that_it_acknowledged() {
    let seed = seed();
    let stage = Stage::alone(seed).await;
    endure(stage, &Fault::OF_A_HUB, faults(6), seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hubs_over_nats_lose_nothing_that_they_acknowledged() {
    let seed = seed();
    let stage = Stage::cluster(seed, 3, 3).await;
    endure(stage, &Fault::OF_A_CLUSTER, faults(10), seed).await;
}

fn seed() -> u64 {
    let seed =
        env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with {SEED}={seed}");
    seed
}

fn faults(default: usize) -> usize {
    env::var(FAULTS).map_or(default, |faults| faults.parse().expect("a number"))
}

/// Publishes and follows while that many faults come, and checks what arrived.
async fn endure(mut stage: Stage, kinds: &[Fault], faults: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let hubs = stage.addresses();
    let ledger = Arc::new(Ledger::new());
    let (stop, stopped) = watch::channel(false);

    let all = (0..SUBSCRIBERS_OF_ALL).map(|number| (format!("all-{number}"), Follows::All));
    let some = TOPICS.iter().enumerate();
    let some = some.map(|(number, &topic)| (format!("one-{number}"), Follows::Topic(topic.into())));
    let mut subscribers: Vec<_> = all
        .chain(some)
        .map(|(name, follows)| {
            tokio::spawn(Subscriber::new(name, follows, seed, hubs.clone()).run())
        })
        .collect();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let publisher = Publisher::new(number, seed, hubs.clone(), ledger.clone());
            tokio::spawn(publisher.run(stopped.clone()))
        })
        .collect();

    stage.settle(&ledger).await;
    let mut told: BTreeMap<Fault, Vec<Duration>> = BTreeMap::new();
    for (number, fault) in Fault::deal(kinds, faults, &mut random).into_iter().enumerate() {
        ledger.take_silence();
        fault.strike(&mut stage, &mut random).await;
        let Settled { servers, hubs } = stage.settle(&ledger).await;
        let silence = ledger.take_silence();
        println!(
            "{number:3} {fault:?}: {silence:.1?} without an acknowledgement; servers were well \
             {servers:.1?} after it, and hubs {hubs:.1?} later"
        );
        told.entry(fault).or_default().push(silence);
    }

    stop.send_replace(true);
    try_join_all(publishers).await.expect("no publisher was refused");
    Publisher::new(PUBLISHERS, seed, hubs.clone(), ledger.clone()).end().await;
    // What each hub has by itself, for somebody who comes when all is over.
    subscribers.extend(hubs.iter().enumerate().map(|(number, &hub)| {
        let name = format!("late-{number}");
        tokio::spawn(Subscriber::new(name, Follows::All, seed, [hub]).run())
    }));
    let delivered = arrived(subscribers).await;

    let submissions = ledger.submissions();
    let checked = match check(&submissions, &delivered) {
        Ok(checked) => checked,
        Err(violation) => {
            println!("{violation}");
            if let Some(cluster) = &mut stage.cluster {
                let replicas = Replicas::read(cluster).await;
                println!("not the same in all servers: {:#?}", replicas.differences());
            }
            panic!("{SEED}={seed}: {violation}");
        }
    };
    for (fault, silences) in &told {
        let longest = silences.iter().max().expect("it came at least once");
        println!(
            "{:2} x {fault:?}, at most {longest:.1?} without an acknowledgement",
            silences.len()
        );
    }
    let failed: usize = stage.nodes.iter().map(|node| node.failed_starts).sum();
    println!("{checked:?}, {failed} starts of a hub failed and were tried again");
}

async fn arrived(subscribers: Vec<JoinHandle<Delivered>>) -> Vec<Delivered> {
    match timeout(ARRIVED_WITHIN, try_join_all(subscribers)).await {
        Ok(delivered) => delivered.expect("no subscriber was turned away"),
        Err(_) => panic!("not everybody got to the end within {ARRIVED_WITHIN:?}"),
    }
}
