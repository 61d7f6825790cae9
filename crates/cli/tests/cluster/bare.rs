//! The servers alone, under the same faults, followed by no hub: what goes wrong here is not a
//! hub's doing.
//!
//! With nats-server 2.9.10, [`when_their_leader_stands_still`] fails: a leader that stood still until
//! another led, and then went on, keeps messages of its own at some sequences where the others hold
//! those that came after it, and nobody ever mends that. Whoever then reads from that server, or is
//! followed by it, gets another stream.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{self, stream};
use parking_lot::Mutex;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    SEED,
    fault::{Fault, STREAM},
    faults,
    replicas::{Replicas, connect},
    seed,
    stage::Stage,
};

const PUBLISHERS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(60);

/// What was acknowledged, and the sequence that it was acknowledged with.
type Acknowledged = Arc<Mutex<Vec<(u64, String)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "tries the NATS servers, and nothing of the hub"]
async fn the_servers_hold_the_same_and_all_that_they_acknowledged() {
    endure(&Fault::OF_SERVERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "fails with nats-server 2.9.10, without any hub: see above"]
async fn when_their_leader_stands_still() {
    endure(&[Fault::FreezeLeader]).await;
}

async fn endure(kinds: &[Fault]) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::cluster(seed, 0, 3).await;
    let jetstream = connect(stage.cluster_mut()).await;
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{STREAM}.>")],
        num_replicas: 3,
        ..stream::Config::default()
    };
    jetstream.create_stream(config).await.unwrap();

    let acknowledged = Acknowledged::default();
    let (stop, stopped) = watch::channel(false);
    let mut publishers = Vec::new();
    for number in 0..PUBLISHERS {
        let jetstream = connect(stage.cluster_mut()).await;
        publishers.push(tokio::spawn(publish(
            number,
            jetstream,
            acknowledged.clone(),
            stopped.clone(),
        )));
    }
    for (number, fault) in Fault::deal(kinds, faults(10), &mut random).into_iter().enumerate() {
        fault.strike(&mut stage, &mut random).await;
        stage.cluster_mut().ready().await;
        more(&acknowledged, 40).await;
        println!("{number:3} {fault:?}");
    }
    stop.send_replace(true);
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let acknowledged = acknowledged.lock().clone();
    let replicas = Replicas::read(stage.cluster_mut()).await;
    let lost: Vec<_> = acknowledged
        .iter()
        .map(|(sequence, data)| (sequence, data, replicas.with(*sequence, data)))
        .filter(|(.., servers)| *servers < replicas.asked().0)
        .collect();
    let differences = replicas.differences();
    println!(
        "{} messages acknowledged; servers and messages asked: {:?}; acknowledged, and held by so \
         many servers only: {lost:#?}; not the same in all: {differences:#?}",
        acknowledged.len(),
        replicas.asked(),
    );
    assert!(lost.is_empty() && differences.is_empty(), "{SEED}={seed}");
}

async fn publish(
    number: usize,
    jetstream: jetstream::Context,
    acknowledged: Acknowledged,
    stop: watch::Receiver<bool>,
) {
    for sent in 0_u64.. {
        if *stop.borrow() {
            return;
        }
        let data = format!("{number}.{sent}");
        let subject = format!("{STREAM}.{number}");
        let stored =
            async { jetstream.publish(subject, data.clone().into()).await.ok()?.await.ok() };
        // What got no answer is there or not, and is not sent again.
        if let Some(stored) = stored.await {
            acknowledged.lock().push((stored.sequence, data));
        }
        // Not for anything to happen: for the pace.
        sleep(Duration::from_millis(10)).await;
    }
}

async fn more(acknowledged: &Acknowledged, count: usize) {
    let enough = acknowledged.lock().len() + count;
    let come = timeout(DEADLINE, async {
        while acknowledged.lock().len() < enough {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(come.await.is_ok(), "nothing was acknowledged within {DEADLINE:?}");
}
