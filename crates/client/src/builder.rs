//! How a source is set up.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tidings_proto::EventId;
use tidings_proto::decode::Limits;
use tidings_proto::reconnect::Policy;
use tidings_proto::source::{Config, Profile, ReconnectUrl};
use url::Url;

use crate::EventSource;
use crate::transport::{Transport, default_client};

/// Sets up an [`EventSource`].
///
/// ```
/// use tidings_client::{EventSource, Profile};
///
/// let source = EventSource::builder("https://example.com/events")
///     .profile(Profile::Resilient)
///     .header("authorization", "Bearer abc")
///     .build()?;
/// # Ok::<(), tidings_client::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    url: String,
    headers: HeaderMap,
    invalid_header: Option<String>,
    last_event_id: EventId,
    profile: Profile,
    policy: Option<Policy>,
    reconnect_url: ReconnectUrl,
    limits: Limits,
    client: Option<reqwest::Client>,
}

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            headers: HeaderMap::new(),
            invalid_header: None,
            last_event_id: EventId::default(),
            profile: Profile::default(),
            policy: None,
            reconnect_url: ReconnectUrl::default(),
            limits: Limits::default(),
            client: None,
        }
    }

    /// Adds a header to every request. Headers stay within the origin of the URL: they do not
    /// follow a redirect to another.
    ///
    /// `Accept` and `Cache-Control` replace the usual ones; `Last-Event-ID` is refused, as
    /// [`Builder::last_event_id`] sets it.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(_)) if name == LAST_EVENT_ID => {
                self.refuse_header("last-event-id is set by the source itself".into());
            }
            (Ok(name), Ok(mut value)) => {
                // It may be a credential: keep it out of debug output and of HTTP/2's tables.
                value.set_sensitive(true);
                self.headers.append(name, value);
            }
            (Ok(name), Err(_)) => {
                self.refuse_header(format!(
                    "the value of {name} has a character no header can carry"
                ));
            }
            (Err(_), _) => self.refuse_header("a header name is not one".into()),
        }
        self
    }

    /// Resumes after this id: the first request already carries it. Default: none.
    pub fn last_event_id(mut self, id: EventId) -> Self {
        self.last_event_id = id;
        self
    }

    /// Which refusals end the source, and, unless [`Builder::reconnect`] says otherwise, how long it
    /// waits. Default: [`Profile::Strict`].
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How long to wait before connecting again, and how often. Default: [`Policy::strict`] or
    /// [`Policy::resilient`], as the profile is.
    pub const fn reconnect(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Where to connect again after a redirect. Default: [`ReconnectUrl::Current`].
    pub const fn reconnect_url(mut self, reconnect_url: ReconnectUrl) -> Self {
        self.reconnect_url = reconnect_url;
        self
    }

    /// How much of an event is accepted. Default: [`Limits::default`].
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the requests with this client, with its proxies, certificates and timeouts.
    ///
    /// Build it with [`reqwest::redirect::Policy::none`], as the source follows redirects itself. A
    /// client that follows them decides alone which headers cross origins, and the source then
    /// connects again to the original URL. A total timeout would cut the stream; a read timeout is an
    /// idle timeout.
    ///
    /// Default: a client with the platform's certificates, that gives up connecting after 30
    /// seconds, probes idle connections every 60 seconds, and uses no proxy to loopback addresses.
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The source. It connects when it is first polled.
    ///
    /// # Errors
    /// [`BuildError`] if the URL or a header is not valid, or the default client cannot be built.
    pub fn build(self) -> Result<EventSource, BuildError> {
        if let Some(reason) = self.invalid_header {
            return Err(BuildError::Header { reason });
        }
        let url = Url::parse(&self.url).map_err(BuildError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BuildError::Scheme { scheme: url.scheme().to_owned() });
        }
        let client = match self.client {
            Some(client) => client,
            None => default_client(&url).map_err(BuildError::Client)?,
        };
        let mut config = match self.profile {
            Profile::Strict => Config::strict(),
            Profile::Resilient => Config::resilient(),
        };
        config.reconnect = self.policy.unwrap_or(config.reconnect);
        config.reconnect_url = self.reconnect_url;
        config.limits = self.limits;
        config.last_event_id = self.last_event_id;
        Ok(EventSource::start(url, config, Transport::new(client, self.headers)))
    }

    /// Keeps the first reason.
    fn refuse_header(&mut self, reason: String) {
        self.invalid_header.get_or_insert(reason);
    }
}

/// Why a source cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The text is not an absolute URL. The caller is at fault.
    #[error("this is not an absolute URL: {0}")]
    Url(#[source] url::ParseError),
    /// The URL is neither http nor https. The caller is at fault.
    #[error("the URL must be http or https, not {scheme}")]
    Scheme {
        /// The scheme it has.
        scheme: String,
    },
    /// A header was added that cannot be sent. The caller is at fault.
    #[error("{reason}")]
    Header {
        /// Which, and why.
        reason: String,
    },
    /// The default HTTP client could not be built, because of the environment. Bring one with
    /// [`Builder::client`].
    #[error("the HTTP client could not be built: {0}")]
    Client(#[source] reqwest::Error),
}

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
