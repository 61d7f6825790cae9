//! Why a connection ended, and whether that ends the source.

use alloc::string::String;
use core::time::Duration;

use super::Profile;
use crate::decode::DecodeError;

/// Why a connection ended or did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The server ended the stream. Nobody's fault: the source goes on with a new connection.
    #[error("the stream ended")]
    Ended,
    /// The network failed, before the response or in the stream. The caller that reported it knows
    /// more.
    #[error("the connection failed")]
    Network,
    /// The stream crossed a limit of the decoder. Raise the limit that is named, or have the server
    /// send less.
    #[error("{0}")]
    Limit(DecodeError),
    /// The server answered with a status other than 200. Look at the URL and the credentials, or at
    /// the server's log.
    #[error("the server answered with status {status}, not 200")]
    Status {
        /// The status.
        status: u16,
        /// How long the server asked to wait, by its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The response is not an event stream, so the URL is probably not the one that was meant.
    #[error("the response is {}, not text/event-stream", described(.content_type.as_deref()))]
    ContentType {
        /// The `Content-Type`, if there was one.
        content_type: Option<String>,
    },
    /// A redirect could not be followed. The server, or what stands before it, is at fault.
    #[error("{0}")]
    Redirect(RedirectError),
}

/// Why a redirect was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more redirects in a row than [`Config::redirects_max`](super::Config).
    #[error("there were more than {redirects_max} redirects in a row")]
    TooMany {
        /// The limit that was crossed.
        redirects_max: u32,
    },
    /// The redirect leads from https to http, where anyone on the way could read and forge events.
    #[error("a redirect leads from https to http")]
    Downgrade,
    /// The `Location` is not an http or https URL.
    #[error("a redirect leads to something that is not an http or https URL")]
    Location,
}

impl Cause {
    /// Whether a source of `profile` connects again after this: the one place that decides it.
    ///
    /// Standard: the steps of "connect" in WHATWG HTML, which reestablish the connection after a
    /// network error and the end of the stream, and fail it after anything that is not an event
    /// stream.
    #[must_use]
    pub const fn is_retryable(&self, profile: Profile) -> bool {
        match self {
            Self::Ended | Self::Network | Self::Limit(_) => true,
            Self::Status { status, .. } => match profile {
                Profile::Strict => false,
                Profile::Resilient => matches!(status, 429 | 500..=599),
            },
            Self::ContentType { .. } | Self::Redirect(_) => false,
        }
    }

    /// How long the server asked to wait.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn described(content_type: Option<&str>) -> &str {
    content_type.unwrap_or("of no declared type")
}
