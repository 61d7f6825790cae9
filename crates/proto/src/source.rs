//! The event source: a state machine that is told what happens and says what to do.
//!
//! A [`Source`] opens no socket and reads no clock. Whoever drives it makes the requests it asks
//! for, hands it responses, bytes and the end of connections, wakes it at its deadline, and
//! delivers what it puts out.
//!
//! ```text
//!                  ┌──────────────────── Source ────────────────────┐
//!  handle_response │                                                │ poll_request   what to fetch
//!  handle_redirect │   Due ──▶ Requested ──▶ Open ──▶ (Decoder)     │ poll_output    what to deliver
//!  handle_bytes   ─┼─▶  ▲          │           │                   ─┼▶
//!  handle_end      │    └─ Waiting ◀───────────┘     ──▶ Closed     │ poll_deadline  when to wake it
//!  handle_error    │                                                │
//!  handle_timeout  └────────────────────────────────────────────────┘
//! ```
//!
//! Time is a [`Duration`] since any moment that the driver chooses and keeps to.
//!
//! ```
//! use std::time::Duration;
//! use tidings_proto::source::{Config, Output, ResponseHead, Source};
//!
//! let now = Duration::ZERO;
//! let mut source = Source::new("http://example.com/events", Config::strict(), 0);
//! let request = source.poll_request().unwrap();
//! assert_eq!(&*request.url, "http://example.com/events");
//!
//! source.handle_response(now, ResponseHead::new(200).with_content_type(b"text/event-stream"));
//! assert_eq!(source.poll_output(), Some(Output::Open));
//! let mut chunk = &b"data: hello\n\n"[..];
//! source.handle_bytes(now, &mut chunk);
//! let Some(Output::Message(event)) = source.poll_output() else { panic!() };
//! assert_eq!(event.data, "hello");
//!
//! source.handle_end(now);
//! assert!(matches!(source.poll_output(), Some(Output::Disconnected { .. })));
//! assert_eq!(source.poll_deadline(), Some(Duration::from_secs(3)));
//! ```
//!
//! Standard: WHATWG HTML,
//! ["Server-sent events"](https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface).
//! Where this differs from its letter, and why: an id that no header can carry is left out of the
//! request ([`Output::UnsendableId`]); a reconnection time has a floor
//! ([`Policy::reconnection_time_min`]); the decoder has limits ([`Cause::Limit`]); and events of a
//! new connection that bring no id keep the earlier one.

mod cause;
mod media_type;
mod request;

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

pub use cause::{Cause, RedirectError};
pub use media_type::is_event_stream;
pub use request::Request;

use crate::decode::{Decoder, Item, Limits};
use crate::event::{Event, EventId};
use crate::reconnect::{Policy, Reconnect};

/// The state machine of an event source. See the [module](self) for how it is driven.
///
/// An input that does not fit the state, such as bytes before a response, is ignored: it belongs to
/// a connection that the source has already given up.
#[derive(Debug)]
pub struct Source {
    config: Config,
    reconnect: Reconnect,
    decoder: Decoder,
    /// The committed id, as the decoder has it.
    last_event_id: EventId,
    /// Where the request under way goes.
    target: Target,
    /// Where the next attempt goes.
    next_target: Target,
    phase: Phase,
    redirects: u32,
    /// Whether all redirects of this attempt were permanent.
    redirects_permanent: bool,
    /// The id that was last reported as unsendable, so that it is reported once.
    unsendable_id: EventId,
    /// The id before the event that crossed a limit, to notice that it does so every time.
    limit_crossed_after: Option<EventId>,
    /// At most four, as no input is taken before they are polled.
    outputs: VecDeque<Output>,
}

/// How a source behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which refusals end the source. Default: [`Profile::Strict`].
    pub profile: Profile,
    /// How long to wait before connecting again. Default: [`Policy::strict`].
    pub reconnect: Policy,
    /// Where to connect again after a redirect. Default: [`ReconnectUrl::Current`].
    pub reconnect_url: ReconnectUrl,
    /// How many redirects in a row are followed. Default: 20, as in Fetch.
    pub redirects_max: u32,
    /// How much of an event is accepted.
    pub limits: Limits,
    /// The id to resume after, when an earlier source got so far. Default: none.
    pub last_event_id: EventId,
}

impl Config {
    /// The standard to the letter.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            profile: Profile::Strict,
            reconnect: Policy::strict(),
            reconnect_url: ReconnectUrl::Current,
            redirects_max: 20,
            limits: Limits::default(),
            last_event_id: EventId::default(),
        }
    }

    /// What a service needs: backoff with jitter, and patience with 429 and 5xx.
    #[must_use]
    pub fn resilient() -> Self {
        Self { profile: Profile::Resilient, reconnect: Policy::resilient(), ..Self::strict() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::strict()
    }
}

/// Which refusals a source takes as final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// As the standard says: every response but 200 with an event stream.
    #[default]
    Strict,
    /// Not 429 and 5xx, after which it tries again, no sooner than their `Retry-After` asks. But a
    /// limit that is crossed twice after the same event is final, as a third time would be no
    /// different.
    Resilient,
}

/// Where a source that was redirected connects again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReconnectUrl {
    /// Where the redirects led, as the standard says.
    #[default]
    Current,
    /// Where permanent redirects (301, 308) led, up to the first that was not.
    Permanent,
    /// Where it was first told to.
    Original,
}

/// What a source is doing, with the standard's names and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReadyState {
    /// Not connected yet, or between two connections.
    Connecting = 0,
    /// Receiving events.
    Open = 1,
    /// Closed for good, by the user or by a refusal.
    Closed = 2,
}

/// The head of a response, as far as the source judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: u16,
    /// The value of `Content-Type`; several are joined with a comma.
    pub content_type: Option<&'a [u8]>,
    /// How long the server asks to wait, by `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl<'a> ResponseHead<'a> {
    /// A response with this status and no header.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, content_type: None, retry_after: None }
    }

    /// The same with this `Content-Type`.
    #[must_use]
    pub const fn with_content_type(mut self, content_type: &'a [u8]) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// The same with this `Retry-After`.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}

/// A redirect: a response of status 301, 302, 303, 307 or 308 with a `Location`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The status.
    pub status: u16,
    /// The `Location`, resolved against the URL of the request.
    pub url: Arc<str>,
    /// Whether it leads to another origin than the request went to.
    pub crosses_origin: bool,
}

/// What a source has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The connection stands. It comes before anything of its stream.
    Open,
    /// An event was dispatched.
    Message(Event),
    /// A comment, with its text after the colon.
    Comment(String),
    /// The stream has set the reconnection time.
    Retry(Duration),
    /// The last event id cannot be a header value, so the next request goes without: the server
    /// will not know where to resume. Told once for each such id.
    UnsendableId(EventId),
    /// The connection was lost or refused, and the source connects again after `delay`.
    Disconnected {
        /// Why.
        cause: Cause,
        /// How long it waits.
        delay: Duration,
    },
    /// The source is closed for good. This is the last output.
    Failed {
        /// Why.
        cause: Cause,
        /// When the budget for retries ended it: how many attempts had failed in a row before.
        retries: Option<u32>,
    },
}

impl Source {
    /// A source that is about to connect to `url`. The seed decides the jitter of its delays.
    #[must_use]
    pub fn new(url: impl Into<Arc<str>>, config: Config, seed: u64) -> Self {
        let target = Target { url: url.into(), crossed_origin: false };
        Self {
            reconnect: Reconnect::new(config.reconnect, seed),
            decoder: Decoder::new(config.limits)
                .with_comments()
                .with_last_event_id(&config.last_event_id),
            last_event_id: config.last_event_id.clone(),
            next_target: target.clone(),
            target,
            phase: Phase::Due,
            redirects: 0,
            redirects_permanent: true,
            unsendable_id: EventId::default(),
            limit_crossed_after: None,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// What the source is doing.
    #[must_use]
    pub const fn ready_state(&self) -> ReadyState {
        match self.phase {
            Phase::Due | Phase::Requested | Phase::Waiting { .. } => ReadyState::Connecting,
            Phase::Open { .. } => ReadyState::Open,
            Phase::Closed => ReadyState::Closed,
        }
    }

    /// The last event id, which the next request resumes after.
    ///
    /// It counts the events put out so far, and none behind them in the chunk.
    #[must_use]
    pub const fn last_event_id(&self) -> &EventId {
        &self.last_event_id
    }

    /// The reconnection time in force.
    #[must_use]
    pub const fn reconnection_time(&self) -> Duration {
        self.reconnect.reconnection_time()
    }

    /// How many attempts have failed since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.reconnect.failures()
    }

    /// The request to make now, once for each.
    pub fn poll_request(&mut self) -> Option<Request> {
        if self.phase != Phase::Due {
            return None;
        }
        self.phase = Phase::Requested;
        let id = &self.last_event_id;
        let sendable = request::is_sendable(id.as_str());
        if !sendable && self.unsendable_id != *id {
            self.unsendable_id = id.clone();
            self.outputs.push_back(Output::UnsendableId(id.clone()));
        }
        Some(Request {
            url: Arc::clone(&self.target.url),
            last_event_id: (sendable && !id.is_empty()).then(|| id.clone()),
            crossed_origin: self.target.crossed_origin,
        })
    }

    /// What to deliver next. Poll it until there is nothing after every input, and before every
    /// [`Source::handle_bytes`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether there is something to deliver.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// When to call [`Source::handle_timeout`], if nothing else happens before.
    #[must_use]
    pub const fn poll_deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// The response to the request has begun.
    ///
    /// It opens the source if its status is exactly 200 and its type `text/event-stream`. A
    /// redirect that is to be followed goes to [`Source::handle_redirect`] instead.
    pub fn handle_response(&mut self, now: Duration, head: ResponseHead<'_>) {
        if self.phase != Phase::Requested {
            return;
        }
        if head.status != 200 {
            let cause = Cause::Status { status: head.status, retry_after: head.retry_after };
            return self.disconnect(now, cause);
        }
        if !head.content_type.is_some_and(media_type::is_event_stream) {
            let content_type =
                head.content_type.map(|text| String::from_utf8_lossy(text).into_owned());
            return self.disconnect(now, Cause::ContentType { content_type });
        }
        self.phase = Phase::Open { since: now, productive: false };
        self.outputs.push_back(Output::Open);
    }

    /// The response to the request is a redirect, which is followed by another request.
    ///
    /// The caller has resolved its URL; what it cannot follow goes to
    /// [`Source::handle_redirect_error`].
    pub fn handle_redirect(&mut self, now: Duration, redirect: Redirect) {
        if self.phase != Phase::Requested {
            return;
        }
        let redirects_max = self.config.redirects_max;
        if self.redirects >= redirects_max {
            return self.disconnect(now, Cause::Redirect(RedirectError::TooMany { redirects_max }));
        }
        self.redirects += 1;
        self.redirects_permanent &= matches!(redirect.status, 301 | 308);
        // An origin once crossed stays crossed: who redirects there and back has learnt nothing.
        let crossed_origin = self.target.crossed_origin || redirect.crosses_origin;
        self.target = Target { url: redirect.url, crossed_origin };
        let keep = match self.config.reconnect_url {
            ReconnectUrl::Current => true,
            ReconnectUrl::Permanent => self.redirects_permanent,
            ReconnectUrl::Original => false,
        };
        if keep {
            self.next_target = self.target.clone();
        }
        self.phase = Phase::Due;
    }

    /// The response to the request is a redirect that cannot be followed.
    pub fn handle_redirect_error(&mut self, now: Duration, error: RedirectError) {
        if self.phase == Phase::Requested {
            self.disconnect(now, Cause::Redirect(error));
        }
    }

    /// The stream goes on: takes from the front of `chunk` what the next output needs.
    ///
    /// It takes nothing while an output is still to be polled, and all of the chunk if that
    /// completes nothing, or if the source is not open. So a source that is closed after an event
    /// puts out none of those behind it in the chunk, and a slow receiver holds up the bytes.
    pub fn handle_bytes(&mut self, now: Duration, chunk: &mut &[u8]) {
        if !self.outputs.is_empty() {
            return;
        }
        let Phase::Open { productive, .. } = &mut self.phase else {
            *chunk = &[];
            return;
        };
        let output = match self.decoder.poll_item(chunk) {
            Ok(Some(Item::Event(event))) => Some(Output::Message(event.to_event())),
            Ok(Some(Item::Comment(text))) => Some(Output::Comment(text.into())),
            Ok(Some(Item::Retry(time))) => {
                self.reconnect.handle_retry(time);
                Some(Output::Retry(time))
            }
            Ok(None) => None,
            Err(error) => {
                self.follow_id();
                *chunk = &[];
                return self.disconnect(now, Cause::Limit(error));
            }
        };
        *productive |= matches!(output, Some(Output::Message(_) | Output::Comment(_)));
        self.outputs.extend(output);
        self.follow_id();
    }

    /// The stream has ended. An unfinished event is discarded.
    pub fn handle_end(&mut self, now: Duration) {
        match self.phase {
            Phase::Open { .. } => self.disconnect(now, Cause::Ended),
            _ => self.handle_error(now),
        }
    }

    /// The network has failed, before the response or in the stream.
    pub fn handle_error(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Requested | Phase::Open { .. }) {
            self.disconnect(now, Cause::Network);
        }
    }

    /// Time has come to `now`: connects again if the wait is over.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Phase::Waiting { until } = self.phase
            && now >= until
        {
            self.target = self.next_target.clone();
            self.redirects = 0;
            self.redirects_permanent = true;
            self.phase = Phase::Due;
        }
    }

    /// Closes the source for good: it puts out nothing more and asks for nothing more. Abort its
    /// connection.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.outputs.clear();
    }

    /// Takes over the id that the decoder has committed.
    fn follow_id(&mut self) {
        let id = self.decoder.last_event_id();
        if self.last_event_id != *id {
            self.last_event_id = EventId::of_line(id);
        }
    }

    /// Leaves the connection, and waits for the next or fails, as cause and budget decide.
    fn disconnect(&mut self, now: Duration, cause: Cause) {
        self.decoder.end_stream();
        if let Phase::Open { since, productive } = self.phase {
            let open = now.saturating_sub(since);
            if productive || open >= self.reconnect.policy().success_after {
                self.reconnect.handle_success();
            }
        }
        let futile = self.is_limit_again(&cause);
        let failures = self.reconnect.failures();
        let delay = if futile || !cause.is_retryable(self.config.profile) {
            None
        } else {
            self.reconnect.handle_failure(cause.retry_after())
        };
        if let Some(delay) = delay {
            self.phase = Phase::Waiting { until: now.saturating_add(delay) };
            self.outputs.push_back(Output::Disconnected { cause, delay });
        } else {
            self.phase = Phase::Closed;
            let exhausted = !futile && cause.is_retryable(self.config.profile);
            let retries = exhausted.then_some(failures);
            self.outputs.push_back(Output::Failed { cause, retries });
        }
    }

    /// Whether a resilient source meets the same limit after the same event for the second time.
    fn is_limit_again(&mut self, cause: &Cause) -> bool {
        if self.config.profile == Profile::Strict || !matches!(cause, Cause::Limit(_)) {
            return false;
        }
        let id = Some(self.last_event_id.clone());
        let again = self.limit_crossed_after == id;
        self.limit_crossed_after = id;
        again
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    url: Arc<str>,
    crossed_origin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request is to be made.
    Due,
    /// A request was handed out, its response is awaited.
    Requested,
    /// The stream is being received.
    Open {
        /// When it opened.
        since: Duration,
        /// Whether it has brought an event or a comment.
        productive: bool,
    },
    /// The reconnection time passes.
    Waiting {
        /// When it is over.
        until: Duration,
    },
    /// Closed for good.
    Closed,
}
