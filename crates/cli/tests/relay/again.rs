//! An upstream that uses its ids again, with equal events: every one of them is published.

use tokio::process::Child;

use crate::peer::Exchange;
use crate::program::Finished;
use crate::sides::{Sides, kill, stop, warnings};

/// Equal events with the ids from `first` to `last`.
fn ticks(first: usize, last: usize) -> String {
    (first..=last).map(|id| format!("id: {id}\ndata: tick\n\n")).collect()
}

/// Has the upstream send `ticks` one by one, so that each is a request, until `count` are published.
async fn trickle(sides: &mut Sides, exchange: &mut Exchange, first: usize, last: usize) {
    let count = sides.hub.log.len();
    for id in first..=last {
        exchange.send(ticks(id, id)).await;
        sides.hub.take_until(count + id + 1 - first).await;
    }
}

async fn is_quiet_after(sides: &mut Sides, child: Child, exchange: Exchange) {
    let Finished { code, stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(warnings(&stderr), Vec::<&str>::new());
}

#[tokio::test]
async fn ids_from_1_again_after_a_kill_are_new_events() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], &ticks(1, 2)).await;
    sides.hub.take_until(2).await;
    trickle(&mut sides, &mut exchange, 3, 22).await;
    kill(child).await;
    let (child, mut exchange) = sides.relay(&[], &ticks(1, 2)).await;
    sides.hub.take_until(24).await;
    trickle(&mut sides, &mut exchange, 3, 25).await;
    is_quiet_after(&mut sides, child, exchange).await;
    assert_eq!(sides.hub.log.len(), 22 + 25);
}

#[tokio::test]
async fn ids_from_1_again_are_new_events_however_often_both_are_killed() {
    let mut sides = Sides::new().await;
    for round in 0..5 {
        let (child, mut exchange) = sides.relay(&[], "").await;
        trickle(&mut sides, &mut exchange, 1, 4).await;
        assert_eq!(sides.hub.log.len(), 4 + round * 7);
        // Killed with a request under way, of which the upstream knows nothing any more.
        exchange.send(ticks(5, 7)).await;
        sides.kill_unanswered(child).await;
        assert_eq!(sides.hub.log.len(), (round + 1) * 7);
    }
}

#[tokio::test]
async fn an_id_under_way_at_a_kill_is_new_at_another_place() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], &ticks(1, 2)).await;
    sides.hub.take_until(2).await;
    exchange.send(ticks(3, 22)).await;
    sides.kill_unanswered(child).await;
    assert_eq!(sides.hub.log.len(), 22);
    drop(exchange);
    let (child, exchange) = sides.relay(&[], &ticks(1, 22)).await;
    sides.hub.take_until(44).await;
    is_quiet_after(&mut sides, child, exchange).await;
    assert_eq!(sides.hub.log.len(), 44);
}

#[tokio::test]
async fn what_came_while_the_relay_was_away_takes_no_place_of_what_was_under_way() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], &ticks(1, 2)).await;
    sides.hub.take_until(2).await;
    exchange.send(ticks(3, 5)).await;
    sides.kill_unanswered(child).await;
    drop(exchange);
    // The upstream does not replay: it goes on where it is.
    let (child, exchange) = sides.relay(&[], &ticks(8, 12)).await;
    sides.hub.take_until(10).await;
    is_quiet_after(&mut sides, child, exchange).await;
    assert_eq!(sides.hub.log.len(), 10);
}

#[tokio::test]
async fn a_replay_is_known_in_other_requests_and_after_several_kills() {
    let mut sides = Sides::new().await;
    // From the very first event on.
    let (child, exchange) = sides.relay(&[], &ticks(1, 8)).await;
    sides.kill_unanswered(child).await;
    drop(exchange);
    assert_eq!(sides.hub.log.len(), 8);

    // One of them is acknowledged, and three more are not.
    let (child, mut exchange) = sides.relay(&[], &ticks(1, 1)).await;
    sides.hub.take().await;
    exchange.send(ticks(2, 4)).await;
    sides.kill_unanswered(child).await;
    drop(exchange);
    assert_eq!(sides.cursor()["last_event_id"], "1");

    // The request under way reaches further than the one before.
    let (child, exchange) = sides.relay(&[], &ticks(2, 10)).await;
    sides.kill_unanswered(child).await;
    drop(exchange);
    assert_eq!(sides.hub.log.len(), 10);

    // This time the hub does not take it.
    let (child, exchange) = sides.relay(&[], &ticks(2, 12)).await;
    let request = sides.hub.request().await;
    kill(child).await;
    drop((request, exchange));

    let (child, mut exchange) = sides.relay(&[], "").await;
    for id in 2..=12 {
        exchange.send(ticks(id, id)).await;
        sides.hub.take().await;
    }
    stop(child).await;
    assert_eq!(sides.hub.log.len(), 12);
    assert_eq!(sides.cursor()["count"], 12);
}

#[tokio::test]
async fn a_backlog_that_comes_at_every_start_is_published_again() {
    let mut sides = Sides::new().await;
    for round in 1..=3 {
        let (child, exchange) = sides.relay(&[], &ticks(1, 5)).await;
        sides.hub.take_until(5 * round).await;
        stop(child).await;
        drop(exchange);
    }
    assert_eq!(sides.hub.log.len(), 15);
}

#[tokio::test]
async fn a_cursor_file_from_before_there_was_a_count_is_taken() {
    let mut sides = Sides::new().await;
    std::fs::write(sides.cursor_path(), "{\"last_event_id\":\"7\"}\n").unwrap();
    let child = sides.start(&[]);
    let mut exchange = sides.upstream.accept().await;
    assert_eq!(exchange.header("last-event-id"), Some("7"));
    exchange.open().await;
    exchange.send(format!("retry: 0\n\n{}", ticks(8, 9))).await;
    sides.kill_unanswered(child).await;
    drop(exchange);
    let (child, exchange) = sides.relay(&[], &ticks(8, 10)).await;
    sides.hub.take_until(3).await;
    is_quiet_after(&mut sides, child, exchange).await;
    assert_eq!(sides.hub.log.len(), 3);
}
