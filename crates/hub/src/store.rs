//! The store: opens the log that the configuration names.

use std::sync::Arc;

use tidings_server::log::{MemoryLog, SharedLog};

use crate::{
    config::{Config, Store},
    disk::{self, DiskLog, OpenError},
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
