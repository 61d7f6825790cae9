//! Heartbeats: in silence, on time, and with the cursor where it has moved.

use std::time::{Duration, Instant};

use tidings_server::{
    fanout::Subscribe,
    frame::Format,
    log::Log as _,
    subscription::{Start, SubscriptionConfig},
};

use crate::{Hub, event, exact, follower::wire::Way};

const HEARTBEAT: Duration = Duration::from_millis(150);

fn config() -> SubscriptionConfig {
    SubscriptionConfig { heartbeat: HEARTBEAT, ..SubscriptionConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_come_on_time_and_tell_the_cursor_when_it_moved() {
    let hub = Hub::new(Way::default());
    let mut wire = hub.follow_with(Way::default(), exact("quiet"), config()).await;
    let begun = Instant::now();
    assert_eq!(wire.until("\n\n").await, ":\n\n");
    // Its clock goes in steps of 25 ms.
    assert!(begun.elapsed() > HEARTBEAT - Duration::from_millis(50), "{:?}", begun.elapsed());
    hub.publish((0..10).map(|number| event("busy", number))).await;
    let cursor = hub.log.bounds().latest();
    let moved = format!("id: {cursor}\nevent: tidings.cursor\ndata: {{}}\n\n");
    // One may have been on its way.
    let text = wire.until(&moved).await;
    assert_eq!(text.replace(":\n\n", ""), moved);
    for _ in 0..2 {
        assert_eq!(wire.until("\n\n").await, ":\n\n", "nothing moved");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "they come all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_comes_between_events() {
    let hub = Hub::new(Way::default());
    let mut wire = hub.follow_with(Way::default(), exact("a"), config()).await;
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut heartbeats = 0;
    while begun.elapsed() < 3 * HEARTBEAT {
        let before = Instant::now();
        tokio::time::sleep(HEARTBEAT / 10).await;
        hub.publish([event("a", "x")]).await;
        heartbeats += wire.until("data: x\n\n").await.matches(":\n\n").count();
        slowest = slowest.max(before.elapsed());
    }
    // A machine that is busy elsewhere is no measure.
    assert!(heartbeats == 0 || slowest > HEARTBEAT / 2, "{heartbeats}, {slowest:?}");
    for _ in 0..2 {
        assert_eq!(wire.until("\n\n").await, ":\n\n", "its own event told the place");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_json_lines_one_is_an_empty_line() {
    let hub = Hub::new(Way::default());
    let config = SubscriptionConfig { format: Format::JsonLines, cursors: false, ..config() };
    let request = Subscribe { filter: exact("a"), start: Start::Latest, config };
    let mut wire = hub.wires.connect(hub.fanout.subscribe(request));
    assert_eq!(wire.until("\n").await, "\n");
    hub.publish([event("a", "x")]).await;
    let line: serde_json::Value = serde_json::from_str(&wire.until("}\n").await).unwrap();
    assert_eq!((&line["data"], &line["topics"][0]), (&"x".into(), &"a".into()));
}

/// Those who took a part of an event have their place by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_slow_is_not_told_the_place_that_its_event_has_told() {
    let hub = Hub::new(Way { shards: 1, ..Way::default() });
    let mut wires = Vec::new();
    for head_bytes in 0..5 {
        wires.push(hub.follow_with(crate::narrow(head_bytes), exact("a"), config()).await);
    }
    hub.publish([event("a", "x".repeat(30_000))]).await;
    for wire in &mut wires {
        wire.until("xxx\n\n").await;
        for _ in 0..2 {
            assert_eq!(wire.until("\n\n").await, ":\n\n", "its event told the place");
        }
    }
}
