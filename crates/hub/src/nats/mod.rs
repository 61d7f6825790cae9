//! The clustered log: one NATS JetStream stream, that any number of hubs append to and follow.
//!
//! ```text
//!  append ─► Appender ─► the stream ─► Follower ─► State ─► Feed ─► the tail
//!               ▲                                    │
//!               └──────────── what became of it ─────┘
//! ```

mod connect;
mod error;
mod options;
mod secret;
mod servers;

use tidings_server::log::SharedLog;

use self::connect::Link;
pub use self::{
    error::{Difference, Differences, Fault, OpenError},
    options::{
        Auth, Options, Place, Replicas, ReplicasError, Storage, StreamName, StreamNameError,
        TlsFiles,
    },
    secret::Secret,
    servers::{Servers, ServersError},
};

/// The clustered log. To come: so far it opens the stream, and says that there is no more.
#[derive(Debug)]
pub struct NatsLog;

impl NatsLog {
    /// Opens the stream.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong, and whose it is to mend.
    pub async fn open(options: Options) -> Result<SharedLog, OpenError> {
        let Link { client, jetstream: _, stream } = Link::open(&options).await?;
        let messages = stream.cached_info().state.messages;
        // What was said to the server is on its way before the process ends.
        let _ = client.flush().await;
        Err(OpenError::Unfinished { stream: options.place.stream, messages })
    }
}
