//! A stream that is not what it was: the log ends, and begins a new epoch where something is lost.

use std::{path::Path, process::Command, time::Duration};

use tidings_hub::nats::{NatsLog, OpenError};
use tidings_server::log::{Log, Retention};
use tidings_testing_nats::{Proxy, Server};

use crate::logs::{
    append, append_at_last, eager, event, keyed, open, options, over, read_all, soon, stream,
    try_open, until,
};

async fn data(log: &NatsLog) -> Vec<String> {
    read_all(log).await.iter().map(|record| record.new.data.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_ends_the_log() {
    let server = Server::start().await;
    let log = open(&options(&server.url())).await;
    append(&log, event("a", "1")).await;
    let (jetstream, _) = stream(&server.url()).await;
    jetstream.delete_stream("log").await.unwrap();
    over(&log).await;
    soon(log.close()).await;
    let anew = open(&options(&server.url())).await;
    assert_ne!(anew.bounds().epoch, log.bounds().epoch);
    assert_eq!(data(&anew).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_anew_ends_the_log() {
    let server = Server::start().await;
    let log = open(&options(&server.url())).await;
    for number in 0..5 {
        append(&log, event("a", &number.to_string())).await;
    }
    let (jetstream, _) = stream(&server.url()).await;
    jetstream.delete_stream("log").await.unwrap();
    let other = open(&options(&server.url())).await;
    for number in 0..9 {
        append(&other, event("a", &format!("new {number}"))).await;
    }
    over(&log).await;
    let anew = open(&options(&server.url())).await;
    // Whoever came first has begun it, and nobody else.
    assert_eq!(anew.bounds(), other.bounds());
    assert_eq!(other.state().over, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_emptied_begins_a_new_epoch() {
    let server = Server::start().await;
    let log = open(&options(&server.url())).await;
    append(&log, event("a", "1")).await;
    let (_, its) = stream(&server.url()).await;
    its.purge().await.unwrap();
    // The log goes on, as it has folded all of that.
    append(&log, event("a", "2")).await;
    append(&log, event("a", "3")).await;
    soon(log.close()).await;
    let anew = open(&options(&server.url())).await;
    assert_ne!(anew.bounds().epoch, log.bounds().epoch);
    assert_eq!(data(&anew).await, ["2", "3"]);
    let again = open(&options(&server.url())).await;
    assert_eq!(again.bounds(), anew.bounds(), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_log_whose_stream_was_emptied_ends_when_it_looks() {
    let mut server = Server::start().await;
    let log = open(&options(&server.url())).await;
    append(&log, event("a", "1")).await;
    let (_, its) = stream(&server.url()).await;
    its.purge().await.unwrap();
    append(&log, event("a", "2")).await;
    server.stop().await;
    server.restart().await;
    over(&log).await;
    let anew = open(&options(&server.url())).await;
    assert_ne!(anew.bounds().epoch, log.bounds().epoch);
    assert_eq!(data(&anew).await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_deleted_is_a_gap_and_a_new_epoch_at_the_next_start() {
    let server = Server::start().await;
    for is_last in [false, true] {
        let log = open(&options(&server.url())).await;
        let place = append(&log, event("a", "lost")).await;
        let other = open(&options(&server.url())).await;
        let mut kept = data(&other).await;
        if !is_last {
            append(&log, event("a", "kept")).await;
            until("it is folded", async || other.bounds() == log.bounds()).await;
            kept = data(&other).await;
        }
        kept.retain(|data| data != "lost");
        soon(other.close()).await;
        let reader = open(&options(&server.url())).await;
        let (_, its) = stream(&server.url()).await;
        its.delete_message(place.0 >> 16).await.unwrap();
        assert_eq!(data(&reader).await, kept);
        assert_eq!(reader.state().over, None);
        soon(reader.close()).await;
        soon(log.close()).await;
        let anew = open(&options(&server.url())).await;
        assert_ne!(anew.bounds().epoch, log.bounds().epoch);
        assert_eq!(data(&anew).await, kept);
        let again = open(&options(&server.url())).await;
        assert_eq!(again.bounds(), anew.bounds(), "once");
        append(&again, event("a", "later")).await;
        soon(anew.close()).await;
        soon(again.close()).await;
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("there is cp");
    assert!(copied.success());
}

/// Rolls the stream back under two logs, and writes so many messages before they are back.
async fn rolled_back(further: usize) {
    let mut server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let logs = [open(&options(&proxy.url())).await, open(&options(&proxy.url())).await];
    append(&logs[0], event("a", "old")).await;
    server.stop().await;
    let aside = tempfile::tempdir().unwrap();
    copy(&server.store(), &aside.path().join("store"));
    server.restart().await;
    for number in 0..4 {
        append_at_last(&logs[number % 2], event("a", "lost")).await;
    }
    let last = append(&logs[0], event("a", "lost")).await;
    until("both have it", async || logs.iter().all(|log| log.bounds().last == last)).await;
    proxy.cut();
    server.stop().await;
    server.wipe();
    copy(&aside.path().join("store"), &server.store());
    server.restart().await;
    let between = open(&options(&server.url())).await;
    for _ in 0..further {
        append(&between, event("a", "new")).await;
    }
    proxy.heal();
    let epoch = logs[0].bounds().epoch;
    for log in &logs {
        over(log).await;
    }
    over(&between).await;
    let anew = open(&options(&server.url())).await;
    assert_ne!(anew.bounds().epoch, epoch);
    let mut expected = vec!["old".to_owned()];
    expected.extend(vec!["new".to_owned(); further]);
    assert_eq!(data(&anew).await, expected);
    // One of the two has begun it, and the other has seen that.
    let (_, its) = stream(&server.url()).await;
    let mut checkpoints = 0;
    let info = its.get_info().await.unwrap();
    for sequence in info.state.first_sequence..=info.state.last_sequence {
        let message = its.get_raw_message(sequence).await.unwrap();
        checkpoints += usize::from(message.subject.as_str() == "log.checkpoint");
    }
    assert_eq!(checkpoints, 2, "the first one, and one more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_rolled_back_begins_one_new_epoch() {
    rolled_back(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn also_if_it_has_come_as_far_again() {
    rolled_back(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_behind_what_is_deleted_ends_and_misses_nothing() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let retention = Retention { records_max: 5, ..Retention::UNLIMITED };
    let mut behind = options(&proxy.url());
    let mut ahead = eager(&server.url());
    (behind.retention, ahead.retention) = (retention, retention);
    let log = open(&behind).await;
    append(&log, keyed("a", "first", "k")).await;
    proxy.cut();
    let other = open(&ahead).await;
    for number in 0..40 {
        append(&other, event("a", &number.to_string())).await;
    }
    let (_, its) = stream(&server.url()).await;
    until("it is deleted", async || its.get_info().await.unwrap().state.first_sequence > 20).await;
    soon(other.close()).await;
    proxy.heal();
    over(&log).await;
    let anew = open(&behind).await;
    assert_eq!(anew.bounds(), other.bounds(), "the same epoch, too");
    assert_eq!(data(&anew).await, ["35", "36", "37", "38", "39"]);
    let again = soon(anew.append(keyed("a", "first", "k").into())).await.expect("it is taken");
    assert!(again.records[0].is_repeated());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_limits_are_refused_or_change_all() {
    let server = Server::start().await;
    let log = open(&options(&server.url())).await;
    append(&log, event("a", "1")).await;
    append(&log, event("a", "2")).await;
    let mut other = options(&server.url());
    other.retention.records_max = 1;
    other.key_window.age_max = Duration::from_secs(60);
    let error = try_open(&other).await.expect_err("the limits differ");
    assert!(matches!(error, OpenError::Limits { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("--history-events is 1000000 there and 1 here"), "{text}");
    assert!(text.contains("--idempotency-age is 1day there and 1m here"), "{text}");
    assert_eq!(log.state().over, None);
    other.change_limits = true;
    other.clear_after = Duration::ZERO;
    let changed = open(&other).await;
    let (_, stream) = stream(&server.url()).await;
    until("what the new limits do not keep is deleted", async || {
        stream.get_info().await.expect("an answer").state.first_sequence > 2
    })
    .await;
    assert_eq!(changed.bounds().epoch, log.bounds().epoch);
    assert_eq!(data(&changed).await, ["2"]);
    assert!(over(&log).await.contains("limits"));
    let error = try_open(&options(&server.url())).await.expect_err("they are others now");
    assert!(matches!(error, OpenError::Limits { .. }), "{error:?}");
    other.change_limits = false;
    assert_eq!(data(&open(&other).await).await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_others_is_refused() {
    let server = Server::start().await;
    let jetstream =
        async_nats::jetstream::new(async_nats::connect(server.url()).await.expect("connected"));
    let config = async_nats::jetstream::stream::Config {
        name: "log".into(),
        subjects: vec!["log.>".into()],
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        allow_direct: true,
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    jetstream.publish("log.letters", "hello".into()).await.unwrap().await.unwrap();
    let error = try_open(&options(&server.url())).await.expect_err("it is not ours");
    assert!(matches!(error, OpenError::Foreign { messages: 1, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_hubs_checkpoint_ends_the_log() {
    let server = Server::start().await;
    let log = open(&options(&server.url())).await;
    append(&log, event("a", "1")).await;
    let (jetstream, _) = stream(&server.url()).await;
    let later = b"Td\x01\x04{\"format\":99}";
    jetstream.publish("log.checkpoint", later[..].into()).await.unwrap().await.unwrap();
    assert!(over(&log).await.contains("format 99"));
    let error = try_open(&options(&server.url())).await.expect_err("it is not for this hub");
    assert!(error.to_string().contains("format 99"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_begin_at_once_begin_one_epoch() {
    let server = Server::start().await;
    let options = options(&server.url());
    for _ in 0..5 {
        let opened = (0..6).map(|_| open(&options));
        let logs = futures_util::future::join_all(opened).await;
        assert!(logs.iter().all(|log| log.bounds().epoch == logs[0].bounds().epoch));
        assert!(logs.iter().all(|log| log.state().over.is_none()));
        for log in &logs {
            soon(log.close()).await;
        }
        let (jetstream, _) = stream(&server.url()).await;
        jetstream.delete_stream("log").await.unwrap();
    }
}
