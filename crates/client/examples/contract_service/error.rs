//! Why the service does not do what it was asked.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tidings_client::BuildError;
use tidings_proto::event::InvalidEventId;

/// Why a request is refused. Its sentence is the body of the response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The body is not JSON, or a field is missing or of the wrong type.
    #[error("the body is not what it should be: {0}")]
    Body(#[from] serde_json::Error),
    /// There is nothing to call back.
    #[error("callbackUrl must be an absolute http or https URL, not {callback_url:?}")]
    CallbackUrl {
        /// What it is.
        callback_url: String,
    },
    #[error("method {method:?} is not one that HTTP allows")]
    Method {
        /// What it is.
        method: String,
    },
    #[error("lastEventId cannot be sent: {0}")]
    LastEventId(#[source] InvalidEventId),
    /// The source cannot be set up: its URL, a header or a timeout is wrong.
    #[error("the stream cannot be followed: {0}")]
    Source(#[from] BuildError),
    /// The environment is at fault.
    #[error("the HTTP client for callbacks could not be built: {0}")]
    Client(#[source] reqwest::Error),
    #[error("the stream listens for {types_max} event types already")]
    TooManyTypes {
        /// The limit that was met.
        types_max: usize,
    },
    #[error("there is no such stream")]
    UnknownStream,
    #[error("there are {streams_max} streams already; delete one first")]
    TooManyStreams {
        /// The limit that was met.
        streams_max: usize,
    },
    #[error("the service is about to end")]
    Ending,
}

impl RequestError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Body(_)
            | Self::CallbackUrl { .. }
            | Self::Method { .. }
            | Self::LastEventId(_)
            | Self::TooManyTypes { .. }
            | Self::Source(_) => StatusCode::BAD_REQUEST,
            Self::UnknownStream => StatusCode::NOT_FOUND,
            Self::Client(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooManyStreams { .. } | Self::Ending => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}
