//! Whatever a server, a network and a caller do, in any order, the source keeps its promises.
//!
//! The first bytes of the input choose how the source behaves; each of the others an operation, and
//! what it takes. The driver keeps to the contract of a driver and to nothing else: it polls all
//! outputs after every input, and sends the caller's headers where an attempt carries them.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tidings_proto::EventId;
use tidings_proto::decode::Limits;
use tidings_proto::reconnect::Policy;
use tidings_proto::source::{
    Call, Commit, Config, Cors, Location, Output, Profile, ReadyState, ReconnectUrl, Request,
    ResponseHead, Source, Target,
};

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let mut driver = Driver::new(&mut input);
    while !input.0.is_empty() {
        driver.step(&mut input);
        driver.drain(input.flag());
        driver.check();
    }
});

/// The bytes that make the choices. There are zeros after the last.
struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()].clone()
    }

    fn bytes(&mut self) -> &'i [u8] {
        let count = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn target(&mut self) -> Target {
        let origin = self.pick(&ORIGINS);
        let mut target = Target::new(format!("{origin}/{}", self.byte() % 4), origin);
        target.has_credentials = self.byte() % 8 == 7;
        target
    }

    fn config(&mut self) -> Config {
        let profile = self.pick(&[Profile::Strict, Profile::Resilient]);
        let mut config = match profile {
            Profile::Strict => Config::strict(),
            Profile::Resilient => Config::resilient(),
        };
        config.reconnect = Policy {
            retries_max: self.pick(&[None, None, Some(0), Some(2)]),
            reconnection_time_min: self.pick(&[Duration::ZERO, Duration::from_millis(100)]),
            ..config.reconnect
        };
        config.idle_timeout = self.pick(&[None, Some(Duration::from_secs(20))]);
        config.reconnect_url =
            self.pick(&[ReconnectUrl::Current, ReconnectUrl::Permanent, ReconnectUrl::Original]);
        config.redirects_max = self.pick(&[20, 2, 0]);
        config.headers_cross_origins = self.flag();
        config.with_credentials = self.flag();
        config.cors = self.pick(&[None, None, Some(ORIGINS[0]), Some("null")]).map(|origin| Cors {
            origin: origin.into(),
            preflights_last_event_id: profile == Profile::Strict,
        });
        config.commit = self.pick(&[Commit::Delivered, Commit::Acknowledged]);
        config.calls_vary = self.flag();
        let max = usize::from(self.byte());
        config.limits = Limits {
            line_bytes_max: max + 8,
            event_data_bytes_max: max,
            event_id_bytes_max: max / 2,
            event_type_bytes_max: max / 2,
            event_fields_max: max / 4 + 1,
            buffered_bytes_max: max + 4,
        };
        config.last_event_id = self.pick(&["", "1", " 1", "\u{1}"]).parse().unwrap();
        config
    }
}

/// A driver, and what it knows must be true.
struct Driver {
    source: Source,
    config: Config,
    now: Duration,
    /// The origin that the caller's own headers are for.
    home: String,
    /// Whether the source was closed, or said that it is.
    is_over: bool,
    /// Whether the source said that it is open, and not yet that it is not.
    is_open: bool,
    /// Whether the caller is asked what to send.
    is_asked: bool,
    /// The request under way.
    requested: Option<Request>,
    /// The attempt under way.
    sent: Sent,
    /// Whether an earlier request may have done something that must not be done twice.
    may_have_acted: bool,
    /// The id that was last told to be unsendable.
    unsendable: Option<EventId>,
    /// How many connections have opened.
    connections: usize,
    /// The last messages: number, id, connection.
    messages: Vec<(u64, EventId, usize)>,
}

/// What an attempt sends.
#[derive(Default)]
struct Sent {
    /// The origin that its headers are for.
    intended: String,
    has_secret: bool,
    replays: bool,
    /// Where it went, in order.
    hops: Vec<Target>,
    /// Whether its last request was of a method that is not safe, and no earlier one of it may have
    /// acted.
    acts_first: bool,
    /// Whether a request of it may have acted.
    may_have_acted: bool,
}

impl Driver {
    fn new(input: &mut Input<'_>) -> Self {
        let config = input.config();
        let target = input.target();
        Self {
            home: target.origin.to_string(),
            source: Source::new(target, config.clone(), u64::from(input.byte())),
            config,
            now: Duration::ZERO,
            is_over: false,
            is_open: false,
            is_asked: false,
            requested: None,
            sent: Sent::default(),
            may_have_acted: false,
            unsendable: None,
            connections: 0,
            messages: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let id_before = self.source.last_event_id().clone();
        match input.byte() % 16 {
            0 | 1 => self.attempt(input),
            2 | 3 => self.request(),
            4..=6 => self.response(input),
            7 | 8 => return self.receive(input),
            9 => self.source.handle_end(self.now),
            10 => self.source.handle_error(self.now),
            11 => {
                // Nobody has seen the request: it has not acted.
                if self.requested.is_some() && self.sent.acts_first {
                    self.sent.may_have_acted = false;
                }
                self.source.handle_connect_error(self.now);
            }
            12 => self.pass(input),
            13 => self.source.reconnect(self.now),
            14 => return self.acknowledge(input),
            _ => {
                if input.byte() % 4 == 3 {
                    self.source.close();
                    self.is_over = true;
                }
            }
        }
        // Only what the stream says and what the consumer acknowledges moves the id.
        assert_eq!(*self.source.last_event_id(), id_before);
    }

    fn attempt(&mut self, input: &mut Input<'_>) {
        let Some(attempt) = self.source.poll_attempt() else { return };
        assert!(!self.is_over && !self.is_open && !self.is_asked && self.requested.is_none());
        self.is_asked = true;
        self.drain(false);
        let id = self.source.last_event_id();
        match &attempt.last_event_id {
            Some(sent) => assert!(sent == id && is_sendable(sent.as_str()), "{sent:?}"),
            None if id.is_empty() => {}
            None => assert!(!is_sendable(id.as_str()) && self.unsendable.as_ref() == Some(id)),
        }
        if input.byte() % 8 == 7 {
            self.source.handle_call_error(self.now, input.flag());
            self.is_asked = false;
            return;
        }
        let is_own = input.byte() % 4 == 3;
        let target = if is_own { input.target() } else { attempt.target.clone() };
        let is_own = target != attempt.target;
        let method = input.pick(&["GET", "GET", "POST", "PUT", "HEAD", "get"]);
        let replays = input.flag();
        let own: [(&str, &[u8]); 3] =
            [("authorization", b"secret"), ("content-type", b"application/json"), ("x-own", b"1")];
        let mask = input.byte();
        let mut headers: Vec<_> = attempt.headers().collect();
        for (bit, header) in own.iter().enumerate() {
            // Headers for a URL of the caller's own are for that.
            if mask & (1 << bit) != 0 && (is_own || attempt.carries(header.0)) {
                headers.push(*header);
            }
        }
        self.sent = Sent {
            intended: if is_own { target.origin.to_string() } else { self.home.clone() },
            has_secret: headers.iter().any(|(name, _)| *name == "authorization"),
            replays,
            ..Sent::default()
        };
        self.source.handle_call(self.now, Call { target, method, headers: &headers, replays });
        self.is_asked = false;
    }

    fn request(&mut self) {
        let Some(request) = self.source.poll_request() else { return };
        assert!(!self.is_over && !self.is_open && !self.is_asked && self.requested.is_none());
        let sent = &mut self.sent;
        // Preflights go where their requests go.
        let is_acting = request.preflight.is_none() && !is_safe(&request.method);
        let is_first = !sent.may_have_acted;
        assert!(!is_acting || !self.may_have_acted || sent.replays, "{request:?}");
        sent.acts_first = is_acting && is_first;
        sent.may_have_acted |= is_acting;
        if let Some(last) = sent.hops.last() {
            let is_downgrade =
                last.origin.starts_with("https") && request.target.origin != last.origin;
            assert!(!is_downgrade || request.target.origin.starts_with("https"));
        }
        sent.hops.push(request.target.clone());
        assert!(sent.hops.len() <= 2 * (self.config.redirects_max as usize + 1));

        let has_left = sent.hops.iter().any(|hop| *hop.origin != *sent.intended);
        if sent.has_secret && request.carries("authorization") {
            assert!(!has_left || self.config.headers_cross_origins, "{request:?}");
        }
        if request.sends_credentials && !self.config.with_credentials {
            match &self.config.cors {
                Some(cors) => assert!(sent.hops.iter().all(|hop| hop.origin == cors.origin)),
                None => assert!(!has_left, "{request:?}"),
            }
        }
        if request.preflight.is_some() {
            assert!(
                self.config.cors.is_some() && !request.sends_body && !request.sends_credentials
            );
            assert!(!request.carries("authorization") && !request.carries("last-event-id"));
        }
        self.requested = Some(request);
    }

    fn response(&mut self, input: &mut Input<'_>) {
        let status =
            input.pick(&[200, 200, 204, 301, 302, 303, 307, 308, 404, 429, 503, 0, 999, 401]);
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        let mask = input.byte();
        if mask & 1 == 0 {
            headers.push(("content-type", b"text/event-stream"));
        }
        if mask & 2 != 0 {
            headers.push(("access-control-allow-origin", b"*"));
        }
        if mask & 4 != 0 {
            headers.push(("access-control-allow-origin", ORIGINS[0].as_bytes()));
        }
        if mask & 8 != 0 {
            headers.push(("access-control-allow-origin", b"null"));
        }
        if mask & 16 != 0 {
            headers.push(("access-control-allow-credentials", b"true"));
        }
        if mask & 32 != 0 {
            headers.push(("access-control-allow-methods", b"PUT,get"));
            headers.push(("access-control-allow-headers", b"x-own,content-type,authorization"));
        }
        if mask & 64 != 0 {
            headers.push(("content-type", input.bytes()));
        }
        let mut head = ResponseHead::new(status, &headers);
        let says_when = mask & 128 != 0;
        if says_when {
            head = head.with_retry_after(Duration::from_secs(u64::from(input.byte())));
        }
        head = match input.byte() % 4 {
            0 => head,
            1 => head.with_location(Location::Invalid),
            _ => head.with_location(Location::Target(input.target())),
        };
        let requested = self.requested.take();
        if let Some(request) = &requested
            && (keeps_method(status, &request.method) || refuses_unseen(status, says_when))
            && self.sent.acts_first
        {
            // It is to be sent elsewhere, or at another time: this server has not acted.
            self.sent.may_have_acted = false;
        }
        self.source.handle_response(self.now, head);
        assert!(requested.is_some() || !self.source.has_output());
    }

    fn receive(&mut self, input: &mut Input<'_>) {
        let mut chunk = input.bytes();
        loop {
            let length = chunk.len();
            self.source.handle_bytes(self.now, &mut chunk);
            assert!(self.source.has_output() || chunk.is_empty());
            if self.source.has_output() {
                // It takes nothing before the output is polled.
                let rest = chunk;
                self.source.handle_bytes(self.now, &mut chunk);
                assert_eq!(rest, chunk);
            }
            self.drain(false);
            if chunk.is_empty() {
                return;
            }
            assert!(chunk.len() < length, "it gets nowhere");
        }
    }

    fn pass(&mut self, input: &mut Input<'_>) {
        let passed = Duration::from_millis(10 * u64::from(input.byte()));
        self.now = self.now.saturating_add(passed);
        if let Some(deadline) = self.source.poll_deadline().filter(|_| input.flag()) {
            self.now = self.now.max(deadline);
        }
        // The last times there are, now and then.
        if input.byte() == 255 {
            self.now = Duration::MAX;
        }
        self.source.handle_timeout(self.now);
        assert!(self.source.poll_deadline().is_none_or(|deadline| deadline >= self.now));
    }

    fn acknowledge(&mut self, input: &mut Input<'_>) {
        let before = self.source.last_event_id().clone();
        let choice = usize::from(input.byte());
        let Some((number, id, connection)) = self.messages.get(choice % 8) else {
            self.source.acknowledge(u64::MAX, &before);
            return assert_eq!(*self.source.last_event_id(), before);
        };
        self.source.acknowledge(*number, id);
        let after = self.source.last_event_id();
        if self.config.commit == Commit::Delivered || self.is_over {
            return;
        }
        // It is taken, or an earlier one was; and what the stream says of another connection has no
        // say in it.
        if *after != before && *connection != self.connections {
            assert_eq!(after, id);
        }
    }

    /// Polls all outputs; or closes the source after the first, if `closes`.
    fn drain(&mut self, closes: bool) {
        let mut count = 0;
        while let Some(output) = self.source.poll_output() {
            count += 1;
            assert!(count <= 4, "{output:?}");
            assert!(!self.is_over, "{output:?} after the end");
            self.receive_output(output);
            if closes && count == 1 {
                self.source.close();
                self.is_over = true;
            }
        }
    }

    fn receive_output(&mut self, output: Output) {
        match output {
            Output::Open => {
                assert!(!self.is_open);
                self.is_open = true;
                self.connections += 1;
                // Another call has opened it, or one that may be replayed.
                self.may_have_acted = false;
            }
            Output::Message(event) => {
                assert!(self.is_open);
                if self.config.commit == Commit::Delivered {
                    assert_eq!(*self.source.last_event_id(), event.last_event_id);
                }
                self.messages
                    .insert(0, (self.source.messages(), event.last_event_id, self.connections));
                self.messages.truncate(8);
            }
            Output::Comment(_) => assert!(self.is_open),
            Output::Retry(time) => {
                assert!(self.is_open);
                assert_eq!(self.source.reconnection_time(), time);
            }
            Output::UnsendableId(id) => {
                assert!(self.is_asked && !is_sendable(id.as_str()));
                assert_ne!(self.unsendable.as_ref(), Some(&id), "told twice");
                self.unsendable = Some(id);
            }
            Output::Disconnected { delay, .. } => {
                assert!(delay <= self.config.reconnect.delay_max);
                assert!(
                    self.source.failures() <= self.config.reconnect.retries_max.unwrap_or(u32::MAX)
                );
                self.leave();
            }
            Output::Failed { .. } => {
                self.leave();
                self.is_over = true;
            }
            output => panic!("{output:?} is new"),
        }
    }

    fn leave(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.may_have_acted |= sent.may_have_acted && !sent.replays;
        self.is_open = false;
        self.requested = None;
    }

    /// What holds whenever all outputs are polled.
    fn check(&mut self) {
        let expected = match (self.is_over, self.is_open) {
            (true, _) => ReadyState::Closed,
            (false, true) => ReadyState::Open,
            (false, false) => ReadyState::Connecting,
        };
        assert_eq!(self.source.ready_state(), expected);
        if self.is_over {
            assert!(!self.source.has_output());
            assert_eq!(self.source.poll_deadline(), None);
            assert_eq!(self.source.poll_attempt(), None);
            assert_eq!(self.source.poll_request(), None);
        }
    }
}

/// Oracles of what the source decides by itself.
fn is_sendable(id: &str) -> bool {
    id.trim_matches([' ', '\t']) == id
        && id.chars().all(|c| c == '\t' || !c.is_control() || !c.is_ascii())
}

fn is_safe(method: &str) -> bool {
    ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method)
}

/// Whether a server that answers so has done nothing with the request.
fn refuses_unseen(status: u16, says_when: bool) -> bool {
    matches!(status, 401 | 429) || status == 503 && says_when
}

/// Whether a redirect with this status asks for the same again, elsewhere.
fn keeps_method(status: u16, method: &str) -> bool {
    matches!(status, 307 | 308) || matches!(status, 301 | 302) && method != "POST"
}

const ORIGINS: [&str; 4] =
    ["https://a.example", "https://b.example", "http://a.example", "http://c.example:8080"];
