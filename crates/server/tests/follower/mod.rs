//! A subscriber as a browser is one: it decodes what arrives, keeps the last event id, and comes
//! back with it after it was cut off.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{pin::pin, time::Duration};

use futures_util::StreamExt as _;
use tidings_proto::{
    decode::{Decoder, Item, Limits},
    event::EventId,
};
use tidings_server::{
    fanout::{Fanout, Subscribe, Subscriber},
    frame::{CURSOR, GAP},
    matcher::Filter,
    subscription::{Start, SubscriptionConfig},
};

/// What a follower has seen, over all its connections.
pub struct Follower {
    filter: Filter,
    pub config: SubscriptionConfig,
    start: Start,
    decoder: Decoder,
    connection: Option<Subscriber>,
    pub seen: Vec<Seen>,
    events: usize,
}

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Event { id: String, data: String },
    Cursor { id: String },
    Gap { id: String, notice: serde_json::Value },
}

impl Follower {
    pub fn new(filter: Filter, start: Start) -> Self {
        Self {
            filter,
            config: SubscriptionConfig::default(),
            start,
            decoder: Decoder::new(Limits::default()),
            connection: None,
            seen: Vec::new(),
            events: 0,
        }
    }

    /// Connects, if it is not, and reads at most `bytes_max` bytes of what arrives next.
    /// Returns how many bytes it took; the rest is lost with the connection if it was cut.
    pub async fn read(&mut self, fanout: &Fanout, bytes_max: usize) -> usize {
        let connection = self.connection.get_or_insert_with(|| {
            let start = match self.decoder.last_event_id() {
                "" => self.start.clone(),
                id => Start::from_last_event_id(id),
            };
            fanout.subscribe(Subscribe { filter: self.filter.clone(), start, config: self.config })
        });
        let next = tokio::time::timeout(Duration::from_secs(60), pin!(connection.next())).await;
        let Some(bytes) = next.expect("the next bytes come within a minute") else {
            self.cut();
            return 0;
        };
        let taken = bytes.len().min(bytes_max);
        let mut chunk = &bytes[..taken];
        while let Some(item) = self.decoder.poll_item(&mut chunk).expect("within the limits") {
            let Item::Event(event) = item else { continue };
            let (id, data) = (event.last_event_id().to_owned(), event.data().to_owned());
            self.seen.push(match event.event_type() {
                CURSOR => Seen::Cursor { id },
                GAP => Seen::Gap { id, notice: serde_json::from_str(&data).unwrap() },
                _ => {
                    self.events += 1;
                    Seen::Event { id, data }
                }
            });
        }
        if taken < bytes.len() {
            self.cut();
        }
        taken
    }

    /// Loses the connection.
    pub fn cut(&mut self) {
        self.connection = None;
        self.decoder.end_stream();
    }

    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// Pretends that this was the last event id.
    pub fn set_last_event_id(&mut self, id: &str) {
        self.cut();
        let id = EventId::new(id.to_owned()).unwrap();
        self.decoder = Decoder::new(Limits::default()).with_last_event_id(&id);
    }

    /// The data of the events, notices left out.
    pub fn data(&self) -> Vec<&str> {
        self.seen.iter().filter_map(Seen::data).collect()
    }

    /// How many events there were, notices left out.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The gap notices.
    pub fn gaps(&self) -> Vec<&serde_json::Value> {
        self.seen.iter().filter_map(Seen::gap).collect()
    }
}

impl Seen {
    pub fn id(&self) -> &str {
        let (Self::Event { id, .. } | Self::Cursor { id } | Self::Gap { id, .. }) = self;
        id
    }

    pub fn data(&self) -> Option<&str> {
        match self {
            Self::Event { data, .. } => Some(data),
            _ => None,
        }
    }

    pub fn gap(&self) -> Option<&serde_json::Value> {
        match self {
            Self::Gap { notice, .. } => Some(notice),
            _ => None,
        }
    }
}
