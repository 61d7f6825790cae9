//! The hub is killed again and again while many publish, each sending again what got no answer,
//! under its key: everything arrives, and once.

#[path = "hub/follower.rs"]
mod follower;
mod hub;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, RwLock},
    time::timeout,
};

use follower::{DEADLINE, Follower};
use hub::Hub;

const KILLS: u32 = 12;
const PUBLISHERS: u64 = 6;
const ANSWERED_BETWEEN_KILLS: std::ops::Range<u32> = 5..60;

/// What all publishers share.
#[derive(Default)]
struct Progress {
    answered: AtomicU32,
    // Publishes that were sent again.
    retried: AtomicU32,
    kills: AtomicU32,
    changed: Notify,
}

/// Publishes events, alone and in batches, until the last kill is over: each until it is answered.
/// Gives the id and data of each.
struct Publisher {
    number: u64,
    random: StdRng,
    http: reqwest::Client,
    // Locked for writing while it starts again.
    hub: Arc<RwLock<Hub>>,
    address: SocketAddr,
    progress: Arc<Progress>,
    events: Vec<(String, String)>,
    count: u32,
}

impl Publisher {
    async fn run(mut self) -> Vec<(String, String)> {
        while self.progress.kills.load(Ordering::Relaxed) < KILLS {
            if self.random.random_bool(0.3) {
                self.batch().await;
            } else {
                self.single().await;
            }
        }
        self.events
    }

    fn next(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.number, self.count)
    }

    async fn single(&mut self) {
        let data = self.next();
        let request =
            self.http.post(format!("http://{}/events/rooms/{}", self.address, self.number));
        let request = request.header("idempotency-key", &data).body(data.clone());
        let answer = self.until_answered(&request).await;
        self.events.push((answer["id"].as_str().unwrap().to_owned(), data));
    }

    async fn batch(&mut self) {
        let mut batch: Vec<_> = (0..self.random.random_range(1..5)).map(|_| self.next()).collect();
        // Also one that was published before.
        batch.extend(self.events.last().map(|(_, data)| data.clone()));
        let line = |data: &String| {
            let topic = format!("rooms/{}", self.number);
            json!({ "topic": topic, "data": data, "idempotency_key": data }).to_string()
        };
        let lines: Vec<_> = batch.iter().map(line).collect();
        let request = self.http.post(format!("http://{}/events", self.address));
        let request = request.header("content-type", "application/x-ndjson").body(lines.join("\n"));
        let answer = self.until_answered(&request).await;
        let ids = answer["ids"].as_array().unwrap();
        assert_eq!(ids.len(), batch.len());
        let ids = ids.iter().map(|id| id.as_str().unwrap().to_owned());
        self.events.extend(ids.zip(batch));
    }

    async fn until_answered(&self, request: &reqwest::RequestBuilder) -> Value {
        let answered = async {
            loop {
                let _running = self.hub.read().await;
                if let Some(answer) = send(request.try_clone().unwrap()).await {
                    break answer;
                }
                self.progress.retried.fetch_add(1, Ordering::Relaxed);
            }
        };
        let answer = timeout(DEADLINE, answered).await.expect("it is answered in the end");
        self.progress.answered.fetch_add(1, Ordering::Relaxed);
        self.progress.changed.notify_one();
        answer
    }
}

/// The answer, if the hub lives long enough to give it, and is not still busy with the try before.
async fn send(request: reqwest::RequestBuilder) -> Option<Value> {
    let response = request.send().await.ok()?;
    let status = response.status();
    let body = response.bytes().await.ok()?;
    let answer: Value = serde_json::from_slice(&body).ok()?;
    if status == 409 {
        return None;
    }
    assert_eq!(status, 200, "{answer}");
    Some(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_sent_again_until_it_is_answered_arrives_once_however_often_the_hub_is_killed() {
    let seed: u64 = std::env::var("TIDINGS_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("replay with TIDINGS_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let hub = Arc::new(RwLock::new(Hub::start(&[]).await));
    let address = hub.read().await.address();
    let progress = Arc::new(Progress::default());
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let publisher = Publisher {
                number,
                random: StdRng::seed_from_u64(seed ^ number),
                http: reqwest::Client::builder().no_proxy().build().unwrap(),
                hub: hub.clone(),
                address,
                progress: progress.clone(),
                events: Vec::new(),
                count: 0,
            };
            tokio::spawn(publisher.run())
        })
        .collect();
    for _ in 0..KILLS {
        let wanted =
            progress.answered.load(Ordering::Relaxed) + random.random_range(ANSWERED_BETWEEN_KILLS);
        let enough = async {
            while progress.answered.load(Ordering::Relaxed) < wanted {
                progress.changed.notified().await;
            }
        };
        timeout(DEADLINE, enough).await.expect("the publishers go on");
        // While publishes are under way: the process is killed before the lock is asked for.
        hub.read().await.kill();
        hub.write().await.start_again().await;
        progress.kills.fetch_add(1, Ordering::Relaxed);
    }
    // An event has one id, whichever try it was answered to.
    let mut published = HashMap::new();
    for publisher in publishers {
        for (id, data) in publisher.await.unwrap() {
            let before = published.insert(data, id.clone());
            assert!(before.is_none_or(|before| before == id));
        }
    }
    hub.read().await.publish("end", "end").await;

    let path = "/events?pattern=rooms/:id&topic=end&last_event_id=earliest";
    let mut follower = Follower::new(address, path);
    follower.read_until("end").await;
    assert_eq!(follower.gaps, Vec::<String>::new());
    follower.events.pop();
    let delivered = follower.events.len();
    for (id, data) in follower.events {
        assert_eq!(published.remove(&data), Some(id), "{data} once, under the id of its answer");
    }
    assert!(published.is_empty(), "{published:?} never arrived");
    let retried = progress.retried.load(Ordering::Relaxed);
    println!("{delivered} delivered, {retried} sent again");
}
