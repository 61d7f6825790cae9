//! What the upstream's ids allow: what is published once, and what is told to come again.

use crate::program::Finished;
use crate::sides::{Sides, kill, stop, warnings};

#[tokio::test]
async fn equal_events_without_ids_are_all_published() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], "data: tick\n\ndata: tick\n\n").await;
    sides.hub.take_until(2).await;
    for count in 3..5 {
        drop(exchange);
        exchange = sides.open().await;
        exchange.send("data: tick\n\n").await;
        sides.hub.take_until(count).await;
    }
    kill(child).await;
    // Nor are they taken for those of another run.
    let (child, exchange) = sides.relay(&[], "data: tick\n\n").await;
    sides.hub.take_until(5).await;
    let Finished { stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(
        warnings(&stderr),
        ["the upstream sends events without ids. No reconnect can ask for what was missed of \
          them, and should they come again, they are published again."]
    );
}

/// A server that keeps no events without an id: what follows a reconnect is new.
#[tokio::test]
async fn equal_events_under_one_id_are_all_published() {
    let mut sides = Sides::new().await;
    let (child, mut exchange) = sides.relay(&[], "id: 1\ndata: tick\n\ndata: tick\n\n").await;
    sides.hub.take_until(2).await;
    for count in 3..5 {
        drop(exchange);
        exchange = sides.open().await;
        exchange.send("data: tick\n\n").await;
        sides.hub.take_until(count).await;
    }
    exchange.send("id: 2\ndata: tick\n\n").await;
    sides.kill_unanswered(child).await;
    assert_eq!(sides.hub.log.len(), 5);
    // For another run the event of the id is a repetition, and what follows is new.
    let (child, exchange) = sides.relay(&[], "id: 2\ndata: tick\n\ndata: tick\n\n").await;
    sides.hub.take_until(6).await;
    let Finished { code, stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(code, 0);
    assert_eq!(sides.hub.log.len(), 6);
    assert_eq!(
        warnings(&stderr),
        ["the upstream sends events without an id of their own, the first after 2. Should such \
          events come again, they are published again; with --trust-ids they are not."]
    );
}

/// A server that sends again what follows an id, and is vouched for.
#[tokio::test]
async fn what_follows_an_id_is_published_once_if_the_user_vouches_for_it() {
    let mut sides = Sides::new().await;
    let trust = ["--trust-ids"];
    let group = "id: 1\ndata: a\n\ndata: tick\n\ndata: tick\n\n";
    let (child, exchange) = sides.relay(&trust, group).await;
    sides.hub.take_until(3).await;
    drop(exchange);
    let mut exchange = sides.open().await;
    let rest = "data: tick\n\ndata: tick\n\ndata: tick\n\n";
    exchange.send(rest).await;
    sides.hub.take_until(4).await;
    stop(child).await;
    let (child, mut exchange) = sides.relay(&trust, rest).await;
    exchange.send("id: 2\ndata: b\n\n").await;
    sides.hub.take_until(5).await;
    // A server that does not look at the id it is asked for begins from the start.
    drop(exchange);
    let mut exchange = sides.open().await;
    exchange.send(group).await;
    exchange.send("data: tick\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n").await;
    sides.hub.take_until(6).await;
    let Finished { stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(sides.hub.data(), ["a", "tick", "tick", "tick", "b", "c"]);
    assert_eq!(warnings(&stderr), Vec::<&str>::new());
}

/// A server that counts from 1 again after a restart.
#[tokio::test]
async fn an_id_that_comes_again_is_told_and_its_event_is_published() {
    let mut sides = Sides::new().await;
    let ticks = "id: 1\ndata: tick\n\nid: 2\ndata: tick\n\n";
    let (child, exchange) = sides.relay(&[], ticks).await;
    sides.hub.take_until(2).await;
    drop(exchange);
    let mut exchange = sides.open().await;
    exchange.send(ticks).await;
    sides.hub.take_until(4).await;
    exchange.send("id: 3\ndata: tick\n\n").await;
    sides.hub.take_until(5).await;
    let Finished { stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(
        warnings(&stderr),
        ["the upstream has sent the id 1 again: either it repeats events, or it uses ids more \
          than once. From now on, what comes again is published again. If it never uses an id \
          twice, say --trust-ids."]
    );
    // The next run knows it, and takes nothing for what is published.
    let cursor = sides.cursor();
    assert_eq!((&cursor["last_event_id"], &cursor["ids_are_reused"]), (&"3".into(), &true.into()));
    let (child, exchange) = sides.relay(&[], "id: 1\ndata: tick\n\n").await;
    sides.hub.take_until(6).await;
    let Finished { stderr, .. } = sides.end(child, exchange).await;
    assert!(stderr.starts_with("The cursor file says that the upstream has used ids"), "{stderr}");
}

#[tokio::test]
async fn an_id_with_other_content_is_told_and_published_once_more() {
    for args in [&[][..], &["--trust-ids"]] {
        let mut sides = Sides::new().await;
        let (child, exchange) = sides.relay(args, "id: 1\ndata: a\n\nid: 2\ndata: b\n\n").await;
        sides.kill_unanswered(child).await;
        assert_eq!(sides.hub.data(), ["a", "b"]);
        drop(exchange);
        let stream = "id: 1\ndata: a\n\nid: 2\ndata: other\n\nid: 3\ndata: c\n\n";
        let (child, exchange) = sides.relay(args, stream).await;
        let is_trusted = !args.is_empty();
        // Without trust, the equal event beside it may be another one as well.
        let expected: &[&str] =
            if is_trusted { &["a", "b", "other", "c"] } else { &["a", "b", "a", "other", "c"] };
        sides.hub.take_until(expected.len()).await;
        let Finished { code, stderr, .. } = sides.end(child, exchange).await;
        assert_eq!(code, 0);
        assert_eq!(sides.hub.data(), expected);
        let [said] = warnings(&stderr)[..] else { panic!("{stderr}") };
        assert!(
            said.starts_with(
                "the event with the id 2 was published before with other content: the upstream has \
                 changed the event, or used its id again. It is published once more"
            ),
            "{said}"
        );
        assert_eq!(said.contains("from now on"), !is_trusted);
        assert_eq!(sides.cursor()["ids_are_reused"] == true, !is_trusted);
    }
}
