//! How much of a stream the hub holds, and for how long.

use std::time::Duration;

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::TcpSocket,
    time::timeout,
};

use super::{Gated, Sender, chunk, data, metric, stream};
use crate::support::{Connection, Hub, soon};

#[tokio::test]
async fn what_a_log_does_not_take_the_hub_does_not_read() {
    let (hub, log) = Gated::hub(|config| config.limits.batch_events_max = 10).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 << 10).unwrap();
    let connection = Connection(BufReader::new(socket.connect(hub.address).await.unwrap()));
    let mut sender = Sender::on(connection, "/events/a").await;
    let piece = chunk(format!("data: {}\n\n", "x".repeat(1_000)).as_bytes());
    // Until the connection takes no more: that it goes on taking cannot be awaited to its end.
    let mut sent = 0;
    while let Ok(written) = timeout(
        Duration::from_millis(500),
        sender.0.0.get_mut().write(&piece[sent % piece.len()..]),
    )
    .await
    {
        sent += written.unwrap();
        assert!(sent < 64 << 20, "it has to end");
    }
    // Twice ten events, one that found no room, and a piece that was read.
    let held = metric(&hub, "tidings_publishing_bytes ", |_| true).await;
    assert!((10_000..80_000).contains(&held), "{held}");
    assert_eq!(log.gate.available_permits(), 0);
    // Once the log goes on, so does the stream.
    log.gate.add_permits(1_000_000);
    sender.0.raw(&piece[sent % piece.len()..]).await;
    let events = (sent / piece.len() + 1) as u64;
    let answer = sender.end().await;
    assert_eq!(answer.json()["events"], events, "{answer:?}");
    metric(&hub, "tidings_publishing_bytes ", |bytes| bytes == 0).await;
}

#[tokio::test]
async fn events_that_wait_for_the_log_go_together_and_in_order() {
    let (hub, log) = Gated::hub(|_| {}).await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    for tens in 0..10 {
        let events: String = (0..10).map(|n| format!("data: {}\n\n", tens * 10 + n)).collect();
        sender.send(events).await;
    }
    log.gate.add_permits(100);
    assert_eq!(sender.end().await.json()["events"], 100);
    let appends = 100 - log.gate.available_permits();
    assert!(appends <= 20, "{appends} appends for 10 pieces");
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(data(&hub.log).await, expected);
}

/// Sees the stream go on for so long without an answer, which would be its end.
async fn lives(sender: &mut Sender, time: Duration) {
    let early = timeout(time, sender.0.answer()).await;
    assert!(early.is_err(), "it ended: {early:?}");
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_ended_and_a_comment_keeps_it() {
    let hub = Hub::with(|config| config.timeouts.stream_idle = Duration::from_secs(1)).await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    sender.send("data: 1\n\n").await;
    for _ in 0..8 {
        lives(&mut sender, Duration::from_millis(250)).await;
        sender.send(":\n").await;
    }
    sender.send("data: 2\n\ndata: cut").await;
    let answer = sender.0.answer().await;
    let problem = answer.is_problem(408, "body-timeout");
    assert_eq!(problem["published"], 2);
    assert!(problem["last_id"].as_str().unwrap().ends_with("-2"));
    assert!(problem["detail"].as_str().unwrap().contains("--stream-idle-timeout"), "{problem}");
}

#[tokio::test]
async fn no_other_time_limit_cuts_a_stream_that_lives() {
    let hub = Hub::with(|config| {
        let timeouts = &mut config.timeouts;
        (timeouts.header, timeouts.body) = (Duration::from_millis(150), Duration::from_millis(150));
        timeouts.slow_write = Duration::from_millis(150);
    })
    .await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    for n in 0..4 {
        sender.send(format!("data: {n}\n\n")).await;
        // More than each of the limits.
        lives(&mut sender, Duration::from_millis(250)).await;
    }
    assert_eq!(sender.end().await.json()["events"], 4);
}

#[tokio::test]
async fn the_log_is_the_one_that_takes_its_time_not_the_sender() {
    let (hub, log) = Gated::hub(|config| {
        config.timeouts.stream_idle = Duration::from_millis(200);
        config.limits.batch_events_max = 1;
    })
    .await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    // One is with the log, one gathers, and one finds no room.
    sender.send("data: 1\n\ndata: 2\n\ndata: 3\n\n").await;
    lives(&mut sender, Duration::from_millis(600)).await;
    log.gate.add_permits(3);
    assert_eq!(sender.end().await.json()["events"], 3);
}

#[tokio::test]
async fn a_broken_rule_ends_the_stream_after_what_came_before() {
    let hub = Hub::with(|config| config.limits.data_bytes_max = 1_000).await;
    let long = "x".repeat(1_001);
    let mut events = 0;
    for (bad, status, slug, field) in [
        ("event: tidings.gap\ndata\n\n".to_owned(), 422, "invalid-field", "event"),
        ("id: #1\ndata\n\n".to_owned(), 422, "invalid-field", "id"),
        ("id: earliest\ndata\n\n".to_owned(), 422, "invalid-field", "id"),
        ("retry: 1\ndata\n\n".to_owned(), 422, "invalid-field", "retry"),
        (format!("data: {long}\n\n"), 422, "invalid-field", "data"),
        // Without an end.
        (format!("data: {long}"), 422, "invalid-field", "data"),
        (format!("id: {long}"), 422, "invalid-field", "id"),
        (format!("event: {long}"), 422, "invalid-field", "event"),
        (format!(": {long}{long}"), 422, "invalid-field", "body"),
    ] {
        let mut sender = Sender::begin(&hub, "/events/a").await;
        sender.send("data: 1\n\ndata: 2\n\n").await;
        sender.send(&bad).await;
        // The answer comes while the sender goes on.
        let answer = sender.0.answer().await;
        let problem = answer.is_problem(status, slug);
        assert_eq!(problem["field"], field, "{bad}");
        assert_eq!((&problem["published"], &problem["event"]), (&2.into(), &3.into()), "{problem}");
        events += 2;
        let id = format!("-{events}");
        assert!(problem["last_id"].as_str().unwrap().ends_with(&id), "{problem}");
    }
    let mut sender = Sender::begin(&hub, "/events/a").await;
    sender.send(b"data: 1\n\ndata: \xc3").await;
    sender.send(b"\xc3").await;
    let problem = sender.0.answer().await.is_problem(400, "malformed-request");
    assert_eq!((&problem["published"], &problem["event"]), (&1.into(), &2.into()), "{problem}");
    assert_eq!(hub.log.state().records, events + 1);
    metric(&hub, "tidings_publishing_bytes ", |bytes| bytes == 0).await;
}

#[tokio::test]
async fn who_sends_far_more_than_the_hub_reads_sees_the_answer() {
    let hub = Hub::start().await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    sender.send("data: 1\n\nid: #\ndata: 2\n\n").await;
    for _ in 0..100 {
        sender.send([b':'; 64 << 10]).await;
    }
    let problem = sender.end().await.is_problem(422, "invalid-field");
    assert_eq!(problem["published"], 1);
}

#[tokio::test]
async fn streams_share_the_memory_of_all_publishes() {
    let hub = Hub::with(|config| config.limits.publishing_bytes_max = 1 << 20).await;
    let mut first = Sender::begin(&hub, "/events/a").await;
    first.send("data: whole\n\ndata: ").await;
    first.send(vec![b'x'; 900 << 10]).await;
    metric(&hub, "tidings_publishing_bytes ", |bytes| bytes > 900 << 10).await;
    let mut second = Sender::begin(&hub, "/events/a").await;
    second.send("data: 1\n\ndata: ").await;
    second.send(vec![b'x'; 200 << 10]).await;
    let answer = second.0.answer().await;
    let problem = answer.is_problem(503, "crowded");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(problem["published"], 1);
    // Many that say nothing take what there is, and no more.
    let mut idle = Vec::new();
    let refused = soon(async {
        loop {
            let mut sender = Sender::begin(&hub, "/events/a\nExpect: 100-continue").await;
            let answer = sender.0.head().await;
            if answer.status != 100 {
                break answer;
            }
            idle.push(sender);
        }
    })
    .await;
    assert_eq!(refused.status, 503);
    first.send("\n\n").await;
    assert_eq!(first.end().await.json()["events"], 2);
    assert_eq!(stream(&hub, "/events/a", "data: again\n\n").await.status, 200);
}
