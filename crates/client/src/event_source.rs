//! The source: the one loop between the sockets and the state machine.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_util::future::BoxFuture;
use http_body::Body;
use tidings_proto::source::{
    self, Call, Cause, Config, Finality, Output, ResponseHead, Source, Target,
};
use tidings_proto::{Event, EventId};
use tokio::task::coop;
use tokio::time::Instant;
use tracing::{Instrument, Span};
use url::Url;

use crate::alarm::Alarm;
use crate::handle::Shared;
use crate::request::Hook;
use crate::transport::{self, Transport, public};
use crate::{
    Attempt, BuildError, Builder, Disconnection, Dispatch, Error, Handle, HookError, HookFailure,
    Message, NetworkError, Origin, Previous, ReadyState, Receipt, Request, Response, ResumeToken,
    Update,
};

/// Follows an event stream: a [`Stream`] of [`Update`]s that reconnects and resumes by itself.
///
/// The stream ends after an `Err`, which says why the source is closed for good; after
/// [`EventSource::close`]; and after the clean end of a response that is not asked for again, such as
/// that to a POST. The source does its work while it is polled, within a tokio runtime: by whoever
/// reads the stream, or by [`EventSource::run`], for programs that use listeners alone. Dropping a
/// future that waits for the next update loses nothing; dropping the source closes its connection
/// at once.
///
/// Listeners are added with [`EventSource::handle`], which has the rest of the browsers' members.
/// They are called while the source is polled, before the stream yields the same update.
///
/// Memory: what the decoder's [`Limits`](crate::Limits) allow for one event, and one chunk as the
/// HTTP client read it. Nothing is queued for a slow reader.
pub struct EventSource {
    source: Source,
    transport: Transport,
    /// What every attempt begins with.
    template: Request,
    hook: Option<Hook>,
    shared: Arc<Shared>,
    io: Io,
    alarm: Alarm,
    /// When the machine's time began.
    start: Instant,
    /// Of the attempt under way.
    span: Span,
    /// What the attempt under way sends.
    call: Request,
    /// The head of the attempt's response.
    response: Option<Response>,
    /// The origin of the present connection.
    origin: Origin,
    /// Where its last request went.
    requested: Target,
    /// What the network said, until the machine's account of it is delivered.
    network: Option<NetworkError>,
    /// What the hook said, until the machine's account of it is delivered.
    hook_failure: Option<HookFailure>,
    /// What the server said with its refusal, until the machine's account of it is delivered.
    refusal: Vec<u8>,
    /// What became of the attempt before, for the hook.
    previous: Option<Previous>,
    /// Whether the stream has ended.
    is_done: bool,
}

/// What the source waits for.
enum Io {
    Idle,
    Preparing(BoxFuture<'static, Result<Request, HookError>>),
    Requesting(BoxFuture<'static, Result<reqwest::Response, reqwest::Error>>),
    Reading {
        body: reqwest::Body,
        chunk: Bytes,
        /// When the chunk came, if anybody had to know: one look at the clock for all its events.
        at: Option<Duration>,
    },
    /// Closed for good, and about to say so.
    Refused(BoxFuture<'static, Vec<u8>>),
}

/// What a step has come to.
enum Step {
    Item(Result<Update, Error>),
    /// Another chunk is in hand.
    Bytes,
    End,
}

impl EventSource {
    /// Follows the event stream at `url`, exactly as the standard says.
    ///
    /// # Errors
    /// [`BuildError`] if `url` is not an absolute http or https URL.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::builder(url).build()
    }

    /// Sets up a source with headers, a profile, an id to resume after, and more.
    pub fn builder(url: impl AsRef<str>) -> Builder {
        Builder::new(url.as_ref().to_owned())
    }

    pub(crate) fn start(
        config: Config,
        template: Request,
        transport: Transport,
        hook: Option<Hook>,
    ) -> Self {
        let target = transport::target(&template.url);
        let shared = Shared::new(template.url.clone(), config.with_credentials);
        Self {
            origin: Origin::from(&*target.origin),
            source: Source::new(target.clone(), config, rand::random()),
            requested: target,
            transport,
            call: template.clone(),
            template,
            hook,
            shared,
            io: Io::Idle,
            alarm: Alarm::default(),
            start: Instant::now(),
            span: Span::none(),
            response: None,
            network: None,
            hook_failure: None,
            refusal: Vec::new(),
            previous: None,
            is_done: false,
        }
    }

    /// The URL that the source was created with. Redirects do not change it.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.shared.url()
    }

    /// Whether cookies and the credentials of URLs go to other origins, too.
    #[must_use]
    pub fn with_credentials(&self) -> bool {
        self.shared.with_credentials()
    }

    /// Whether the source is connecting, open, or closed for good.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.ready_state()
    }

    /// The id that the next connection resumes after: that of the last event received, or of a
    /// block of the stream that only moved the id. With
    /// [`Commit::Acknowledged`](crate::Commit::Acknowledged), of the last that was acknowledged.
    #[must_use]
    pub const fn last_event_id(&self) -> &EventId {
        self.source.last_event_id()
    }

    /// The reconnection time in force.
    #[must_use]
    pub const fn reconnection_time(&self) -> Duration {
        self.source.reconnection_time()
    }

    /// The place that has been reached, to be stored and given to
    /// [`Builder::resume`](crate::Builder::resume) of another source.
    #[must_use]
    pub fn resume_token(&self) -> ResumeToken {
        ResumeToken::new(self.last_event_id().clone(), self.source.retry())
    }

    /// Takes a message, and all before it, for done with: with
    /// [`Commit::Acknowledged`](crate::Commit::Acknowledged), a reconnect resumes after it. A message
    /// before one that is acknowledged already changes nothing. It is given as itself, as a typed
    /// event, or as its [`Receipt`].
    pub fn acknowledge(&mut self, message: impl Into<Receipt>) {
        let Receipt { number, last_event_id } = message.into();
        self.source.acknowledge(number, &last_event_id);
    }

    /// Leaves the connection, if there is one, and connects again without waiting: of use when the
    /// network has changed. A request that may not be sent again is not: it ends the source, with
    /// [`Error::NotReplayed`].
    pub fn reconnect(&mut self) {
        self.source.reconnect(self.now());
        if matches!(self.io, Io::Preparing(_)) {
            self.io = Io::Idle;
        }
    }

    /// A handle to add listeners and to close the source from elsewhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shared))
    }

    /// Closes the source for good and its connection at once. Nothing is delivered after it, not
    /// even what has already been received. Closing twice does nothing.
    pub fn close(&mut self) {
        self.source.close();
        self.shared.set_ready_state(ReadyState::Closed);
        self.io = Io::Idle;
        self.alarm = Alarm::default();
        self.is_done = true;
    }

    /// Follows the stream for its listeners alone, until the source is closed. Spawn it on the
    /// runtime, or await it among other things; dropping it closes the source.
    ///
    /// ```no_run
    /// use tidings_client::EventSource;
    ///
    /// # async fn follow() -> Result<(), tidings_client::BuildError> {
    /// let source = EventSource::new("https://example.com/events")?;
    /// let handle = source.handle();
    /// handle.on_message(|message| println!("{}", message.data));
    /// let running = tokio::spawn(source.run());
    /// // Later, from anywhere:
    /// handle.close();
    /// # let _ = running.await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Why the source is closed for good, unless by [`Handle::close`] or the clean end of a response
    /// that is not asked for again.
    pub async fn run(mut self) -> Result<(), Error> {
        while let Some(update) = self.next().await {
            update?;
        }
        Ok(())
    }

    /// The next update, or `None` once the source is closed: what `StreamExt::next` does, for programs
    /// that have no other use for that. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Update, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Whether there is a chunk in hand.
    #[inline(always)]
    fn has_bytes(&self) -> bool {
        matches!(&self.io, Io::Reading { chunk, .. } if chunk.has_remaining())
    }

    /// The next message of the chunk in hand, if that is what comes next: the short way of most
    /// updates, without which the bench of clients counts a quarter more for an event.
    #[inline(always)]
    fn next_message(&mut self) -> Option<Message> {
        let Io::Reading { chunk, at, .. } = &mut self.io else { return None };
        let mut rest = &chunk[..];
        let now = || *at.get_or_insert_with(|| self.start.elapsed());
        let event = self.source.handle_message_bytes(now, &mut rest);
        let taken = chunk.len() - rest.len();
        chunk.advance(taken);
        event.map(|event| self.message(event))
    }

    #[inline(always)]
    fn message(&self, event: Event) -> Message {
        Message {
            event_type: event.event_type,
            data: event.data,
            last_event_id: event.last_event_id,
            origin: self.origin.clone(),
            number: self.source.messages(),
        }
    }

    /// Makes progress until there is something to look at or to wait for.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            if let Io::Refused(body) = &mut self.io {
                self.refusal = ready!(body.as_mut().poll(context));
                self.io = Io::Idle;
            }
            if let Some(output) = self.source.poll_output() {
                match self.item(output) {
                    Some(item) => return Poll::Ready(Step::Item(item)),
                    None => continue,
                }
            }
            if self.source.ready_state() == ReadyState::Closed {
                return Poll::Ready(Step::End);
            }
            if self.shared.wishes().is_closed() {
                // Since the poll began: by another thread, or by the hook.
                self.close();
                return Poll::Ready(Step::End);
            }
            if let Some(attempt) = self.source.poll_attempt() {
                self.prepare(attempt);
                continue;
            }
            if let Some(request) = self.source.poll_request() {
                self.send(&request);
                continue;
            }
            match &mut self.io {
                Io::Preparing(call) => {
                    if let Poll::Ready(call) = call.as_mut().poll(context) {
                        self.io = Io::Idle;
                        if !self.shared.wishes().is_closed() {
                            self.handle_call(self.now(), call);
                        }
                        continue;
                    }
                }
                Io::Requesting(response) => {
                    if let Poll::Ready(response) = response.as_mut().poll(context) {
                        self.io = Io::Idle;
                        self.handle_response(self.now(), response);
                        continue;
                    }
                }
                Io::Reading { chunk, .. } if chunk.has_remaining() => {
                    return Poll::Ready(Step::Bytes);
                }
                Io::Reading { body, chunk, at } => {
                    if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
                        match frame {
                            Some(Ok(frame)) => {
                                *chunk = frame.into_data().unwrap_or_default();
                                *at = None;
                                return Poll::Ready(Step::Bytes);
                            }
                            Some(Err(error)) => self.handle_error(self.now(), error),
                            None => {
                                self.io = Io::Idle;
                                self.source.handle_end(self.now());
                            }
                        }
                        continue;
                    }
                }
                Io::Idle | Io::Refused(_) => {}
            }
            let (deadline, is_busy) = (self.source.poll_deadline(), !matches!(self.io, Io::Idle));
            ready!(self.alarm.poll(context, self.start, deadline, is_busy));
            self.source.handle_timeout(self.now());
        }
    }

    /// Asks the hook, if there is one, what the attempt is to send.
    fn prepare(&mut self, attempt: source::Attempt) {
        self.span = tracing::debug_span!(
            "attempt",
            number = attempt.number,
            url = %public(self.url()),
        );
        let mut request = self.template.clone();
        for name in self.template.headers.keys() {
            if !attempt.carries(name.as_str()) {
                request.headers.remove(name);
            }
        }
        // A driver's own targets are parsed URLs.
        request.url = Url::parse(&attempt.target.url).unwrap_or(request.url);
        for (name, value) in attempt.headers() {
            if let Ok(value) = http::HeaderValue::from_bytes(value) {
                request.headers.entry(name).or_insert(value);
            }
        }
        self.response = None;
        let Some(hook) = &mut self.hook else {
            return self.handle_call(self.now(), Ok(request));
        };
        let asked = Attempt {
            number: attempt.number,
            failures: attempt.failures,
            last_event_id: self.source.last_event_id().clone(),
            crossed_origin: attempt.crossed_origin,
            previous: self.previous.clone(),
            request,
        };
        self.io = Io::Preparing(Box::pin(hook(asked).instrument(self.span.clone())));
    }

    fn handle_call(&mut self, now: Duration, call: Result<Request, HookError>) {
        let call = call.and_then(|call| match call.url.scheme() {
            "http" | "https" => Ok(call),
            scheme => Err(HookError::stop(format!("the URL must be http or https, not {scheme}"))),
        });
        match call {
            Ok(call) => {
                let headers = transport::pairs(&call.headers);
                self.source.handle_call(
                    now,
                    Call {
                        target: transport::target(&call.url),
                        method: call.method.as_str(),
                        headers: &headers,
                        replays: call.replay,
                    },
                );
                drop(headers);
                self.call = call;
            }
            Err(HookError { reason, is_final }) => {
                tracing::debug!(parent: &self.span, %reason, is_final, "not prepared");
                self.hook_failure = Some(HookFailure(reason.into()));
                self.source.handle_call_error(now, is_final);
            }
        }
    }

    fn send(&mut self, request: &source::Request) {
        let is_preflight = request.preflight.is_some();
        tracing::debug!(parent: &self.span, method = %request.method, is_preflight, "requesting");
        self.requested = request.target.clone();
        self.response = None;
        let response = self.transport.send(&self.call, request);
        self.io = Io::Requesting(Box::pin(response.instrument(self.span.clone())));
    }

    fn handle_response(
        &mut self,
        now: Duration,
        response: Result<reqwest::Response, reqwest::Error>,
    ) {
        let response = match response {
            Ok(response) => response,
            Err(error) => return self.handle_error(now, error),
        };
        let status = response.status();
        tracing::debug!(parent: &self.span, status = status.as_u16(), "response");
        let headers = transport::pairs(response.headers());
        let mut head = ResponseHead::new(status.as_u16(), &headers);
        head.retry_after = transport::retry_after(response.headers(), SystemTime::now());
        head.location = transport::location(&response, &self.requested);
        self.source.handle_response(now, head);
        drop(headers);
        self.response = Some(Response {
            status,
            url: response.url().clone(),
            headers: response.headers().clone(),
        });
        match self.source.ready_state() {
            ReadyState::Open => {
                self.origin = response.url().origin().ascii_serialization().into();
                let body = http::Response::from(response).into_body();
                self.io = Io::Reading { body, chunk: Bytes::new(), at: None };
            }
            // It may say what to do.
            ReadyState::Closed => {
                self.io = self.transport.refusal_body(response).map_or(Io::Idle, Io::Refused);
            }
            _ => {}
        }
    }

    fn handle_error(&mut self, now: Duration, error: reqwest::Error) {
        self.io = Io::Idle;
        let is_connect = error.is_connect();
        self.network = Some(error.into());
        if is_connect {
            self.source.handle_connect_error(now);
        } else {
            self.source.handle_error(now);
        }
    }

    /// What an output of the machine means to the user.
    fn item(&mut self, output: Output) -> Option<Result<Update, Error>> {
        Some(Ok(match output {
            Output::Message(event) => Update::Message(self.message(event)),
            Output::Open => Update::Open(Box::new(self.response.clone()?)),
            Output::Comment(text) => Update::Comment(text),
            Output::Retry(time) => Update::Retry(time),
            Output::UnsendableId(id) => {
                tracing::warn!(parent: &self.span, %id, "the last event id cannot be sent as a header");
                Update::UnsendableId(id)
            }
            Output::Disconnected { cause, delay } => {
                // The machine may have given up a connection that still stands.
                self.io = Io::Idle;
                let (network, response) = (self.network.take(), self.response.take());
                let hook = self.hook_failure.take();
                if self.hook.is_some() {
                    self.previous = Some(Previous {
                        cause: cause.clone(),
                        network: network.clone(),
                        response: response.clone(),
                    });
                }
                let last_event_id = self.source.last_event_id().clone();
                let disconnection =
                    Disconnection { cause, network, hook, response, last_event_id, delay };
                tracing::debug!(parent: &self.span, "{disconnection}");
                Update::Disconnected(Box::new(disconnection))
            }
            Output::Failed { cause, finality } => {
                self.io = Io::Idle;
                if cause == Cause::Ended && finality == Finality::NotReplayed {
                    tracing::debug!(parent: &self.span, "the answer has ended");
                    self.is_done = true;
                    self.shared.set_ready_state(ReadyState::Closed);
                    self.shared.listeners.dispatch(Dispatch::Ended);
                    return None;
                }
                let error = self.error(cause, finality);
                tracing::debug!(parent: &self.span, %error, "closed");
                return Some(Err(error));
            }
            // The machine has learnt to tell something that has no update yet.
            _ => return None,
        }))
    }

    fn error(&mut self, cause: Cause, finality: Finality) -> Error {
        let network = self.network.take();
        let body = String::from_utf8_lossy(&std::mem::take(&mut self.refusal)).into_owned();
        match (finality, self.hook_failure.take()) {
            (Finality::Futile, _) => Error::Futile { cause },
            (Finality::RetriesExhausted { retries }, hook) => {
                Error::RetriesExhausted { retries, cause, network, hook }
            }
            (Finality::NotReplayed, _) => {
                // It may be an earlier connection that was lost, if the hook has just been asked.
                let earlier = self.previous.take().filter(|previous| previous.cause == cause);
                let network = network.or_else(|| earlier?.network);
                Error::NotReplayed { cause, network, body }
            }
            (_, Some(failure)) => Error::NotPrepared(failure),
            // What the origin may not read, its program does not get.
            (_, None) if matches!(cause, Cause::Cors(_)) => {
                Error::Refused { cause, body: String::new() }
            }
            (_, None) => Error::Refused { cause, body },
        }
    }

    /// Does what handles have wished for.
    fn follow_wishes(&mut self) {
        let wishes = self.shared.wishes();
        if !wishes.take_new() {
            return;
        }
        let (is_closed, is_reconnect) = (wishes.is_closed(), wishes.take_reconnect());
        if let Some(receipt) = wishes.take_acknowledged() {
            self.acknowledge(receipt);
        }
        if is_closed {
            self.close();
        } else if is_reconnect {
            self.reconnect();
        }
    }

    /// Tells the listeners, once the ready state is what they may expect.
    fn dispatch(&self, item: &Result<Update, Error>) {
        let (ready_state, dispatch) = match item {
            Ok(Update::Message(message)) => {
                return self.shared.listeners.dispatch(Dispatch::Message(message));
            }
            Ok(Update::Open(response)) => (ReadyState::Open, Dispatch::Open(response)),
            Ok(Update::Disconnected(disconnection)) => {
                (ReadyState::Connecting, Dispatch::Disconnected(disconnection))
            }
            Err(error) => (ReadyState::Closed, Dispatch::Failed(error)),
            Ok(_) => return,
        };
        self.shared.set_ready_state(ready_state);
        self.shared.listeners.dispatch(dispatch);
    }
}

impl Stream for EventSource {
    type Item = Result<Update, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Update, Error>>> {
        loop {
            self.follow_wishes();
            if self.is_done {
                return Poll::Ready(None);
            }
            if self.has_bytes() {
                // What waits in a chunk is always ready: as with tokio's own sockets, other tasks have
                // their turn in between.
                ready!(coop::poll_proceed(context)).made_progress();
                if let Some(message) = self.next_message() {
                    self.shared.listeners.dispatch(Dispatch::Message(&message));
                    return Poll::Ready(Some(Ok(Update::Message(message))));
                }
            }
            match self.poll_step(context) {
                Poll::Ready(Step::Bytes) => {}
                Poll::Ready(Step::Item(item)) => {
                    self.is_done = item.is_err();
                    self.dispatch(&item);
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(Step::End) => self.is_done = true,
                Poll::Pending => {
                    let wishes = self.shared.wishes();
                    wishes.register(context.waker());
                    if !wishes.are_new() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl FusedStream for EventSource {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

/// The listeners go with the source, and what they hold with them.
impl Drop for EventSource {
    fn drop(&mut self) {
        self.shared.set_ready_state(ReadyState::Closed);
        self.shared.listeners.end();
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource")
            .field("url", &public(self.url()))
            .field("ready_state", &self.ready_state())
            .field("last_event_id", self.last_event_id())
            .finish_non_exhaustive()
    }
}
