//! The event source: a state machine that is told what happens and says what to do.
//!
//! A [`Source`] opens no socket and reads no clock. Whoever drives it makes the requests it asks
//! for, hands it responses, bytes and the end of connections, wakes it at its deadline, and
//! delivers what it puts out.
//!
//! ```text
//!                  ┌──────────────────── Source ─────────────────────┐
//!  handle_call     │   Due ──▶ Preparing                             │ poll_attempt   what is due
//!  handle_response │    ▲          │  ┌─ redirect, preflight ─┐      │ poll_request   what to fetch
//!  handle_bytes   ─┼─▶  │          ▼  ▼                       │     ─┼▶
//!  handle_end      │    │         Ready ──▶ Requested ────────┘      │ poll_output    what to deliver
//!  handle_error    │    │                       │                    │
//!  handle_timeout  │ Waiting ◀── Open ◀─────────┘       ──▶ Closed   │ poll_deadline  when to wake it
//!                  └─────────────────────────────────────────────────┘
//! ```
//!
//! An attempt begins with [`Source::poll_attempt`]: it says what the source would send, and the
//! caller answers with the call it wants to make, which may be another. Out of the call the source
//! makes requests: one, or more where redirects or a CORS preflight ask for it.
//!
//! Time is a [`Duration`] since any moment that the driver chooses and keeps to.
//!
//! ```
//! use std::time::Duration;
//! use tidings_proto::source::{Call, Config, Output, ResponseHead, Source, Target};
//!
//! let now = Duration::ZERO;
//! let target = Target::new("http://example.com/events", "http://example.com");
//! let mut source = Source::new(target, Config::strict(), 0);
//! let attempt = source.poll_attempt().unwrap();
//! let headers: Vec<_> = attempt.headers().collect();
//! source.handle_call(now, Call::get(&attempt, &headers));
//! let request = source.poll_request().unwrap();
//! assert_eq!(&*request.target.url, "http://example.com/events");
//!
//! let headers = [("content-type", &b"text/event-stream"[..])];
//! source.handle_response(now, ResponseHead::new(200, &headers));
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
//! ["Server-sent events"](https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface),
//! and [Fetch](https://fetch.spec.whatwg.org/) for redirects, credentials and CORS.
//! Where this differs from their letter, and why: an id that no header can carry is left out of the
//! request ([`Output::UnsendableId`]); a reconnection time has a floor
//! ([`Policy::reconnection_time_min`](crate::reconnect::Policy)); the decoder has limits
//! ([`Cause::Limit`]); events of a new connection that bring no id keep the earlier one; a caller's
//! own headers do not cross origins ([`Config::headers_cross_origins`]); a failed CORS check
//! or a redirect that cannot be followed is final, where a browser may repeat it for ever; and leave
//! given to a preflight is not kept for the next attempt.

mod call;
mod cause;
mod config;
mod cors;
mod fetch;
mod media_type;
mod output;
mod request;
mod response;

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use core::time::Duration;

pub use call::{Attempt, Call, Target};
pub use cause::{Cause, Fault, RedirectError};
pub use config::{Commit, Config, Cors, Profile, ReconnectUrl};
pub use cors::CorsError;
pub use output::{Finality, Output};
pub use request::{Preflight, Request};
pub use response::{Location, ResponseHead};

use self::fetch::Fetch;
use crate::decode::{DecodeError, Decoder, OwnedItem, is_same};
use crate::event::{Event, EventId};
use crate::reconnect::Reconnect;

/// The state machine of an event source. See the [module](self) for how it is driven.
///
/// An input that does not fit the state, such as bytes before a response, is ignored: it belongs to
/// a connection that the source has already given up.
#[derive(Debug)]
pub struct Source {
    config: Config,
    reconnect: Reconnect,
    decoder: Decoder,
    /// The id that the next request resumes after.
    last_event_id: EventId,
    /// Where the next attempt goes.
    target: Target,
    /// Whether redirects of earlier attempts led it to another origin than the caller named.
    crossed_origin: bool,
    /// The attempt under way.
    fetch: Option<Fetch>,
    phase: Phase,
    attempts: u64,
    /// When something was last sent or received.
    heard: Duration,
    /// How many messages were put out.
    messages: u64,
    /// How many of them are done with.
    acknowledged: u64,
    /// How many came before the attempt under way.
    messages_before: u64,
    /// Whether the last event id is that of a message of an earlier connection, acknowledged since
    /// the attempt under way began: it has asked for what comes after an earlier id.
    is_ahead_of_stream: bool,
    /// The reconnection time that the stream has set.
    retry: Option<Duration>,
    /// Why a connection was lost whose call may not be replayed, until another call has opened one.
    unreplayed: Option<Cause>,
    /// Whether the last response was 401, and the caller was asked for another call.
    is_unauthorized: bool,
    /// The id that was last reported as unsendable, so that it is reported once.
    unsendable_id: EventId,
    /// The id before the event that crossed a limit, and how many messages its connection had
    /// brought, to notice that it does so every time.
    limit_crossed_after: Option<(EventId, u64)>,
    /// At most four, as no input is taken before they are polled.
    outputs: VecDeque<Output>,
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

impl Source {
    /// A source that is about to connect to `target`. The seed decides the jitter of its delays.
    #[must_use]
    pub fn new(target: Target, config: Config, seed: u64) -> Self {
        let mut reconnect = Reconnect::new(config.reconnect, seed);
        if let Some(time) = config.retry {
            reconnect.handle_retry(time);
        }
        Self {
            reconnect,
            decoder: Decoder::new(config.limits)
                .with_comments()
                .with_last_event_id(&config.last_event_id),
            last_event_id: config.last_event_id.clone(),
            target,
            crossed_origin: false,
            fetch: None,
            phase: Phase::Due,
            attempts: 0,
            heard: Duration::ZERO,
            messages: 0,
            retry: config.retry,
            acknowledged: 0,
            messages_before: 0,
            is_ahead_of_stream: false,
            unreplayed: None,
            is_unauthorized: false,
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
            Phase::Due
            | Phase::Preparing
            | Phase::Ready
            | Phase::Requested { .. }
            | Phase::Waiting { .. } => ReadyState::Connecting,
            Phase::Open { .. } => ReadyState::Open,
            Phase::Closed => ReadyState::Closed,
        }
    }

    /// The last event id, which the next request resumes after.
    ///
    /// It counts the events put out so far, or acknowledged, as [`Config::commit`] says.
    #[must_use]
    pub const fn last_event_id(&self) -> &EventId {
        &self.last_event_id
    }

    /// The reconnection time in force.
    #[must_use]
    pub const fn reconnection_time(&self) -> Duration {
        self.reconnect.reconnection_time()
    }

    /// The reconnection time that the stream has set, this source or an earlier one, if it has.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// How many attempts have failed since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.reconnect.failures()
    }

    /// How many messages were put out. While the output in hand is a message, it is the one with
    /// this number.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Takes the message with this number, and all before it, for done with: the source resumes after
    /// `id`, the message's last event id. Of use with [`Commit::Acknowledged`] alone.
    ///
    /// One before a message that is acknowledged already changes nothing.
    pub fn acknowledge(&mut self, number: u64, id: &EventId) {
        let is_new = (self.acknowledged + 1..=self.messages).contains(&number);
        if self.config.commit == Commit::Acknowledged && is_new {
            self.acknowledged = number;
            self.last_event_id.clone_from(id);
            // What the decoder has read by now comes after it only if it read the message itself.
            self.is_ahead_of_stream = number <= self.messages_before;
            self.follow_id();
        }
    }

    /// The attempt to make now, once for each. Answer with [`Source::handle_call`] or
    /// [`Source::handle_call_error`].
    pub fn poll_attempt(&mut self) -> Option<Attempt> {
        if self.phase != Phase::Due {
            return None;
        }
        self.phase = Phase::Preparing;
        self.attempts += 1;
        self.messages_before = self.messages;
        if self.config.commit == Commit::Acknowledged {
            // What comes again must find the id that it came after the first time.
            self.decoder = Decoder::new(self.config.limits)
                .with_comments()
                .with_last_event_id(&self.last_event_id);
            self.is_ahead_of_stream = false;
        }
        let id = &self.last_event_id;
        let sendable = call::is_sendable(id.as_str());
        if !sendable && self.unsendable_id != *id {
            self.unsendable_id = id.clone();
            self.outputs.push_back(Output::UnsendableId(id.clone()));
        }
        Some(Attempt {
            number: self.attempts,
            failures: self.reconnect.failures(),
            target: self.target.clone(),
            crossed_origin: self.crossed_origin && !self.config.headers_cross_origins,
            last_event_id: (sendable && !id.is_empty()).then(|| id.clone()),
        })
    }

    /// What the attempt is to send.
    pub fn handle_call(&mut self, now: Duration, call: Call<'_>) {
        if self.phase != Phase::Preparing {
            return;
        }
        if let Some(cause) = &self.unreplayed
            && !call::is_safe(call.method)
            && !call.replays
        {
            return self.fail(cause.clone(), Finality::NotReplayed);
        }
        // An origin of the caller's own is where it wants its headers to go, and a URL of its own holds
        // for this one attempt.
        let is_own = call.target != self.target;
        let crossed_origin = self.crossed_origin && call.target.origin == self.target.origin;
        self.fetch = Some(Fetch::new(&self.config, call, is_own, crossed_origin));
        self.heard = now;
        self.phase = Phase::Ready;
    }

    /// The caller cannot say what to send: for now, or, if it `is_final`, for good.
    pub fn handle_call_error(&mut self, now: Duration, is_final: bool) {
        if self.phase == Phase::Preparing {
            self.disconnect(now, Cause::NotPrepared { is_final });
        }
    }

    /// The request to make now, once for each.
    pub fn poll_request(&mut self) -> Option<Request> {
        let (Phase::Ready, Some(fetch)) = (self.phase, &mut self.fetch) else { return None };
        let request = fetch.request(&self.config);
        self.phase = Phase::Requested { is_preflight: request.preflight.is_some() };
        Some(request)
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
    ///
    /// What has been received but not handed over yet goes before: the silence is the network's, not
    /// that of a driver which was busy.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Requested { .. } | Phase::Open { .. } => {
                Some(self.heard.saturating_add(self.config.idle_timeout?))
            }
            _ => None,
        }
    }

    /// The response to the request has begun.
    ///
    /// It opens the source if its status is exactly 200 and its type `text/event-stream`. After a
    /// redirect or a preflight there is another request to poll.
    pub fn handle_response(&mut self, now: Duration, head: ResponseHead<'_>) {
        let (Phase::Requested { is_preflight }, Some(fetch)) = (self.phase, &mut self.fetch) else {
            return;
        };
        self.heard = now;
        let status = head.status();
        let verdict = if head.status != 200 && status.is_retryable(self.config.profile) {
            // What stands before a server that is down knows nothing of CORS.
            Err(status)
        } else if is_preflight {
            fetch.handle_preflight(&self.config, &head).map(|()| Phase::Ready).map_err(Cause::Cors)
        } else if let Err(error) = fetch.check(&self.config, &head) {
            Err(Cause::Cors(error))
        } else if head.is_redirect() {
            self.handle_redirect(head.status, head.location).map(|()| Phase::Ready)
        } else {
            head.opens().map(|()| Phase::Open { since: now, productive: false })
        };
        match verdict {
            Ok(phase) => {
                self.phase = phase;
                if matches!(phase, Phase::Open { .. }) {
                    self.is_unauthorized = false;
                    self.unreplayed = None;
                    self.outputs.push_back(Output::Open);
                }
            }
            Err(cause) => self.disconnect(now, cause),
        }
    }

    /// The stream goes on: takes from the front of `chunk` what the next output needs.
    ///
    /// It takes nothing while an output is still to be polled, and all of the chunk if that
    /// completes nothing, or if the source is not open. So a source that is closed after an event
    /// puts out none of those behind it in the chunk, and a slow receiver holds up the bytes.
    pub fn handle_bytes(&mut self, now: Duration, chunk: &mut &[u8]) {
        let message = self.handle_message_bytes(|| now, chunk);
        self.outputs.extend(message.map(Output::Message));
    }

    /// As [`Source::handle_bytes`], but a message is returned at once instead of being put out: the
    /// short way of what a source mostly does, for a driver to which its price matters. It looks at the
    /// time only where it counts.
    #[inline]
    pub fn handle_message_bytes(
        &mut self,
        mut now: impl FnMut() -> Duration,
        chunk: &mut &[u8],
    ) -> Option<Event> {
        if self.has_output() {
            return None;
        }
        let Phase::Open { productive, .. } = &mut self.phase else {
            *chunk = &[];
            return None;
        };
        if self.config.idle_timeout.is_some() && !chunk.is_empty() {
            self.heard = now();
        }
        match self.decoder.poll_owned_item(chunk) {
            Ok(Some(OwnedItem::Event(event))) => {
                *productive = true;
                self.messages += 1;
                if self.config.commit == Commit::Delivered {
                    self.last_event_id.clone_from(&event.last_event_id);
                }
                Some(event)
            }
            other => {
                self.handle_other_item(&mut now, chunk, other);
                None
            }
        }
    }

    /// Does with what is no event what it says.
    fn handle_other_item(
        &mut self,
        now: &mut dyn FnMut() -> Duration,
        chunk: &mut &[u8],
        item: Result<Option<OwnedItem>, DecodeError>,
    ) {
        // An id may have come without an event.
        self.follow_id();
        match item {
            Ok(Some(OwnedItem::Comment(text))) => {
                if let Phase::Open { productive, .. } = &mut self.phase {
                    *productive = true;
                }
                self.outputs.push_back(Output::Comment(text));
            }
            Ok(Some(OwnedItem::Retry(time))) => {
                self.reconnect.handle_retry(time);
                self.retry = Some(time);
                self.outputs.push_back(Output::Retry(time));
            }
            Ok(_) => {}
            Err(error) => {
                *chunk = &[];
                self.disconnect(now(), Cause::Limit(error));
            }
        }
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
        if matches!(self.phase, Phase::Requested { .. } | Phase::Open { .. }) {
            self.disconnect(now, Cause::Network);
        }
    }

    /// No connection was made, so that the server has not seen the request.
    pub fn handle_connect_error(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Requested { .. }) {
            if let Some(fetch) = &mut self.fetch {
                fetch.handle_unreachable();
            }
            self.disconnect(now, Cause::Unreachable);
        }
    }

    /// Time has come to `now`: connects again if the wait is over, or leaves a connection that has
    /// gone silent.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.poll_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (self.phase, self.config.idle_timeout) {
            (Phase::Waiting { .. }, _) => self.phase = Phase::Due,
            (_, Some(idle_timeout)) => self.disconnect(now, Cause::Idle { idle_timeout }),
            _ => {}
        }
    }

    /// Connects again without waiting, and leaves the connection if there is one. An answer that the
    /// caller still owes to [`Source::poll_attempt`] is not waited for.
    ///
    /// A source whose call may not be replayed is closed by it, if the call was sent.
    pub fn reconnect(&mut self, now: Duration) {
        match &mut self.phase {
            Phase::Waiting { until } => *until = now,
            Phase::Ready | Phase::Requested { .. } | Phase::Open { .. } => {
                self.disconnect(now, Cause::Asked);
            }
            // The caller is asked again: what it was busy with may hang in the old network.
            Phase::Preparing => self.phase = Phase::Due,
            Phase::Due | Phase::Closed => {}
        }
    }

    /// Closes the source for good: it puts out nothing more and asks for nothing more. Abort its
    /// connection.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.outputs.clear();
    }

    /// Takes over the id that the decoder has committed, unless an acknowledgement is to say so.
    fn follow_id(&mut self) {
        if self.config.commit == Commit::Acknowledged
            && (self.acknowledged != self.messages || self.is_ahead_of_stream)
        {
            return;
        }
        let id = self.decoder.last_event_id();
        if !is_same(self.last_event_id.as_str(), id) {
            self.last_event_id = EventId::of_line(id);
        }
    }

    /// Follows a redirect, and keeps where it led for the next attempt.
    fn handle_redirect(&mut self, status: u16, location: Option<Location>) -> Result<(), Cause> {
        let (Some(fetch), Some(Location::Target(target))) = (&mut self.fetch, location) else {
            return Err(Cause::Redirect(RedirectError::Location));
        };
        fetch.follow(&self.config, status, target)?;
        let keep = match self.config.reconnect_url {
            ReconnectUrl::Current => true,
            ReconnectUrl::Permanent => fetch.is_permanent,
            ReconnectUrl::Original => false,
        };
        // The next call asks anew, with its own method: not where only the answer to this one was.
        if keep && !fetch.is_own && fetch.sends_body {
            self.target = fetch.target.clone();
            self.crossed_origin = fetch.crossed_origin;
        }
        Ok(())
    }

    /// Leaves the connection, and waits for the next or fails, as cause and budget decide.
    fn disconnect(&mut self, now: Duration, cause: Cause) {
        let is_limit_again = self.is_limit_again(&cause);
        self.decoder.end_stream();
        if let Phase::Open { since, productive } = self.phase {
            let open = now.saturating_sub(since);
            if productive || open >= self.reconnect.policy().success_after {
                self.reconnect.handle_success();
            }
        }
        let fetch = self.fetch.take();
        let is_unreplayed = fetch.is_some_and(|fetch| {
            // Once sent elsewhere for the result, it was acted on whatever is said there.
            let is_unacted = cause.is_unacted() && fetch.sends_body;
            fetch.is_unsafe_sent && !fetch.replays && !is_unacted
        });
        if !cause.is_retryable(self.config.profile) && !self.may_authorize(&cause) {
            return self.fail(cause, Finality::Refused);
        }
        if is_limit_again {
            return self.fail(cause, Finality::Futile);
        }
        if is_unreplayed && !self.config.calls_vary {
            return self.fail(cause, Finality::NotReplayed);
        }
        let retries = self.reconnect.failures();
        let delay = match cause {
            Cause::Asked => Some(Duration::ZERO),
            _ => self.reconnect.handle_failure(cause.retry_after()),
        };
        let Some(delay) = delay else {
            return self.fail(cause, Finality::RetriesExhausted { retries });
        };
        if is_unreplayed {
            self.unreplayed = Some(cause.clone());
        }
        self.phase = Phase::Waiting { until: now.saturating_add(delay) };
        self.outputs.push_back(Output::Disconnected { cause, delay });
    }

    /// Whether the caller is asked for another call, as its credentials were refused: by a resilient
    /// source, if it varies its calls, and not twice in a row.
    fn may_authorize(&mut self, cause: &Cause) -> bool {
        let is_401 = matches!(cause, Cause::Status { status: 401, .. });
        let may = is_401
            && self.config.calls_vary
            && self.config.profile == Profile::Resilient
            && !self.is_unauthorized;
        self.is_unauthorized |= may;
        may
    }

    fn fail(&mut self, cause: Cause, finality: Finality) {
        self.phase = Phase::Closed;
        self.outputs.push_back(Output::Failed { cause, finality });
    }

    /// Whether a resilient source meets the same limit after the same event for the second time.
    fn is_limit_again(&mut self, cause: &Cause) -> bool {
        if self.config.profile == Profile::Strict || !matches!(cause, Cause::Limit(_)) {
            return false;
        }
        let id = EventId::of_line(self.decoder.last_event_id());
        let messages = self.messages - self.messages_before;
        let again = self.limit_crossed_after.as_ref().is_some_and(|(before, as_many)| {
            // Without ids of their own, events at different places have the same id before them.
            *before == id && (messages == 0 || messages == *as_many)
        });
        self.limit_crossed_after = Some((id, messages));
        again
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// An attempt is to be made.
    Due,
    /// The caller is asked what to send.
    Preparing,
    /// A request is to be made.
    Ready,
    /// A request was handed out, its response is awaited.
    Requested { is_preflight: bool },
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
