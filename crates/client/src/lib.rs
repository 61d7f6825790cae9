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
//! use tidings_client::{EventSource, Update};
//!
//! # async fn follow() -> Result<(), Box<dyn std::error::Error>> {
//! let mut source = EventSource::new("https://example.com/events")?;
//! while let Some(update) = source.next().await {
//!     if let Update::Message(message) = update? {
//!         println!("{}: {}", message.event_type, message.data);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Whoever knows the browsers' interface finds it here, too: listeners and handlers are set on a
//! [`Handle`], and [`EventSource::run`] follows the stream for them.
//!
//! ```no_run
//! use tidings_client::{EventSource, ListenerOptions};
//!
//! # fn follow() -> Result<(), Box<dyn std::error::Error>> {
//! let source = EventSource::new("https://example.com/events")?;
//! let handle = source.handle();
//! handle.on_message(|message| println!("{}", message.data));
//! handle.add_event_listener("join", |event| println!("{event:?}"));
//! handle.on_error({
//!     let handle = handle.clone();
//!     move |_| println!("now {:?}", handle.ready_state())
//! });
//! tokio::spawn(source.run());
//! # Ok(())
//! # }
//! ```
//!
//! # Answers of language models and MCP
//!
//! Some APIs answer a POST with an event stream that is not to be reconnected to, with JSON as its
//! data and an end mark. For them there are the parts of the way from bytes to values:
//!
//! ```text
//!  reqwest::Response ══▶ EventStream ──Event──▶ Answer ──Event──▶ JsonEvents ══▶ your values
//!                           decodes   ▲        ends at [DONE]     parses
//!          EventSource ══▶ Messages ──┘        or is cut off
//! ```
//!
#![cfg_attr(feature = "json", doc = "```no_run")]
#![cfg_attr(not(feature = "json"), doc = "```ignore")]
//! use futures_util::TryStreamExt;
//! use tidings_client::EventStream;
//!
//! #[derive(serde::Deserialize)]
//! struct Token {
//!     text: String,
//! }
//!
//! # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//! # async fn ask(client: reqwest::Client, question: String) -> Result<()> {
//! let response = client.post("https://example.com/ask").body(question).send().await?;
//! let events = EventStream::from_response(response).await?;
//! let mut tokens = events.answer().end_at_data("[DONE]").json::<Token>();
//! while let Some(token) = tokens.try_next().await? {
//!     print!("{}", token.value.text);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An answer from an [`EventSource`] goes on over a reconnect if its events have ids to resume after,
//! and is cut off if they have none.
//!
//! # Profiles
//!
//! [`Profile::Strict`], the default, is the standard to the letter: any response but 200 with
//! `text/event-stream` closes the source for good, and it waits the reconnection time between
//! attempts. [`Profile::Resilient`] is for services: it also outlasts 429 and 5xx, honours
//! `Retry-After`, backs off with jitter, takes a connection for dead that is silent for
//! [too long](Builder::idle_timeout), and gives up on an event that crosses a limit twice. A budget
//! for retries is in the [`Policy`].
//!
//! # At least once
//!
//! The standard moves the last event id when an event is delivered: a program that dies while it
//! handles the event does not get it again. With [`Commit::Acknowledged`] the id moves when the
//! program [acknowledges](EventSource::acknowledge) the message, and what was not acknowledged comes
//! again after a reconnect. A [`ResumeToken`] carries the place over to another process.
//!
//! Typed events are acknowledged as messages are. This follows a queue of jobs: each is done at least
//! once, even if the program is killed at any point.
//!
#![cfg_attr(feature = "json", doc = "```no_run")]
#![cfg_attr(not(feature = "json"), doc = "```ignore")]
//! use std::fs::{self, File};
//! use std::io::{self, Write};
//! use std::path::Path;
//!
//! use futures_util::TryStreamExt;
//! use tidings_client::{Commit, EventSource, ResumeToken};
//!
//! #[derive(serde::Deserialize)]
//! struct Job {
//!     order: u64,
//! }
//!
//! # async fn carry_out(_: &Job) -> io::Result<()> { Ok(()) }
//! # async fn work() -> Result<(), Box<dyn std::error::Error>> {
//! let place = Path::new("jobs.place");
//! let mut builder = EventSource::builder("https://example.com/jobs").commit(Commit::Acknowledged);
//! if place.exists() {
//!     builder = builder.resume(fs::read_to_string(place)?.parse()?);
//! }
//! let mut jobs = builder.build()?.messages().json::<Job>();
//! while let Some(job) = jobs.try_next().await? {
//!     carry_out(&job.value).await?;
//!     if let Some(source) = jobs.source_mut() {
//!         source.acknowledge(&job);
//!         store(place, &source.resume_token())?;
//!     }
//! }
//! # Ok(())
//! # }
//!
//! /// Replaces the file as a whole, so that a crash leaves the place before or this one.
//! fn store(place: &Path, token: &ResumeToken) -> io::Result<()> {
//!     let draft = place.with_extension("draft");
//!     let mut file = File::create(&draft)?;
//!     writeln!(file, "{token}")?;
//!     file.sync_all()?;
//!     fs::rename(draft, place)
//! }
//! ```
//!
//! An event that is not the JSON that was expected is acknowledged by the `receipt` of its error, or
//! with the next one. A [`Handle`] acknowledges from another task.
//!
//! # Where this differs from the standard's letter
//!
//! - The last event id lasts over reconnects for events that bring none, where the letter of the
//!   standard would blank it. Browsers do the same, and so do their shared tests.
//! - An id that no header can carry (with control characters, or space at either end) is left out of
//!   the request, and told with [`Update::UnsendableId`]: the stream goes on, and nobody believes
//!   that it was resumed.
//! - A line, an event and its fields have [`Limits`], so that no server can fill memory. Crossing one
//!   ends the connection with a cause that names the limit.
//! - `retry: 0` and other short times wait at least
//!   [`reconnection_time_min`](Policy::reconnection_time_min), 100 milliseconds, so that no stream
//!   makes a busy loop.
//! - Headers of your own do not follow a redirect to another origin, as they may hold secrets
//!   ([`Builder::headers_cross_origins`]), and no redirect leads from https to http.
//! - CORS applies when you name the [origin](Builder::origin) for which you act; a program has none
//!   by itself. A failed check is final, and so is a redirect that cannot be followed, where the
//!   standard lets a browser try again for ever. Leave that a preflight gave is not kept for later
//!   requests.
//! - With an origin, a [`Last-Event-ID`](Builder::preflight_last_event_id) that is long or has unsafe
//!   bytes asks for leave with a preflight: this is proposed for Fetch, and the browsers' shared
//!   tests hold it already.
//! - A user name and password in the URL are sent with every request, not only when the server asks.
//! - A source with a [hook](Builder::on_request) connects again to the URL it was given, not to where a
//!   redirect led.
//! - A stream that is compressed, and that the HTTP client does not decode, is refused.
//! - Cookies are sent and kept only with a store that you bring (feature `cookies`).
//!
//! The guide `docs/eventsource.md` goes through the browsers' interface member by member.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod alarm;
mod answer;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod error;
#[cfg(feature = "json")]
mod error_member;
mod event_source;
mod event_stream;
mod excerpt;
mod handle;
mod http_client;
#[cfg(feature = "json")]
mod json;
mod listeners;
mod messages;
mod origin;
mod receipt;
mod received;
mod request;
mod response;
mod resume_token;
mod transport;
mod update;

// In the signatures of this crate.
pub use {bytes, http, reqwest, url};

pub use answer::{Answer, AnswerError};
pub use builder::{BuildError, Builder};
pub use error::{Error, HookFailure, NetworkError};
pub use event_source::EventSource;
pub use event_stream::{EventStream, ReadError};
pub use handle::Handle;
pub use http_client::{RootsError, client_with_roots, default_client, is_loopback};
#[cfg(feature = "json")]
pub use json::{JsonEvent, JsonEvents};
pub use listeners::{Dispatch, ListenerId, ListenerOptions};
pub use messages::Messages;
pub use origin::Origin;
pub use receipt::Receipt;
pub use received::Received;
pub use request::{Attempt, HookError, Previous, Request};
pub use response::{Refusal, ResponseBytes};
pub use resume_token::{InvalidResumeToken, ResumeToken};
pub use tidings_proto::decode::{DecodeError, Limits};
pub use tidings_proto::reconnect::Policy;
pub use tidings_proto::source::{
    Cause, Commit, CorsError, Fault, Profile, ReadyState, ReconnectUrl, RedirectError,
};
pub use tidings_proto::{Event, EventId, EventName};
pub use transport::retry_after;
pub use update::{Disconnection, Message, Response, Update};
