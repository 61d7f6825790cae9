//! Why a source is closed for good, and what the network said.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tidings_proto::source::{Cause, Fault};

use crate::excerpt::said;
use crate::update::reason;

/// Why a source is closed for good. Its stream ends after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused. The request or the server is at fault; the cause says which to look at.
    #[error("{cause}{}; this is final", said(.body))]
    Refused {
        /// Why.
        cause: Cause,
        /// The body of the response, which may say what to do: at most its first 16 KiB, of what came
        /// within 2 seconds, as text. Empty if there was none.
        body: String,
    },
    /// The same event has crossed the same limit twice, so a third time would be no different. Raise
    /// the limit, or have the server send less.
    #[error("{cause}, and so it did before; this is final")]
    Futile {
        /// Which limit.
        cause: Cause,
    },
    /// As many attempts failed in a row as the policy allows. The server or the network is at fault.
    #[error("gave up after {}: {}", attempts(*.retries), reason(.cause, .network.as_ref(), .hook.as_ref()))]
    RetriesExhausted {
        /// How many attempts had failed in a row, not counting the last.
        retries: u32,
        /// Why the last one failed.
        cause: Cause,
        /// What the network said then, if the cause is [`Cause::Network`] or [`Cause::Unreachable`].
        #[source]
        network: Option<NetworkError>,
        /// What the request hook said then, if the cause is [`Cause::NotPrepared`].
        hook: Option<HookFailure>,
    },
    /// The connection was lost, and the request is not sent again, as the server may have acted on it:
    /// its method is not safe. The network or the server is at fault. Where a repetition does no
    /// harm, allow it with [`Builder::replay`](crate::Builder::replay); where the server has another
    /// way to resume, name it with [`Builder::on_request`](crate::Builder::on_request).
    #[error("{}{}; the request may have been acted on and is not sent again", reason(.cause, .network.as_ref(), None), said(.body))]
    NotReplayed {
        /// Why the connection was lost.
        cause: Cause,
        /// What the network said, if the cause is [`Cause::Network`] or [`Cause::Unreachable`].
        #[source]
        network: Option<NetworkError>,
        /// The body of a refusal, as in [`Error::Refused`].
        body: String,
    },
    /// The request hook has given up. It knows why.
    #[error("the request could not be prepared: {0}; this is final")]
    NotPrepared(#[source] HookFailure),
}

impl Error {
    /// Why the last connection failed.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        match self {
            Self::Refused { cause, .. }
            | Self::Futile { cause }
            | Self::RetriesExhausted { cause, .. }
            | Self::NotReplayed { cause, .. } => cause,
            Self::NotPrepared(_) => &Cause::NotPrepared { is_final: true },
        }
    }

    /// Who can do something about it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.cause().fault()
    }

    /// What the server said with its refusal, if it did: at most 16 KiB.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Refused { body, .. } | Self::NotReplayed { body, .. } => body,
            _ => "",
        }
    }

    /// Whether a new source may fare better later, unchanged.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::RetriesExhausted { .. } => true,
            Self::Refused { .. }
            | Self::Futile { .. }
            | Self::NotReplayed { .. }
            | Self::NotPrepared(_) => false,
        }
    }
}

fn attempts(retries: u32) -> String {
    match retries {
        0 => "one attempt".to_owned(),
        retries => format!("{} attempts", u64::from(retries) + 1),
    }
}

/// What went wrong below HTTP: the name, the connection, TLS, or the framing of the response.
#[derive(Debug, Clone)]
pub struct NetworkError(Arc<reqwest::Error>);

/// The URL is left out: it may hold a secret, and whoever reads the message knows it.
impl From<reqwest::Error> for NetworkError {
    fn from(error: reqwest::Error) -> Self {
        Self(Arc::new(error.without_url()))
    }
}

impl NetworkError {
    /// Whether no connection was made, so that the server has not seen the request.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.0.is_connect()
    }

    /// Whether a timeout of the HTTP client struck.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.is_timeout()
    }
}

/// The innermost reason, which says the most: "Connection refused" rather than "error sending
/// request".
impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut innermost: &dyn StdError = &*self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        fmt::Display::fmt(innermost, f)
    }
}

impl StdError for NetworkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// Why a request hook could not say what to send, in its own words.
#[derive(Debug, Clone)]
pub struct HookFailure(pub(crate) Arc<dyn StdError + Send + Sync>);

impl fmt::Display for HookFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for HookFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
