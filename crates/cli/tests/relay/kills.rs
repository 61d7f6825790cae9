//! Relay, upstream and hub are killed again and again while events are published: all of them
//! arrive, once and in order.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::process::Child;
use tokio::sync::{Notify, RwLock};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::follower::{DEADLINE, Follower};
use crate::hub::Hub;
use crate::keyed_hub::KeyedHub;
use crate::program::program;
use crate::sides::{kill, stop};

/// A hub that is published to all the while, and a relay that follows it from its first event on.
struct Stage {
    upstream: Arc<RwLock<Hub>>,
    /// Events that the upstream has acknowledged.
    progress: Arc<(AtomicUsize, Notify)>,
    is_over: Arc<AtomicBool>,
    publishers: Vec<JoinHandle<Vec<String>>>,
    /// The URL of the hub that the relay publishes to.
    target: String,
    directory: tempfile::TempDir,
}

impl Stage {
    async fn set(target: String) -> Self {
        let mut stage = Self {
            upstream: Arc::new(RwLock::new(Hub::start(&[]).await)),
            progress: Arc::default(),
            is_over: Arc::default(),
            publishers: Vec::new(),
            target,
            directory: tempfile::tempdir().unwrap(),
        };
        stage.publishers = (0..3).map(|publisher| stage.publish(publisher)).collect();
        stage
    }

    /// Publishes until it is over, and answers what was acknowledged.
    fn publish(&self, publisher: usize) -> JoinHandle<Vec<String>> {
        let (upstream, progress) = (Arc::clone(&self.upstream), Arc::clone(&self.progress));
        let is_over = Arc::clone(&self.is_over);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let data = format!("{publisher} {number}");
                // What got no answer may have been taken or not, and is not sent again.
                if upstream.read().await.try_publish("from", &data).await.is_some() {
                    acknowledged.push(data);
                    progress.0.fetch_add(1, Ordering::Relaxed);
                    progress.1.notify_one();
                }
            }
            acknowledged
        })
    }

    async fn start_relay(&self) -> Child {
        let url = self.upstream.read().await.url("/events/from");
        let file = |name: &str| self.directory.path().join(name);
        let said = File::options().create(true).append(true).open(file("said")).unwrap();
        let cursor = file("cursor");
        program(&["relay", &url, "--to", "to", "--hub", &self.target])
            .args(["--last-event-id", "earliest", "--cursor-file", cursor.to_str().unwrap()])
            .stderr(said)
            .spawn()
            .unwrap()
    }

    async fn kill_upstream(&self) {
        // While publishes are under way: the process is killed before the lock is asked for.
        self.upstream.read().await.kill();
        self.upstream.write().await.start_again().await;
    }

    /// Waits until so many more events are acknowledged.
    async fn await_progress(&self, events: usize) {
        let goal = self.progress.0.load(Ordering::Relaxed) + events;
        let enough = async {
            while self.progress.0.load(Ordering::Relaxed) < goal {
                self.progress.1.notified().await;
            }
        };
        timeout(DEADLINE, enough).await.expect("the publishers go on");
    }

    /// Publishes the last event.
    async fn end(&mut self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for publisher in self.publishers.drain(..) {
            acknowledged.extend(publisher.await.unwrap());
        }
        self.upstream.read().await.publish("from", "end").await;
        acknowledged
    }

    /// Compares what arrived with all that the upstream has.
    async fn check(&self, arrived: &[String], acknowledged: &[String]) {
        let all = all(&*self.upstream.read().await, "from").await;
        println!("{} acknowledged, {} published", acknowledged.len(), all.len());
        let known: HashSet<_> = all.iter().collect();
        assert!(acknowledged.iter().all(|data| known.contains(data)));
        assert!(arrived == all, "they differ:\n{arrived:?}\n{all:?}");
        let said = std::fs::read_to_string(self.directory.path().join("said")).unwrap();
        assert!(!said.contains("warning:") && !said.contains("error:"), "{said}");
    }
}

/// The data of all events of a topic up to the last.
async fn all(hub: &Hub, topic: &str) -> Vec<String> {
    let path = format!("/events/{topic}?last_event_id=earliest");
    let mut follower = Follower::new(hub.address(), &path);
    follower.read_until("end").await;
    assert_eq!(follower.gaps, Vec::<String>::new());
    follower.events.into_iter().map(|(_, data)| data).collect()
}

fn seeded() -> StdRng {
    let seed: u64 = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_between_taking_and_acknowledging_neither_loses_nor_repeats() {
    let mut random = seeded();
    let mut hub = KeyedHub::start().await;
    let mut stage = Stage::set(hub.origin().to_owned()).await;
    let mut relay = stage.start_relay().await;
    for _ in 0..DISRUPTIONS {
        for _ in 0..random.random_range(UNDISTURBED) {
            hub.take().await;
        }
        let mut request = hub.request().await;
        let is_taken = random.random_bool(0.5);
        if is_taken {
            assert_eq!(hub.apply(&request).0, 200);
        }
        match random.random_range(0..4) {
            0..2 => {
                kill(relay).await;
                drop(request);
                relay = stage.start_relay().await;
            }
            2 => request.reset(),
            _ => {
                request.answer(504, "", "").await;
                stage.kill_upstream().await;
            }
        }
    }
    let acknowledged = stage.end().await;
    while hub.log.last().is_none_or(|last| last.data != "end") {
        hub.take().await;
    }
    stop(relay).await;
    let arrived: Vec<String> = hub.data().into_iter().map(str::to_owned).collect();
    stage.check(&arrived, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn between_two_hubs_every_event_arrives_once_whoever_is_killed() {
    let mut random = seeded();
    let mut target = Hub::start(&[]).await;
    let mut stage = Stage::set(target.url("/")).await;
    let mut relay = stage.start_relay().await;
    for _ in 0..DISRUPTIONS {
        stage.await_progress(random.random_range(PROGRESS)).await;
        match random.random_range(0..3) {
            0 => stage.kill_upstream().await,
            1 => target.kill_and_start_again().await,
            _ => {
                kill(relay).await;
                relay = stage.start_relay().await;
            }
        }
    }
    let acknowledged = stage.end().await;
    let arrived = all(&target, "to").await;
    stop(relay).await;
    stage.check(&arrived, &acknowledged).await;
}

const DISRUPTIONS: usize = 10;
/// How many batches are taken between two disruptions.
const UNDISTURBED: Range<usize> = 0..20;
/// How many events are acknowledged between two kills.
const PROGRESS: Range<usize> = 20..400;
