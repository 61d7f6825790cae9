//! `Answer`: the end of an answer, and its errors.

mod chunks;
mod peer;

use std::time::Duration;

use chunks::{Chunks, Failed, Step, Watch, items};
use futures_core::stream::FusedStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use http::Method;
use peer::{Peer, soon};
use tidings_client::{
    Answer, AnswerError, Builder, Commit, Error, Event, EventSource, EventStream, Message,
    Messages, Policy, Profile, ReadError, Update,
};

type Events = EventStream<Chunks>;

/// An answer whose source would go on for ever after `stream`.
fn endless(stream: &'static str) -> (Answer<Events>, Watch) {
    let more = Step::Chunk(b"data: too much\n\n");
    let (source, watch) = Chunks::new(vec![Step::Chunk(stream.as_bytes()), more.clone(), more]);
    (EventStream::new(source).answer(), watch)
}

fn answer(stream: &'static str) -> Answer<Events> {
    EventStream::new(Chunks::whole(stream)).answer()
}

/// The data of all events, or the error that ended them.
fn data(answer: &mut Answer<Events>) -> (Vec<String>, Option<AnswerError<ReadError<Failed>>>) {
    let mut items = items(answer);
    let error = items.pop_if(|item| item.is_err()).map(Result::unwrap_err);
    assert!(answer.is_terminated());
    (items.into_iter().map(|event| event.unwrap().data).collect(), error)
}

#[test]
fn without_rules_all_events_come_and_the_end_is_the_end() {
    let mut answer = answer("data: a\n\nevent: error\ndata: [DONE]\n\ndata: b\n\n");
    assert_eq!(data(&mut answer), (vec!["a".into(), "[DONE]".into(), "b".into()], None));
}

#[test]
fn data_that_ends_the_answer_is_not_delivered_and_drops_the_source_at_once() {
    for end in ["data: [DONE]\n\n", "data:  [DONE] \n\n", "event: end\ndata: [DONE]\ndata:\n\n"] {
        let stream: &'static str = format!("data: a\n\n{end}data: b\n\n").leak();
        let (answer, watch) = endless(stream);
        let mut answer = answer.end_at_data("[DONE]");
        assert_eq!(answer.next().now_or_never().unwrap().unwrap().unwrap().data, "a");
        assert!(!watch.is_dropped());
        assert!(answer.next().now_or_never().unwrap().is_none());
        assert!(watch.is_dropped() && answer.source().is_none());
        assert_eq!(data(&mut answer), (vec![], None));
    }
}

#[test]
fn data_that_only_contains_the_end_mark_does_not_end_the_answer() {
    let mut answer = answer("data: say [DONE]\n\ndata: [done]\n\ndata: [DONE]\n\n");
    answer = answer.end_at_data("[DONE]");
    assert_eq!(data(&mut answer), (vec!["say [DONE]".into(), "[done]".into()], None));
}

#[test]
fn the_event_that_ends_the_answer_is_delivered_and_drops_the_source_at_once() {
    for end in ["completed", "incomplete"] {
        let stream: &'static str =
            format!("data: a\n\nevent: {end}\ndata: b\n\ndata: c\n\n").leak();
        let (answer, watch) = endless(stream);
        let mut answer = answer.end_after("completed").end_after("incomplete");
        assert_eq!(answer.next().now_or_never().unwrap().unwrap().unwrap().data, "a");
        assert!(!watch.is_dropped());
        assert_eq!(answer.next().now_or_never().unwrap().unwrap().unwrap().data, "b");
        assert!(watch.is_dropped() && answer.is_terminated());
        assert!(answer.next().now_or_never().unwrap().is_none());
    }
}

#[test]
fn an_answer_that_ends_before_its_end_mark_was_cut_off_at_whichever_byte() {
    let stream = "id: 1\ndata: a\n\nid: 2\nevent: stop\ndata: b\n\n";
    let first_bytes = "id: 1\ndata: a\n\n".len();
    for cut in 0..stream.len() {
        let mut answer = answer(&stream[..cut]).end_after("stop");
        let (events, last_event_id) =
            if cut < first_bytes { (vec![], "") } else { (vec!["a".to_owned()], "1") };
        let (read, error) = data(&mut answer);
        assert_eq!(read, events, "cut at {cut}");
        let Some(AnswerError::CutOff { last_event_id: id }) = error else { panic!("{error:?}") };
        assert_eq!(id, last_event_id, "cut at {cut}");
    }
    assert_eq!(data(&mut answer(stream).end_after("stop")), (vec!["a".into(), "b".into()], None));
}

#[test]
fn a_source_that_ended_can_still_be_asked_where_to_resume() {
    let mut answer = answer("id: 1\nretry: 50\ndata:\n\nid: 2\n\n");
    assert_eq!(data(&mut answer), (vec![String::new()], None));
    let source = answer.source().unwrap();
    assert_eq!(source.last_event_id(), "2");
    assert_eq!(source.reconnection_time().unwrap().as_millis(), 50);
}

#[test]
fn an_event_that_reports_an_error_is_one_and_ends_the_answer() {
    let (answer, watch) =
        endless("data: a\n\nevent: error\ndata: {\"type\":\ndata: 1}\n\ndata: b\n\n");
    let mut answer = answer.error_event("error").end_at_data("[DONE]");
    let (read, error) = data(&mut answer);
    assert_eq!(read, ["a"]);
    let error = error.unwrap();
    let AnswerError::Reported { event_type, text, data } = &error else { panic!("{error:?}") };
    assert_eq!((event_type.as_str(), data.as_str()), ("error", "{\"type\":\n1}"));
    assert_eq!(text, data);
    assert_eq!(error.to_string(), "the server reported an error in the stream: {\"type\": 1}");
    assert!(watch.is_dropped());
}

#[test]
fn a_long_report_is_shown_in_part() {
    let report: &'static str = format!("event: error\ndata: {}\n\n", "é".repeat(5_000)).leak();
    let error = data(&mut answer(report).error_event("error")).1.unwrap();
    assert!(error.to_string().chars().count() < 400);
}

#[test]
fn events_of_other_types_are_passed_over_but_keep_their_meaning() {
    let stream = "event: ping\ndata: x\n\ndata: a\n\nevent: delta\ndata: b\n\n";
    let mut some = answer(stream).only("message").only("delta");
    assert_eq!(data(&mut some), (vec!["a".into(), "b".into()], None));

    let (some, watch) = endless("data: a\n\nevent: stop\ndata: b\n\n");
    assert_eq!(data(&mut some.only("message").end_after("stop")), (vec!["a".into()], None));
    assert!(watch.is_dropped());

    let (some, _watch) = endless("data: a\n\nevent: error\ndata: b\n\n");
    let (read, error) = data(&mut some.only("message").error_event("error"));
    assert_eq!(read, ["a"]);
    assert!(matches!(error, Some(AnswerError::Reported { .. })), "{error:?}");
}

#[test]
fn an_error_of_the_source_is_told_once_and_not_as_a_cut_off_answer() {
    let (source, watch) = Chunks::new([Step::Chunk(b"data: a\n\n"), Step::Pending, Step::Fail]);
    let mut answer = EventStream::new(source).answer().end_at_data("[DONE]");
    let (read, error) = data(&mut answer);
    assert_eq!(read, ["a"]);
    assert_eq!(error, Some(AnswerError::Source(ReadError::Source(Failed))));
    assert!(watch.is_dropped());
}

#[test]
fn any_stream_of_events_can_be_an_answer() {
    let event = |data: &str| Event {
        event_type: "x".parse().unwrap(),
        data: data.into(),
        last_event_id: "7".parse().unwrap(),
    };
    let message =
        |data: &str| Message::new("x".parse().unwrap(), data, "7".parse().unwrap(), "http://a");
    let events = stream::iter(["a", "end"].map(|data| Ok::<_, Failed>(event(data))));
    let updates =
        stream::iter(["a", "end"].map(|data| Ok::<_, Failed>(Update::Message(message(data)))));
    let events = items(&mut Answer::new(events).end_at_data("end"));
    let messages = items(&mut Messages::new(updates).answer().end_at_data("end"));
    assert_eq!(events, [Ok(event("a"))]);
    assert_eq!(messages, [Ok(message("a"))]);
}

/// What an answer with the end mark `[DONE]` comes to, whose source is cut off after `stream` and
/// would ask again.
async fn cut_off(method: Method, stream: &str) -> (Vec<String>, Option<AnswerError<Error>>) {
    let peer = Peer::start().await;
    let client = async {
        let source = EventSource::builder(peer.url("/")).method(method).replay(true).build();
        let mut answer = source.unwrap().messages().answer().end_at_data("[DONE]");
        let (mut read, mut error) = (Vec::new(), None);
        while let Some(item) = soon(answer.next()).await {
            match item {
                Ok(message) => read.push(message.data),
                Err(told) => error = Some(told),
            }
        }
        assert!(answer.is_terminated() && answer.source().is_none());
        (read, error)
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send(format!("retry: 1\n\n{stream}")).await;
    };
    let (outcome, ()) = tokio::join!(client, server);
    assert!(!peer.is_asked().await);
    outcome
}

#[tokio::test]
async fn an_answer_that_cannot_be_resumed_is_cut_off_and_not_asked_for_again() {
    for method in [Method::GET, Method::POST] {
        for (stream, data) in [
            ("", &[][..]),
            ("data: a\n\n", &["a"]),
            ("data: a\n\ndata: half", &["a"]),
            // The id is taken back.
            ("id: 1\ndata: a\n\nid:\ndata: b\n\n", &["a", "b"]),
        ] {
            let (read, error) = cut_off(method.clone(), stream).await;
            assert_eq!(read, data, "{method} {stream:?}");
            let Some(AnswerError::CutOff { last_event_id }) = error else { panic!("{error:?}") };
            assert_eq!(last_event_id, "");
        }
    }
}

#[tokio::test]
async fn an_answer_with_ids_is_resumed_and_goes_on_to_its_end() {
    let peer = Peer::start().await;
    let client = async {
        let source = EventSource::new(peer.url("/")).unwrap();
        let answer = source.messages().answer().only("message").end_after("stop");
        let read: Vec<_> = soon(answer.try_collect::<Vec<_>>()).await.unwrap();
        assert_eq!(read.iter().map(|message| &*message.data).collect::<Vec<_>>(), ["a", "b", "c"]);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        // The id in force is that of an event which is passed over, and lasts for one without.
        exchange.send("retry: 1\n\ndata: a\n\nevent: x\nid: 1\ndata\n\ndata: b\n\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("1"));
        exchange.open().await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("1"));
        exchange.open().await;
        exchange.send("data: c\n\nevent: stop\ndata\n\n").await;
        exchange.closed().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_feed_without_an_end_comes_over_reconnects_without_ids() {
    let peer = Peer::start().await;
    let client = async {
        let source = EventSource::new(peer.url("/")).unwrap();
        let mut feed = source.messages().answer().only("message").error_event("error");
        for data in ["a", "b"] {
            assert_eq!(soon(feed.try_next()).await.unwrap().unwrap().data, data);
        }
    };
    let server = async {
        for data in ["a", "b"] {
            let mut exchange = peer.accept().await;
            exchange.open().await;
            exchange.send(format!("retry: 1\ndata: {data}\n\n")).await;
        }
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn attempts_before_the_first_connection_stands_cut_nothing_off() {
    let peer = Peer::start().await;
    let time = Duration::from_millis(1);
    let policy =
        Policy { reconnection_time: time, reconnection_time_min: time, ..Policy::resilient() };
    let client = async {
        let source = EventSource::builder(peer.url("/"))
            .profile(Profile::Resilient)
            .reconnect(policy)
            .build()
            .unwrap();
        let answer = source.messages().answer().end_at_data("[DONE]");
        let read: Vec<_> = soon(answer.try_collect::<Vec<_>>()).await.unwrap();
        assert_eq!(read.len(), 1);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.answer(503, "", "").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: a\n\ndata: [DONE]\n\n").await;
        exchange.closed().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn an_id_that_the_next_request_cannot_carry_does_not_resume_an_answer() {
    let (read, error) = cut_off(Method::GET, "id: a\u{1}\ndata: a\n\n").await;
    assert_eq!(read, ["a"]);
    let Some(AnswerError::CutOff { last_event_id }) = error else { panic!("{error:?}") };
    assert_eq!(last_event_id, "a\u{1}");
}

/// Whether an answer from `builder` goes on after its first connection has sent `stream`.
async fn goes_on(builder: fn(Builder) -> Builder, stream: &str) -> bool {
    let peer = Peer::start().await;
    let client = async {
        let source = builder(EventSource::builder(peer.url("/"))).build().unwrap();
        let mut answer = source.messages().answer().end_at_data("[DONE]").only("wanted");
        match soon(answer.next()).await.unwrap() {
            Ok(_) => true,
            Err(AnswerError::CutOff { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send(format!("retry: 1\n\n{stream}")).await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert!(exchange.header("last-event-id").is_some());
        exchange.open().await;
        exchange.send("event: wanted\ndata\n\n").await;
        exchange.closed().await;
    };
    tokio::select! {
        biased;
        goes_on = client => goes_on,
        () = async { server.await; std::future::pending().await } => false,
    }
}

#[tokio::test]
async fn what_counts_is_the_id_in_force() {
    let plain: fn(Builder) -> Builder = |builder| builder;
    let resumed: fn(Builder) -> Builder = |builder| builder.last_event_id("1");
    let acknowledged: fn(Builder) -> Builder = |builder| builder.commit(Commit::Acknowledged);
    assert!(goes_on(plain, "id: 1\n\n").await, "a block may only move the id");
    assert!(goes_on(resumed, "").await, "it was there from the beginning");
    assert!(!goes_on(plain, "").await);
    assert!(!goes_on(resumed, "id\n\n").await);
    assert!(!goes_on(acknowledged, "id: 1\ndata\n\n").await, "it was not acknowledged");
}

#[tokio::test]
async fn the_messages_of_a_source_come_over_reconnects_until_it_fails() {
    let peer = Peer::start().await;
    let client = async {
        let mut messages = EventSource::new(peer.url("/")).unwrap().messages();
        let first = soon(messages.try_next()).await.unwrap().unwrap();
        assert_eq!((&*first.data, &*first.origin), ("a", peer.origin()));
        let second = soon(messages.try_next()).await.unwrap().unwrap();
        assert_eq!((&*second.data, second.last_event_id.as_str()), ("b", "1"));
        let error = soon(messages.try_next()).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(soon(messages.next()).await.is_none());
        assert!(messages.is_terminated());
        assert_eq!(messages.source().last_event_id(), "1");
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send(": hello\nretry: 1\nid: 1\ndata: a\n\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("1"));
        exchange.open().await;
        exchange.send("data: b\n\n").await;
        drop(exchange);
        peer.accept().await.answer(204, "", "").await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn the_end_mark_closes_a_source_for_good() {
    let peer = Peer::start().await;
    let client = async {
        let source = EventSource::new(peer.url("/")).unwrap();
        let mut answer = source.messages().answer().end_at_data("[DONE]");
        assert_eq!(soon(answer.try_next()).await.unwrap().unwrap().data, "a");
        assert!(soon(answer.try_next()).await.unwrap().is_none());
        answer
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: a\n\ndata: [DONE]\n\n").await;
        exchange.closed().await;
    };
    let (_answer, ()) = tokio::join!(client, server);
    assert!(!peer.is_asked().await);
}

#[test]
fn messages_leave_out_every_other_update() {
    let updates = [
        Update::Comment("c".into()),
        Update::Message(Message::new("x".parse().unwrap(), "a", "7".parse().unwrap(), "http://a")),
        Update::Retry(Duration::ZERO),
    ];
    let mut messages = Messages::new(stream::iter(updates.map(Ok::<_, Failed>)));
    let messages = items(&mut messages);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].as_ref().unwrap().data, "a");
}
