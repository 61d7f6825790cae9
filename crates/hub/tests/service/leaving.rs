use std::time::Duration;

use tidings_server::log::{AppendError, Batch};
use tokio::{net::TcpStream, time::Instant};

use crate::support::Hub;

#[tokio::test]
async fn subscribers_are_sent_away_each_with_its_own_retry() {
    let mut hub = Hub::with(|config| config.timeouts.retry_spread = Duration::from_secs(100)).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (_, mut stream) = hub.follow("GET /events/a").await;
        stream.opened().await;
        streams.push(stream);
    }
    hub.leave();
    let mut retries = Vec::new();
    for stream in streams {
        let text = stream.end().await;
        let last = text.lines().rev().find_map(|line| line.strip_prefix("retry: "));
        retries.push(last.unwrap().parse::<u32>().unwrap());
    }
    assert!(
        retries.iter().all(|ms| (3_000..=103_000).contains(ms)),
        "--retry and more: {retries:?}"
    );
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 4, "spread over the time: {retries:?}");
    let (address, log) = (hub.address, hub.log.clone());
    hub.gone().await;
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(log.append(Batch::new(Vec::new())).await, Err(AppendError::Closed));
}

#[tokio::test]
async fn a_publish_under_way_is_finished() {
    let mut hub = Hub::start().await;
    let mut idle = hub.connect().await;
    idle.ask("GET /healthz", "").await;
    let mut publisher = hub.connect().await;
    publisher
        .raw(b"POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(publisher.head().await.status, 100);
    hub.leave();
    assert!(idle.is_closed().await, "the hub is leaving");
    publisher.raw(b"hello").await;
    let answer = publisher.head().await;
    assert_eq!(answer.status, 200);
    assert_eq!(hub.log.state().records, 1);
    drop(publisher);
    hub.gone().await;
}

#[tokio::test]
async fn it_is_gone_within_the_drain_time_whoever_holds_on() {
    let drain = Duration::from_millis(500);
    let mut hub = Hub::with(|config| config.timeouts.drain = drain).await;
    let mut stuck = hub.connect().await;
    stuck.raw(b"POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe").await;
    let (_, mut stream) = hub.follow("GET /events/a").await;
    stream.opened().await;
    let told = Instant::now();
    hub.leave();
    hub.gone().await;
    assert!(told.elapsed() < drain * 4, "{:?}", told.elapsed());
    assert!(stuck.is_closed().await);
}
