//! Records that are no plain events: ephemeral ones, and the marks of a topic's end and opening.

use super::{appends::next, *};
use crate::log::{Tail, Taken};

/// Ephemeral events come by the tail, in their turn, and are nowhere else.
pub async fn an_ephemeral_event_is_in_the_tail_alone(subject: &dyn Subject) {
    let mut log = subject.open(all());
    let mut tail = log.tail();
    let batch = [record("a", 1), ephemeral("a", 2), record("b", 3), ephemeral("b", 4)];
    let appended = log.append(Batch::new(batch.to_vec())).await.unwrap();
    let [Taken::Appended(one), Taken::Passed, Taken::Appended(three), Taken::Passed] =
        appended.records[..]
    else {
        panic!("{appended:?}")
    };
    assert!(Offset::ZERO < one && one < three);
    assert_eq!((appended.first(), appended.last()), (Some(one), Some(three)));
    assert_eq!((log.bounds().first, log.bounds().last), (one, three));
    let before = log.bounds();
    let alone = log.append(ephemeral("c", 5).into()).await.unwrap();
    assert_eq!((&alone.records[..], alone.last()), (&[Taken::Passed][..], None));
    assert_eq!(log.bounds(), before);
    let yielded = take(&mut tail, 5).await;
    assert_eq!(data(&yielded), ["1", "2", "3", "4", "5"]);
    assert!(yielded.iter().is_sorted_by_key(|record| record.offset));
    for _ in 0..2 {
        let (kept, _) = read_all(&*log, Offset::ZERO, &Filter::everything()).await;
        assert_eq!((data(&kept), offsets(&kept)), (vec!["1", "3"], vec![one, three]));
        assert_eq!(log.state().records, 2);
        assert_eq!(log.topics(None, 9).iter().map(|topic| topic.records).sum::<usize>(), 2);
        log = subject.reopen(log, all()).await;
    }
    // The next event comes after the last one that is kept, as if there had been nothing.
    let six = append(&*log, record("a", 6)).await;
    assert!(six > three);
    let (kept, through) = read_all(&*log, three, &Filter::everything()).await;
    assert_eq!((offsets(&kept), through), (vec![six], six));
}

/// A topic has ended from its end to the next event, or its opening; topics have when all have.
pub async fn a_topic_ends_and_opens(subject: &dyn Subject) {
    let mut log = subject.open(all());
    let mut tail = log.tail();
    let (a, both) = (exactly(&["a"]), exactly(&["a", "b"]));
    assert_eq!(log.ended(&a), None);
    append(&*log, record("a", 1)).await;
    assert_eq!(log.ended(&a), None);
    let end = append(&*log, NewRecord::mark(Kind::Ended, topic("a"))).await;
    let yielded = take(&mut tail, 2).await;
    assert_eq!(yielded[1].new.kind, Kind::Ended, "the tail has it as other records");
    for _ in 0..2 {
        assert_eq!((log.ended(&a), log.ended(&both)), (Some(end), None));
        assert_eq!(log.ended(&Filter::new([pattern("a")])), None, "a pattern may match others");
        assert_eq!(log.ended(&Filter::everything()), None);
        assert_eq!(log.ended(&Filter::new([])), None);
        let (read, _) = read_all(&*log, Offset::ZERO, &a).await;
        assert_eq!(read.iter().map(|r| r.new.kind).collect::<Vec<_>>(), [Kind::Event, Kind::Ended]);
        let summary = log.topics(None, 9).remove(0);
        assert_eq!((summary.records, summary.last, summary.ended), (1, end, true));
        log = subject.reopen(log, all()).await;
    }
    // A topic that never was can end too; and an ephemeral event opens none.
    let end = append(&*log, NewRecord::mark(Kind::Ended, topic("b"))).await;
    log.append(ephemeral("b", "").into()).await.unwrap();
    assert_eq!(log.ended(&both), Some(end), "all have ended by the end of the last");
    append(&*log, NewRecord::mark(Kind::Opened, topic("b"))).await;
    assert_eq!((log.ended(&both), log.ended(&a).is_some()), (None, true));
    append(&*log, record("a", 2)).await;
    log = subject.reopen(log, all()).await;
    assert_eq!((log.ended(&a), log.ended(&exactly(&["b"]))), (None, None));
}

/// When the end itself is trimmed, nobody has lost an event by that, and it holds on.
pub async fn the_end_of_a_trimmed_topic_is_known_and_is_no_loss(subject: &dyn Subject) {
    let mut log = subject.open(newest(3));
    let a = exactly(&["a"]);
    let event = append(&*log, record("a", 1)).await;
    let end = append(&*log, NewRecord::mark(Kind::Ended, topic("a"))).await;
    append(&*log, Batch::new((0..3).map(|n| record("other", n)).collect())).await;
    for _ in 0..3 {
        assert_eq!(log.ended(&a), Some(end));
        assert!(log.bounds().first > end && log.topics(None, 9).len() == 1);
        for filter in [&a, &Filter::new([pattern("a")])] {
            assert!(is_trimmed(&*log, event.previous(), filter).await);
            assert!(!is_trimmed(&*log, event, filter).await, "only its end came after it");
        }
        log = subject.reopen(log, newest(3)).await;
    }
    append(&*log, record("a", 2)).await;
    log = subject.reopen(log, newest(3)).await;
    assert_eq!(log.ended(&a), None);
    assert!(
        matches!(log.append(ephemeral("a", "").into()).await, Ok(appended) if appended.last().is_none())
    );
}

async fn take(tail: &mut Tail, count: usize) -> Vec<SharedRecord> {
    let mut yielded = Vec::new();
    while yielded.len() < count {
        yielded.extend(next(tail).await);
    }
    yielded
}
