//! The way to the stream.

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions,
    jetstream::{self, stream},
};

use super::{OpenError, Options, Storage};

/// The way to a stream that is there and is a hub's.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) jetstream: jetstream::Context,
    pub(super) stream: stream::Stream,
}

impl Link {
    // A server that is silent for two of them is given up.
    const PING_EVERY: Duration = Duration::from_secs(2);
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

    /// Connects, and makes the stream if it is not there.
    pub(super) async fn open(options: &Options) -> Result<Self, OpenError> {
        let client = ConnectOptions::new()
            .name("tidings")
            .ping_interval(Self::PING_EVERY)
            .request_timeout(Some(Self::REQUEST_TIMEOUT))
            .max_reconnects(None)
            .connect(&options.servers)
            .await
            .map_err(OpenError::Connect)?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(Self::REQUEST_TIMEOUT);
        let name = options.stream.as_str();
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("{name}.>")],
            num_replicas: options.replicas.unwrap_or(1),
            storage: match options.storage {
                Storage::File => stream::StorageType::File,
                Storage::Memory => stream::StorageType::Memory,
            },
            discard: stream::DiscardPolicy::New,
            allow_direct: true,
            ..stream::Config::default()
        };
        let stream = jetstream.get_or_create_stream(config).await;
        let stream = stream.map_err(|cause| OpenError::Stream {
            stream: name.to_owned(),
            cause: cause.to_string(),
        })?;
        Ok(Self { client, jetstream, stream })
    }
}
