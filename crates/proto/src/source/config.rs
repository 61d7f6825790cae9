//! How a source behaves.

use alloc::sync::Arc;
use core::time::Duration;

use crate::decode::Limits;
use crate::event::EventId;
use crate::reconnect::Policy;

/// How a source behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which refusals end the source. Default: [`Profile::Strict`].
    pub profile: Profile,
    /// How long to wait before connecting again. Default: [`Policy::strict`].
    pub reconnect: Policy,
    /// The longest silence: from a request to its response, and between two pieces of the stream,
    /// comments included. Then the connection is taken for dead. Default: none (strict), 5 minutes
    /// (resilient).
    pub idle_timeout: Option<Duration>,
    /// Where to connect again after a redirect. Default: [`ReconnectUrl::Current`].
    pub reconnect_url: ReconnectUrl,
    /// How many redirects in a row are followed. Default: 20, as in Fetch.
    pub redirects_max: u32,
    /// Whether the caller's own headers go along when a redirect leads to another origin. Default:
    /// no, as they may hold secrets.
    pub headers_cross_origins: bool,
    /// Whether cookies and the credentials of URLs go to other origins, too. Default: no.
    pub with_credentials: bool,
    /// The page, so to speak, that the source belongs to, whose origin the rules of CORS protect
    /// servers from. Default: none, so no rule of CORS applies.
    pub cors: Option<Cors>,
    /// When the last event id moves. Default: [`Commit::Delivered`].
    pub commit: Commit,
    /// Whether the caller may change its call from one attempt to the next: then a resilient source
    /// asks it for another call, once, when the server has refused its credentials (401). Without it, a source
    /// whose call may not be replayed ends with the connection instead of waiting to ask for another
    /// call. Default: no.
    pub calls_vary: bool,
    /// How much of an event is accepted.
    pub limits: Limits,
    /// The id to resume after, when an earlier source got so far. Default: none.
    pub last_event_id: EventId,
    /// The reconnection time that the stream had set an earlier source, which goes before the
    /// policy's. Default: none.
    pub retry: Option<Duration>,
}

impl Config {
    /// The standard to the letter.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            profile: Profile::Strict,
            reconnect: Policy::strict(),
            idle_timeout: None,
            reconnect_url: ReconnectUrl::Current,
            redirects_max: 20,
            headers_cross_origins: false,
            with_credentials: false,
            cors: None,
            commit: Commit::Delivered,
            calls_vary: false,
            limits: Limits::default(),
            last_event_id: EventId::default(),
            retry: None,
        }
    }

    /// What a service needs: backoff with jitter, patience with 429 and 5xx, and none with a
    /// connection that has gone silent.
    #[must_use]
    pub fn resilient() -> Self {
        Self {
            profile: Profile::Resilient,
            reconnect: Policy::resilient(),
            idle_timeout: Some(IDLE_TIMEOUT),
            ..Self::strict()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::strict()
    }
}

/// Which refusals a source takes as final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// As the standard says: every response but 200 with an event stream.
    #[default]
    Strict,
    /// Not 429 and 5xx, after which it tries again, no sooner than their `Retry-After` asks; and not
    /// the first 401, if the [caller may have other credentials](Config::calls_vary). But a
    /// limit that is crossed twice after the same event is final, as a third time would be no
    /// different.
    Resilient,
}

/// Where a source that was redirected connects again.
///
/// Redirects of a URL that the caller chose for one attempt, and those that turn a call into a GET
/// for its result, say nothing about the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReconnectUrl {
    /// Where the redirects led, as the standard says.
    #[default]
    Current,
    /// Where permanent redirects (301, 308) led, up to the first that was not.
    Permanent,
    /// Where it was first told to.
    Original,
}

/// When the last event id, after which the next request resumes, moves past an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Commit {
    /// When it is delivered, as the standard says. An event whose handling fails does not come
    /// again.
    #[default]
    Delivered,
    /// When it is [acknowledged](super::Source::acknowledge). What was not comes again after a
    /// reconnect, so that every event is handled at least once.
    Acknowledged,
}

/// The rules of CORS, for a source that acts for a web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// The origin of the page, serialised: such as `https://example.com`, or `null`.
    pub origin: Arc<str>,
    /// Whether a `Last-Event-ID` of more than 128 bytes, or with bytes that CORS calls unsafe, asks
    /// the server's leave with a preflight. This is proposed for Fetch, and is held by the public
    /// tests.
    pub preflights_last_event_id: bool,
}

/// Longer than the heartbeats of most servers and the idle timeouts of most proxies.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
