//! Why a connection ended, and whether that ends the source.

use alloc::string::String;
use core::time::Duration;

use super::{CorsError, Profile};
use crate::decode::DecodeError;

/// Why a connection ended or did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The server ended the stream. Nobody's fault: the source goes on with a new connection.
    #[error("the stream ended")]
    Ended,
    /// The user asked for a new connection.
    #[error("a new connection was asked for")]
    Asked,
    /// No connection was made, so that the server has not seen the request. The caller that reported
    /// it knows more.
    #[error("the server cannot be reached")]
    Unreachable,
    /// The network failed, before the response or in the stream. The caller that reported it knows
    /// more.
    #[error("the connection failed")]
    Network,
    /// Nothing came for [`Config::idle_timeout`](super::Config::idle_timeout): the connection is
    /// taken for dead. The network, or a server that sends no heartbeats in that time.
    #[error("nothing came for {idle_timeout:?}")]
    Idle {
        /// The limit that was crossed.
        idle_timeout: Duration,
    },
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
    /// The stream is compressed, and the driver has not undone it. The server is at fault, if it was
    /// not asked to compress; else the driver should decode it.
    #[error("the stream is compressed ({encoding}), and was not asked to be")]
    ContentEncoding {
        /// The `Content-Encoding`.
        encoding: String,
    },
    /// A redirect could not be followed. The server, or what stands before it, is at fault.
    #[error("{0}")]
    Redirect(RedirectError),
    /// The server does not allow the source's origin to read it.
    #[error("{0}")]
    Cors(CorsError),
    /// The caller could not say what to send. It knows why.
    #[error("the request could not be prepared")]
    NotPrepared {
        /// Whether it has no hope for a next time.
        is_final: bool,
    },
}

/// Who can do something about a [`Cause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody: it is in the nature of streams.
    Nobody,
    /// The caller: the request, its URL or its credentials.
    Caller,
    /// The server, or what stands before it.
    Server,
    /// The network between them.
    Network,
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
            Self::Ended
            | Self::Asked
            | Self::Unreachable
            | Self::Network
            | Self::Idle { .. }
            | Self::Limit(_)
            | Self::NotPrepared { is_final: false } => true,
            Self::Status { status, .. } => match profile {
                Profile::Strict => false,
                Profile::Resilient => matches!(status, 429 | 500..=599),
            },
            Self::ContentType { .. }
            | Self::ContentEncoding { .. }
            | Self::Redirect(_)
            | Self::Cors(_)
            | Self::NotPrepared { is_final: true } => false,
        }
    }

    /// Who can do something about it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Ended | Self::Asked | Self::Status { status: 204, .. } => Fault::Nobody,
            Self::NotPrepared { .. } => Fault::Caller,
            Self::Status { status: 429, .. } => Fault::Server,
            Self::Status { status: 400..=499, .. } => Fault::Caller,
            Self::Unreachable | Self::Network | Self::Idle { .. } => Fault::Network,
            Self::Limit(_)
            | Self::Status { .. }
            | Self::ContentType { .. }
            | Self::ContentEncoding { .. }
            | Self::Redirect(_)
            | Self::Cors(_) => Fault::Server,
        }
    }

    /// Whether the server has said that it did nothing with the request: it wants other credentials,
    /// fewer requests, or none for the time being.
    pub(super) const fn is_unacted(&self) -> bool {
        matches!(
            self,
            Self::Status { status: 401 | 429, .. }
                | Self::Status { status: 503, retry_after: Some(_) }
        )
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
