//! An event stream out of a response that somebody else has asked for.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::Response;
use tidings_proto::source::{Cause, Profile, ResponseHead};

use crate::excerpt::said;
use crate::{EventStream, NetworkError, transport};

/// The bytes of a response, as [`EventStream::from_response`] reads them.
pub type ResponseBytes = BoxStream<'static, Result<Bytes, NetworkError>>;

impl EventStream<ResponseBytes> {
    /// The events of a response, if it is an event stream: status 200 exactly, as the standard
    /// says, and of type `text/event-stream`.
    ///
    /// No other status opens a stream, not even one of success: 202 and 204 have none. To read a
    /// response whatever its head says, hand [`Response::bytes_stream`] to [`EventStream::new`].
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    /// use tidings_client::EventStream;
    ///
    /// # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
    /// # async fn ask(client: reqwest::Client, question: String) -> Result<()> {
    /// let response = client.post("https://example.com/ask").body(question).send().await?;
    /// let mut events = EventStream::from_response(response).await?;
    /// while let Some(event) = events.try_next().await? {
    ///     print!("{}", event.data);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refusal`] if it is anything else, with the beginning of its body, for which it waits up to
    /// 2 seconds.
    pub async fn from_response(response: Response) -> Result<Self, Refusal> {
        let headers = transport::pairs(response.headers());
        let mut head = ResponseHead::new(response.status().as_u16(), &headers);
        head.retry_after = transport::retry_after(response.headers(), SystemTime::now());
        let Err(cause) = head.opens() else {
            drop(headers);
            return Ok(Self::new(response.bytes_stream().map_err(NetworkError::from).boxed()));
        };
        drop(headers);
        let body = transport::refusal_body(response, transport::REFUSAL_WAIT).await;
        Err(Refusal { cause, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// A response that is not an event stream. The request or the server is at fault; the cause says
/// which to look at, and the body often says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What is wrong: [`Cause::Status`], [`Cause::ContentType`] or [`Cause::ContentEncoding`].
    pub cause: Cause,
    /// The body: at most its first 16 KiB, of what came within 2 seconds. What is not UTF-8 is
    /// replaced. Empty if there was none.
    pub body: String,
}

impl Refusal {
    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.cause {
            Cause::Status { status, .. } => status,
            // Type and coding are looked at only in a response of this status.
            _ => 200,
        }
    }

    /// Whether the same request may fare better later: after 429 and 5xx, and no sooner than
    /// [`Cause::Status`] says the server asked to wait.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.cause.is_retryable(Profile::Resilient)
    }
}

/// The cause, and the beginning of the body.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.cause, said(&self.body))
    }
}

impl std::error::Error for Refusal {}
