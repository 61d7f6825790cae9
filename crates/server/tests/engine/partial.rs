//! Peers that take a part: wherever a write ends, and whatever becomes of the events meanwhile,
//! the rest follows as if nothing had been.

use std::{sync::Arc, time::Duration};

use rand::{RngExt as _, rngs::StdRng};
use tidings_server::{
    fanout::{Subscribe, engine::Framing},
    frame::Format,
    log::Retention,
    matcher::Filter,
    record::Kind,
    subscription::{Start, SubscriptionConfig},
};

use crate::{
    Hub, event, exact,
    follower::{
        Follower, Server,
        wire::{Next, Way, Wire, Wires},
    },
    in_time, narrow, of_kind, random,
};

/// Every line has a head of another length, so that what the kernel takes of the same events ends
/// at another byte of theirs.
const LINES: usize = 120;

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

async fn all_until(wire: &mut Wire, end: &str, random: &mut StdRng) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while !bytes.ends_with(end.as_bytes()) {
            wire.step_bytes = random.random_range(1..3_000);
            match wire.next(usize::MAX).await {
                Next::Bytes(more) => bytes.extend_from_slice(&more),
                ended => panic!("{ended:?} after {} bytes", bytes.len()),
            }
        }
    };
    in_time(read).await;
    text_of(bytes)
}

async fn what_was_taken_in_part_is_the_same_in_the_end(
    framing: Framing,
    format: Format,
    tail_bytes_max: usize,
) {
    let mut random = random();
    let way = Way { shards: 1, framing, ..Way::default() };
    let hub = Hub::with(way, Retention::default(), tail_bytes_max);
    let config = SubscriptionConfig { format, ..SubscriptionConfig::default() };
    let opening = if format == Format::JsonLines { "}\n" } else { "}\n\n" };
    let mut lines = Vec::new();
    for head_bytes in 0..LINES {
        let (filter, start) = (exact("a"), Start::Latest);
        let request = Subscribe { filter, start, config };
        let way = Way { framing, ..narrow(head_bytes) };
        let mut wire = hub.wires.connect_by(way, hub.fanout.subscribe(request), ());
        wire.until(opening).await;
        lines.push((wire, Vec::new()));
    }
    // It is of their shard and joined it last: when it has something, it was written to all.
    let request = Subscribe { filter: exact("a"), start: Start::Latest, config };
    let mut fast = hub.wires.connect_by(way, hub.fanout.subscribe(request), ());
    fast.until(opening).await;
    let mut expected = String::new();
    for round in 0..3 {
        for number in 0..60 {
            let data = "x".repeat(random.random_range(0..250));
            hub.publish([event("a", format!("{round} {number} {data}\nline")), event("b", "")])
                .await;
        }
        hub.publish([event("a", format!("end of {round}"))]).await;
        let end = match format {
            Format::EventStream => format!("data: end of {round}\n\n"),
            Format::JsonLines => "\n".to_owned(),
        };
        while !expected.contains(&format!("end of {round}")) {
            expected.push_str(&fast.until(&end).await);
        }
        for (wire, text) in &mut lines {
            let bytes_max = random.random_range(1..6_000);
            let mut taken = 0;
            while taken < bytes_max && text.len() < expected.len() {
                wire.step_bytes = random.random_range(1..600);
                match in_time(wire.next(bytes_max - taken)).await {
                    Next::Bytes(bytes) => {
                        taken += bytes.len();
                        text.extend_from_slice(&bytes);
                    }
                    ended => panic!("{ended:?} after {} bytes", text.len()),
                }
            }
        }
    }
    let mut reads = tokio::task::JoinSet::new();
    let expected = Arc::new(expected);
    for (head_bytes, (mut wire, mut text)) in lines.into_iter().enumerate() {
        let expected = Arc::clone(&expected);
        let mut random: StdRng = rand::SeedableRng::seed_from_u64(random.random());
        reads.spawn(async move {
            while text.len() < expected.len() {
                wire.step_bytes = random.random_range(1..3_000);
                match in_time(wire.next(usize::MAX)).await {
                    Next::Bytes(bytes) => text.extend_from_slice(&bytes),
                    ended => panic!("{ended:?} after {} bytes", text.len()),
                }
            }
            assert!(text_of(text) == *expected, "not the same with a head of {head_bytes} bytes");
        });
    }
    reads.join_all().await;
    drop(fast);
    hub.is_deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_part_a_peer_takes_the_rest_follows_from_the_tail() {
    let (framing, format) = (Framing::Chunked, Format::EventStream);
    what_was_taken_in_part_is_the_same_in_the_end(framing, format, 64 << 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_part_a_peer_takes_the_rest_follows_from_the_log() {
    let (framing, format) = (Framing::Chunked, Format::EventStream);
    what_was_taken_in_part_is_the_same_in_the_end(framing, format, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_part_a_peer_takes_the_rest_follows_in_json_lines_until_the_close() {
    let (framing, format) = (Framing::UntilClose, Format::JsonLines);
    what_was_taken_in_part_is_the_same_in_the_end(framing, format, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_trimmed_while_it_is_half_sent_breaks_the_connection_and_is_told() {
    let retention = Retention { records_max: 5, ..Retention::default() };
    let hub = Hub::with(Way { shards: 1, ..Way::default() }, retention, 1);
    let mut server: Server = Wires::new(&hub.fanout, Way { shards: 1, ..narrow(0) }).into();
    let mut followers = Vec::new();
    for head_bytes in 0..40 {
        let Server::Wires(wires) = &mut server else { unreachable!() };
        wires.way.head_bytes = head_bytes;
        let mut follower = Follower::new(exact("a"), Start::Latest);
        follower.open(&server).await;
        followers.push(follower);
    }
    let Server::Wires(wires) = &server else { unreachable!() };
    // Last of the shard: when it has the event, all have a part of it.
    let request = Subscribe {
        filter: exact("a"),
        start: Start::Latest,
        config: SubscriptionConfig::default(),
    };
    let way = Way { narrow: false, ..wires.way };
    let mut fast = wires.connect_by(way, hub.fanout.subscribe(request), ());
    fast.until("}\n\n").await;
    hub.publish([event("a", "x".repeat(100_000))]).await;
    fast.until("xxx\n\n").await;
    for number in 2..=20 {
        hub.publish([event("a", number)]).await;
    }
    fast.until("data: 20\n\n").await;
    for (at, follower) in followers.iter_mut().enumerate() {
        in_time(follower.read_until(&server, |follower| follower.data().last() == Some(&"20")))
            .await;
        assert_eq!(follower.data(), ["16", "17", "18", "19", "20"], "the follower {at}");
        assert_eq!(follower.broken, 1, "a part of an event that is gone");
        let gaps = follower.gaps();
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0]["reason"], "trimmed");
        assert!(follower.seen[1].gap().is_some(), "something came before the notice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ephemeral_event_comes_once_or_not_at_all_to_those_who_are_slow() {
    let mut random = random();
    for tail_bytes_max in [1, 3_000, 1 << 20] {
        let way = Way { shards: 1, ..Way::default() };
        let hub = Hub::with(way, Retention::default(), tail_bytes_max);
        hub.publish([of_kind(Kind::Ephemeral, "a", "before the subscription")]).await;
        let mut first = hub.follow(way, exact("a")).await;
        hub.publish([event("a", "0 0")]).await;
        first.until("data: 0 0\n\n").await;
        let mut server: Server = Wires::new(&hub.fanout, narrow(0)).into();
        let mut followers = Vec::new();
        for head_bytes in 0..30 {
            let Server::Wires(wires) = &mut server else { unreachable!() };
            wires.way.head_bytes = head_bytes;
            wires.way.step_bytes = random.random_range(1..2_000);
            let mut follower = Follower::new(exact("a"), Start::Latest);
            follower.open(&server).await;
            followers.push(follower);
        }
        let mut kept = Vec::new();
        for number in 1..600 {
            let data = format!("{number} {}", "x".repeat(random.random_range(0..200)));
            let kind = [Kind::Event, Kind::Ephemeral][random.random_range(0..2)];
            if kind == Kind::Event {
                kept.push(number);
            }
            hub.publish([of_kind(kind, "a", data)]).await;
            if number % 20 == 0 {
                let at = random.random_range(0..followers.len());
                let bytes_max = random.random_range(1..4_000);
                followers[at].patience = Some(Duration::from_millis(1));
                followers[at].read(&server, bytes_max).await;
                followers[at].patience = None;
            }
        }
        hub.publish([event("a", "600 end")]).await;
        kept.push(600);
        let mut broken = 0;
        for follower in &mut followers {
            let is_there = |follower: &Follower| follower.data().last() == Some(&"600 end");
            in_time(follower.read_until(&server, is_there)).await;
            let numbers: Vec<u32> = (follower.data().iter())
                .map(|data| data.split(' ').next().unwrap().parse().unwrap())
                .collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
            let kept_only: Vec<_> =
                numbers.iter().copied().filter(|number| kept.contains(number)).collect();
            assert!(kept_only == kept, "{kept_only:?} is not {kept:?}");
            assert_eq!(follower.gaps().len(), 0);
            broken += follower.broken;
        }
        assert!(broken == 0 || tail_bytes_max < 1 << 20, "nothing was gone");
        println!("{broken} broke off within an ephemeral event, with a tail of {tail_bytes_max}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_arrive_whole_however_slowly_they_are_read() {
    for (way, step_bytes) in [(Way::default(), 3_000), (narrow(5), 64 << 10)] {
        let hub = Hub::with(way, Retention::default(), 1);
        let mut wire = hub.follow(way, exact("a")).await;
        wire.step_bytes = step_bytes;
        let size = if way.narrow { 60_000 } else { 1 << 20 };
        let data = ["x", "y", "z"].map(|letter| letter.repeat(size));
        for data in &data {
            hub.publish([event("a", data)]).await;
        }
        let text = all_until(&mut wire, "z\n\n", &mut random()).await;
        let found: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert!(found == data.each_ref().map(String::as_str));
    }
}

/// The tail has some of what is for it, and for the rest it is to ask the log, at once. The answer
/// comes when the peer has taken only a part of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_answers_does_not_pass_over_what_was_not_taken() {
    let hub = Hub::new(Way { shards: 1, ..Way::default() });
    let mut lines = Vec::new();
    for head_bytes in 0..10 {
        lines.push(hub.follow(narrow(head_bytes), exact("rare")).await);
    }
    let mut fast = hub.follow(hub.wires.way, Filter::everything()).await;
    hub.publish([event("rare", "x".repeat(50_000))]).await;
    hub.publish((0..100).map(|number| event("rare", format!("{number} {}", "y".repeat(200)))))
        .await;
    hub.publish((0..3_000).map(|_| event("busy", ""))).await;
    hub.publish([event("rare", "end")]).await;
    let end = "data: end\n\n";
    all_until(&mut fast, end, &mut random()).await;
    for wire in &mut lines {
        let text = all_until(wire, end, &mut random()).await;
        let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.len(), 102, "events are missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ephemeral_event_that_is_gone_while_it_is_half_sent_breaks_the_connection() {
    let way = Way { shards: 1, ..Way::default() };
    let hub = Hub::with(way, Retention::default(), 250_000);
    let server: Server = Wires::new(&hub.fanout, Way { shards: 1, ..narrow(3) }).into();
    let mut follower = Follower::new(exact("a"), Start::Latest);
    follower.open(&server).await;
    let Server::Wires(wires) = &server else { unreachable!() };
    // Last of the shard: when it has the event, the other has a part of it.
    let request = Subscribe {
        filter: exact("a"),
        start: Start::Latest,
        config: SubscriptionConfig::default(),
    };
    let mut fast = wires.connect_by(way, hub.fanout.subscribe(request), ());
    fast.until("}\n\n").await;
    hub.publish([event("a", "first")]).await;
    hub.publish([of_kind(Kind::Ephemeral, "a", "x".repeat(100_000))]).await;
    fast.until("xxx\n\n").await;
    for number in 0..5 {
        hub.publish([event("a", format!("{number}{}", "y".repeat(60_000)))]).await;
    }
    hub.publish([event("a", "last")]).await;
    fast.until("data: last\n\n").await;
    let is_there = |follower: &Follower| follower.data().last() == Some(&"last");
    in_time(follower.read_until(&server, is_there)).await;
    let begins: Vec<_> = follower.data().iter().map(|data| &data[..1]).collect();
    assert_eq!(begins, ["f", "0", "1", "2", "3", "4", "l"]);
    assert_eq!((follower.broken, follower.gaps().len()), (1, 0));
}
