//! How a source is set up.

use std::fmt;
use std::future::Future;
#[cfg(feature = "cookies")]
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tidings_proto::EventId;
use tidings_proto::decode::Limits;
use tidings_proto::event::InvalidEventId;
use tidings_proto::reconnect::Policy;
use tidings_proto::source::{Commit, Config, Cors, Profile, ReconnectUrl};
use url::Url;

use crate::http_client::default_client;
use crate::request::Hook;
use crate::transport::public;
use crate::transport::{REFUSAL_WAIT, Transport};
use crate::{Attempt, EventSource, HookError, Request, ResumeToken};

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
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    url: String,
    method: Method,
    headers: HeaderMap,
    body: Option<Bytes>,
    replay: bool,
    /// The first thing that was not right.
    mistake: Option<BuildError>,
    last_event_id: EventId,
    profile: Profile,
    policy: Option<Policy>,
    /// The reconnection time of a resume token.
    retry: Option<Duration>,
    idle_timeout: Option<Option<Duration>>,
    reconnect_url: Option<ReconnectUrl>,
    redirects_max: Option<u32>,
    headers_cross_origins: bool,
    with_credentials: bool,
    origin: Option<String>,
    preflights_last_event_id: Option<bool>,
    commit: Commit,
    limits: Limits,
    refusal_wait: Duration,
    hook: Option<Hook>,
    client: Option<reqwest::Client>,
    #[cfg(feature = "cookies")]
    cookies: Option<Arc<dyn reqwest::cookie::CookieStore>>,
}

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: None,
            replay: false,
            mistake: None,
            last_event_id: EventId::default(),
            profile: Profile::default(),
            policy: None,
            retry: None,
            idle_timeout: None,
            reconnect_url: None,
            redirects_max: None,
            headers_cross_origins: false,
            with_credentials: false,
            origin: None,
            preflights_last_event_id: None,
            commit: Commit::default(),
            limits: Limits::default(),
            refusal_wait: REFUSAL_WAIT,
            hook: None,
            client: None,
            #[cfg(feature = "cookies")]
            cookies: None,
        }
    }

    /// Asks with this method. Default: GET.
    ///
    /// A request whose method is not safe, such as POST, is sent once: when its connection is lost
    /// after it may have reached the server, the source ends instead of connecting again, and at the
    /// clean end of the response the stream of updates just ends. [`Builder::replay`] and
    /// [`Builder::on_request`] change that.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sends this body with every request. Give its type with a `Content-Type` header.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Whether a request whose method is not safe may be sent again although it may have reached the
    /// server. Default: no.
    pub const fn replay(mut self, replay: bool) -> Self {
        self.replay = replay;
        self
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
                self.refuse_header(
                    "last-event-id is set by the source itself: give it with last_event_id",
                );
            }
            (Ok(name), Ok(mut value)) => {
                // It may be a credential: keep it out of debug output and of HTTP/2's tables.
                value.set_sensitive(true);
                self.headers.append(name, value);
            }
            (Ok(name), Err(_)) => {
                let reason = format!("the value of {name} has a character no header can carry");
                self.refuse_header(reason);
            }
            (Err(_), _) => self.refuse_header("a header name is not one"),
        }
        self
    }

    /// Resumes after this id: the first request already carries it. Default: none.
    ///
    /// It is refused if it has a line end or a NUL, which no stream can give.
    pub fn last_event_id(mut self, id: impl AsRef<str>) -> Self {
        match id.as_ref().parse() {
            Ok(id) => self.last_event_id = id,
            Err(error) => {
                self.mistake.get_or_insert(BuildError::LastEventId(error));
            }
        }
        self
    }

    /// Resumes where another source has got to, with the reconnection time that its stream has set, if it has.
    pub fn resume(mut self, token: ResumeToken) -> Self {
        self.last_event_id = token.last_event_id().clone();
        self.retry = token.reconnection_time();
        self
    }

    /// When the last event id moves: by itself, or by
    /// [`EventSource::acknowledge`]. Default: [`Commit::Delivered`].
    pub const fn commit(mut self, commit: Commit) -> Self {
        self.commit = commit;
        self
    }

    /// Which refusals end the source, and, unless [`Builder::reconnect`] says otherwise, how long it
    /// waits. Default: [`Profile::Strict`].
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The longest silence, from a request to its response and between two pieces of the stream:
    /// then the connection is taken for dead, and the source connects again. Comments count as
    /// pieces, so set it above the heartbeats of the server; `None` waits for ever. Default: none
    /// (strict), 5 minutes (resilient).
    pub const fn idle_timeout(mut self, idle_timeout: Option<Duration>) -> Self {
        self.idle_timeout = Some(idle_timeout);
        self
    }

    /// How long to wait before connecting again, and how often. Default: [`Policy::strict`] or
    /// [`Policy::resilient`], as the profile is.
    pub const fn reconnect(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Where to connect again after a redirect. Default: [`ReconnectUrl::Current`]; with
    /// [`Builder::on_request`] [`ReconnectUrl::Original`], so that what the hook adds goes where the
    /// caller said.
    pub const fn reconnect_url(mut self, reconnect_url: ReconnectUrl) -> Self {
        self.reconnect_url = Some(reconnect_url);
        self
    }

    /// How many redirects in a row are followed. Default: 20.
    pub const fn redirects_max(mut self, redirects_max: u32) -> Self {
        self.redirects_max = Some(redirects_max);
        self
    }

    /// Whether your own headers go along when a redirect leads to another origin. They may hold
    /// secrets that the other is not to see. Default: no.
    pub const fn headers_cross_origins(mut self, allow: bool) -> Self {
        self.headers_cross_origins = allow;
        self
    }

    /// Whether cookies and the user name and password of URLs go to other origins, too; and, with
    /// [`Builder::origin`], whether servers must allow it by the rules of CORS. Default: no.
    pub const fn with_credentials(mut self, with_credentials: bool) -> Self {
        self.with_credentials = with_credentials;
        self
    }

    /// Acts for a page of this origin, such as `https://example.com` or `null`: the rules of CORS
    /// apply to every other origin, which must allow this one or the source is closed for good.
    /// Headers of your own and unusual methods ask the server's leave with a preflight. Default: no
    /// origin, no CORS.
    ///
    /// Standard: Fetch, "CORS protocol".
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Whether a `Last-Event-ID` that is longer than 128 bytes, or has bytes that CORS calls unsafe,
    /// asks the leave of another origin with a preflight. Of use with [`Builder::origin`] alone.
    /// Default: yes (strict), no (resilient).
    pub const fn preflight_last_event_id(mut self, preflight: bool) -> Self {
        self.preflights_last_event_id = Some(preflight);
        self
    }

    /// Has `hook` called before each attempt, which may change its request: to give it a fresh token,
    /// or to resume by other means than `Last-Event-ID`.
    ///
    /// It is given the [`Attempt`] and returns the request to make. An error has the source wait and
    /// ask again, or, with [`HookError::stop`], closes it for good. It has no time limit of its own.
    /// What it changes holds for this one attempt. What it adds goes where the attempt goes, which
    /// after a redirect may be another origin than yours: look at [`Attempt::crossed_origin`] before
    /// you add a secret, or have the source connect again to [`ReconnectUrl::Original`].
    ///
    /// ```
    /// use tidings_client::{EventSource, HookError};
    ///
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok("t".into()) }
    /// let source = EventSource::builder("https://example.com/events")
    ///     .on_request(|mut attempt| async move {
    ///         if !attempt.crossed_origin {
    ///             let token = fetch_token().await?;
    ///             let value = format!("Bearer {token}").parse().map_err(HookError::stop)?;
    ///             attempt.request.headers.insert("authorization", value);
    ///         }
    ///         Ok(attempt.request)
    ///     })
    ///     .build()?;
    /// # Ok::<(), tidings_client::BuildError>(())
    /// ```
    pub fn on_request<F, R>(mut self, mut hook: F) -> Self
    where
        F: FnMut(Attempt) -> R + Send + 'static,
        R: Future<Output = Result<Request, HookError>> + Send + 'static,
    {
        self.hook = Some(Box::new(move |attempt| Box::pin(hook(attempt))));
        self
    }

    /// Keeps cookies here: those for a URL are sent, and those that a response sets are kept, as far
    /// as [`Builder::with_credentials`] lets them cross origins. Several sources may share one store.
    ///
    /// A cookie store of the HTTP client itself knows no such bounds.
    #[cfg(feature = "cookies")]
    pub fn cookies(mut self, store: Arc<dyn reqwest::cookie::CookieStore>) -> Self {
        self.cookies = Some(store);
        self
    }

    /// How much of an event is accepted. Default: [`Limits::default`].
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a refused response may take to say why: up to 16 KiB of its body are in
    /// [`Error::Refused`](crate::Error::Refused). With zero, the error comes with the response's head.
    /// Default: 2 seconds.
    pub const fn refusal_wait(mut self, refusal_wait: Duration) -> Self {
        self.refusal_wait = refusal_wait;
        self
    }

    /// Makes the requests with this client, with its proxies, certificates and timeouts.
    ///
    /// Build it with [`reqwest::redirect::Policy::none`], as the source follows redirects itself. A
    /// client that follows them decides alone which headers cross origins, and the source then
    /// connects again to the original URL. A total timeout would cut the stream; a read timeout is an
    /// idle timeout. It is `reqwest` 0.13, also found as [`tidings_client::reqwest`](crate::reqwest);
    /// without its default TLS feature, install a `rustls` provider before you build a client.
    ///
    /// Default: a client with the platform's certificates, that asks for no compression, that gives up connecting after 30
    /// seconds, probes idle connections every 60 seconds, and uses no proxy to loopback addresses.
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The source. It connects when it is first polled.
    ///
    /// # Errors
    /// [`BuildError`] if the URL, a header or an option is not valid, or the default client cannot be
    /// built.
    pub fn build(self) -> Result<EventSource, BuildError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let url = Url::parse(&self.url).map_err(BuildError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BuildError::Scheme { scheme: url.scheme().to_owned() });
        }
        let mut config = match self.profile {
            Profile::Strict => Config::strict(),
            Profile::Resilient => Config::resilient(),
        };
        if let Some(origin) = self.origin {
            let asks = self.preflights_last_event_id;
            config.cors = Some(Cors {
                origin: parsed_origin(origin)?.into(),
                preflights_last_event_id: asks.unwrap_or(self.profile == Profile::Strict),
            });
        }
        if self.idle_timeout == Some(Some(Duration::ZERO)) {
            return Err(BuildError::IdleTimeout);
        }
        config.reconnect = self.policy.unwrap_or(config.reconnect);
        config.retry = self.retry;
        config.idle_timeout = self.idle_timeout.unwrap_or(config.idle_timeout);
        let reconnect_url = match self.hook {
            Some(_) => ReconnectUrl::Original,
            None => ReconnectUrl::Current,
        };
        config.reconnect_url = self.reconnect_url.unwrap_or(reconnect_url);
        config.redirects_max = self.redirects_max.unwrap_or(config.redirects_max);
        config.headers_cross_origins = self.headers_cross_origins;
        config.with_credentials = self.with_credentials;
        config.commit = self.commit;
        config.calls_vary = self.hook.is_some();
        config.limits = self.limits;
        config.last_event_id = self.last_event_id;
        let client = match self.client {
            Some(client) => client,
            None => default_client(&url).map_err(BuildError::Client)?,
        };
        let transport = Transport::new(client, self.refusal_wait);
        #[cfg(feature = "cookies")]
        let transport = transport.with_cookies(self.cookies);
        let template = Request {
            method: self.method,
            url,
            headers: self.headers,
            body: self.body,
            replay: self.replay,
        };
        Ok(EventSource::start(config, template, transport, self.hook))
    }

    /// Keeps the first reason.
    fn refuse_header(&mut self, reason: impl Into<String>) {
        self.mistake.get_or_insert_with(|| BuildError::Header { reason: reason.into() });
    }
}

/// Without what may be a secret, also of a URL that is not one.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &Url::parse(&self.url).ok().as_ref().map(public))
            .field("method", &self.method)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// The origin as it is serialised.
fn parsed_origin(origin: String) -> Result<String, BuildError> {
    if origin == "null" {
        return Ok(origin);
    }
    match Url::parse(&origin) {
        Ok(url) if url.origin().is_tuple() && url.path() == "/" && url.query().is_none() => {
            Ok(url.origin().ascii_serialization())
        }
        _ => Err(BuildError::Origin { origin }),
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
    /// The id to resume after is none. The caller is at fault.
    #[error("this is not an event id: {0}")]
    LastEventId(#[source] InvalidEventId),
    /// The origin is not one. The caller is at fault.
    #[error("{origin:?} is not an origin such as https://example.com, or null")]
    Origin {
        /// The text it has.
        origin: String,
    },
    /// An idle timeout of zero would end every connection at once. The caller is at fault; for no
    /// timeout, give `None`.
    #[error("the idle timeout is zero; for none, leave it out")]
    IdleTimeout,
    /// The runtime of a [blocking source](crate::blocking::EventSource) could not be started.
    #[cfg(feature = "blocking")]
    #[error("the source cannot wait here: {0}")]
    Runtime(#[source] std::io::Error),
    /// The default HTTP client could not be built, because of the environment. Bring one with
    /// [`Builder::client`].
    #[error("the HTTP client could not be built: {0}")]
    Client(#[source] reqwest::Error),
}

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
