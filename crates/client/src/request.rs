//! What an attempt sends, and the hook that may change it.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use tidings_proto::EventId;
use tidings_proto::source::Cause;
use url::Url;

use crate::transport::public;
use crate::{NetworkError, Response};

/// The request of an attempt to connect.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method. Default: GET.
    pub method: Method,
    /// Where to send it.
    pub url: Url,
    /// The headers: the caller's own, `Accept`, `Cache-Control`, and `Last-Event-ID` if there is an
    /// id to resume after.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<Bytes>,
    /// Whether it may be sent again although it may have reached the server. It only counts for
    /// methods that are not safe, such as POST. Default: no.
    pub replay: bool,
}

/// Without what may be a secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &public(&self.url))
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}

/// An attempt that is about to be made, as a request hook sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Which attempt it is: 1 is the first.
    pub number: u64,
    /// How many attempts have failed since the last success.
    pub failures: u32,
    /// The id to resume after; empty if there is none. It is already in the request's headers, unless
    /// no header can carry it.
    pub last_event_id: EventId,
    /// Whether redirects of earlier attempts have led to another origin than the caller named. Then
    /// the caller's own headers are not in the request.
    pub crossed_origin: bool,
    /// What became of the attempt before, if there was one.
    pub previous: Option<Previous>,
    /// What would be sent. Change it and return it.
    pub request: Request,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Previous {
    /// Why its connection was lost or refused.
    pub cause: Cause,
    /// What the network said, if the cause is [`Cause::Network`] or [`Cause::Unreachable`].
    pub network: Option<NetworkError>,
    /// The head of the response, if there was one.
    pub response: Option<Response>,
}

/// Why a request hook cannot say what to send.
///
/// Any error becomes one with `?`, and the source then tries again later, as after a failed
/// connection.
pub struct HookError {
    pub(crate) reason: Box<dyn StdError + Send + Sync>,
    pub(crate) is_final: bool,
}

impl HookError {
    /// It may go better later: the source waits, and asks again.
    pub fn retry(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }

    /// It is of no use to try again: the source is closed for good, with
    /// [`Error::NotPrepared`](crate::Error::NotPrepared).
    pub fn stop(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { reason: reason.into(), is_final: true }
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HookError {
    fn from(reason: E) -> Self {
        Self::retry(reason)
    }
}

impl fmt::Debug for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookError")
            .field("reason", &self.reason)
            .field("is_final", &self.is_final)
            .finish()
    }
}

/// A hook as the source keeps it.
pub(crate) type Hook =
    Box<dyn FnMut(Attempt) -> BoxFuture<'static, Result<Request, HookError>> + Send>;
