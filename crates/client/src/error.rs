//! Why a source is closed for good, and what the network said.

use std::error::Error as StdError;
use std::fmt;

use tidings_proto::source::Cause;

/// Why a source is closed for good. Its stream ends after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused, or sent what no further attempt would change. The request or the server
    /// is at fault; the cause says which to look at.
    #[error("{cause}")]
    Failed {
        /// Why.
        cause: Cause,
        /// The body of a refusal with a status of 400 or more, which may say what to do: at most its
        /// first 16 KiB, of what came within 2 seconds. Empty if there was none.
        body: Vec<u8>,
    },
    /// As many attempts failed in a row as the policy allows. The server or the network is at fault.
    #[error("gave up after {retries} failed attempts, the last because {}", last(.cause, .network.as_ref()))]
    RetriesExhausted {
        /// How many attempts had failed in a row, not counting the last.
        retries: u32,
        /// Why the last one failed.
        cause: Cause,
        /// What the network said then, if the cause is [`Cause::Network`].
        #[source]
        network: Option<NetworkError>,
    },
}

impl Error {
    /// Why the last connection failed.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        match self {
            Self::Failed { cause, .. } | Self::RetriesExhausted { cause, .. } => cause,
        }
    }

    /// Whether a new source may fare better later, unchanged.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Failed { .. } => false,
            Self::RetriesExhausted { .. } => true,
        }
    }
}

/// What went wrong below HTTP: the name, the connection, TLS, or the framing of the response.
#[derive(Debug)]
pub struct NetworkError(reqwest::Error);

/// The URL is left out: it may hold a secret, and whoever reads the message knows it.
impl From<reqwest::Error> for NetworkError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url())
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
        let mut innermost: &dyn StdError = &self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        fmt::Display::fmt(innermost, f)
    }
}

impl StdError for NetworkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

fn last(cause: &Cause, network: Option<&NetworkError>) -> String {
    network.map_or_else(|| cause.to_string(), ToString::to_string)
}
