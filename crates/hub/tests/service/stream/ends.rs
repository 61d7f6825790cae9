//! How a stream ends before its end.

use std::{sync::Arc, time::Duration};

use tidings_server::log::AppendError;
use tokio::time::Instant;

use super::{Gated, Sender, data, metric, stream};
use crate::support::{Hub, soon};

#[tokio::test]
async fn of_a_sender_that_vanishes_what_was_whole_is_published() {
    let (hub, log) = Gated::hub(|_| {}).await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    sender.send("data: 1\n\n").await;
    metric(&hub, "tidings_publish_streams ", |streams| streams == 1).await;
    // The first is with the log; the others wait for it.
    sender.send("data: 2\n\ndata: 3\n\ndata: cut").await;
    drop(sender);
    log.gate.add_permits(3);
    metric(&hub, "tidings_publish_streams ", |streams| streams == 0).await;
    assert_eq!(data(&hub.log).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_hub_that_leaves_says_how_far_it_came() {
    let mut hub = Hub::start().await;
    let (_, mut follower) = hub.follow("GET /events/a").await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    sender.send("data: 1\n\ndata: 2\n\ndata: cut").await;
    follower.until("data: 2\n\n").await;
    let told = Instant::now();
    hub.leave();
    let answer = sender.0.answer().await;
    let problem = answer.is_problem(503, "leaving");
    assert_eq!(problem["published"], 2);
    assert!(problem["last_id"].as_str().unwrap().ends_with("-2"));
    assert!(answer.header("retry-after").is_some());
    // Though the sender goes on.
    sender.send(": comment\n").await;
    hub.gone().await;
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_log_in_trouble_ends_the_stream_with_what_is_certain() {
    let cause: Arc<str> = "no space".into();
    for (error, status, slug) in [
        (AppendError::Latched { cause: cause.clone() }, 503, "log-away"),
        (AppendError::Overloaded, 503, "crowded"),
        (AppendError::Unknown { cause }, 504, "outcome-unknown"),
    ] {
        let (hub, log) = Gated::hub(|_| {}).await;
        let (_, mut follower) = hub.follow("GET /events/a").await;
        let mut sender = Sender::begin(&hub, "/events/a").await;
        log.gate.add_permits(1);
        sender.send("data: 1\n\n").await;
        follower.until("data: 1\n\n").await;
        *log.error.lock() = Some(error);
        sender.send("data: 2\n\ndata: 3\n\n").await;
        log.gate.add_permits(1);
        let problem = sender.0.answer().await.is_problem(status, slug);
        assert_eq!(problem["published"], 1, "{problem}");
        assert!(problem["last_id"].as_str().unwrap().ends_with("-1"));
        if status == 504 {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.ends_with("events 2 to 3 are published is not known"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_refusal_while_the_log_is_busy_waits_for_its_account() {
    let (hub, log) = Gated::hub(|_| {}).await;
    let mut sender = Sender::begin(&hub, "/events/a").await;
    sender.send("data: 1\n\n").await;
    sender.send("data: 2\n\nid: #\ndata: 3\n\n").await;
    metric(&hub, "tidings_publish_streams ", |streams| streams == 1).await;
    log.gate.add_permits(2);
    let problem = soon(sender.0.answer()).await.is_problem(422, "invalid-field");
    assert_eq!((&problem["published"], &problem["event"]), (&2.into(), &3.into()));
    log.gate.add_permits(1);
    assert_eq!(stream(&hub, "/events/a", "data: on\n\n").await.status, 200);
}
