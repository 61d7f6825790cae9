//! The hub is killed again and again while many publish and follow: everything that was
//! acknowledged arrives, once and in order, at everybody.

#[path = "hub/follower.rs"]
mod follower;
mod hub;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::{Notify, RwLock};

use follower::{DEADLINE, Follower};
use hub::Hub;

const KILLS: usize = 6;
const ACKNOWLEDGED_BETWEEN_KILLS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_arrives_once_and_in_order_however_often_the_hub_is_killed() {
    let seed: u64 = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    let hub = Arc::new(RwLock::new(Hub::start(&[]).await));
    let address = hub.read().await.address();
    let stop = Arc::new(AtomicBool::new(false));
    let progress = Arc::new((AtomicUsize::new(0), Notify::new()));

    let followers: Vec<_> = (0..4)
        .map(|number| {
            let mut random = StdRng::seed_from_u64(seed ^ number);
            let path = "/events?pattern=rooms/:id&topic=end&last_event_id=earliest";
            let mut follower = Follower::new(address, path);
            tokio::spawn(async move {
                while follower.events.last().is_none_or(|event| event.1 != "end") {
                    follower.read().await;
                    if random.random_bool(0.05) {
                        follower.cut();
                    }
                }
                follower
            })
        })
        .collect();
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let (hub, stop, progress) = (hub.clone(), stop.clone(), progress.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (topic, data) =
                        (format!("rooms/{publisher}"), format!("{publisher} {number}"));
                    // What got no answer may have been taken or not, and is not sent again.
                    if let Some(id) = hub.read().await.try_publish(&topic, &data).await {
                        acknowledged.push((id, data));
                        progress.0.fetch_add(1, Ordering::Relaxed);
                        progress.1.notify_one();
                    }
                }
                acknowledged
            })
        })
        .collect();

    for kill in 1..=KILLS {
        let enough = async {
            while progress.0.load(Ordering::Relaxed) < kill * ACKNOWLEDGED_BETWEEN_KILLS {
                progress.1.notified().await;
            }
        };
        tokio::time::timeout(DEADLINE, enough).await.expect("the publishers go on");
        // While publishes are under way: the process is killed before the lock is asked for.
        hub.read().await.kill();
        hub.write().await.start_again().await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for publisher in publishers {
        acknowledged.extend(publisher.await.unwrap());
    }
    hub.read().await.publish("end", "end").await;

    let mut sequences = Vec::new();
    for follower in followers {
        let follower = follower.await.unwrap();
        assert_eq!(follower.gaps, Vec::<String>::new());
        sequences.push(follower.events);
    }
    let first = &sequences[0];
    let offsets: Vec<u64> =
        first.iter().map(|(id, _)| id.rsplit_once('-').unwrap().1.parse().unwrap()).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "the order of the log is kept");
    let data: HashSet<_> = first.iter().map(|(_, data)| data).collect();
    assert_eq!(data.len(), first.len(), "nothing twice");
    let seen: HashSet<_> = first.iter().collect();
    for event in &acknowledged {
        assert!(seen.contains(event), "{event:?} was acknowledged and lost");
    }
    for other in &sequences[1..] {
        assert_eq!(first, other, "all followers saw the same");
    }
    println!("{} acknowledged, {} delivered", acknowledged.len(), first.len());
}
