//! Publishes numbered events, each again until it is acknowledged.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    checker::{END, Event},
    client,
    ledger::Ledger,
};

/// The topics of all events but the last.
pub(crate) const TOPICS: [&str; 4] = ["rooms/1", "rooms/2", "news", "orders/7"];

/// An answer that is not there by then is not waited for: the hub's own limit is shorter.
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
/// How long one publish may take over all hubs, faults included.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(120);
const BATCH_EVENTS_MAX: usize = 5;

pub(crate) struct Publisher {
    number: u64,
    hubs: Arc<[SocketAddr]>,
    http: reqwest::Client,
    ledger: Arc<Ledger>,
    random: StdRng,
    sent: u64,
}

impl Publisher {
    pub(crate) fn new(
        number: u64,
        seed: u64,
        hubs: Arc<[SocketAddr]>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let random = StdRng::seed_from_u64(seed ^ (number << 32));
        Self { number, hubs, http: client::new(), ledger, random, sent: 0 }
    }

    /// Publishes until it is told to stop.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let events = self.compose();
            if self.random.random_bool(0.05) {
                self.send_and_leave(events).await;
            } else {
                self.send_until_acknowledged(events).await;
            }
            // Not for anything to happen: for the pace.
            sleep(Duration::from_millis(self.random.random_range(5..25))).await;
        }
    }

    /// Publishes the event at which all subscribers end.
    pub(crate) async fn end(mut self) {
        let end = Event { topic: END.to_owned(), data: END.to_owned() };
        self.send_until_acknowledged(vec![end]).await;
    }

    fn compose(&mut self) -> Vec<Event> {
        self.sent += 1;
        let is_batch = self.random.random_bool(0.25);
        let count = if is_batch { self.random.random_range(2..=BATCH_EVENTS_MAX) } else { 1 };
        let mut event = |index| Event {
            topic: TOPICS[self.random.random_range(0..TOPICS.len())].to_owned(),
            data: format!("{}.{}.{index}", self.number, self.sent),
        };
        (0..count).map(&mut event).collect()
    }

    /// Sends it once and hangs up soon: it is there or not.
    async fn send_and_leave(&mut self, events: Vec<Event>) {
        let hub = self.hubs[self.random.random_range(0..self.hubs.len())];
        let request = self.request(hub, &events);
        let number = self.ledger.start(events);
        let patience = Duration::from_micros(self.random.random_range(0..10_000));
        if let Ok(Some(ids)) = timeout(patience, send(request)).await {
            self.ledger.acknowledge(number, ids);
        }
    }

    /// Sends it to one hub after the other, with the same keys.
    async fn send_until_acknowledged(&mut self, events: Vec<Event>) {
        let number = self.ledger.start(events.clone());
        let first = self.random.random_range(0..self.hubs.len());
        let sending = async {
            for attempt in first.. {
                let hub = self.hubs[attempt % self.hubs.len()];
                if let Ok(Some(ids)) =
                    timeout(ANSWER_WITHIN, send(self.request(hub, &events))).await
                {
                    assert_eq!(ids.len(), events.len(), "an id for each event");
                    self.ledger.acknowledge(number, ids);
                    return;
                }
                // A hub that is down refuses at once; it is not asked all the time.
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(ACKNOWLEDGED_WITHIN, sending).await.is_err() {
            panic!("{events:?} not acknowledged within {ACKNOWLEDGED_WITHIN:?}");
        }
    }

    fn request(&self, hub: SocketAddr, events: &[Event]) -> RequestBuilder {
        let url = format!("http://{hub}/events");
        if let [event] = events {
            return self
                .http
                .request(Method::POST, format!("{url}/{}", event.topic))
                .header("idempotency-key", &event.data)
                .body(event.data.clone());
        }
        let line = |event: &Event| {
            let Event { topic, data } = event;
            json!({ "topic": topic, "data": data, "idempotency_key": data }).to_string() + "\n"
        };
        let lines: String = events.iter().map(line).collect();
        self.http
            .request(Method::POST, url)
            .header("content-type", "application/x-ndjson")
            .body(lines)
    }
}

/// The ids of what was acknowledged; `None` if it is to be sent again.
async fn send(request: RequestBuilder) -> Option<Vec<String>> {
    let response = request.send().await.ok()?;
    let status = response.status();
    let body = response.bytes().await.ok()?;
    if status == StatusCode::OK {
        let answer: Value = serde_json::from_slice(&body).expect("the answer is JSON");
        let ids = answer["ids"].as_array().cloned().unwrap_or_else(|| vec![answer["id"].clone()]);
        return Some(ids.iter().map(|id| id.as_str().expect("an id").to_owned()).collect());
    }
    let is_transient = status.is_server_error()
        || [StatusCode::CONFLICT, StatusCode::REQUEST_TIMEOUT].contains(&status);
    assert!(is_transient, "{status}: {}", String::from_utf8_lossy(&body));
    None
}
