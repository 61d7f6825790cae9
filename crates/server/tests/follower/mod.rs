//! A subscriber as a browser is one: it decodes what arrives, keeps the last event id, and comes
//! back with it after it was cut off. It reads a body, or a connection that the engine writes to:
//! the same tests run over both.

#![allow(dead_code, unused_macros, reason = "each test takes what it needs")]

mod chunked;
pub mod wire;

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

use wire::{Next, Way, Wire, Wires};

/// Stamps tests onto both paths: each is a function of the [`Path`]. Over bodies they run with the
/// arguments given for `tokio::test`, over the engine in real time.
macro_rules! over_both {
    (@body $arguments:tt => $($name:ident),+) => {
        $(
            #[tokio::test $arguments]
            async fn $name() {
                super::$name(super::follower::Path::Body).await;
            }
        )+
    };
    ($($arguments:tt => $($name:ident),+;)+) => {
        mod over_a_body {
            $(over_both!(@body $arguments => $($name),+);)+
        }

        mod over_the_engine {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(super::follower::Path::Engine).await;
                }
            )+)+
        }
    };
}

/// The last step of a stream's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Body,
    Engine,
}

/// Whoever serves the streams of a fan-out.
pub enum Server {
    Bodies(Fanout),
    Wires(Box<Wires>),
}

impl Path {
    pub fn serve(self, fanout: &Fanout) -> Server {
        match self {
            Self::Body => Server::Bodies(fanout.clone()),
            Self::Engine => Wires::new(fanout, Way::default()).into(),
        }
    }
}

impl From<Wires> for Server {
    fn from(wires: Wires) -> Self {
        Self::Wires(Box::new(wires))
    }
}

impl Server {
    fn connect(&self, request: Subscribe) -> Connection {
        match self {
            Self::Bodies(fanout) => Connection::Body(Box::new(fanout.subscribe(request))),
            Self::Wires(wires) => {
                Connection::Wire(Box::new(wires.connect(wires.fanout.subscribe(request))))
            }
        }
    }

    /// Waits until nobody is connected any more: over a wire that takes the time it takes.
    pub async fn is_deserted(&self) {
        let fanout = match self {
            Self::Bodies(fanout) => fanout,
            Self::Wires(wires) => {
                let gone = tokio::time::timeout(wire::DEADLINE, wires.engine.all_gone());
                gone.await.expect("whoever left is noticed");
                &wires.fanout
            }
        };
        assert_eq!(fanout.stats().subscribers, 0);
    }
}

enum Connection {
    Body(Box<Subscriber>),
    Wire(Box<Wire>),
}

impl Connection {
    /// The next bytes, and whether they are all there were: of a body, what does not fit in
    /// `bytes_max` is lost.
    async fn next(&mut self, bytes_max: usize) -> Result<(Vec<u8>, bool), Next> {
        match self {
            Self::Body(subscriber) => {
                let mut bytes = subscriber.next().await.ok_or(Next::End)?.to_vec();
                let whole = bytes.len() <= bytes_max;
                bytes.truncate(bytes_max);
                Ok((bytes, whole))
            }
            Self::Wire(wire) => match wire.next(bytes_max).await {
                Next::Bytes(bytes) => Ok((bytes, true)),
                ended => Err(ended),
            },
        }
    }
}

/// What a follower has seen, over all its connections.
pub struct Follower {
    filter: Filter,
    pub config: SubscriptionConfig,
    /// How long it waits for bytes before it gives up reading; without it, there must be some.
    pub patience: Option<Duration>,
    start: Start,
    decoder: Decoder,
    connection: Option<Connection>,
    pub seen: Vec<Seen>,
    /// How often a connection broke off within the body.
    pub broken: usize,
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
            patience: None,
            start,
            decoder: Decoder::new(Limits::default()),
            connection: None,
            seen: Vec::new(),
            broken: 0,
            events: 0,
        }
    }

    /// Connects, if it is not.
    pub fn connect(&mut self, server: &Server) {
        self.connection.get_or_insert_with(|| {
            let start = match self.decoder.last_event_id() {
                "" => self.start.clone(),
                id => Start::from_last_event_id(id),
            };
            server.connect(Subscribe { filter: self.filter.clone(), start, config: self.config })
        });
    }

    /// Connects, if it is not, and reads at most `bytes_max` bytes of what arrives next.
    /// Returns how many bytes it took; what a body gave beyond is lost with the connection.
    pub async fn read(&mut self, server: &Server, bytes_max: usize) -> usize {
        self.connect(server);
        let connection = self.connection.as_mut().expect("it has just connected");
        let wait = self.patience.unwrap_or(Duration::from_secs(60));
        let next = match tokio::time::timeout(wait, pin!(connection.next(bytes_max))).await {
            Ok(next) => next,
            Err(_) if self.patience.is_some() => return 0,
            Err(_) => panic!("nothing comes within a minute after {:?}", self.seen.last()),
        };
        let (bytes, whole) = match next {
            Ok(next) => next,
            Err(ended) => {
                self.broken += usize::from(ended == Next::Broken);
                self.cut();
                return 0;
            }
        };
        let mut chunk = &bytes[..];
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
        if !whole {
            self.cut();
        }
        bytes.len()
    }

    /// Reads until it is so.
    pub async fn read_until(&mut self, server: &Server, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.read(server, usize::MAX).await;
        }
    }

    /// Reads until the stream is open: it has said where it begins.
    pub async fn open(&mut self, server: &Server) {
        let seen = self.seen.len();
        self.read_until(server, |follower| follower.seen.len() > seen).await;
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
