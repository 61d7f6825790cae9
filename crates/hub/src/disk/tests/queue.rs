//! The queue: bounded, and answered in order.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tidings_server::log::AppendError;

use super::*;

fn small(records_max: usize, bytes_max: usize) -> Options {
    Options {
        queue_records_max: records_max,
        queue_bytes_max: bytes_max,
        ..options(Durability::Fsync, usize::MAX)
    }
}

#[test]
fn what_does_not_fit_the_queue_is_overload_and_is_not_appended() {
    // By count, and by bytes: a record of these takes less than 100.
    for limits in [small(3, usize::MAX), small(usize::MAX, 300)] {
        runtime().block_on(async {
            let disk = SimDisk::new(1);
            let log = open(&disk, &limits, 1).unwrap();
            let stuck = disk.hold();
            let mut waiting = Vec::new();
            let refused = loop {
                let mut appended = log.append(record("a", &"x".repeat(40)).into());
                match poll_once(&mut appended) {
                    Poll::Pending => waiting.push(appended),
                    Poll::Ready(refused) => break refused,
                }
            };
            assert_eq!(refused, Err(AppendError::Overloaded));
            assert_eq!(waiting.len(), 3);
            drop(stuck);
            for (n, appended) in (1..).zip(waiting) {
                assert_eq!(appended.await.unwrap().last(), Some(Offset(n)));
            }
            assert_eq!(append(&log, "room again").await, Offset(4));
            // Alone, a batch larger than the queue is taken.
            let large = Batch::new((0..9).map(|n| record("a", &n.to_string())).collect());
            assert_eq!(log.append(large).await.unwrap().last(), Some(Offset(13)));
        });
    }
}

#[test]
fn a_batch_past_the_limit_is_refused_with_the_limit() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let limits = Options { batch_bytes_max: 1_000, ..small(9, usize::MAX) };
        let log = open(&disk, &limits, 1).unwrap();
        let error = log.append(record("a", &"x".repeat(1_000)).into()).await.unwrap_err();
        assert!(matches!(error, AppendError::TooLarge { bytes_max: 1_000, .. }), "{error}");
        // A batch may be larger than a segment.
        let limits = Options { batch_bytes_max: 1 << 20, ..limits };
        drop(log);
        let log = open(&disk, &limits, 2).unwrap();
        append(&log, &"x".repeat(100_000)).await;
        append(&log, "next").await;
        drop(log);
        disk.restart();
        let log = open(&disk, &limits, 3).unwrap();
        assert_eq!(everything(&log).await.len(), 2);
    });
}

#[test]
fn a_dropped_append_is_appended_all_the_same() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let log = open(&disk, &small(9, usize::MAX), 1).unwrap();
        // Once it was polled it is queued; whoever drops it then does not take it back.
        let _ = poll_once(&mut log.append(record("a", "left").into()));
        assert_eq!(append(&log, "next").await, Offset(2));
        assert_eq!(everything(&log).await[0], (1, "left".to_owned()));
    });
}

#[test]
fn options_out_of_their_limits_are_named() {
    let disk = SimDisk::new(1);
    let wrong = Options { segment_bytes: 7, ..small(9, 9) };
    let error = open(&disk, &wrong, 1).unwrap_err();
    assert!(error.to_string().contains("segment_bytes is 7"), "{error}");
}

pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
