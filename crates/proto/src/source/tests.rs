//! Every transition of the source, against a scripted peer on virtual time.

use super::*;
use crate::decode::DecodeError;
use alloc::vec::Vec;
use alloc::{format, vec};

const URL: &str = "http://a.example/events";
const ZERO: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

/// A source whose peer and clock the test plays.
struct Play {
    source: Source,
    now: Duration,
}

impl Play {
    fn new(config: Config) -> Self {
        Self { source: Source::new(URL, config, 7), now: ZERO }
    }

    /// A source that is open.
    fn open(config: Config) -> Self {
        let mut play = Self::new(config);
        play.request();
        assert_eq!(play.respond(200), [Output::Open]);
        play
    }

    fn request(&mut self) -> Request {
        self.source.poll_request().expect("a request is due")
    }

    fn respond(&mut self, status: u16) -> Vec<Output> {
        let head = ResponseHead::new(status).with_content_type(b"text/event-stream");
        self.source.handle_response(self.now, head);
        self.outputs()
    }

    fn redirect(&mut self, status: u16, url: &str, crosses_origin: bool) -> Vec<Output> {
        self.source.handle_redirect(self.now, Redirect { status, url: url.into(), crosses_origin });
        self.outputs()
    }

    fn bytes(&mut self, bytes: &str) -> Vec<Output> {
        let mut chunk = bytes.as_bytes();
        let mut outputs = Vec::new();
        while !chunk.is_empty() {
            self.source.handle_bytes(self.now, &mut chunk);
            outputs.extend(self.outputs());
        }
        outputs
    }

    fn end(&mut self) -> Vec<Output> {
        self.source.handle_end(self.now);
        self.outputs()
    }

    fn error(&mut self) -> Vec<Output> {
        self.source.handle_error(self.now);
        self.outputs()
    }

    /// Lets the time to the deadline pass, and returns the request that is due then.
    fn wait(&mut self) -> Request {
        self.now = self.source.poll_deadline().expect("the source waits");
        self.source.handle_timeout(self.now);
        self.request()
    }

    fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.source.poll_output()).collect()
    }
}

fn message(name: &str, id: &str, data: &str) -> Output {
    Output::Message(Event {
        event_type: name.parse().unwrap(),
        data: data.into(),
        last_event_id: id.parse().unwrap(),
    })
}

fn disconnected(cause: Cause, delay: Duration) -> Output {
    Output::Disconnected { cause, delay }
}

fn refused(status: u16) -> Cause {
    Cause::Status { status, retry_after: None }
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r [u8]> {
    request.headers().find(|(header, _)| *header == name).map(|(_, value)| value)
}

#[test]
fn a_new_source_is_connecting_and_asks_once() {
    let mut play = Play::new(Config::strict());
    assert_eq!(play.source.ready_state(), ReadyState::Connecting);
    let request = play.request();
    assert_eq!(&*request.url, URL);
    assert_eq!(header(&request, "accept"), Some(&b"text/event-stream"[..]));
    assert_eq!(header(&request, "cache-control"), Some(&b"no-cache"[..]));
    assert_eq!(header(&request, "last-event-id"), None);
    assert!(request.may_carry_credentials());
    assert_eq!(play.source.poll_request(), None);
    assert_eq!(play.source.poll_deadline(), None);
}

#[test]
fn open_comes_before_everything_of_its_stream() {
    let mut play = Play::new(Config::strict());
    play.request();
    assert_eq!(play.respond(200), [Output::Open]);
    assert_eq!(play.source.ready_state(), ReadyState::Open);
    assert_eq!(
        play.bytes("retry: 9\n: hi\nid: 1\nevent: e\ndata: x\n\ndata\n\n"),
        [
            Output::Retry(Duration::from_millis(9)),
            Output::Comment(" hi".into()),
            message("e", "1", "x"),
            message("message", "1", ""),
        ]
    );
}

#[test]
fn only_200_with_an_event_stream_opens() {
    for status in [201, 204, 205, 206, 299, 301, 304, 404, 407, 410, 429, 500, 502, 503] {
        let mut play = Play::new(Config::strict());
        play.request();
        assert_eq!(
            play.respond(status),
            [Output::Failed { cause: refused(status), retries: None }]
        );
        assert_eq!(play.source.ready_state(), ReadyState::Closed);
        assert_eq!(play.source.poll_deadline(), None);
        assert_eq!(play.source.poll_request(), None);
    }
    for content_type in [None, Some("text/html"), Some("text/event-stream-2")] {
        let mut play = Play::new(Config::resilient());
        play.request();
        let head = ResponseHead {
            content_type: content_type.map(str::as_bytes),
            ..ResponseHead::new(200)
        };
        play.source.handle_response(ZERO, head);
        let cause = Cause::ContentType { content_type: content_type.map(Into::into) };
        assert_eq!(play.outputs(), [Output::Failed { cause, retries: None }]);
        assert_eq!(play.source.ready_state(), ReadyState::Closed);
    }
}

#[test]
fn resilient_retries_429_and_5xx_but_nothing_else() {
    for status in [429, 500, 502, 503, 599] {
        let mut play = Play::new(Config::resilient());
        play.request();
        let head = ResponseHead::new(status).with_retry_after(50 * SECOND);
        play.source.handle_response(ZERO, head);
        let [Output::Disconnected { cause, delay }] = &play.outputs()[..] else { panic!() };
        assert_eq!(*cause, Cause::Status { status, retry_after: Some(50 * SECOND) });
        assert!(*delay >= 50 * SECOND);
        assert_eq!(play.source.ready_state(), ReadyState::Connecting);
        play.wait();
        assert_eq!(play.respond(200), [Output::Open]);
    }
    for status in [204, 301, 400, 401, 403, 404, 408, 428, 430, 600] {
        let mut play = Play::new(Config::resilient());
        play.request();
        assert_eq!(
            play.respond(status),
            [Output::Failed { cause: refused(status), retries: None }]
        );
    }
}

#[test]
fn the_end_of_the_stream_reconnects_after_the_reconnection_time() {
    let mut play = Play::open(Config::strict());
    assert_eq!(play.end(), [disconnected(Cause::Ended, 3 * SECOND)]);
    assert_eq!(play.source.ready_state(), ReadyState::Connecting);
    assert_eq!(play.source.poll_request(), None);
    play.source.handle_timeout(3 * SECOND - Duration::from_nanos(1));
    assert_eq!(play.source.poll_request(), None);
    play.source.handle_timeout(3 * SECOND);
    assert!(play.source.poll_request().is_some());
    assert_eq!(play.respond(200), [Output::Open]);
}

#[test]
fn a_network_error_reconnects_before_and_after_the_response() {
    let mut play = Play::new(Config::strict());
    play.request();
    assert_eq!(play.error(), [disconnected(Cause::Network, 3 * SECOND)]);
    play.wait();
    assert_eq!(play.end(), [disconnected(Cause::Network, 3 * SECOND)]);
    play.wait();
    play.respond(200);
    assert_eq!(play.error(), [disconnected(Cause::Network, 3 * SECOND)]);
    assert_eq!(play.source.ready_state(), ReadyState::Connecting);
}

#[test]
fn retry_is_honoured_from_the_line_on() {
    let mut play = Play::open(Config::strict());
    play.bytes("retry: 700\n");
    assert_eq!(play.end(), [disconnected(Cause::Ended, Duration::from_millis(700))]);
    play.wait();
    play.respond(200);
    assert_eq!(play.end(), [disconnected(Cause::Ended, Duration::from_millis(700))]);
    play.wait();
    play.respond(200);
    play.bytes("retry: 0\n");
    assert_eq!(play.end(), [disconnected(Cause::Ended, Duration::from_millis(100))]);
}

#[test]
fn the_id_lasts_over_many_reconnects() {
    let mut play = Play::open(Config::strict());
    assert_eq!(play.bytes("id: 5\ndata: a\n\n"), [message("message", "5", "a")]);
    for _ in 0..3 {
        play.end();
        assert_eq!(header(&play.wait(), "last-event-id"), Some(&b"5"[..]));
        play.respond(200);
        assert_eq!(play.bytes("data: b\n\n"), [message("message", "5", "b")]);
    }
    // Without data nothing is dispatched, but the id counts.
    assert_eq!(play.bytes("id: 6\n\n"), []);
    assert_eq!(play.source.last_event_id(), "6");
    // An empty id forgets.
    play.bytes("id\n\n");
    play.end();
    assert_eq!(header(&play.wait(), "last-event-id"), None);
}

#[test]
fn an_unfinished_event_is_discarded_with_its_id() {
    let mut play = Play::open(Config::strict());
    play.bytes("id: 1\ndata: a\n\nid: 2\ndata: lost\n");
    play.error();
    assert_eq!(header(&play.wait(), "last-event-id"), Some(&b"1"[..]));
    play.respond(200);
    assert_eq!(play.bytes("\ndata: b\n\n"), [message("message", "1", "b")]);
}

#[test]
fn each_connection_may_begin_with_a_bom() {
    let mut play = Play::open(Config::strict());
    assert_eq!(play.bytes("\u{feff}data: a\n\n"), [message("message", "", "a")]);
    play.end();
    play.wait();
    play.respond(200);
    assert_eq!(play.bytes("\u{feff}data: b\n\n"), [message("message", "", "b")]);
}

#[test]
fn a_source_resumes_after_the_id_it_is_given() {
    let config = Config { last_event_id: "é 9".parse().unwrap(), ..Config::strict() };
    let mut play = Play::new(config);
    assert_eq!(header(&play.request(), "last-event-id"), Some("é 9".as_bytes()));
    play.respond(200);
    assert_eq!(play.bytes("data: a\n\n"), [message("message", "é 9", "a")]);
}

#[test]
fn an_id_no_header_can_carry_is_left_out_and_told_once() {
    let mut play = Play::open(Config::strict());
    play.bytes("id: a\u{1}b\ndata: x\n\n");
    assert_eq!(play.source.last_event_id(), "a\u{1}b");
    play.end();
    assert_eq!(header(&play.wait(), "last-event-id"), None);
    assert_eq!(play.outputs(), [Output::UnsendableId("a\u{1}b".parse().unwrap())]);
    play.respond(200);
    play.end();
    assert_eq!(play.wait().last_event_id, None);
    assert_eq!(play.respond(200), [Output::Open]);
    // The stream goes on, and a later id is sent again.
    play.bytes("id: 2\ndata: y\n\n");
    play.end();
    assert_eq!(header(&play.wait(), "last-event-id"), Some(&b"2"[..]));
}

#[test]
fn a_close_drops_the_rest_of_the_chunk() {
    let mut play = Play::open(Config::strict());
    let mut chunk = &b"data: 1\n\ndata: 2\n\ndata: 3\n\n"[..];
    play.source.handle_bytes(ZERO, &mut chunk);
    assert_eq!(play.outputs(), [message("message", "", "1")]);
    play.source.handle_bytes(ZERO, &mut chunk);
    // Closed with an output that was not polled yet.
    play.source.close();
    assert_eq!(play.outputs(), []);
    play.source.handle_bytes(ZERO, &mut chunk);
    assert_eq!((chunk, play.outputs()), (&b""[..], vec![]));
    assert_eq!(play.source.ready_state(), ReadyState::Closed);
}

#[test]
fn a_closed_source_never_reopens() {
    type Prepare = fn(&mut Play);
    let states: [Prepare; 5] = [
        |_| {},
        |play| drop(play.request()),
        |play| {
            play.request();
            play.respond(200);
        },
        |play| {
            play.request();
            play.error();
        },
        |play| {
            play.request();
            play.redirect(301, "http://b.example/", true);
        },
    ];
    for prepare in states {
        let mut play = Play::new(Config::resilient());
        prepare(&mut play);
        play.source.close();
        play.source.close();
        play.source.handle_timeout(Duration::MAX);
        assert_eq!(play.source.poll_request(), None);
        assert_eq!(play.source.poll_deadline(), None);
        assert_eq!(play.respond(200), []);
        assert_eq!(play.redirect(302, URL, false), []);
        assert_eq!(play.bytes("data: x\n\n"), []);
        assert_eq!(play.end(), []);
        assert_eq!(play.error(), []);
        assert_eq!(play.source.ready_state(), ReadyState::Closed);
    }
}

#[test]
fn nothing_is_taken_while_an_output_waits() {
    let mut play = Play::open(Config::strict());
    let bytes = &b"data: 1\n\ndata: 2\n\n"[..];
    let mut chunk = bytes;
    play.source.handle_bytes(ZERO, &mut chunk);
    let rest = chunk;
    assert_eq!(rest.len(), bytes.len() / 2);
    play.source.handle_bytes(ZERO, &mut chunk);
    assert_eq!(chunk, rest);
    assert_eq!(play.outputs().len(), 1);
    play.source.handle_bytes(ZERO, &mut chunk);
    assert_eq!(play.outputs(), [message("message", "", "2")]);
}

#[test]
fn inputs_that_do_not_fit_the_state_are_ignored() {
    let mut play = Play::new(Config::strict());
    assert_eq!(play.respond(200), []);
    assert_eq!(play.bytes("data: x\n\n"), []);
    assert_eq!(play.error(), []);
    play.request();
    assert_eq!(play.bytes("data: x\n\n"), []);
    play.respond(200);
    assert_eq!(play.respond(404), []);
    assert_eq!(play.redirect(301, URL, false), []);
    play.source.handle_redirect_error(ZERO, RedirectError::Location);
    assert_eq!(play.outputs(), []);
    assert_eq!(play.end().len(), 1);
    assert_eq!(play.end(), []);
    assert_eq!(play.error(), []);
    assert_eq!(play.respond(200), []);
}

#[test]
fn redirects_are_followed_with_the_same_headers() {
    for status in [301, 302, 303, 307, 308] {
        let mut play = Play::open(Config::strict());
        play.bytes("id: 3\n\n");
        play.end();
        play.wait();
        assert_eq!(play.redirect(status, "http://a.example/moved", false), []);
        let request = play.request();
        assert_eq!(&*request.url, "http://a.example/moved");
        assert_eq!(header(&request, "last-event-id"), Some(&b"3"[..]));
        assert!(request.may_carry_credentials());
        assert_eq!(play.respond(200), [Output::Open]);
        play.end();
        assert_eq!(&*play.wait().url, "http://a.example/moved");
    }
}

#[test]
fn credentials_stay_away_once_an_origin_is_crossed() {
    let mut play = Play::new(Config::strict());
    play.request();
    play.redirect(302, "http://b.example/", true);
    assert!(!play.request().may_carry_credentials());
    play.redirect(302, "http://b.example/2", false);
    assert!(!play.request().may_carry_credentials());
    play.redirect(302, URL, true);
    assert!(!play.request().may_carry_credentials());
    play.error();
    assert!(!play.wait().may_carry_credentials());
}

#[test]
fn where_to_reconnect_is_an_option() {
    for (reconnect_url, expected) in [
        (ReconnectUrl::Current, "http://a.example/3"),
        (ReconnectUrl::Permanent, "http://a.example/1"),
        (ReconnectUrl::Original, URL),
    ] {
        let mut play = Play::new(Config { reconnect_url, ..Config::strict() });
        play.request();
        for (number, status) in [308, 307, 301].into_iter().enumerate() {
            play.redirect(status, &format!("http://a.example/{}", number + 1), false);
            play.request();
        }
        play.respond(200);
        play.end();
        assert_eq!(&*play.wait().url, expected);
    }
}

#[test]
fn twenty_redirects_are_followed_but_not_one_more() {
    let mut play = Play::new(Config::resilient());
    for round in 0..2 {
        for _ in 0..20 {
            play.request();
            assert_eq!(play.redirect(302, URL, false), []);
        }
        play.request();
        if round == 0 {
            // The next attempt counts afresh.
            play.error();
            play.now = play.source.poll_deadline().unwrap();
            play.source.handle_timeout(play.now);
        }
    }
    let cause = Cause::Redirect(RedirectError::TooMany { redirects_max: 20 });
    assert_eq!(play.redirect(302, URL, false), [Output::Failed { cause, retries: None }]);
}

#[test]
fn a_redirect_that_cannot_be_followed_is_final() {
    let mut play = Play::new(Config::resilient());
    play.request();
    play.source.handle_redirect_error(ZERO, RedirectError::Downgrade);
    let cause = Cause::Redirect(RedirectError::Downgrade);
    assert_eq!(play.outputs(), [Output::Failed { cause, retries: None }]);
}

fn with_small_limits(config: Config) -> Config {
    let limits = Limits { event_data_bytes_max: 4, ..Limits::default() };
    Config { limits, ..config }
}

const TOO_LONG: Cause = Cause::Limit(DecodeError::EventDataTooLong { event_data_bytes_max: 4 });

#[test]
fn a_crossed_limit_is_told_and_ends_the_connection() {
    let mut play = Play::open(with_small_limits(Config::strict()));
    let outputs = play.bytes("id: 1\ndata: ok\n\nid: 2\ndata: 12345\n\ndata: no\n\n");
    assert_eq!(outputs, [message("message", "1", "ok"), disconnected(TOO_LONG, 3 * SECOND)]);
    assert_eq!(header(&play.wait(), "last-event-id"), Some(&b"1"[..]));
    play.respond(200);
    assert_eq!(play.bytes("data: 12345"), [disconnected(TOO_LONG, 3 * SECOND)]);
}

#[test]
fn resilient_gives_up_when_the_same_event_crosses_the_limit_again() {
    let mut play = Play::open(with_small_limits(Config::resilient()));
    assert!(matches!(play.bytes("data: 12345")[..], [Output::Disconnected { .. }]));
    play.wait();
    play.respond(200);
    // Another place in the stream is another event.
    let outputs = play.bytes("id: 1\n\ndata: 12345");
    assert!(matches!(outputs[..], [Output::Disconnected { .. }]));
    play.wait();
    play.respond(200);
    assert_eq!(play.bytes("data: 12345"), [Output::Failed { cause: TOO_LONG, retries: None }]);
}

#[test]
fn the_retry_budget_ends_the_source() {
    let reconnect = Policy { retries_max: Some(2), ..Policy::strict() };
    let mut play = Play::new(Config { reconnect, ..Config::strict() });
    play.request();
    play.error();
    play.wait();
    play.error();
    play.wait();
    assert_eq!(play.error(), [Output::Failed { cause: Cause::Network, retries: Some(2) }]);
    assert_eq!(play.source.ready_state(), ReadyState::Closed);
}

#[test]
fn a_connection_that_did_its_work_resets_the_budget() {
    let reconnect = Policy { retries_max: Some(1), ..Policy::strict() };
    for (bytes, open, success) in [
        ("", ZERO, false),
        ("retry: 1\n", ZERO, false),
        (":\n", ZERO, true),
        ("data\n\n", ZERO, true),
        ("", 10 * SECOND, true),
    ] {
        let mut play = Play::new(Config { reconnect, ..Config::strict() });
        play.request();
        play.error();
        play.wait();
        play.respond(200);
        play.bytes(bytes);
        play.now += open;
        let outputs = play.end();
        assert_eq!(matches!(outputs[..], [Output::Disconnected { .. }]), success, "{bytes:?}");
    }
}
