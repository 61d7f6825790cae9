//! An `EventSource` for Rust: server-sent events over HTTP that reconnect and resume.
//!
//! ```text
//!                      ┌──────────── EventSource ────────────┐
//!  server ══ HTTP ══▶  │ transport ──bytes──▶ source::Source │ ══ Stream of Updates ══▶ you
//!         ◀═ GET ════  │     ▲                      │        │    open, message, comment,
//!    Last-Event-ID     │     └───────request────────┘        │    retry, disconnected
//!                      └─────────────────────────────────────┘
//! ```
//!
//! All decisions are made by the state machine in [`tidings_proto::source`]; this crate moves bytes
//! between it and the sockets. Nothing runs in the background: the source works while it is polled,
//! reads no further than it has delivered, so that a slow reader holds up the server rather than
//! filling memory, and is closed by dropping it.
//!
//! ```no_run
//! use futures_util::TryStreamExt;
//! use tidings_client::{EventSource, Update};
//!
//! # async fn follow() -> Result<(), Box<dyn std::error::Error>> {
//! let mut source = EventSource::new("https://example.com/events")?;
//! while let Some(update) = source.try_next().await? {
//!     if let Update::Message(message) = update {
//!         println!("{}: {}", message.event_type, message.data);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Profiles
//!
//! [`Profile::Strict`], the default, is the standard to the letter: any response but 200 with
//! `text/event-stream` closes the source for good, and it waits the reconnection time between
//! attempts. [`Profile::Resilient`] is for services: it also outlasts 429 and 5xx, honours
//! `Retry-After`, and backs off with jitter.
//!
//! # Where this differs from the standard's letter
//!
//! - The last event id lasts over reconnects for events that bring none, where the letter of the
//!   standard would blank it. Browsers do the same, and so do their shared tests.
//! - An id that no header can carry (with control characters, or space at either end) is left out of
//!   the request, and told with [`Update::UnsendableId`].
//! - A line, an event and its fields have [`Limits`]. Crossing one ends the connection with a cause
//!   that names the limit.
//! - `retry: 0` and other short times wait at least
//!   [`reconnection_time_min`](Policy::reconnection_time_min), 100 milliseconds.
//! - Headers of your own do not follow a redirect to another origin, and no redirect leads from
//!   https to http.
//! - There is no origin to protect, so neither CORS nor a cookie jar plays a part; whatever headers
//!   you set are sent.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod builder;
mod error;
mod event_source;
mod event_stream;
mod excerpt;
mod messages;
mod response;
mod transport;
mod update;

pub use answer::{Answer, AnswerError};
pub use builder::{BuildError, Builder};
pub use error::{Error, NetworkError};
pub use event_source::EventSource;
pub use event_stream::{EventStream, ReadError};
pub use messages::Messages;
pub use response::{Refusal, ResponseBytes};
pub use tidings_proto::decode::{DecodeError, Limits};
pub use tidings_proto::reconnect::Policy;
pub use tidings_proto::source::{Cause, Profile, ReadyState, ReconnectUrl, RedirectError};
pub use tidings_proto::{Event, EventId, EventName};
pub use transport::{default_client, retry_after};
pub use update::{Disconnection, Message, Opening, Update};
