//! The way to the stream.

mod credentials;
mod dial;
mod requirements;
#[cfg(test)]
mod tests;
mod witness;

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{
        self, ErrorCode,
        context::{CreateStreamErrorKind, GetStreamErrorKind, RequestError, RequestErrorKind},
        stream,
    },
};
use tokio::time::{Instant, sleep, timeout_at};

use self::{credentials::Credentials, dial::dial, witness::Witness};
use super::{OpenError, Options, Site};

/// The way to a stream that is there and is a hub's.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) jetstream: jetstream::Context,
    pub(super) stream: stream::Stream,
    witness: Witness,
}

/// Why a try to open failed.
enum Trouble {
    /// Another try would fail as well.
    Final(OpenError),
    /// The servers may be about to start.
    NotYet(OpenError),
}

impl Link {
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
    // Whether a stream is there is asked a cluster so often, and so far apart, before it is
    // believed not to be.
    const LOOKS_BEFORE_CREATION: u32 = 3;
    const LOOK_EVERY: Duration = Duration::from_millis(700);

    /// Whether the stream is gone for good: none of several looks finds it.
    ///
    /// # Errors
    /// What stands in the way of a look.
    pub(super) async fn is_gone(&self, name: &str) -> Result<bool, String> {
        for look in 0..Self::LOOKS_BEFORE_CREATION {
            if look > 0 {
                sleep(Self::LOOK_EVERY).await;
            }
            match self.jetstream.get_stream(name).await {
                Ok(_) => return Ok(false),
                Err(error) => match error.kind() {
                    GetStreamErrorKind::JetStream(cause)
                        if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                    _ => return Err(super::error::told(&error)),
                },
            }
        }
        Ok(true)
    }

    /// Connects, and makes the stream if it is not there. Waits for servers that are about to
    /// start, for as long as the site says.
    pub(super) async fn open(options: &Options) -> Result<Self, OpenError> {
        let site = &options.site;
        let credentials = Credentials::read(site).await?;
        let witness = Witness::default();
        let mut patience = Patience::of(site);
        let client = loop {
            let unanswered = || unreachable(site);
            let dialled = dial(site, &credentials, &witness);
            if let Some(client) = patience.attempt(dialled, unanswered).await? {
                break client;
            }
        };
        check_version(&client)?;
        check_max_payload(&client, options.message_bytes_max)?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(Self::REQUEST_TIMEOUT)
            .ack_timeout(Self::REQUEST_TIMEOUT)
            .build(client.clone());
        let stream = loop {
            let unanswered = || not_ready(site, "no answer".into());
            let stream = witness.permitted(led(site, &client, &jetstream), Trouble::Final);
            if let Some(stream) = patience.attempt(stream, unanswered).await? {
                break stream;
            }
        };
        requirements::check(site, &stream.cached_info().config)?;
        Ok(Self { client, jetstream, stream, witness })
    }

    /// What comes of an attempt to open, unless the server forbids a part of it: to that it gives
    /// no answer, and says so beside.
    pub(super) async fn permitted<T>(
        &self,
        attempt: impl Future<Output = Result<T, OpenError>>,
    ) -> Result<T, OpenError> {
        self.witness.permitted(attempt, |error| error).await
    }
}

fn check_version(client: &Client) -> Result<(), OpenError> {
    let version = client.server_info().version;
    if is_new_enough(&version) { Ok(()) } else { Err(OpenError::TooOld { version }) }
}

/// Whether it is [`OpenError::VERSION_MIN`] or later. What comes after the third number is passed
/// over.
fn is_new_enough(version: &str) -> bool {
    let numbers = |text: &str| {
        let mut parts = text.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
        std::array::from_fn::<u32, 3, _>(|_| parts.next().and_then(|n| n.parse().ok()).unwrap_or(0))
    };
    numbers(version) >= numbers(OpenError::VERSION_MIN)
}

fn check_max_payload(client: &Client, needed: usize) -> Result<(), OpenError> {
    let max_payload = client.server_info().max_payload;
    if max_payload >= needed { Ok(()) } else { Err(OpenError::MaxPayload { needed, max_payload }) }
}

/// The stream, once one of its servers leads: one that was just made has no leader yet.
async fn led(
    site: &Site,
    client: &Client,
    jetstream: &jetstream::Context,
) -> Result<stream::Stream, Trouble> {
    let stream = get_or_create(site, client, jetstream).await?;
    match &stream.cached_info().cluster {
        Some(cluster) if cluster.leader.as_ref().is_none_or(String::is_empty) => {
            Err(Trouble::NotYet(not_ready(site, "the stream has no leader".into())))
        }
        _ => Ok(stream),
    }
}

async fn get_or_create(
    site: &Site,
    client: &Client,
    jetstream: &jetstream::Context,
) -> Result<stream::Stream, Trouble> {
    let cause = match jetstream.get_stream(site.stream.as_str()).await {
        Ok(stream) => return Ok(stream),
        Err(cause) => cause,
    };
    match cause.kind() {
        GetStreamErrorKind::JetStream(cause)
            if cause.error_code() == ErrorCode::STREAM_NOT_FOUND =>
        {
            // A server that has just begun to lead a cluster may have to learn yet what streams
            // there are; one that is made then takes the place of the other.
            if client.server_info().cluster.is_some() {
                for _ in 0..Link::LOOKS_BEFORE_CREATION {
                    sleep(Link::LOOK_EVERY).await;
                    if let Ok(stream) = jetstream.get_stream(site.stream.as_str()).await {
                        return Ok(stream);
                    }
                }
            }
            create(site, client, jetstream).await
        }
        GetStreamErrorKind::JetStream(cause) => Err(refused(site, client, 0, cause)),
        _ => {
            let source = std::error::Error::source(&cause);
            let request = source.and_then(|source| source.downcast_ref::<RequestError>());
            match request.map(RequestError::kind) {
                Some(RequestErrorKind::NoResponders) => Err(no_responders(site, client)),
                _ => Err(Trouble::NotYet(not_ready(site, cause.to_string()))),
            }
        }
    }
}

async fn create(
    site: &Site,
    client: &Client,
    jetstream: &jetstream::Context,
) -> Result<stream::Stream, Trouble> {
    let is_clustered = client.server_info().cluster.is_some();
    let replicas = match site.replicas {
        Some(replicas) => replicas.count(),
        None if is_clustered => 3,
        None => 1,
    };
    // Hubs that start together all make it, with the same words: then the server lets each.
    let cause = match jetstream.create_stream(requirements::config(site, replicas)).await {
        Ok(stream) => {
            tracing::info!(stream = %site.stream, replicas, "made the stream in NATS JetStream");
            return Ok(stream);
        }
        Err(cause) => cause,
    };
    Err(match cause.kind() {
        CreateStreamErrorKind::JetStream(cause) => refused(site, client, replicas, cause),
        CreateStreamErrorKind::JetStreamUnavailable => no_responders(site, client),
        _ => Trouble::NotYet(not_ready(site, cause.to_string())),
    })
}

/// Nobody listens for requests to JetStream. In a cluster, another server may yet.
fn no_responders(site: &Site, client: &Client) -> Trouble {
    let info = client.server_info();
    let error = OpenError::NoJetStream { servers: site.servers.clone() };
    match (info.jetstream, info.cluster) {
        (false, None) => Trouble::Final(error),
        (false, Some(_)) => Trouble::NotYet(error),
        (true, _) => Trouble::NotYet(not_ready(site, "nobody answers for it".into())),
    }
}

fn refused(site: &Site, client: &Client, replicas: usize, cause: jetstream::Error) -> Trouble {
    let (servers, stream) = (site.servers.clone(), site.stream.clone());
    match cause.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED => Trouble::Final(OpenError::NoJetStream { servers }),
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT | ErrorCode::NO_ACCOUNT => {
            Trouble::Final(OpenError::NoJetStreamForAccount { servers })
        }
        // Servers that are about to start may be the ones that are missing.
        ErrorCode::CLUSTER_NO_PEERS => {
            Trouble::NotYet(OpenError::Replicas { stream, replicas, servers: named(client), cause })
        }
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
            Trouble::Final(OpenError::Replicas { stream, replicas, servers: None, cause })
        }
        // So says a cluster too whose servers do not know each other yet.
        ErrorCode::INSUFFICIENT_RESOURCES => Trouble::NotYet(OpenError::NoRoom { stream, cause }),
        ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | ErrorCode::MAXIMUM_STREAMS_LIMIT
        | ErrorCode::STREAM_MAX_BYTES_REQUIRED
        | ErrorCode::NO_LIMITS => Trouble::Final(OpenError::NoRoom { stream, cause }),
        ErrorCode::STREAM_SUBJECT_OVERLAP => Trouble::Final(OpenError::Overlap { stream, cause }),
        // Another hub has made it meanwhile, for instance with other replicas: look again.
        ErrorCode::STREAM_NAME_EXIST => Trouble::NotYet(not_ready(site, cause.to_string())),
        _ if cause.code() == 503 => Trouble::NotYet(not_ready(site, cause.to_string())),
        _ => Trouble::Final(OpenError::Denied { stream, cause }),
    }
}

/// How many servers of its cluster a server names to its clients.
fn named(client: &Client) -> Option<usize> {
    Some(client.server_info().connect_urls.len()).filter(|&count| count > 0)
}

fn unreachable(site: &Site) -> OpenError {
    OpenError::Unreachable { servers: site.servers.clone(), wait: site.wait, cause: None }
}

fn not_ready(site: &Site, why: String) -> OpenError {
    OpenError::NotReady { site: Box::new(site.clone()), why }
}

/// How long a start waits for servers that are about to start.
struct Patience {
    wait: Duration,
    end: Instant,
    pause: Duration,
    // What the try before came to, if it failed.
    last: Option<OpenError>,
}

impl Patience {
    const PAUSE_MIN: Duration = Duration::from_millis(50);
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    // However short the wait is, one try is made, and this is what it gets.
    const TRY_MIN: Duration = Duration::from_secs(2);

    fn of(site: &Site) -> Self {
        let (wait, pause) = (site.wait, Self::PAUSE_MIN);
        Self { wait, end: Instant::now() + wait, pause, last: None }
    }

    /// What comes of a try. `None`, after a pause, if it may be worth another.
    ///
    /// # Errors
    /// If it is not, or time is up: then what this or the last try came to, or else what
    /// `unanswered` makes.
    async fn attempt<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, Trouble>>,
        unanswered: impl FnOnce() -> OpenError,
    ) -> Result<Option<T>, OpenError> {
        let is_first = self.last.is_none();
        let end = if is_first { self.end.max(Instant::now() + Self::TRY_MIN) } else { self.end };
        let error = match timeout_at(end, attempt).await {
            Ok(Ok(value)) => {
                self.last = None;
                return Ok(Some(value));
            }
            Ok(Err(Trouble::Final(error))) => return Err(error),
            Ok(Err(Trouble::NotYet(error))) => error,
            Err(_) => return Err(self.last.take().unwrap_or_else(unanswered)),
        };
        if Instant::now() + self.pause >= self.end {
            return Err(error);
        }
        if is_first {
            let wait = humantime::format_duration(self.wait);
            tracing::info!("waiting for NATS for up to {wait}: {error}");
        }
        self.last = Some(error);
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Self::PAUSE_MAX);
        Ok(None)
    }
}
