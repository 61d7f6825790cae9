//! The store: opens the log that the configuration names.

use std::sync::Arc;

use tidings_server::log::{Log, MemoryLog, SharedLog};

use crate::{
    config::{Config, Store},
    disk::{self, DiskLog, OpenError},
    nats::Census,
};

/// Opens the log that the configuration names.
///
/// # Errors
/// [`OpenError`] says what is wrong with the directory; it is the operator's to mend.
pub async fn open(config: &Config) -> Result<SharedLog, OpenError> {
    match &config.store {
        Store::Memory => {
            let log = MemoryLog::new(config.retention, rand::random());
            let log = log.with_key_window(config.key_window);
            Ok(Arc::new(log.with_topic_rules(config.topic_rules.clone())))
        }
        Store::Disk { dir, durability, new_epoch } => {
            let mut options = disk::Options::new(dir);
            options.retention = config.retention;
            options.rules = config.topic_rules.clone();
            options.key_window = config.key_window;
            options.durability = *durability;
            options.new_epoch = *new_epoch;
            let opening = tokio::task::spawn_blocking(|| DiskLog::open(options));
            opening
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
                .map(|log| Arc::new(log) as SharedLog)
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
