//! A log whose servers are away, or do not answer.

use std::time::Duration;

use tidings_hub::nats::OpenError;
use tidings_server::{
    log::{AppendError, Batch, Log, ReadError, ReadLimits, Since, Taken},
    matcher::Filter,
};
use tidings_testing_nats::{Cluster, Options as ServerOptions, Proxy, Server};

use crate::logs::{
    append, append_at_last, event, keyed, open, options, read_all, soon, tailed, try_open, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_does_not_come_is_unknown_and_a_retry_with_the_key_is_safe() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let mut behind = options(&proxy.url());
    behind.append_wait = Duration::from_millis(300);
    let log = open(&behind).await;
    let other = open(&options(&server.url())).await;
    let mut tail = log.tail();
    append(&log, event("a", "before")).await;
    proxy.cut();
    let unknown = soon(log.append(keyed("a", "1", "k").into())).await;
    assert!(matches!(unknown, Err(AppendError::Unknown { .. })), "{unknown:?}");
    until("it is latched", async || log.state().latched.is_some()).await;
    let refused = soon(log.append(event("a", "2").into())).await;
    assert!(matches!(refused, Err(AppendError::Latched { .. })), "{refused:?}");
    let first = append(&other, keyed("a", "1", "k")).await;
    append(&other, event("a", "meanwhile")).await;
    proxy.heal();
    until("it recovers", async || log.state().latched.is_none()).await;
    let again = soon(log.append(keyed("a", "1", "k").into())).await.expect("it is taken");
    assert_eq!(again.records[..], [Taken::Repeated(first)]);
    let last = append(&other, event("a", "after")).await;
    let records = tailed(&mut tail, last).await;
    let data: Vec<_> = records.iter().map(|record| &*record.new.data).collect();
    assert_eq!(data, ["before", "1", "meanwhile", "after"]);
    assert_eq!(read_all(&log).await, records);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_line_was_cut_is_not_missed_though_nothing_comes_after_it() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let log = open(&options(&proxy.url())).await;
    let mut tail = log.tail();
    let other = open(&options(&server.url())).await;
    append(&other, event("a", "before")).await;
    proxy.cut();
    let last = append(&other, event("a", "meanwhile")).await;
    proxy.heal();
    let records = tailed(&mut tail, last).await;
    assert_eq!(records, read_all(&other).await);
    assert_eq!(log.state().over, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_waits_for_its_server() {
    let mut server = Server::start().await;
    let log = open(&options(&server.url())).await;
    append(&log, event("a", "1")).await;
    log.close().await;
    let log = open(&options(&server.url())).await;
    let epoch = log.bounds().epoch;
    server.kill();
    until("it is latched", async || log.state().latched.is_some()).await;
    let filter = Filter::everything();
    // What it has never read itself, it cannot give.
    let page = soon(log.read(Since::default(), &filter, ReadLimits::default())).await;
    assert!(matches!(page, Err(ReadError::Store { .. })), "{page:?}");
    let refused = soon(log.append(event("a", "lost").into())).await;
    assert!(matches!(refused, Err(AppendError::Latched { .. })), "{refused:?}");
    server.restart().await;
    let last = append_at_last(&log, event("a", "2")).await;
    let data: Vec<_> = read_all(&log).await.iter().map(|one| one.new.data.to_string()).collect();
    assert_eq!(data, ["1", "2"]);
    assert_eq!((log.bounds().epoch, log.bounds().last), (epoch, last));
    assert_eq!(log.state().over, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_past_what_the_servers_take_is_too_large() {
    let config = ServerOptions::with_config("max_payload: 65536");
    let server = Server::start_with(&config).await;
    let mut options = options(&server.url());
    options.message_bytes_max = 65_536;
    let log = open(&options).await;
    let batch = Batch::new(vec![event("a", &"x".repeat(40_000)), event("a", &"x".repeat(40_000))]);
    match soon(log.append(batch)).await {
        Err(AppendError::TooLarge { bytes, bytes_max }) => {
            assert!(bytes > 80_000 && bytes < 81_000, "{bytes}");
            assert!(bytes_max <= 65_536 && bytes_max > 65_000, "{bytes_max}");
            // Just so much fits, in one record.
            let own = bytes - 80_000;
            append(&log, event("a", &"x".repeat(bytes_max - own))).await;
        }
        other => panic!("{other:?}"),
    }
    // Many at once go together, and never in a message that is too large.
    let all = (0..2_000).map(|number| log.append(event("a", &"y".repeat(number % 5_000)).into()));
    for one in soon(futures_util::future::join_all(all)).await {
        one.expect("it is taken");
    }
    assert_eq!(log.state().records, 2_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_append_is_answered_when_the_log_is_closed() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let mut behind = options(&proxy.url());
    behind.append_wait = Duration::from_secs(1);
    let log = open(&behind).await;
    proxy.cut();
    let (unknown, ()) = soon(async {
        tokio::join!(log.append(event("a", "1").into()), async {
            tokio::task::yield_now().await;
            log.close().await;
        })
    })
    .await;
    assert!(matches!(unknown, Err(AppendError::Unknown { .. })), "{unknown:?}");
    assert_eq!(soon(log.append(event("a", "2").into())).await, Err(AppendError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_leader_takes_nothing() {
    let mut cluster = Cluster::start(3).await;
    let mut options = options(&cluster.servers[0].url());
    let stream = options.site.stream;
    options.site = cluster.urls().join(",").parse().expect("URLs");
    options.site.stream = stream;
    options.site.replicas = Some("3".parse().expect("a number"));
    options.append_wait = Duration::from_secs(1);
    let log = open(&options).await;
    append(&log, event("a", "1")).await;
    let leader = cluster.leader("log").await;
    let other = (leader + 1) % 3;
    cluster.servers[leader].kill();
    cluster.servers[other].kill();
    until("it is not taken", async || log.append(keyed("a", "2", "k").into()).await.is_err()).await;
    until("it is latched", async || log.state().latched.is_some()).await;
    cluster.servers[leader].restart().await;
    cluster.servers[other].restart().await;
    append_at_last(&log, keyed("a", "2", "k")).await;
    let data: Vec<_> = read_all(&log).await.iter().map(|one| one.new.data.to_string()).collect();
    assert_eq!(data, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_no_log_is_opened() {
    let server = Server::start_with(&ServerOptions::without_jetstream()).await;
    let error = try_open(&options(&server.url())).await.expect_err("there is no stream");
    assert!(matches!(error, OpenError::NoJetStream { .. }), "{error:?}");
}
