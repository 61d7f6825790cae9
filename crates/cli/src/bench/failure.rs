//! Why a subscriber has no stream.

use std::io;
use std::time::Duration;

use tidings_client::Cause;
use url::Url;

use crate::text::{duration, visible};

/// Why a connection did not become an event stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody listens there, or the network does not lead there.
    #[error("{}", reason(.0))]
    Connect(io::Error),
    /// The connection broke before the head of the response.
    #[error("{}", reason(.0))]
    Network(io::Error),
    /// The server closed the connection without an answer.
    #[error("closed without an answer")]
    NoAnswer,
    /// The server, or the way to it, is too slow.
    #[error("no answer within {}", duration(*.0))]
    TimedOut(Duration),
    /// What came is not HTTP/1.1.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
    /// The server refuses.
    #[error("status {status}")]
    Status {
        status: u16,
        /// Where a redirect leads.
        location: Option<String>,
        /// What the body says is wrong.
        said: Option<String>,
    },
    /// It answers with something else.
    #[error("{}", short(.0))]
    NotAStream(Cause),
}

impl Failure {
    /// What happened, and what to do about it.
    pub(super) fn sentence(&self, url: &Url) -> String {
        match self {
            Self::Connect(error) if is_tls(error) => format!(
                "{url} cannot be reached securely: {}. Check the certificate, and whether the server \
                 speaks TLS there.",
                visible(&error.to_string())
            ),
            Self::Connect(_) => {
                format!(
                    "{url} cannot be reached: {self}. Check the URL, and whether the server runs."
                )
            }
            Self::Network(_) | Self::NoAnswer | Self::TimedOut(_) => format!(
                "{url} does not answer: {self}. Check the server's log, and whether it is http or \
                 https."
            ),
            Self::NotHttp => format!(
                "{url} does not answer as HTTP/1.1. Check the port, and whether it is http or https."
            ),
            Self::Status { location: Some(location), status, .. } => {
                let location = visible(location);
                format!("{url} redirects to {location} ({status}). Give that URL if it is right.")
            }
            Self::Status { status: 204, .. } => {
                format!("{url} has ended its stream for good (204), so there is nothing to follow.")
            }
            Self::Status { status, said: Some(said), .. } => {
                format!("{url} answered with status {status}: {}", visible(said))
            }
            Self::Status { status: status @ (401 | 403), .. } => format!(
                "{url} refused access ({status}). Give credentials with --header, such as \
                 --header 'Authorization: Bearer …'."
            ),
            Self::Status { status: status @ (404 | 410), .. } => {
                format!("There is no event stream at {url} ({status}). Check the URL.")
            }
            Self::Status { status, .. } => {
                format!("{url} answered with status {status}, not with an event stream.")
            }
            Self::NotAStream(Cause::ContentType { content_type }) => {
                let found = content_type.as_deref().map_or("something of no type".into(), visible);
                format!("{url} answers with {found}, not with an event stream. Check the URL.")
            }
            Self::NotAStream(cause) => {
                format!("{url} cannot be followed: {}.", visible(&cause.to_string()))
            }
        }
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// An error of the network in a few words that are the same for the same error, to be counted by.
pub(super) fn reason(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::BrokenPipe => "connection closed",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::UnexpectedEof => "closed without a farewell",
        io::ErrorKind::InvalidData => "TLS failed",
        io::ErrorKind::AddrNotAvailable => "no local port left",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way there",
        _ => return error.to_string(),
    };
    words.to_owned()
}

fn short(cause: &Cause) -> &'static str {
    match cause {
        Cause::ContentType { .. } => "not an event stream",
        Cause::ContentEncoding { .. } => "compressed without being asked",
        _ => "not a stream that can be followed",
    }
}
