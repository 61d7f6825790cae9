//! The servers alone, under the same faults, followed by no hub: what they lose here is not lost
//! by a hub.

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
    replicas::{connect, lacking, leader_lacks},
    seed,
    stage::Stage,
};

const PUBLISHERS: usize = 4;
const DEADLINE: Duration = Duration::from_secs(60);

/// The sequences that were acknowledged.
type Acknowledged = Arc<Mutex<Vec<u64>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "tries the NATS servers and nothing of the hub: for when the test above loses something"]
async fn the_servers_themselves_lose_nothing_that_they_acknowledged() {
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
    let mut asked = 0;
    for (number, fault) in
        Fault::deal(&Fault::OF_SERVERS, faults(10), &mut random).into_iter().enumerate()
    {
        fault.strike(&mut stage, &mut random).await;
        stage.cluster_mut().ready().await;
        more(&acknowledged, 40).await;
        let sequences = acknowledged.lock().clone();
        let lost = leader_lacks(&jetstream, &sequences).await;
        let count = sequences.len();
        println!(
            "{number:3} {fault:?}: of {count} messages acknowledged the leader lacks {lost:?}"
        );
    }
    stop.send_replace(true);
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let sequences = acknowledged.lock().clone();
    let lost = lacking(stage.cluster_mut(), &sequences).await;
    println!("of {} messages acknowledged the servers lack {lost:?}", sequences.len());
    assert!(lost.values().all(Vec::is_empty), "{SEED}={seed}: lost by the servers: {lost:?}");
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
        let stored = async { jetstream.publish(subject, data.into()).await.ok()?.await.ok() };
        // What got no answer is there or not, and is not sent again.
        if let Some(stored) = stored.await {
            acknowledged.lock().push(stored.sequence);
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
