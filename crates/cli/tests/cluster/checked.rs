//! The checker finds each way in which a hub could break its promise.

use crate::checker::{
    Acknowledgement, Broken, Checked, Delivered, END, Event, Follows, Submission, check,
};

/// `a.0`, a batch `b.0 b.1 b.2` in two topics, `a.1`, one that nobody acknowledged, and the end.
fn submissions() -> Vec<Submission> {
    let sent: [(&[(&str, &str)], bool); 5] = [
        (&[("x", "a.0")], true),
        (&[("x", "b.0"), ("y", "b.1"), ("x", "b.2")], true),
        (&[("y", "a.1")], true),
        (&[("x", "c.0"), ("x", "c.1")], false),
        (&[(END, END)], true),
    ];
    let mut offset = 0;
    let mut clock = 0;
    let mut tick = || {
        clock += 1;
        clock
    };
    sent.iter()
        .map(|(events, is_acknowledged)| {
            let ids = events.iter().map(|_| {
                offset += 1;
                format!("#e-{offset}")
            });
            let (ids, started, at) = (ids.collect(), tick(), tick());
            let event = |&(topic, data): &(&str, &str)| Event {
                topic: topic.to_owned(),
                data: data.to_owned(),
            };
            Submission {
                events: events.iter().map(event).collect(),
                started,
                acknowledged: is_acknowledged.then_some(Acknowledgement { at, ids }),
            }
        })
        .collect()
}

fn delivered(name: &str, follows: Follows, events: &[(u64, &str)]) -> Delivered {
    let events = events.iter().map(|(offset, data)| (format!("#e-{offset}"), (*data).to_owned()));
    Delivered { subscriber: name.to_owned(), follows, events: events.collect(), gaps: Vec::new() }
}

const ALL: &[(u64, &str)] =
    &[(1, "a.0"), (2, "b.0"), (3, "b.1"), (4, "b.2"), (5, "a.1"), (6, "c.0"), (7, "c.1"), (8, END)];

/// What two subscribers of everything and one of the topic `x` get if all is well.
fn all_well() -> Vec<Delivered> {
    let of_x: Vec<_> =
        ALL.iter().copied().filter(|(_, data)| !["b.1", "a.1"].contains(data)).collect();
    vec![
        delivered("first", Follows::All, ALL),
        delivered("second", Follows::All, ALL),
        delivered("of x", Follows::Topic("x".into()), &of_x),
    ]
}

/// Harms what one subscriber got.
fn harmed(subscriber: usize, harm: impl Fn(&mut Vec<(String, String)>)) -> Vec<Delivered> {
    let mut delivered = all_well();
    harm(&mut delivered[subscriber].events);
    delivered
}

/// Harms what all got, in the same way.
fn harmed_for_all(harm: impl Fn(&mut Vec<(String, String)>)) -> Vec<Delivered> {
    let mut delivered = all_well();
    // A topic's subscriber gets another list, in which other places are harmed.
    delivered.truncate(2);
    delivered.iter_mut().for_each(|subscriber| harm(&mut subscriber.events));
    delivered
}

fn broken(delivered: &[Delivered]) -> Broken {
    check(&submissions(), delivered).expect_err("it is not in order").broken
}

/// Exchanges the data of two events, which keep the places and the ids.
fn swap_data(events: &mut [(String, String)], one: usize, other: usize) {
    let data = events[one].1.clone();
    events[one].1 = std::mem::replace(&mut events[other].1, data);
}

#[test]
fn what_is_in_order_is_counted() {
    let checked = check(&submissions(), &all_well());
    assert_eq!(checked, Ok(Checked { acknowledged: 6, unacknowledged: 2, deliveries: 22 }));
}

#[test]
fn what_nobody_acknowledged_may_be_missing_whole() {
    let missing = |events: &mut Vec<(String, String)>| {
        events.retain(|(_, data)| !data.starts_with('c'));
    };
    let delivered: Vec<_> = (0..3).map(|number| harmed(number, missing)[number].clone()).collect();
    let checked = check(&submissions(), &delivered);
    assert_eq!(checked, Ok(Checked { acknowledged: 6, unacknowledged: 0, deliveries: 16 }));
}

#[test]
fn a_lost_event_is_found() {
    for subscriber in 0..3 {
        let delivered = harmed(subscriber, |events| {
            events.remove(0);
        });
        assert_eq!(broken(&delivered), Broken::Lost);
    }
    let delivered = harmed_for_all(|events| {
        events.remove(0);
    });
    assert_eq!(broken(&delivered), Broken::Lost);
    // The last ones, too, and for one what nobody acknowledged.
    assert_eq!(broken(&harmed(2, |events| events.truncate(5))), Broken::Lost);
    let delivered = harmed(1, |events| {
        events.drain(5..7);
    });
    assert_eq!(broken(&delivered), Broken::Lost);
}

#[test]
fn a_doubled_event_is_found() {
    for subscriber in 0..3 {
        let delivered = harmed(subscriber, |events| events.insert(1, events[0].clone()));
        assert_eq!(broken(&delivered), Broken::Twice);
    }
    // One that is stored twice has two ids, for everybody; also if nobody acknowledged it.
    for data in ["a.0", "c.0"] {
        let delivered = harmed_for_all(|events| {
            let end = events.pop().unwrap();
            events.push(("#e-9".into(), data.into()));
            events.push(("#e-10".into(), end.1));
        });
        assert_eq!(broken(&delivered), Broken::Twice);
    }
}

#[test]
fn swapped_events_are_found() {
    // Of the log's order, by their ids.
    assert_eq!(broken(&harmed(0, |events| events.swap(0, 4))), Broken::IdOutOfOrder);
    assert_eq!(broken(&harmed(1, |events| events.swap(0, 4))), Broken::AnotherOrder);
    assert_eq!(broken(&harmed(2, |events| events.swap(0, 1))), Broken::AnotherOrder);
    // In the log itself, with good ids: `a.1` was sent when `a.0` had been acknowledged.
    let delivered = harmed_for_all(|events| swap_data(events, 0, 4));
    assert_eq!(broken(&delivered), Broken::SentLaterButThereBefore);
}

#[test]
fn a_torn_batch_is_found() {
    let delivered = harmed_for_all(|events| {
        events.remove(2);
    });
    assert_eq!(broken(&delivered), Broken::Torn);
    let delivered = harmed_for_all(|events| swap_data(events, 2, 4));
    assert_eq!(broken(&delivered), Broken::Torn);
    let delivered = harmed_for_all(|events| swap_data(events, 2, 3));
    assert_eq!(broken(&delivered), Broken::Torn);
    // Half of one that nobody acknowledged, also at the end.
    let delivered = harmed_for_all(|events| {
        events.remove(6);
    });
    assert_eq!(broken(&delivered), Broken::Torn);
    assert_eq!(broken(&harmed_for_all(|events| events.truncate(6))), Broken::Torn);
}

#[test]
fn other_ids_events_and_gaps_are_found() {
    let delivered = harmed_for_all(|events| events[7].0 = "#e-9".into());
    assert_eq!(broken(&delivered), Broken::AnotherId);
    assert_eq!(broken(&harmed(2, |events| events[0].0 = "#e-0".into())), Broken::AnotherId);
    assert_eq!(broken(&harmed(0, |events| events[7].0 = "#f-8".into())), Broken::IdOutOfOrder);
    for subscriber in 0..3 {
        let delivered = harmed(subscriber, |events| events[0].1 = "z".into());
        assert_eq!(broken(&delivered), Broken::NotPublished);
    }
    let mut delivered = all_well();
    delivered[1].gaps.push("{}".into());
    assert_eq!(broken(&delivered), Broken::ToldOfAGap);
}
