//! A thousand readers that stopped reading cost little, delay nobody, and lose nothing.

#[path = "hub/follower.rs"]
mod follower;
mod hub;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use follower::{DEADLINE, Follower};
use hub::Hub;
use tidings_proto::decode::{Decoder, Item, Limits};

const STALLED: usize = 1_000;
const EVENTS_A_ROUND: usize = 1_500;
const EVENT_BYTES: usize = 10_000;

/// A connection that has read the head of its stream and its opening, and nothing since.
async fn stalled(hub: &Hub) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(hub.address()).await.unwrap();
    let host = hub.address();
    let request = format!("GET /events/firehose HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\"}\n\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream
}

async fn publish_round(hub: &Hub, round: usize) {
    for number in 0..EVENTS_A_ROUND {
        let data = format!("{round} {number} {}", "x".repeat(EVENT_BYTES));
        hub.publish("firehose", &data).await;
    }
    hub.publish("firehose", &format!("end of {round}")).await;
}

async fn resident_bytes(hub: &Hub) -> usize {
    let metrics = hub.text("/metrics").await;
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("tidings_process_resident_bytes "));
    line.expect("the metric").parse().unwrap()
}

/// Takes the chunked framing off, and decodes what is inside.
async fn read_all(mut stream: TcpStream, until: &str) -> Vec<String> {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = Vec::new();
    let mut rest: Vec<u8> = Vec::new();
    loop {
        while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
            let bytes = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16);
            let bytes = bytes.expect("the framing is whole");
            if rest.len() < at + 2 + bytes + 2 {
                break;
            }
            let mut chunk = &rest[at + 2..at + 2 + bytes];
            while let Some(item) = decoder.poll_item(&mut chunk).unwrap() {
                if let Item::Event(event) = item {
                    seen.push(event.data().to_owned());
                }
            }
            rest.drain(..at + 2 + bytes + 2);
            if seen.last().is_some_and(|data| data == until) {
                return seen;
            }
        }
        let mut more = [0; 64 << 10];
        let taken = timeout(DEADLINE, stream.read(&mut more)).await.expect("in time").unwrap();
        assert!(taken > 0, "the hub closed a stalled reader too early");
        rest.extend_from_slice(&more[..taken]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_readers_cost_little_and_delay_nobody() {
    // A small shared tail, so that what the readers themselves cost shows.
    let hub = Hub::start(&["--tail-bytes", "2MiB", "--slow-write-timeout", "10m"]).await;
    let mut live = Follower::new(hub.address(), "/events/firehose");
    live.read().await;
    let mut readers = Vec::new();
    for _ in 0..STALLED {
        readers.push(stalled(&hub).await);
    }
    let idle = resident_bytes(&hub).await;

    // Everybody else goes on: the live reader has each round as soon as it is published.
    publish_round(&hub, 1).await;
    live.read_until("end of 1").await;
    let after_one = resident_bytes(&hub).await;
    publish_round(&hub, 2).await;
    live.read_until("end of 2").await;
    let after_two = resident_bytes(&hub).await;
    assert_eq!(live.events.len(), 2 * (EVENTS_A_ROUND + 1));

    println!("resident: {idle} idle, {after_one} after one round, {after_two} after two");
    // Constant: another 15 MB published to 1,000 stalled readers take no more memory than the
    // allocator's unrest; had each been queued once, it would be 15 GB.
    assert!(after_two < after_one + (16 << 20), "{after_one} grew to {after_two}");
    // And little: what the first round cost is at most a page or two a reader.
    assert!(after_one < idle + STALLED * (160 << 10), "{idle} grew to {after_one}");

    // Those that wake up get all of it from the log, once and in order.
    for reader in readers.into_iter().step_by(STALLED / 5) {
        let seen = read_all(reader, "end of 2").await;
        assert_eq!(seen.len(), live.events.len());
        assert!(seen.iter().eq(live.events.iter().map(|(_, data)| data)));
    }
}
