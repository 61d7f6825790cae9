//! Every transition.

use super::*;
use crate::decode::{DecodeError, Limits};
use crate::reconnect::Policy;

#[test]
fn a_new_source_is_connecting_and_asks_once() {
    let mut play = Play::new(Config::strict());
    assert_eq!(play.source.ready_state(), ReadyState::Connecting);
    let request = play.request();
    assert_eq!(&*request.target.url, URL);
    assert_eq!(&*request.method, "GET");
    assert_eq!(play.header(&request, "accept").unwrap(), b"text/event-stream");
    assert_eq!(play.header(&request, "cache-control").unwrap(), b"no-cache");
    assert_eq!(play.last_event_id(&request), None);
    assert_eq!(play.header(&request, "origin"), None);
    assert!(request.sends_credentials);
    assert_eq!(play.source.poll_attempt(), None);
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
        assert_eq!(play.respond(status), [failed(refused(status))]);
        assert_eq!(play.source.ready_state(), ReadyState::Closed);
        assert_eq!(play.source.poll_deadline(), None);
        assert_eq!(play.source.poll_attempt(), None);
    }
    for content_type in [None, Some("text/html"), Some("text/event-stream-2")] {
        let mut play = Play::new(Config::resilient());
        play.request();
        let headers: Vec<_> =
            content_type.iter().map(|value: &&str| ("content-type", value.as_bytes())).collect();
        let cause = Cause::ContentType { content_type: content_type.map(Into::into) };
        assert_eq!(play.respond_with(200, &headers), [failed(cause)]);
        assert_eq!(play.source.ready_state(), ReadyState::Closed);
    }
}

#[test]
fn a_stream_that_is_still_compressed_is_refused() {
    for (encoding, opens) in [
        ("identity", true),
        ("Identity ", true),
        ("x-none", true),
        ("gzip", false),
        ("identity, GZIP", false),
        ("br", false),
    ] {
        let mut play = Play::new(Config::resilient());
        play.request();
        let outputs =
            play.respond_with(200, &[EVENT_STREAM, ("content-encoding", encoding.as_bytes())]);
        if opens {
            assert_eq!(outputs, [Output::Open]);
        } else {
            assert_eq!(outputs, [failed(Cause::ContentEncoding { encoding: encoding.into() })]);
        }
    }
}

#[test]
fn resilient_retries_429_and_5xx_but_nothing_else() {
    for status in [429, 500, 502, 503, 599] {
        let mut play = Play::new(Config::resilient());
        play.request();
        let head = ResponseHead::new(status, &[]).with_retry_after(50 * SECOND);
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
        assert_eq!(play.respond(status), [failed(refused(status))]);
    }
}

#[test]
fn the_end_of_the_stream_reconnects_after_the_reconnection_time() {
    let mut play = Play::open(Config::strict());
    assert_eq!(play.end(), [disconnected(Cause::Ended, 3 * SECOND)]);
    assert_eq!(play.source.ready_state(), ReadyState::Connecting);
    assert_eq!(play.source.poll_attempt(), None);
    play.source.handle_timeout(3 * SECOND - Duration::from_nanos(1));
    assert_eq!(play.source.poll_attempt(), None);
    play.source.handle_timeout(3 * SECOND);
    play.request();
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
        assert_eq!(play.resume().as_deref(), Some("5"));
        play.respond(200);
        assert_eq!(play.bytes("data: b\n\n"), [message("message", "5", "b")]);
    }
    // Without data nothing is dispatched, but the id counts.
    assert_eq!(play.bytes("id: 6\n\n"), []);
    assert_eq!(play.source.last_event_id(), "6");
    // An empty id forgets.
    play.bytes("id\n\n");
    play.end();
    assert_eq!(play.resume(), None);
}

#[test]
fn an_unfinished_event_is_discarded_with_its_id() {
    let mut play = Play::open(Config::strict());
    play.bytes("id: 1\ndata: a\n\nid: 2\ndata: lost\n");
    play.error();
    assert_eq!(play.resume().as_deref(), Some("1"));
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
    let request = play.request();
    assert_eq!(play.last_event_id(&request).as_deref(), Some("é 9"));
    play.respond(200);
    assert_eq!(play.bytes("data: a\n\n"), [message("message", "é 9", "a")]);
}

#[test]
fn an_id_no_header_can_carry_is_left_out_and_told_once() {
    let mut play = Play::open(Config::strict());
    play.bytes("id: a\u{1}b\ndata: x\n\n");
    assert_eq!(play.source.last_event_id(), "a\u{1}b");
    play.end();
    assert_eq!(play.resume(), None);
    assert_eq!(play.outputs(), [Output::UnsendableId("a\u{1}b".parse().unwrap())]);
    play.respond(200);
    play.end();
    assert_eq!(play.resume(), None);
    assert_eq!(play.respond(200), [Output::Open]);
    // The stream goes on, and a later id is sent again.
    play.bytes("id: 2\ndata: y\n\n");
    play.end();
    assert_eq!(play.resume().as_deref(), Some("2"));
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
            play.redirect(301, "http://b.example/");
        },
    ];
    for prepare in states {
        let mut play = Play::new(Config::resilient());
        prepare(&mut play);
        play.source.close();
        play.source.close();
        play.source.handle_timeout(Duration::MAX);
        assert_eq!(play.source.poll_attempt(), None);
        assert_eq!(play.source.poll_deadline(), None);
        assert_eq!(play.respond(200), []);
        assert_eq!(play.redirect(302, URL), []);
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
    assert_eq!(play.redirect(301, URL), []);
    play.source.handle_connect_error(ZERO);
    assert_eq!(play.outputs(), []);
    assert_eq!(play.end().len(), 1);
    assert_eq!(play.end(), []);
    assert_eq!(play.error(), []);
    assert_eq!(play.respond(200), []);
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
    assert_eq!(play.resume().as_deref(), Some("1"));
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
    assert_eq!(
        play.bytes("data: 12345"),
        [Output::Failed { cause: TOO_LONG, finality: Finality::Futile }]
    );
}

#[test]
fn events_without_ids_that_cross_a_limit_at_different_places_are_not_the_same() {
    let mut play = Play::open(with_small_limits(Config::resilient()));
    for messages in [3, 1, 2] {
        assert_eq!(play.bytes(&"data: x\n\n".repeat(messages)).len(), messages);
        assert!(matches!(play.bytes("data: 12345")[..], [Output::Disconnected { .. }]));
        play.wait();
        play.respond(200);
    }
    // An upstream that repeats itself from the start of each connection is.
    play.bytes(&"data: x\n\n".repeat(2));
    assert!(matches!(play.bytes("data: 12345")[..], [Output::Failed { .. }]));
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
    assert_eq!(
        play.error(),
        [Output::Failed {
            cause: Cause::Network,
            finality: Finality::RetriesExhausted { retries: 2 }
        }]
    );
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
