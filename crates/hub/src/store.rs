//! The store: opens the log that the configuration names.

use std::sync::Arc;

use tidings_server::log::{MemoryLog, SharedLog};

use crate::config::{Config, Store};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// This build has no disk log. The operator's to mend.
    #[error("this build keeps its history in memory only: give --memory")]
    NoDisk,
}

/// Opens the log that the configuration names.
///
/// # Errors
/// [`StoreError`] says what is wrong with the store; it is the operator's to mend.
pub async fn open(config: &Config) -> Result<SharedLog, StoreError> {
    match &config.store {
        Store::Memory => Ok(Arc::new(MemoryLog::new(config.retention, rand::random()))),
        Store::Disk { .. } => Err(StoreError::NoDisk),
    }
}
