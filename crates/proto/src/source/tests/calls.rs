//! What the caller wants to be sent, and what is sent only once.

use super::*;
use crate::reconnect::Policy;

fn post(config: Config) -> Play {
    let mut play = Play::new(config);
    play.method = "POST";
    play
}

fn not_replayed(cause: Cause) -> Output {
    Output::Failed { cause, finality: Finality::NotReplayed }
}

#[test]
fn a_post_that_was_sent_is_not_sent_again() {
    type End = fn(&mut Play) -> Vec<Output>;
    let ends: [(End, Cause); 4] = [
        (Play::end, Cause::Ended),
        (Play::error, Cause::Network),
        (
            |play| play.bytes(&"x".repeat(20)),
            Cause::Limit(crate::decode::DecodeError::LineTooLong { line_bytes_max: 10 }),
        ),
        (
            |play| {
                play.pass();
                play.outputs()
            },
            Cause::Idle { idle_timeout: 300 * SECOND },
        ),
    ];
    for (end, cause) in ends {
        let limits = crate::decode::Limits { line_bytes_max: 10, ..Default::default() };
        let mut play = post(Config { limits, ..Config::resilient() });
        assert_eq!(&*play.request().method, "POST");
        play.respond(200);
        assert_eq!(end(&mut play), [not_replayed(cause)]);
        assert_eq!(play.source.ready_state(), ReadyState::Closed);
    }
    // Neither after an error that would pass, but may have come in the middle of the work.
    for status in [500, 502, 503] {
        let mut play = post(Config::resilient());
        play.request();
        assert_eq!(play.respond(status), [not_replayed(refused(status))]);
    }
}

#[test]
fn a_post_that_was_not_sent_is_tried_again() {
    let mut play = post(Config::strict());
    play.request();
    play.source.handle_connect_error(ZERO);
    assert_eq!(play.outputs(), [disconnected(Cause::Unreachable, 3 * SECOND)]);
    assert_eq!(&*play.wait().method, "POST");
    assert_eq!(play.respond(200), [Output::Open]);
}

#[test]
fn a_post_is_replayed_when_asked() {
    let mut play = post(Config::strict());
    play.replays = true;
    play.request();
    play.respond(200);
    play.bytes("id: 4\ndata: x\n\n");
    assert_eq!(play.error(), [disconnected(Cause::Network, 3 * SECOND)]);
    let request = play.wait();
    assert_eq!(&*request.method, "POST");
    assert_eq!(play.last_event_id(&request).as_deref(), Some("4"));
}

#[test]
fn a_redirected_post_that_became_a_get_is_repeated_as_the_caller_says() {
    let mut play = post(Config::strict());
    play.request();
    play.redirect(303, "http://a.example/stream");
    assert_eq!(&*play.request().method, "GET");
    play.respond(200);
    // The POST did what it does; a reconnect would do it again.
    assert_eq!(play.end(), [not_replayed(Cause::Ended)]);
}

#[test]
fn a_redirected_post_that_became_a_get_has_acted_even_if_the_get_fails() {
    let mut play = post(Config::strict());
    play.request();
    play.redirect(303, "http://a.example/stream");
    play.request();
    play.source.handle_connect_error(ZERO);
    assert_eq!(play.outputs(), [not_replayed(Cause::Unreachable)]);
    // One that was only sent elsewhere has not.
    let mut play = post(Config::strict());
    play.request();
    play.redirect(307, "http://a.example/elsewhere");
    assert_eq!(&*play.request().method, "POST");
    play.source.handle_connect_error(ZERO);
    assert_eq!(play.outputs(), [disconnected(Cause::Unreachable, 3 * SECOND)]);
}

#[test]
fn a_call_between_that_came_to_nothing_is_no_leave_to_replay() {
    let between: [fn(&mut Play); 2] = [|play| play.method = "GET", |play| play.replays = true];
    for change in between {
        let mut play = post(Config { calls_vary: true, ..Config::strict() });
        play.request();
        play.error();
        change(&mut play);
        play.wait();
        play.source.handle_connect_error(play.now);
        play.outputs();
        (play.method, play.replays) = ("POST", false);
        play.pass();
        play.call();
        assert_eq!(play.outputs(), [not_replayed(Cause::Network)]);
    }
}

#[test]
fn a_replay_asks_where_it_asked_first_and_not_where_the_answer_was() {
    for (status, url) in [(303, URL), (302, URL), (307, "http://a.example/stream")] {
        let mut play = post(Config::strict());
        play.replays = true;
        play.request();
        play.redirect(status, "http://a.example/stream");
        play.request();
        play.respond(200);
        play.end();
        let request = play.wait();
        assert_eq!((&*request.method, &*request.target.url), ("POST", url), "{status}");
    }
}

#[test]
fn a_redirect_of_a_url_for_one_attempt_holds_for_that_attempt() {
    let mut play = Play::new(Config { calls_vary: true, ..Config::strict() });
    let attempt = play.source.poll_attempt().unwrap();
    play.call_to(target("http://b.example/own"), &attempt);
    play.request();
    play.redirect(301, "http://b.example/moved");
    play.request();
    play.respond(200);
    play.end();
    play.pass();
    // The caller's usual headers are not for b.example.
    let attempt = play.source.poll_attempt().unwrap();
    assert_eq!((&*attempt.target.url, attempt.crossed_origin), (URL, false));
}

#[test]
fn a_caller_that_varies_its_call_is_asked_again() {
    let mut play = post(Config { calls_vary: true, ..Config::strict() });
    play.request();
    play.respond(200);
    play.bytes("id: 9\ndata: x\n\n");
    assert_eq!(play.error(), [disconnected(Cause::Network, 3 * SECOND)]);
    play.pass();
    let attempt = play.source.poll_attempt().unwrap();
    assert_eq!((attempt.number, attempt.failures), (2, 1));
    play.method = "GET";
    play.call_to(target("http://a.example/resume?after=9"), &attempt);
    let request = play.request();
    assert_eq!(&*request.target.url, "http://a.example/resume?after=9");
    assert_eq!(&*request.method, "GET");
    play.respond(200);
    play.end();
    play.pass();
    // A URL for one attempt is not one to stay with.
    let attempt = play.source.poll_attempt().unwrap();
    assert_eq!(&*attempt.target.url, URL);
    // It may change its mind, but not without being asked to replay.
    let mut play = post(Config { calls_vary: true, ..Config::strict() });
    play.request();
    play.error();
    play.pass();
    play.call();
    assert_eq!(play.outputs(), [not_replayed(Cause::Network)]);
    assert_eq!(play.source.poll_request(), None);
}

#[test]
fn a_call_that_cannot_be_prepared_is_tried_again_or_final() {
    let mut play = Play::new(Config::strict());
    play.source.poll_attempt().unwrap();
    assert_eq!(play.source.poll_deadline(), None);
    play.source.handle_call_error(ZERO, false);
    let cause = Cause::NotPrepared { is_final: false };
    assert_eq!(play.outputs(), [disconnected(cause, 3 * SECOND)]);
    play.pass();
    play.source.poll_attempt().unwrap();
    play.source.handle_call_error(play.now, true);
    assert_eq!(play.outputs(), [failed(Cause::NotPrepared { is_final: true })]);
    // It does not fit any other state.
    let mut play = Play::open(Config::strict());
    play.source.handle_call_error(ZERO, true);
    assert_eq!(play.outputs(), []);
}

#[test]
fn attempts_are_counted() {
    let mut play = Play::new(Config { reconnect: Policy::strict(), ..Config::strict() });
    for number in 1..=4 {
        let attempt = play.call();
        assert_eq!((attempt.number, attempt.failures), (number, number as u32 - 1));
        play.request();
        play.error();
        play.pass();
    }
}

#[test]
fn silence_ends_a_connection() {
    let idle_timeout = 20 * SECOND;
    let config = Config { idle_timeout: Some(idle_timeout), ..Config::strict() };
    let idle = disconnected(Cause::Idle { idle_timeout }, 3 * SECOND);
    // Before the response,
    let mut play = Play::new(config.clone());
    play.request();
    play.pass();
    assert_eq!((play.now, play.outputs()), (idle_timeout, vec![idle.clone()]));
    play.wait();
    assert_eq!(play.respond(200), [Output::Open]);
    // and in the stream, in which a comment counts, and so does a part of a line.
    for bytes in [":\n", "da", "ta: x\n\n"] {
        play.now += 19 * SECOND;
        play.source.handle_timeout(play.now);
        assert_eq!(play.outputs(), []);
        play.bytes(bytes);
        assert_eq!(play.source.poll_deadline(), Some(play.now + idle_timeout));
    }
    // Nothing is not something.
    play.now += 19 * SECOND;
    play.source.handle_bytes(play.now, &mut &b""[..]);
    play.pass();
    assert_eq!(play.outputs(), [idle]);
    assert_eq!(play.source.ready_state(), ReadyState::Connecting);
}

#[test]
fn a_reconnect_that_is_asked_for_does_not_wait() {
    let mut play = Play::open(Config::resilient());
    play.bytes("id: 1\ndata: a\n\n");
    play.source.reconnect(play.now);
    assert_eq!(play.outputs(), [disconnected(Cause::Asked, ZERO)]);
    assert_eq!(play.resume().as_deref(), Some("1"));
    assert_eq!((play.now, play.source.failures()), (ZERO, 0));
    // Nor does one in the middle of a wait.
    play.error();
    assert!(play.source.poll_deadline().unwrap() > ZERO);
    play.source.reconnect(play.now);
    assert_eq!(play.outputs(), []);
    assert_eq!(play.resume().as_deref(), Some("1"));
    assert_eq!(play.now, ZERO);
    play.source.close();
    play.source.reconnect(play.now);
    assert_eq!(play.source.poll_attempt(), None);
    // Nor for a caller that does not know yet what to send.
    let mut play = Play::new(Config::strict());
    assert_eq!(play.source.poll_attempt().unwrap().number, 1);
    play.source.reconnect(ZERO);
    assert_eq!(play.source.poll_attempt().unwrap().number, 2);
    // It is no way to send again what may not be replayed.
    let mut play = post(Config::strict());
    play.request();
    play.source.reconnect(ZERO);
    assert_eq!(play.outputs(), [not_replayed(Cause::Asked)]);
}

#[test]
fn a_post_that_the_server_did_not_act_on_is_sent_again() {
    for status in [429, 503] {
        let mut play = post(Config::resilient());
        play.request();
        let head = ResponseHead::new(status, &[]).with_retry_after(2 * SECOND);
        play.source.handle_response(ZERO, head.clone());
        let [Output::Disconnected { delay, .. }] = play.outputs()[..] else { panic!() };
        assert!(delay >= 2 * SECOND);
        assert_eq!(&*play.wait().method, "POST");
        // What is said where the result should be says nothing of the call.
        play.redirect(303, "http://a.example/result");
        play.request();
        play.source.handle_response(play.now, head);
        let cause = Cause::Status { status, retry_after: Some(2 * SECOND) };
        assert_eq!(play.outputs(), [not_replayed(cause)]);
    }
}

#[test]
fn a_caller_with_other_credentials_is_asked_for_them_once() {
    let mut play = Play::new(Config { calls_vary: true, ..Config::resilient() });
    play.request();
    assert!(matches!(play.respond(401)[..], [Output::Disconnected { .. }]));
    play.wait();
    assert_eq!(play.respond(200), [Output::Open]);
    // A success is followed by another chance, a failure is not.
    play.end();
    play.wait();
    assert!(matches!(play.respond(401)[..], [Output::Disconnected { .. }]));
    play.wait();
    assert_eq!(play.respond(401), [failed(refused(401))]);
    // Nobody has others, or wants the standard.
    for config in [Config::resilient(), Config { calls_vary: true, ..Config::strict() }] {
        let mut play = Play::new(config);
        play.request();
        assert_eq!(play.respond(401), [failed(refused(401))]);
    }
}
