//! The servers alone, under the same faults, followed by no hub: what they lose here is not lost
//! by a hub.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    stream::{self, RawMessageErrorKind},
};
use parking_lot::Mutex;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    SEED,
    fault::{Fault, STREAM},
    faults, seed,
    stage::Stage,
};

const PUBLISHERS: usize = 4;
const DEADLINE: Duration = Duration::from_secs(60);

/// A message and the sequence that it was acknowledged with.
type Acknowledged = Arc<Mutex<Vec<(u64, String)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "tries the NATS servers and nothing of the hub: for when the test above loses something"]
async fn the_servers_themselves_lose_nothing_that_they_acknowledged() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::cluster(seed, 0, 3).await;
    let jetstream = connect(&stage).await;
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
        let jetstream = connect(&stage).await;
        publishers.push(tokio::spawn(publish(
            number,
            jetstream,
            acknowledged.clone(),
            stopped.clone(),
        )));
    }
    for (number, fault) in
        Fault::deal(&Fault::OF_SERVERS, faults(10), &mut random).into_iter().enumerate()
    {
        fault.strike(&mut stage, &mut random).await;
        stage.cluster_mut().ready().await;
        more(&acknowledged, 40).await;
        let lost = lost(&jetstream, &acknowledged).await;
        let count = acknowledged.lock().len();
        println!("{number:3} {fault:?}: of {count} messages acknowledged {} are lost", lost.len());
        assert!(lost.is_empty(), "{SEED}={seed}: lost by the servers: {lost:?}");
    }
    stop.send_replace(true);
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

async fn connect(stage: &Stage) -> jetstream::Context {
    let urls = stage.cluster.as_ref().expect("it has servers").urls();
    jetstream::new(async_nats::connect(urls).await.unwrap())
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

/// What was acknowledged and is not there, or is another message.
async fn lost(jetstream: &jetstream::Context, acknowledged: &Acknowledged) -> Vec<(u64, String)> {
    let stream = jetstream.get_stream_no_info(STREAM).await.unwrap();
    let acknowledged = acknowledged.lock().clone();
    let mut lost = Vec::new();
    for (sequence, data) in acknowledged {
        // By the stream's leader, as only that has all for sure.
        let found = async {
            loop {
                match stream.get_raw_message(sequence).await {
                    Ok(message) => return message.payload == data,
                    Err(cause) if cause.kind() == RawMessageErrorKind::NoMessageFound => {
                        return false;
                    }
                    // While the leader changes, nobody answers.
                    Err(_) => {}
                }
            }
        };
        if !timeout(DEADLINE, found).await.expect("the stream answers") {
            lost.push((sequence, data));
        }
    }
    lost
}
