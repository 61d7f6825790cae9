//! `JsonEvents`: the data of events as values.
#![cfg(feature = "json")]

mod chunks;
mod peer;

use chunks::{Chunks, Failed, Step, items};
use futures_core::stream::FusedStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use peer::{Peer, soon};
use serde::Deserialize;
use tidings_client::{
    AnswerError, Commit, EventSource, EventStream, JsonEvent, JsonEvents, Messages, ReadError,
    ResponseBytes,
};

type Read<T> = Result<JsonEvent<T>, AnswerError<ReadError<Failed>>>;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Token {
    text: String,
}

fn tokens(stream: &'static str) -> Vec<Read<Token>> {
    let mut tokens = EventStream::new(Chunks::whole(stream)).json();
    let tokens_read = items(&mut tokens);
    assert!(tokens.is_terminated());
    tokens_read
}

#[test]
fn values_come_with_their_type_and_id() {
    let tokens = tokens("event: x\nid: 1\ndata: {\"text\":\ndata: \"a\"}\n\n");
    let [Ok(token)] = &tokens[..] else { panic!("{tokens:?}") };
    assert_eq!((token.event_type.as_str(), token.last_event_id.as_str()), ("x", "1"));
    assert_eq!(token.value.text, "a");
}

#[test]
fn values_are_the_same_at_every_cut() {
    let stream =
        "\u{feff}data: {\"text\":\"ü\"}\r\n\r\ndata: {\"text\":\"🦀\"}\r\rdata: [DONE]\n\n";
    for cut in 0..=stream.len() {
        let (before, after) = stream.as_bytes().split_at(cut);
        let (source, _watch) =
            Chunks::new([Step::Chunk(before), Step::Pending, Step::Chunk(after)]);
        let mut tokens = EventStream::new(source).answer().end_at_data("[DONE]").json::<Token>();
        let texts: Vec<_> =
            items(&mut tokens).into_iter().map(|token| token.unwrap().value.text).collect();
        assert_eq!(texts, ["ü", "🦀"], "cut at {cut}");
    }
}

#[test]
fn an_event_that_is_not_as_expected_is_an_error_and_the_next_still_comes() {
    let tokens = tokens(
        "data: {\"text\":\"a\"}\n\nevent: x\nid: 2\ndata: {\"text\":\n\n\
         data: {}\n\ndata: {\"text\":\"b\"}\n\n",
    );
    assert_eq!(tokens.len(), 4);
    assert_eq!(tokens[0].as_ref().unwrap().value.text, "a");
    assert_eq!(tokens[3].as_ref().unwrap().value.text, "b");
    let Err(AnswerError::Json { event_type, last_event_id, excerpt, .. }) = &tokens[1] else {
        panic!("{tokens:?}")
    };
    assert_eq!((event_type.as_str(), last_event_id.as_str()), ("x", "2"));
    assert_eq!(excerpt, "{\"text\":");
    assert_eq!(
        tokens[2].as_ref().unwrap_err().to_string(),
        "an event of type message is not the JSON that was expected: \
         missing field `text` at line 1 column 2; its data begins {}"
    );
}

#[test]
fn an_error_shows_a_bounded_part_of_the_data() {
    let secret = "s".repeat(100_000);
    for stream in [
        format!("data: {secret}\n\n"),
        format!("data: {{\"text\":[\"{secret}\"]}}\n\n"),
        // serde_json quotes such a string.
        format!("data: \"{secret}\"\n\n"),
    ] {
        let tokens = tokens(stream.leak());
        let error = tokens[0].as_ref().unwrap_err();
        assert!(error.to_string().chars().count() < 400, "{error}");
        assert!(format!("{error:?}").chars().count() < 500, "{error:?}");
    }
}

#[test]
fn events_with_empty_data_are_passed_over() {
    let tokens = tokens("id: 1\nretry: 5\ndata:\n\ndata: {\"text\":\"a\"}\n\n");
    let [Ok(token)] = &tokens[..] else { panic!("{tokens:?}") };
    assert_eq!(token.last_event_id, "1");
}

#[test]
fn the_last_event_of_an_answer_may_be_bad_json_and_still_ends_it() {
    let (source, watch) =
        Chunks::new([Step::Chunk(b"event: stop\ndata: bye\n\n"), Step::Chunk(b"data: 1\n\n")]);
    let mut values = EventStream::new(source).answer().end_after("stop").json::<u32>();
    let read = items(&mut values);
    assert!(matches!(read[..], [Err(AnswerError::Json { .. })]), "{read:?}");
    assert!(watch.is_dropped() && values.source().is_none());
}

#[test]
fn the_end_mark_drops_the_source_at_once_and_its_lack_is_an_error() {
    let (source, watch) = Chunks::new([Step::Chunk(b"data: 1\n\ndata: [DONE]\n\ndata: 2\n\n")]);
    let mut values = EventStream::new(source).answer().end_at_data("[DONE]").json::<u32>();
    assert_eq!(values.next().now_or_never().unwrap().unwrap().unwrap().value, 1);
    assert!(!watch.is_dropped());
    assert!(values.next().now_or_never().unwrap().is_none());
    assert!(watch.is_dropped());

    let source = Chunks::whole("id: 9\ndata: 1\n\n");
    let mut values = EventStream::new(source).answer().end_at_data("[DONE]").json::<u32>();
    let read = items(&mut values);
    let [Ok(_), Err(AnswerError::CutOff { last_event_id })] = &read[..] else { panic!("{read:?}") };
    assert_eq!(last_event_id, "9");
}

#[test]
fn errors_of_the_source_and_of_the_server_are_passed_on_and_end_the_values() {
    let (source, _watch) = Chunks::new([Step::Chunk(b"data: 1\n\n"), Step::Fail]);
    let read: Vec<Read<u32>> = items(&mut EventStream::new(source).json());
    let [Ok(_), Err(AnswerError::Source(ReadError::Source(Failed)))] = &read[..] else {
        panic!("{read:?}")
    };

    let source = Chunks::whole("event: error\ndata: overloaded\n\ndata: 1\n\n");
    let mut values = EventStream::new(source).answer().error_event("error").json::<u32>();
    let read = items(&mut values);
    let [Err(AnswerError::Reported { data, .. })] = &read[..] else { panic!("{read:?}") };
    assert_eq!(data, "overloaded");
}

#[test]
fn the_usual_streams_can_go_to_a_task_and_need_no_pinning() {
    fn check<S: Send + Unpin + 'static>() {}
    check::<JsonEvents<EventStream<ResponseBytes>, Token>>();
    check::<JsonEvents<EventSource, Token>>();
    check::<Messages<EventSource>>();
}

#[test]
fn an_error_in_a_member_is_reported_with_its_text_and_ends_the_answer() {
    let part = r#"data: {"text":"a","error":null}"#;
    for (member, text) in [
        (r#"{"message":"Too busy.","type":"server_error"}"#, "Too busy."),
        (r#""Too busy.""#, "Too busy."),
        (r#"{"code":429}"#, r#"{"code":429}"#),
    ] {
        let told = format!("{{\"error\":{member}}}");
        let stream = format!("{part}\n\nevent: x\ndata: {told}\n\ndata: never\n\n").leak();
        let (source, watch) = Chunks::new([Step::Chunk(stream.as_bytes()), Step::Pending]);
        let answer = EventStream::new(source).answer().only("message").end_at_data("[DONE]");
        let mut tokens = answer.error_member("fault").error_member("error").json::<Token>();
        let read = items(&mut tokens);
        let [Ok(token), Err(error)] = &read[..] else { panic!("{read:?}") };
        assert_eq!(token.value.text, "a");
        let AnswerError::Reported { event_type, text: read, data } = error else {
            panic!("{error:?}")
        };
        assert_eq!((event_type.as_str(), &**read, &**data), ("x", text, &*told));
        let sentence = format!("the server reported an error in the stream: {text}");
        assert_eq!(error.to_string(), sentence);
        assert!(watch.is_dropped());
    }
}

#[test]
fn the_text_of_an_error_event_is_that_of_its_member() {
    let stream = "event: error\ndata: {\"error\":{\"message\":\"Too busy.\"}}\n\n";
    let answer = EventStream::new(Chunks::whole(stream)).answer();
    let read = items(&mut answer.error_event("error").error_member("error"));
    let [Err(AnswerError::Reported { text, .. })] = &read[..] else { panic!("{read:?}") };
    assert_eq!(text, "Too busy.");
}

#[tokio::test]
async fn typed_jobs_are_acknowledged_and_what_was_not_comes_again() {
    let peer = Peer::start().await;
    let builder = || EventSource::builder(peer.url("/")).commit(Commit::Acknowledged);
    let client = async {
        let source = builder().build().unwrap();
        let handle = source.handle();
        let mut jobs = source.messages().json::<u32>();
        let job = soon(jobs.try_next()).await.unwrap().unwrap();
        let source = jobs.source_mut().unwrap();
        assert_eq!(source.last_event_id(), "");
        source.acknowledge(&job);
        assert_eq!(source.last_event_id(), "1");

        // The receipt is left when the value has been taken out.
        let job = soon(jobs.try_next()).await.unwrap().unwrap();
        let receipt = job.receipt();
        assert_eq!(job.value, 2);
        let source = jobs.source_mut().unwrap();
        source.acknowledge(&receipt);
        source.acknowledge(receipt);
        assert_eq!(source.last_event_id(), "2");

        // One that cannot be read shall not come for ever.
        let error = soon(jobs.try_next()).await.unwrap_err();
        let AnswerError::Json { receipt, last_event_id, .. } = error else { panic!("{error:?}") };
        assert_eq!(last_event_id, "3");
        handle.acknowledge(receipt);
        let job = soon(jobs.try_next()).await.unwrap().unwrap();
        assert_eq!((job.value, jobs.source().unwrap().last_event_id().as_str()), (4, "3"));
        handle.acknowledge(&job);
        assert_eq!(soon(jobs.try_next()).await.unwrap().unwrap().value, 5);
        let stored = jobs.source().unwrap().resume_token().to_string();
        drop(jobs);

        let source = builder().resume(stored.parse().unwrap()).build().unwrap();
        let mut jobs = source.messages().json::<u32>();
        assert_eq!(soon(jobs.try_next()).await.unwrap().unwrap().value, 5);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        let first = "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: three\n\nid: 4\ndata: 4\n\n";
        exchange.send(format!("{first}id: 5\ndata: 5\n\n")).await;
        exchange.closed().await;
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("4"));
        exchange.open().await;
        exchange.send("id: 5\ndata: 5\n\n").await;
        exchange.closed().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn the_messages_of_an_answer_are_acknowledged_as_such() {
    let peer = Peer::start().await;
    let client = async {
        let source = EventSource::builder(peer.url("/")).commit(Commit::Acknowledged).build();
        let mut jobs = source.unwrap().messages().answer().only("job");
        let job = soon(jobs.try_next()).await.unwrap().unwrap();
        let source = jobs.source_mut().unwrap();
        source.acknowledge(&job);
        assert_eq!(source.last_event_id(), "2");
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("id: 1\ndata\n\nevent: job\nid: 2\ndata: a\n\n").await;
        exchange.closed().await;
    };
    tokio::join!(client, server);
}

#[test]
fn the_receipt_of_an_event_without_a_source_changes_nothing() {
    let mut source =
        EventSource::builder("http://a.example").commit(Commit::Acknowledged).build().unwrap();
    let tokens = tokens("id: 1\ndata: {\"text\":\"a\"}\n\n");
    source.acknowledge(tokens[0].as_ref().unwrap());
    assert_eq!(source.last_event_id(), "");
}
