//! Sessions: what is said of a stream is what its connection has taken, and no more.

use rand::RngExt as _;
use tidings_server::{
    cursor::{Cursor, Offset},
    fanout::Fate,
    log::{Log as _, Retention},
    matcher::Filter,
    record::PublisherId,
    subscription::{GapReason, Phase, Start},
};

use crate::{
    Hub, event, eventually, exact,
    follower::wire::{Next, Way},
    narrow, random,
};

/// The last place that a stream told, and how many events there were.
fn told(text: &str) -> (u64, u64) {
    let (whole, _) = text.rsplit_once("\n\n").unwrap_or_default();
    let (mut place, mut events) = (0, 0);
    for block in whole.split("\n\n") {
        if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
            place = Cursor::parse(id).unwrap().offset.0;
            events += u64::from(!block.contains("event: tidings."));
        }
    }
    (place, events)
}

/// Stopped at any time, with what the kernel still has read to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_counts_what_a_slow_peer_took_to_the_byte() {
    let mut random = random();
    for tail_bytes_max in [1, 5_000, 1 << 20] {
        let way = Way { shards: 1, ..Way::default() };
        let hub = Hub::with(way, Retention::default(), tail_bytes_max);
        let mut wires = Vec::new();
        for number in 0..40 {
            let name = format!("n{number}");
            let mut wire =
                hub.connect_as(narrow(number), &name, Filter::everything(), Start::Latest);
            let opening = wire.until("}\n\n").await;
            wires.push((name, wire, opening));
        }
        let mut fast = hub.follow(way, Filter::everything()).await;
        for number in 0..200 {
            hub.publish([event("a", format!("{number} {}", "x".repeat(number % 180)))]).await;
            let at = random.random_range(0..wires.len());
            let (_, wire, text) = &mut wires[at];
            if number % 4 == 0 && number > 60 {
                let next = crate::in_time(wire.next(random.random_range(1..2_000))).await;
                let Next::Bytes(bytes) = next else { panic!("{next:?}") };
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
        fast.until("data: 199 xxxxxxxxxxxxxxxxxxx\n\n").await;
        hub.wires.engine.stop();
        hub.is_deserted().await;
        for (name, wire, text) in &mut wires {
            let (rest, ended) = wire.rest().await;
            assert_eq!(ended, Next::Broken);
            text.push_str(&rest);
            let (mut place, mut events) = told(text);
            if wire.lacks_an_end() {
                // It was not taken whole.
                (place, events) = (place - 1, events - 1);
            }
            let session = hub.session(name);
            assert_eq!(session.cursor, Some(Offset(place)), "{name}");
            assert_eq!((session.events, session.bytes), (events, wire.bytes as u64), "{name}");
            assert_eq!(session.fate(Offset(place + 1)), Fate::Missed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reaches_the_end_when_all_is_quiet() {
    let hub = Hub::new(Way::default());
    let mut wire = hub.connect_as(Way::default(), "quiet", exact("quiet"), Start::Latest);
    let mut busy = hub.connect_as(Way::default(), "busy", exact("busy"), Start::Latest);
    wire.until("}\n\n").await;
    busy.until("}\n\n").await;
    for number in 0..3_000 {
        hub.publish([event("busy", number)]).await;
    }
    busy.until("data: 2999\n\n").await;
    let end = Some(hub.log.bounds().last);
    for name in ["quiet", "busy"] {
        eventually("it is at the end", || hub.session(name).cursor == end).await;
        assert_eq!(hub.session(name).phase, Phase::Live);
        assert_eq!(hub.session(name).start, Some(Offset(0)));
    }
    assert_eq!((hub.session("busy").events, hub.session("quiet").events), (3_000, 0));
    let stats = hub.fanout.stats();
    assert_eq!(stats.events, 3_000);
    assert_eq!(stats.bytes, (wire.bytes + busy.bytes) as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_who_stalls_at_once_it_knows_the_start_and_the_gap() {
    for tail_bytes_max in [1, 64 << 20] {
        let retention = Retention { records_max: 40, ..Retention::default() };
        let way = Way { shards: 1, ..Way::default() };
        let hub = Hub::with(way, retention, tail_bytes_max);
        for number in 1..=50 {
            let mut record = event("a", format!("{number} {}", "x".repeat(50_000)));
            record.id = (number == 20).then(|| PublisherId::new("twenty").unwrap());
            hub.publish([record]).await;
        }
        // The tail has them, or they are past it.
        hub.follow(way, exact("a")).await;
        let start = |id: &str| Start::After(id.to_owned());
        let place = Cursor::new(hub.log.bounds().epoch, Offset(3)).to_string();
        let _resumed = hub.connect_as(narrow(0), "resumed", exact("a"), start("twenty"));
        let _trimmed = hub.connect_as(narrow(0), "trimmed", exact("a"), start(&place));
        eventually("each has taken a part", || {
            ["resumed", "trimmed"].iter().all(|name| hub.session(name).bytes > 0)
        })
        .await;
        assert_eq!(hub.session("resumed").start, Some(Offset(20)));
        assert_eq!(hub.session("resumed").fate(Offset(20)), Fate::BeforeStart);
        assert_eq!(hub.session("resumed").fate(Offset(22)), Fate::Waiting);
        let trimmed = hub.session("trimmed");
        assert_eq!(trimmed.start, Some(Offset(3)));
        assert_eq!(trimmed.fate(Offset(50)), Fate::Waiting);
        if tail_bytes_max == 1 {
            assert_eq!(trimmed.fate(Offset(7)), Fate::ToldAsGap(GapReason::Trimmed));
            assert_eq!(hub.fanout.stats().gaps(GapReason::Trimmed), 1);
        }
    }
}
