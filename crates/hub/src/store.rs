//! The store: opens the log that the configuration names.

use std::sync::Arc;

use tidings_server::log::{Log, MemoryLog, SharedLog};

use crate::{
    config::{Config, Store},
    disk::{self, DiskLog},
    nats::{self, Census, NatsLog},
};

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// That on disk. The operator's to mend.
    #[error(transparent)]
    Disk(#[from] disk::OpenError),
    /// That in NATS. [`nats::OpenError::fault`] says whose it is to mend.
    #[error(transparent)]
    Nats(#[from] nats::OpenError),
}

/// Opens the log that the configuration names.
///
/// # Errors
/// [`OpenError`] says what is wrong with the directory, or with NATS and the stream.
pub async fn open(config: &Config) -> Result<Opened, OpenError> {
    match &config.store {
        Store::Memory => {
            let log = MemoryLog::new(config.retention, rand::random());
            let log = log.with_key_window(config.key_window);
            Ok(Arc::new(log.with_topic_rules(config.topic_rules.clone())).into())
        }
        Store::Disk { dir, durability, new_epoch } => {
            let mut options = disk::Options::new(dir);
            options.retention = config.retention;
            options.rules = config.topic_rules.clone();
            options.key_window = config.key_window;
            options.durability = *durability;
            options.new_epoch = *new_epoch;
            let opening = tokio::task::spawn_blocking(|| DiskLog::open(options));
            let opened =
                opening.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            Ok(Arc::new(opened?).into())
        }
        Store::Nats { site, new_epoch, change_limits } => {
            let mut options = nats::Options::new((**site).clone());
            let largest = config.limits.body_bytes_max.max(config.limits.data_bytes_max);
            options.message_bytes_max = largest + nats::Options::MESSAGE_REST_BYTES;
            options.retention = config.retention;
            options.rules = config.topic_rules.clone();
            options.key_window = config.key_window;
            options.new_epoch = *new_epoch;
            options.change_limits = *change_limits;
            let log = NatsLog::open(options).await?;
            let census = Some(log.census());
            Ok(Opened { log: Arc::new(log), census })
        }
    }
}

/// A log that was opened, and what comes with it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The log.
    pub log: SharedLog,
    /// Asks the hubs that share the log, where several may.
    pub census: Option<Census>,
}

impl From<SharedLog> for Opened {
    /// A log that no other hub has.
    fn from(log: SharedLog) -> Self {
        Self { log, census: None }
    }
}

impl<L: Log> From<Arc<L>> for Opened {
    /// A log that no other hub has.
    fn from(log: Arc<L>) -> Self {
        Self::from(log as SharedLog)
    }
}
