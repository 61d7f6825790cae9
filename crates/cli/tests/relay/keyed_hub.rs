//! A hub that knows idempotency keys, and otherwise does as the test says.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::peer::{Exchange, Peer};

/// An event as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) topic: String,
    pub(crate) event: Option<String>,
    pub(crate) data: String,
}

/// The hub, and all that was published to it.
pub(crate) struct KeyedHub {
    peer: Peer,
    pub(crate) log: Vec<Published>,
    /// Every key and the place of its event.
    keys: HashMap<String, usize>,
    /// The exchange before, on whose connection the next may come.
    answered: Option<Exchange>,
}

/// The content type of a problem, as a line of a head.
pub(crate) const PROBLEM: &str = "content-type: application/problem+json\r\n";

impl KeyedHub {
    pub(crate) async fn start() -> Self {
        let peer = Peer::start().await;
        Self { peer, log: Vec::new(), keys: HashMap::new(), answered: None }
    }

    pub(crate) fn origin(&self) -> &str {
        self.peer.origin()
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Exchange {
        match self.answered.take() {
            Some(exchange) => self.peer.after(exchange).await,
            None => self.peer.accept().await,
        }
    }

    /// Answers, and keeps the connection.
    pub(crate) async fn answer(&mut self, mut exchange: Exchange, status: u16, body: &str) {
        exchange.answer(status, PROBLEM, body).await;
        self.answered = Some(exchange);
    }

    /// Publishes the next batch, and says how many lines it had.
    pub(crate) async fn take(&mut self) -> usize {
        let exchange = self.request().await;
        self.publish(exchange).await
    }

    /// Publishes batches until so many events are in the log.
    pub(crate) async fn take_until(&mut self, count: usize) {
        while self.log.len() < count {
            self.take().await;
        }
    }

    /// Publishes this batch and answers, and says how many lines it had.
    pub(crate) async fn publish(&mut self, exchange: Exchange) -> usize {
        let count = lines(&exchange).len();
        let (status, body) = self.apply(&exchange);
        self.answer(exchange, status, &body).await;
        count
    }

    /// What publishing this batch does and answers: all of it or nothing.
    pub(crate) fn apply(&mut self, exchange: &Exchange) -> (u16, String) {
        let lines = lines(exchange);
        for (at, line) in lines.iter().enumerate() {
            let known = self.keys.get(line["idempotency_key"].as_str().unwrap());
            if known.is_some_and(|known| self.log[*known] != published(line)) {
                let rule = "another event was published with this key";
                let problem = json!({
                    "type": "/problems/idempotency-key-reused",
                    "detail": format!("line {}: idempotency_key: {rule}", at + 1),
                    "field": "idempotency_key",
                    "rule": rule,
                    "line": at + 1,
                });
                return (422, problem.to_string());
            }
        }
        let ids: Vec<String> = lines
            .iter()
            .map(|line| {
                let key = line["idempotency_key"].as_str().unwrap().to_owned();
                let next = self.log.len();
                let place = *self.keys.entry(key).or_insert(next);
                if place == next {
                    self.log.push(published(line));
                }
                format!("#a-{place}")
            })
            .collect();
        (200, json!({ "ids": ids }).to_string())
    }

    /// The data of everything in the log, in order.
    pub(crate) fn data(&self) -> Vec<&str> {
        self.log.iter().map(|published| published.data.as_str()).collect()
    }

    /// Whether there is a request that nobody has looked at.
    pub(crate) async fn is_asked(&self) -> bool {
        self.peer.is_asked().await
    }
}

/// The lines of a batch, which keeps within a hub's limits.
pub(crate) fn lines(exchange: &Exchange) -> Vec<Value> {
    assert_eq!(exchange.line(), "POST /events");
    assert_eq!(exchange.header("content-type"), Some("application/x-ndjson"));
    assert!(exchange.body.len() <= 1 << 20);
    let lines: Vec<Value> =
        exchange.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!((1..=1_000).contains(&lines.len()));
    lines
}

fn published(line: &Value) -> Published {
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    Published { topic: text("topic").unwrap(), event: text("event"), data: text("data").unwrap() }
}
