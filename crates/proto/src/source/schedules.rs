//! The source against a server that fails at random, on virtual time.
//!
//! The server has a history of events and serves it from the `Last-Event-ID` it is asked for. It
//! cuts connections anywhere, refuses, redirects and chops the bytes. Whatever it does, every event
//! must arrive, once and in order, with the id in force, and after a close nothing at all.

use super::*;
use crate::encode;
use crate::event::EventName;
use crate::reconnect::Policy;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::collection::vec;
use proptest::prelude::*;

const EVENT_STREAM: [(&str, &[u8]); 1] = [("content-type", b"text/event-stream")];

/// What the server does with one connection.
#[derive(Debug, Clone)]
enum Connection {
    /// It does not answer.
    Unreachable,
    /// It answers 503.
    Unavailable,
    /// It redirects, and then serves.
    Redirect(u16),
    /// It serves this many bytes, in chunks of these sizes, and ends or breaks the stream.
    Serve { bytes: usize, chunks: Vec<usize>, clean: bool },
}

/// One event of the history.
#[derive(Debug, Clone)]
struct Published {
    name: Option<&'static str>,
    data: String,
    retry: Option<Duration>,
    comment: bool,
}

fn connection() -> impl Strategy<Value = Connection> {
    prop_oneof![
        1 => Just(Connection::Unreachable),
        1 => Just(Connection::Unavailable),
        1 => prop::sample::select(&[301, 302, 303, 307, 308][..]).prop_map(Connection::Redirect),
        4 => (0_usize..300, vec(0_usize..40, 1..8), any::<bool>())
            .prop_map(|(bytes, chunks, clean)| Connection::Serve { bytes, chunks, clean }),
    ]
}

fn published() -> impl Strategy<Value = Published> {
    (
        prop::option::of(prop::sample::select(&["a", "open", "error"][..])),
        "[a-cé:\n ]{0,12}",
        prop::option::weighted(0.2, (0_u64..5_000).prop_map(Duration::from_millis)),
        any::<bool>(),
    )
        .prop_map(|(name, data, retry, comment)| Published { name, data, retry, comment })
}

/// The stream that follows event number `after`, of a history whose ids are 1, 2, 3 and so on.
fn stream(history: &[Published], after: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, event) in history.iter().enumerate().skip(after) {
        if event.comment {
            encode::comment(&mut out, "still here");
        }
        let id = EventId::new((number + 1).to_string()).unwrap();
        let name = event.name.map(|name| EventName::new(name).unwrap());
        encode::event(&mut out, Some(&id), name.as_ref(), event.retry, &event.data);
    }
    out
}

/// What arrived of `history`, checked against it as it arrives.
struct Receiver<'h> {
    history: &'h [Published],
    received: usize,
    opens: usize,
    disconnects: usize,
}

impl Receiver<'_> {
    fn receive(&mut self, source: &Source, output: Output, policy: &Policy) {
        match output {
            Output::Open => {
                self.opens += 1;
                assert_eq!(source.ready_state(), ReadyState::Open);
            }
            Output::Message(event) => {
                let expected = &self.history[self.received];
                self.received += 1;
                assert_eq!(event.event_type, expected.name.unwrap_or("message"));
                assert_eq!(event.data, expected.data);
                assert_eq!(event.last_event_id, self.received.to_string().as_str());
                assert_eq!(source.last_event_id(), &event.last_event_id);
            }
            Output::Retry(time) => assert_eq!(source.reconnection_time(), time),
            Output::Disconnected { delay, .. } => {
                self.disconnects += 1;
                assert_eq!(source.ready_state(), ReadyState::Connecting);
                assert!(delay >= source.reconnection_time().max(policy.reconnection_time_min));
                assert!(
                    delay
                        <= source.reconnection_time().max(policy.reconnection_time_min)
                            + policy.backoff_max
                );
            }
            Output::Comment(text) => assert_eq!(text, "still here"),
            Output::UnsendableId(_) | Output::Failed { .. } => panic!("{output:?}"),
        }
    }
}

fn run(history: &[Published], schedule: &[Connection], seed: u64, close_after: Option<usize>) {
    let policy = Policy::resilient();
    let target = Target::new("http://a.example/", "http://a.example");
    let mut source = Source::new(target, Config::resilient(), seed);
    let mut receiver = Receiver { history, received: 0, opens: 0, disconnects: 0 };
    let mut now = Duration::ZERO;
    // When the schedule is used up the server recovers, and serves all there is.
    let recovered = Connection::Serve { bytes: usize::MAX, chunks: [7].into(), clean: true };
    let mut schedule = schedule.iter();
    let mut serves = 0;
    let mut asked = 0;
    let mut to_close = close_after;
    let mut poll = |source: &mut Source| {
        while let Some(output) = source.poll_output() {
            receiver.receive(source, output, &policy);
            if let Some(left) = &mut to_close {
                if *left == 0 {
                    source.close();
                }
                *left = left.saturating_sub(1);
            }
        }
        (receiver.received, receiver.opens, receiver.disconnects)
    };
    loop {
        if let Some(attempt) = source.poll_attempt() {
            let headers: Vec<_> = attempt.headers().collect();
            source.handle_call(now, Call::get(&attempt, &headers));
            // A frame's own id is committed with it, so the request names the last event received.
            asked = attempt.last_event_id.map_or(0, |id| id.as_str().parse().unwrap());
        }
        if source.poll_request().is_none() {
            let Some(deadline) = source.poll_deadline() else { break };
            now = deadline;
            source.handle_timeout(now);
            continue;
        }
        let (received, ..) = poll(&mut source);
        assert_eq!(asked, received);
        let step = schedule.next();
        match step.unwrap_or(&recovered) {
            Connection::Unreachable => source.handle_error(now),
            Connection::Unavailable => source.handle_response(now, ResponseHead::new(503, &[])),
            Connection::Redirect(status) => {
                let url = format!("http://a.example/{status}");
                let location = Location::Target(Target::new(url, "http://a.example"));
                let head = ResponseHead::new(*status, &[]).with_location(location);
                source.handle_response(now, head);
            }
            Connection::Serve { bytes, chunks, clean } => {
                serves += 1;
                source.handle_response(now, ResponseHead::new(200, &EVENT_STREAM));
                poll(&mut source);
                let stream = stream(history, asked);
                let mut rest = &stream[..stream.len().min(*bytes)];
                for size in chunks.iter().cycle() {
                    now += Duration::from_millis(1);
                    let (mut chunk, after) = rest.split_at(rest.len().min(*size + 1));
                    rest = after;
                    while !chunk.is_empty() {
                        source.handle_bytes(now, &mut chunk);
                        poll(&mut source);
                    }
                    source.handle_bytes(now, &mut &[][..]);
                    if rest.is_empty() {
                        break;
                    }
                }
                if *clean { source.handle_end(now) } else { source.handle_error(now) }
            }
        }
        let (received, opens, _) = poll(&mut source);
        if source.ready_state() == ReadyState::Closed {
            break;
        }
        assert_eq!(opens, serves);
        if step.is_none() {
            assert_eq!(received, history.len());
            return;
        }
    }
    // Only a close ends the loop: nothing comes after it.
    let told = poll(&mut source);
    assert!(close_after.is_some());
    source.handle_timeout(Duration::MAX);
    source.handle_response(now, ResponseHead::new(200, &EVENT_STREAM));
    source.handle_bytes(now, &mut &b"data: late\n\n"[..]);
    source.handle_end(now);
    assert_eq!(poll(&mut source), told);
    assert_eq!(source.poll_attempt(), None);
    assert_eq!(source.poll_request(), None);
}

/// Follows a history of id-bearing events with a consumer that acknowledges only now and then, and
/// dies with the connection.
fn run_acknowledged(events: usize, cuts: &[usize], acknowledges: &[bool], seed: u64) {
    let target = Target::new("http://a.example/", "http://a.example");
    let config = Config { commit: Commit::Acknowledged, ..Config::strict() };
    let history: Vec<Published> = (0..events)
        .map(|_| Published { name: None, data: "x".into(), retry: None, comment: false })
        .collect();
    let mut source = Source::new(target, config, seed);
    let mut acknowledges = acknowledges.iter().cycle();
    let mut cuts = cuts.iter();
    let (mut acknowledged, mut seen, mut now) = (0, 0, Duration::ZERO);
    while acknowledged < events {
        let attempt = source.poll_attempt().unwrap();
        let asked = attempt.last_event_id.as_ref().map_or(0, |id| id.as_str().parse().unwrap());
        assert_eq!(asked, acknowledged);
        let headers: Vec<_> = attempt.headers().collect();
        source.handle_call(now, Call::get(&attempt, &headers));
        source.poll_request().unwrap();
        source.handle_response(now, ResponseHead::new(200, &EVENT_STREAM));
        assert_eq!(source.poll_output(), Some(Output::Open));
        let stream = stream(&history, asked);
        let cut = cuts.next();
        let mut rest = &stream[..cut.map_or(stream.len(), |cut| stream.len().min(*cut))];
        let mut next = asked;
        while !rest.is_empty() {
            source.handle_bytes(now, &mut rest);
            let Some(Output::Message(event)) = source.poll_output() else { continue };
            next += 1;
            seen = seen.max(next);
            assert_eq!(event.last_event_id, next.to_string().as_str());
            if cut.is_none() || *acknowledges.next().unwrap() {
                source.acknowledge(source.messages(), &event.last_event_id);
                acknowledged = next;
            }
        }
        source.handle_error(now);
        assert!(matches!(source.poll_output(), Some(Output::Disconnected { .. })));
        now = source.poll_deadline().unwrap();
        source.handle_timeout(now);
    }
    assert_eq!(seen, events);
}

proptest! {
    #[test]
    fn what_was_not_acknowledged_comes_again(
        events in 1_usize..25,
        cuts in vec(0_usize..200, 0..25),
        acknowledges in vec(any::<bool>(), 1..25),
        seed: u64,
    ) {
        run_acknowledged(events, &cuts, &acknowledges, seed);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(
        history in vec(published(), 0..25),
        schedule in vec(connection(), 0..25),
        seed: u64,
    ) {
        run(&history, &schedule, seed, None);
    }

    #[test]
    fn nothing_comes_after_a_close(
        history in vec(published(), 0..25),
        schedule in vec(connection(), 0..25),
        seed: u64,
        close_after in 0_usize..30,
    ) {
        run(&history, &schedule, seed, Some(close_after));
    }
}
