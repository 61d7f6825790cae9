//! What all requests share.

use std::{net::SocketAddr, ops::Deref, sync::Arc};

use tidings_server::{
    cursor::Epoch,
    fanout::{Fanout, engine::Engine},
    log::SharedLog,
    topic::Topic,
};
use tokio::sync::{Semaphore, watch};
use url::Url;

use crate::{
    access::{Access, neighbour::Neighbours},
    config::Config,
    metrics::{Metrics, Publishing},
    nats::{Census, Entry},
    store::Opened,
    under_way::UnderWay,
};

/// A handle on what all requests share.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) log: SharedLog,
    pub(crate) fanout: Fanout,
    /// Writes the streams on plain connections.
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    pub(crate) access: Access,
    /// What URL Patterns are resolved against, and where this hub is reached.
    pub(crate) base: Url,
    /// What other hubs call this one: from chance.
    pub(crate) name: String,
    /// Asks the hubs that share the log, where several may.
    pub(crate) census: Option<Census>,
    /// A permit for each byte of the publishes under way.
    pub(crate) publishing: Arc<Semaphore>,
    /// The idempotency keys of the publishes under way.
    pub(crate) under_way: UnderWay,
    /// A permit for each open stream.
    pub(crate) streams: Arc<Semaphore>,
    /// True once the hub is to leave.
    pub(crate) leaving: watch::Sender<bool>,
}

/// What brings events to subscribers.
pub(crate) struct Delivery {
    pub(crate) fanout: Fanout,
    pub(crate) engine: Engine,
}

impl Hub {
    /// `address` is the one that is listened on, with its actual port.
    pub(crate) fn new(
        config: Config,
        Opened { log, census }: Opened,
        delivery: Delivery,
        base: Url,
        address: SocketAddr,
    ) -> Self {
        // Only a demo has anything for them.
        let neighbours = config.demo.then(|| Neighbours::of(config.scheme(), address));
        let bytes_max = config.limits.publishing_bytes_max;
        let publishing = Arc::new(Semaphore::new(bytes_max));
        let free = publishing.clone();
        let Delivery { fanout, engine } = delivery;
        Self(Arc::new(Shared {
            metrics: Metrics::new(&log, &fanout, Publishing { bytes_max, free }),
            access: Access::new(&config, neighbours),
            publishing,
            under_way: UnderWay::default(),
            streams: Arc::new(Semaphore::new(config.limits.subscribers_max)),
            leaving: watch::Sender::new(false),
            config,
            log,
            fanout,
            engine,
            base,
            name: Epoch::from_random(rand::random()).to_string(),
            census,
        }))
    }

    /// What this hub says of itself, and of the streams that follow these topics.
    pub(crate) fn entry(&self, topics: &[Option<Topic>]) -> Entry {
        let stats = self.fanout.stats();
        let count = |topic: &Topic| self.fanout.topic_subscribers(topic);
        Entry {
            hub: self.name.clone(),
            url: self.base.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            subscribers: stats.subscribers,
            behind: self.log.state().behind,
            topics: topics.iter().map(|topic| topic.as_ref().map_or(0, count)).collect(),
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }
}

impl Deref for Hub {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
