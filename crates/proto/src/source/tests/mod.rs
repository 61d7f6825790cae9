//! The source against a scripted peer, on virtual time.

mod calls;
mod redirects;
mod resume;
mod states;

use super::*;
use crate::event::Event;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

pub(super) const URL: &str = "http://a.example/events";
pub(super) const ZERO: Duration = Duration::ZERO;
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const EVENT_STREAM: (&str, &[u8]) = ("content-type", b"text/event-stream");

/// A source whose peer and clock the test plays.
pub(super) struct Play {
    pub(super) source: Source,
    pub(super) now: Duration,
    /// What the caller's call has besides the attempt's headers.
    pub(super) headers: Vec<(&'static str, &'static [u8])>,
    pub(super) method: &'static str,
    pub(super) replays: bool,
    /// The headers of the last call.
    pub(super) sent: Vec<(String, Vec<u8>)>,
}

impl Play {
    pub(super) fn new(config: Config) -> Self {
        Self::at(target(URL), config)
    }

    pub(super) fn at(target: Target, config: Config) -> Self {
        let source = Source::new(target, config, 7);
        let (headers, sent) = (vec![], vec![]);
        Self { source, now: ZERO, headers, method: "GET", replays: false, sent }
    }

    /// A source that is open.
    pub(super) fn open(config: Config) -> Self {
        let mut play = Self::new(config);
        play.request();
        assert_eq!(play.respond(200), [Output::Open]);
        play
    }

    /// Answers the attempt that is due with a call.
    pub(super) fn call(&mut self) -> Attempt {
        let attempt = self.source.poll_attempt().expect("an attempt is due");
        self.call_to(attempt.target.clone(), &attempt);
        attempt
    }

    pub(super) fn call_to(&mut self, target: Target, attempt: &Attempt) {
        let headers: Vec<_> = attempt.headers().chain(self.headers.iter().copied()).collect();
        self.sent = headers.iter().map(|(name, value)| ((*name).into(), value.to_vec())).collect();
        let call = Call { target, method: self.method, headers: &headers, replays: self.replays };
        self.source.handle_call(self.now, call);
    }

    /// The request that is due, after the call if that is due.
    pub(super) fn request(&mut self) -> Request {
        if let Some(attempt) = self.source.poll_attempt() {
            self.call_to(attempt.target.clone(), &attempt);
        }
        self.source.poll_request().expect("a request is due")
    }

    pub(super) fn respond(&mut self, status: u16) -> Vec<Output> {
        self.respond_with(status, &[EVENT_STREAM])
    }

    pub(super) fn respond_with(&mut self, status: u16, headers: &[(&str, &[u8])]) -> Vec<Output> {
        self.source.handle_response(self.now, ResponseHead::new(status, headers));
        self.outputs()
    }

    pub(super) fn redirect(&mut self, status: u16, url: &str) -> Vec<Output> {
        self.redirect_with(status, target(url), &[])
    }

    pub(super) fn redirect_with(
        &mut self,
        status: u16,
        target: Target,
        headers: &[(&str, &[u8])],
    ) -> Vec<Output> {
        let head = ResponseHead::new(status, headers).with_location(Location::Target(target));
        self.source.handle_response(self.now, head);
        self.outputs()
    }

    pub(super) fn bytes(&mut self, bytes: &str) -> Vec<Output> {
        let mut chunk = bytes.as_bytes();
        let mut outputs = Vec::new();
        while !chunk.is_empty() {
            self.source.handle_bytes(self.now, &mut chunk);
            outputs.extend(self.outputs());
        }
        outputs
    }

    pub(super) fn end(&mut self) -> Vec<Output> {
        self.source.handle_end(self.now);
        self.outputs()
    }

    pub(super) fn error(&mut self) -> Vec<Output> {
        self.source.handle_error(self.now);
        self.outputs()
    }

    /// Lets the time to the deadline pass.
    pub(super) fn pass(&mut self) {
        self.now = self.source.poll_deadline().expect("the source waits");
        self.source.handle_timeout(self.now);
    }

    /// Lets the time to the deadline pass, and returns the request that is due then.
    pub(super) fn wait(&mut self) -> Request {
        self.pass();
        self.request()
    }

    pub(super) fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.source.poll_output()).collect()
    }

    /// The value of a header that goes out with `request`.
    pub(super) fn header(&self, request: &Request, name: &str) -> Option<Vec<u8>> {
        let own = request.headers().find(|(header, _)| *header == name);
        let called = self.sent.iter().find(|(header, _)| header == name && request.carries(name));
        own.map(|(_, value)| value.as_bytes().to_vec())
            .or_else(|| called.map(|(_, value)| value.clone()))
    }

    /// Lets the time to the deadline pass, and returns the id that the next request resumes after.
    pub(super) fn resume(&mut self) -> Option<String> {
        let request = self.wait();
        self.last_event_id(&request)
    }

    pub(super) fn last_event_id(&self, request: &Request) -> Option<String> {
        self.header(request, "last-event-id").map(|id| String::from_utf8(id).unwrap())
    }
}

/// A URL as a driver would have parsed it.
pub(super) fn target(url: &str) -> Target {
    let (scheme, rest) = url.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    let (credentials, host) = match authority.split_once('@') {
        Some((_, host)) => (true, host),
        None => (false, authority),
    };
    Target { has_credentials: credentials, ..Target::new(url, format!("{scheme}://{host}")) }
}

pub(super) fn message(name: &str, id: &str, data: &str) -> Output {
    Output::Message(Event {
        event_type: name.parse().unwrap(),
        data: data.into(),
        last_event_id: id.parse().unwrap(),
    })
}

pub(super) fn disconnected(cause: Cause, delay: Duration) -> Output {
    Output::Disconnected { cause, delay }
}

pub(super) fn refused(status: u16) -> Cause {
    Cause::Status { status, retry_after: None }
}

pub(super) fn failed(cause: Cause) -> Output {
    Output::Failed { cause, finality: Finality::Refused }
}
