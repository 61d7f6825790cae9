//! Idempotency keys across crashes and failed writes: whoever sends again what got no answer, or a
//! refusal, has published it once in the end.

use tidings_server::{
    idempotency::Key,
    log::{AppendError, KeyWindow, Taken},
};

use super::*;
use crate::disk::segment;

const BATCHES: u32 = 12;
const EIO: i32 = 5;

fn keyed(key: &str, data: &str) -> NewRecord {
    record("a", data).once(Key::new("", key).expect("a key"))
}

/// A publisher that sends batch after batch, each until it has its places.
#[derive(Default)]
struct Publisher {
    next: u32,
    tries: u32,
    places: Vec<(u64, String)>,
    repeated: u32,
}

impl Publisher {
    /// The batch `n`, whose last event the next one has too.
    fn batch(n: u32) -> Vec<String> {
        let long = "x".repeat(n as usize % 5 * 100);
        [format!("{n} one {long}"), format!("{n} two"), format!("{} two", n.saturating_sub(1))]
            .into()
    }

    /// Goes on as long as the log answers well.
    async fn publish(&mut self, log: &DiskLog) -> Result<(), AppendError> {
        while self.next < BATCHES {
            let batch = Self::batch(self.next);
            let key = |data: &String| data[..data.len().min(8)].replace(' ', "-");
            let records = batch.iter().map(|data| keyed(&key(data), data)).collect();
            self.tries += 1;
            let appended = log.append(Batch::new(records)).await?;
            for (data, taken) in batch.into_iter().zip(&appended.records) {
                self.repeated += u32::from(taken.is_repeated());
                let place = (taken.offset().unwrap().0, data);
                match self.places.iter().find(|(_, data)| *data == place.1) {
                    Some(before) => assert_eq!(*before, place, "the first place is answered"),
                    None => self.places.push(place),
                }
            }
            self.next += 1;
        }
        Ok(())
    }

    /// Checks that everything is there once, where it was said to be.
    async fn check(mut self, log: &DiskLog) {
        self.places.sort_unstable();
        assert_eq!(everything(log).await, self.places);
        assert_eq!(self.places.len() as u32, 2 * BATCHES);
        assert!(self.repeated >= BATCHES, "the batches overlap");
    }
}

fn options() -> Options {
    super::options(Durability::Fsync, usize::MAX)
}

#[test]
fn what_is_sent_again_after_a_crash_is_published_once() {
    let runtime = runtime();
    let mut retried = 0;
    for crash_at in 1.. {
        println!("crash at operation {crash_at}");
        let disk = SimDisk::new(crash_at);
        disk.crash_at(crash_at);
        let mut publisher = Publisher::default();
        let crashed = runtime.block_on(async {
            if let Ok(log) = open(&disk, &options(), 1) {
                let _ = publisher.publish(&log).await;
            }
            let crashed = if crash_at % 2 == 0 {
                disk.restart()
            } else {
                let crashed = disk.crashed();
                disk.end_process();
                crashed
            };
            let log = open(&disk, &options(), 2).expect("it opens again");
            publisher.publish(&log).await.expect("nothing is in the way now");
            retried += publisher.tries - BATCHES;
            publisher.check(&log).await;
            crashed
        });
        if !crashed {
            break;
        }
    }
    assert!(retried > 20, "{retried} batches were sent again");
}

#[test]
fn what_is_sent_again_after_a_failed_write_is_published_once() {
    let runtime = runtime();
    let (mut unknown, mut refused) = (0, 0);
    for skip in 0..60 {
        // The withdrawal of the group fails too, or not.
        for count in [1, 2, 3] {
            println!("{count} operations fail after {skip}");
            runtime.block_on(async {
                let disk = SimDisk::new(skip);
                let log = open(&disk, &options(), 1).unwrap();
                disk.fail(skip, count, EIO);
                let mut publisher = Publisher::default();
                match publisher.publish(&log).await {
                    Ok(()) => {}
                    Err(AppendError::Unknown { .. }) => unknown += 1,
                    Err(AppendError::Latched { .. }) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
                disk.mend();
                if skip % 2 == 0 {
                    log.reopen().await.unwrap();
                    publisher.publish(&log).await.unwrap();
                    publisher.check(&log).await;
                    return;
                }
                drop(log);
                disk.end_process();
                let log = open(&disk, &options(), 2).unwrap();
                publisher.publish(&log).await.unwrap();
                publisher.check(&log).await;
            });
        }
    }
    assert!(unknown > 10 && refused > 10, "{unknown} unknown, {refused} refused");
}

#[test]
fn a_key_of_a_write_that_failed_is_free_for_another_event() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let log = open(&disk, &options(), 1).unwrap();
        append(&log, "one").await;
        disk.fail(0, 1, EIO);
        log.append(keyed("k", "refused").into()).await.unwrap_err();
        log.reopen().await.unwrap();
        let appended = log.append(keyed("k", "other").into()).await.unwrap();
        assert_eq!(appended.records[..], [Taken::Appended(Offset(2))]);
    });
}

#[test]
fn those_who_wait_for_the_same_write_are_answered_with_it() {
    runtime().block_on(async {
        for fails in [false, true] {
            let disk = SimDisk::new(1);
            let log = open(&disk, &options(), 1).unwrap();
            if fails {
                disk.fail(0, 100, EIO);
            }
            let stuck = disk.hold();
            let mut waiting: Vec<_> = ["same", "same", "other", "same"]
                .into_iter()
                .map(|data| log.append(keyed("k", data).into()))
                .collect();
            for append in &mut waiting {
                assert!(super::queue::poll_once(append).is_pending());
            }
            drop(stuck);
            let mut answers = Vec::new();
            for append in waiting {
                let answer = append.await.map(|appended| appended.records[0]);
                answers.push(answer);
            }
            let repeated = Ok(Taken::Repeated(Offset(1)));
            let reused = Err(AppendError::KeyReused { record: 0 });
            let first = Ok(Taken::Appended(Offset(1)));
            if fails {
                // The withdrawal fails too, so that a restart may find what was written first.
                let failed = |answer: &Result<_, _>| {
                    let error = answer.as_ref().err();
                    error.is_some_and(|error| !matches!(error, AppendError::KeyReused { .. }))
                };
                assert!(answers.iter().all(failed), "{answers:?}");
                assert_eq!(everything(&log).await, []);
            } else {
                assert_eq!(answers, [first, repeated.clone(), reused, repeated]);
                assert_eq!(everything(&log).await, [(1, "same".to_owned())]);
            }
        }
    });
}

#[test]
fn a_key_is_known_for_its_time_also_across_restarts() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let key_window = KeyWindow { age_max: Duration::from_secs(60), ..KeyWindow::default() };
        let options = Options { key_window, ..options() };
        let order = || keyed("k", "order").into();
        for (advance_ms, expected) in [
            (0, Taken::Appended(Offset(1))),
            (30_000, Taken::Repeated(Offset(1))),
            (30_000, Taken::Repeated(Offset(1))),
            (1, Taken::Appended(Offset(2))),
            (60_000, Taken::Repeated(Offset(2))),
            (1, Taken::Appended(Offset(3))),
        ] {
            disk.advance_ms(advance_ms);
            let log = open(&disk, &options, 1).unwrap();
            for again in [false, true] {
                let taken = log.append(order()).await.unwrap().records[0];
                assert_eq!(taken.offset().unwrap(), expected.offset().unwrap());
                assert_eq!(taken.is_repeated(), again || expected.is_repeated());
            }
            drop(log);
            disk.end_process();
        }
    });
}

#[test]
fn after_a_restart_a_key_is_known_as_long_as_its_record_is_there() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let few = super::options(Durability::Fsync, 5);
        let log = open(&disk, &few, 1).unwrap();
        log.append(keyed("old", "old").into()).await.unwrap();
        for n in 0..100 {
            append(&log, &format!("{n} {}", "x".repeat(300))).await;
        }
        let kept =
            log.append(keyed("kept", "kept").into()).await.unwrap().records[0].offset().unwrap();
        let old = log.append(keyed("old", "old").into()).await.unwrap().records[0];
        assert_eq!(old, Taken::Repeated(Offset(1)), "while the log is open it is known");
        log.close().await;
        drop(log);
        let log = open(&disk, &few, 2).unwrap();
        let taken = log.append(keyed("kept", "kept").into()).await.unwrap().records[0];
        assert_eq!(taken, Taken::Repeated(kept));
        let taken = log.append(keyed("old", "old").into()).await.unwrap().records[0];
        assert_eq!(taken, Taken::Appended(kept.next()), "its segment is long removed");
    });
}

#[test]
fn a_log_of_the_first_format_is_read_and_goes_on_with_keys() {
    runtime().block_on(async {
        for closed in [true, false] {
            let disk = SimDisk::new(1);
            let log = open(&disk, &options(), 1).unwrap();
            let epoch = log.bounds().epoch;
            for n in 0..30 {
                append(&log, &format!("{n} {}", "x".repeat(300))).await;
            }
            let before = everything(&log).await;
            if closed {
                log.close().await;
            }
            drop(log);
            disk.end_process();
            make_format_1(&disk);
            let log = open(&disk, &options(), 2).unwrap();
            assert_eq!(log.bounds().epoch, epoch);
            assert_eq!(everything(&log).await, before);
            log.append(keyed("k", "new").into()).await.unwrap();
            drop(log);
            disk.end_process();
            let log = open(&disk, &options(), 3).unwrap();
            assert_eq!(log.bounds().epoch, epoch);
            let taken = log.append(keyed("k", "new").into()).await.unwrap().records[0];
            assert_eq!(taken, Taken::Repeated(Offset(31)));
            assert!(!disk.names().iter().any(|name| name.ends_with(".damaged")));
            disk.tamper("manifest", |bytes| {
                assert!(bytes.starts_with(title(segment::FORMAT).as_bytes()), "for older versions");
            });
        }
    });
}

fn title(format: u32) -> String {
    format!("tidings log {format}\n")
}

/// Makes the directory, which has no keys, what it was before there were any.
fn make_format_1(disk: &SimDisk) {
    for name in disk.names().iter().filter(|name| name.ends_with(".log")) {
        let number = segment::Segment::number_of(name).unwrap();
        disk.tamper(name, |bytes| {
            let prepared = u32::from_le_bytes(*bytes[16..].first_chunk().unwrap());
            bytes[..segment::HEADER_BYTES].copy_from_slice(&segment::header(1, number, prepared));
        });
    }
    disk.tamper("manifest", |bytes| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        let (body, _) = text.split_once("checksum").unwrap();
        let body = body.replacen(&title(segment::FORMAT), &title(1), 1);
        let checksum = crc32fast::hash(body.as_bytes());
        *bytes = format!("{body}checksum {checksum:08x}\n").into_bytes();
    });
}
