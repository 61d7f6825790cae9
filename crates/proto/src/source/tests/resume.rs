//! Acknowledged consumption: the id moves when the consumer is done.

use super::*;

fn acknowledged() -> Config {
    Config { commit: Commit::Acknowledged, ..Config::strict() }
}

fn id(text: &str) -> EventId {
    text.parse().unwrap()
}

#[test]
fn what_is_not_acknowledged_is_asked_for_again() {
    let mut play = Play::open(acknowledged());
    play.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n");
    assert_eq!((play.source.messages(), play.source.last_event_id().as_str()), (3, ""));
    play.source.acknowledge(1, &id("1"));
    assert_eq!(play.source.last_event_id(), "1");
    play.error();
    assert_eq!(play.resume().as_deref(), Some("1"));
    play.respond(200);
    play.bytes("id: 2\ndata: b\n\n");
    // An acknowledgement of what came on the earlier connection counts all the same.
    play.source.acknowledge(3, &id("3"));
    play.error();
    assert_eq!(play.resume().as_deref(), Some("3"));
}

#[test]
fn an_acknowledgement_counts_while_a_new_connection_comes_about() {
    let mut play = Play::open(acknowledged());
    play.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    play.error();
    assert_eq!(play.resume(), None);
    // The request is out. What it brings starts from where it asked, and must not take this back.
    play.source.acknowledge(2, &id("2"));
    assert_eq!(play.source.last_event_id(), "2");
    play.respond(200);
    play.bytes(": hello\n\n");
    assert_eq!(play.source.last_event_id(), "2");
    play.error();
    assert_eq!(play.resume().as_deref(), Some("2"));
    // From then on the stream moves it again.
    play.respond(200);
    play.bytes("id: 3\n\n");
    assert_eq!(play.source.last_event_id(), "3");
}

#[test]
fn acknowledgements_do_not_go_back() {
    let mut play = Play::open(acknowledged());
    play.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    play.source.acknowledge(2, &id("2"));
    play.source.acknowledge(1, &id("1"));
    // Nor may they be for what has not come.
    play.source.acknowledge(3, &id("3"));
    play.source.acknowledge(0, &id(""));
    assert_eq!(play.source.last_event_id(), "2");
}

#[test]
fn an_id_without_an_event_counts_once_all_is_acknowledged() {
    let mut play = Play::open(acknowledged());
    play.bytes("id: 1\n\n");
    assert_eq!(play.source.last_event_id(), "1");
    play.bytes("id: 2\ndata: a\n\nid: 3\n\n");
    assert_eq!(play.source.last_event_id(), "1");
    play.source.acknowledge(1, &id("2"));
    assert_eq!(play.source.last_event_id(), "3");
}

#[test]
fn what_comes_again_has_the_id_that_it_had() {
    let mut play = Play::open(acknowledged());
    let first = play.bytes("id: 1\ndata: a\n\ndata: b\n\nid: 9\ndata: c\n\n");
    play.source.acknowledge(1, &id("1"));
    play.error();
    assert_eq!(play.resume().as_deref(), Some("1"));
    play.respond(200);
    assert_eq!(play.bytes("data: b\n\nid: 9\ndata: c\n\n"), first[1..]);
}

#[test]
fn without_acknowledgements_they_change_nothing() {
    let mut play = Play::open(Config::strict());
    play.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    play.source.acknowledge(1, &id("1"));
    assert_eq!(play.source.last_event_id(), "2");
}
