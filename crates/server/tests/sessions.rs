//! What a fan-out remembers of its subscribers, in a bounded place.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _};
use tidings_server::{
    cursor::Offset,
    fanout::*,
    log::{Log as _, MemoryLog, Retention},
    matcher::{Filter, Matcher},
    record::NewRecord,
    subscriber_name::SubscriberName,
    subscription::{Phase, Start, SubscriptionConfig},
    topic::Topic,
};
use tokio::time::timeout;

fn topic() -> Topic {
    Topic::new("a").unwrap()
}

fn name(text: impl ToString) -> SubscriberName {
    SubscriberName::new(text.to_string()).unwrap()
}

fn subscribe(fanout: &Fanout, text: impl ToString, start: Start) -> Subscriber {
    let caller = Caller { name: Some(name(text)), peer: None };
    let filter = Filter::new([Matcher::Exact(topic())]);
    fanout.subscribe_as(caller, Subscribe { filter, start, config: SubscriptionConfig::default() })
}

/// All that comes, once it ends in `end`.
async fn until(subscriber: &mut Subscriber, end: &[u8]) -> usize {
    let mut text = Vec::new();
    let read = async {
        while !text.ends_with(end) {
            text.extend_from_slice(&subscriber.next().await.expect("the stream goes on"));
        }
    };
    timeout(Duration::from_secs(20), read).await.expect("it comes within 20 s");
    text.len()
}

fn start() -> (Arc<MemoryLog>, Fanout) {
    let log = Arc::new(MemoryLog::new(Retention::default(), 1));
    let fanout = Fanout::start(log.clone(), FanoutConfig::default());
    (log, fanout)
}

#[tokio::test]
async fn ten_thousand_connects_of_one_name_and_of_many_leave_little() {
    let (_log, fanout) = start();
    drop(subscribe(&fanout, "quiet", Start::Latest));
    for _ in 0..10_000 {
        drop(subscribe(&fanout, "noisy", Start::Latest));
    }
    assert_eq!(fanout.sessions(None, usize::MAX).len(), 5);
    assert_eq!(fanout.sessions_of(&name("noisy")).sessions.len(), 4);
    assert_eq!(fanout.sessions_of(&name("quiet")).sessions.len(), 1);
    let open: Vec<_> = (0..3).map(|n| subscribe(&fanout, n, Start::Latest)).collect();
    for n in 0..5_000 {
        drop(subscribe(&fanout, format!("n{n}"), Start::Latest));
    }
    assert_eq!(fanout.sessions(None, usize::MAX).len(), 1_000 + open.len());
}

#[tokio::test]
async fn what_was_given_is_handed_over_once_more_is_asked_for() {
    let (log, fanout) = start();
    let mut subscriber = subscribe(&fanout, "ann", Start::Latest);
    let now = || fanout.sessions_of(&name("ann")).sessions[0].clone();
    assert_eq!((now().start, now().cursor), (Some(Offset(0)), Some(Offset(0))));
    let opening_bytes = until(&mut subscriber, b"}\n\n").await;
    log.append(NewRecord::new(topic(), "one").into()).await.unwrap();
    let event_bytes = until(&mut subscriber, b"data: one\n\n").await;
    assert_eq!(now().bytes, opening_bytes as u64, "the event was given, and is not taken yet");
    assert_eq!(now().fate(Offset(1)), Fate::Waiting);
    assert!(subscriber.next().now_or_never().is_none());
    assert_eq!((now().bytes, now().events), ((opening_bytes + event_bytes) as u64, 1));
    assert_eq!((now().fate(Offset(1)), now().phase), (Fate::Sent, Phase::Live));
    drop(subscriber);
    assert_eq!((now().fate(Offset(1)), now().phase), (Fate::Sent, Phase::Closed));
    assert_eq!(now().fate(Offset(2)), Fate::Missed);
}

#[tokio::test]
async fn what_a_connection_never_asked_for_was_not_handed_to_it() {
    let (log, fanout) = start();
    let mut subscriber = subscribe(&fanout, "ann", Start::Earliest);
    log.append(NewRecord::new(topic(), "one").into()).await.unwrap();
    until(&mut subscriber, b"data: one\n\n").await;
    drop(subscriber);
    let session = fanout.sessions_of(&name("ann")).sessions[0].clone();
    assert_eq!(session.fate(Offset(1)), Fate::Missed);
    assert_eq!(session.closed.map(|closed| closed.log_end), Some(Offset(1)));
    assert_eq!(session.resumed_after.as_deref(), Some("earliest"));
}

#[tokio::test]
async fn an_id_that_has_no_place_confirms_nothing() {
    let (log, fanout) = start();
    log.append(NewRecord::new(topic(), "one").into()).await.unwrap();
    for id in ["nobody", "#zzzz-1", "#", &"x".repeat(1_000)] {
        let mut subscriber = subscribe(&fanout, "ann", Start::from_last_event_id(id));
        let now = || fanout.sessions_of(&name("ann")).sessions[0].clone();
        assert!(now().start.is_none() && !now().resumed_past(Offset(1)), "{id}");
        until(&mut subscriber, b"data: one\n\n").await;
        assert!(subscriber.next().now_or_never().is_none());
        assert!(now().start.is_none() && !now().resumed_past(Offset(1)), "{id}");
        assert!(now().resumed_after.as_ref().is_some_and(|kept| kept.len() <= 256));
        assert_eq!(now().fate(Offset(1)), Fate::Sent, "it goes on from the oldest");
    }
}
