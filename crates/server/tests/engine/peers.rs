//! Peers: those that vanish, send what nobody asked for, or take nothing.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use tidings_server::{record::Kind, subscription::Start};
use tokio::io::AsyncWriteExt as _;

use crate::{
    Hub, event, eventually, exact,
    follower::wire::{Next, Way},
    in_time, mark, narrow, random,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_is_noticed_however_it_goes() {
    let hub = Hub::new(Way::default());
    let mut there = hub.follow(Way::default(), exact("a")).await;
    // All of these leave a reset behind, the lines that are dropped.
    let reset = hub.follow(Way::default(), exact("a")).await;
    drop(reset);
    eventually("a reset is noticed", || hub.wires.engine.lines() == 1).await;
    let mut half = hub.follow(Way::default(), exact("a")).await;
    half.socket.shutdown().await.unwrap();
    // As a server does that has no use for a request behind the last.
    assert_eq!(half.rest().await.1, Next::Broken);
    eventually("an end is noticed", || hub.wires.engine.lines() == 1).await;
    let stalled = hub.follow(narrow(0), exact("a")).await;
    hub.publish([event("a", "x".repeat(100_000))]).await;
    there.until("x\n\n").await;
    drop(stalled);
    eventually("a reset of a stalled one is noticed", || hub.wires.engine.lines() == 1).await;
    let closed = hub.follow(Way::default(), exact("a")).await;
    socket2::SockRef::from(&closed.socket).set_linger(None).unwrap();
    drop(closed);
    eventually("a close is noticed", || hub.wires.engine.lines() == 1).await;
    hub.publish([event("a", "still here")]).await;
    there.until("data: still here\n\n").await;
    assert_eq!(hub.fanout.stats().subscribers, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_sends_is_passed_over_up_to_a_bound() {
    let hub = Hub::new(Way::default());
    let mut wire = hub.follow(Way::default(), exact("a")).await;
    wire.socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    hub.publish([event("a", "x")]).await;
    wire.until("data: x\n\n").await;
    let garbage = vec![b'g'; 1 << 20];
    let flood = async { while wire.socket.write_all(&garbage).await.is_ok() {} };
    in_time(flood).await;
    assert_eq!(wire.rest().await.1, Next::Broken);
    hub.is_deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_cut_off_and_holds_up_nobody() {
    let slow_write = Duration::from_millis(400);
    let hub = Hub::new(Way { shards: 1, slow_write, ..Way::default() });
    let mut stalled = Vec::new();
    for head_bytes in 0..10 {
        stalled.push(hub.follow(narrow(head_bytes), exact("a")).await);
    }
    let mut there = hub.follow(Way::default(), exact("a")).await;
    let begun = Instant::now();
    hub.publish([event("a", "x".repeat(50_000))]).await;
    there.until("x\n\n").await;
    for number in 0..20 {
        hub.publish([event("a", number)]).await;
        there.until(&format!("data: {number}\n\n")).await;
    }
    assert!(hub.wires.engine.lines() == 11 || begun.elapsed() > slow_write / 2, "cut too early");
    eventually("the stalled are gone", || hub.wires.engine.lines() == 1).await;
    assert!(begun.elapsed() >= slow_write - Duration::from_millis(50), "{:?}", begun.elapsed());
    for mut wire in stalled {
        assert_eq!(wire.rest().await.1, Next::Broken);
    }
    hub.publish([event("a", "end")]).await;
    there.until("data: end\n\n").await;
}

/// Whose place another line had is not told by what becomes of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_come_do_not_inherit_from_those_who_go() {
    let mut random = random();
    let hub = Hub::new(Way { shards: 1, ..Way::default() });
    hub.publish((0..500).map(|number| event("a", number))).await;
    let mut going: Vec<_> = Vec::new();
    let mut staying = Vec::new();
    for number in 0..600 {
        let start = Start::After("an id that is to be looked up".to_owned());
        going.push(hub.connect_as(narrow(0), &format!("g{number}"), exact("a"), start));
        if random.random_bool(0.7) {
            let at = random.random_range(0..going.len());
            drop(going.swap_remove(at));
            let name = format!("s{number}");
            staying.push(hub.connect_as(Way::default(), &name, exact("b"), Start::Latest));
        }
    }
    drop(going);
    eventually("they are gone", || hub.wires.engine.lines() == staying.len()).await;
    hub.publish([event("b", "x"), mark(Kind::Ended, "b")]).await;
    for wire in &mut staying {
        let (text, ended) = wire.rest().await;
        assert!(text.contains("data: x\n\n") && ended == Next::End, "{ended:?} after {text:?}");
    }
    hub.is_deserted().await;
}
