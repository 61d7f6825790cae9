//! Failed writes: the log latches, refuses exactly, and goes on.

use super::*;

const KEEP: usize = 40;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Fails `count` operations after `skip`, then mends the disk, reopens, and goes on. Whether
/// anything failed.
async fn fail_once(seed: u64, skip: u64, count: u64, errno: i32) -> bool {
    let options = options(Durability::Fsync, KEEP);
    let disk = SimDisk::new(seed << 32 | skip);
    let mut ledger = Ledger::default();
    let mut random = StdRng::seed_from_u64(seed);
    let log = open(&disk, &options, seed).expect("it opens");
    let mut tail = log.tail();
    ledger.append(&log, &mut random).await;
    disk.fail(skip, count, errno);
    let mut failed = false;
    for round in 0..30 {
        ledger.append(&log, &mut random).await;
        let Some(cause) = log.state().latched else { continue };
        failed = true;
        assert!(cause.contains("by itself"), "{cause}");
        assert_eq!(cause.contains("free space"), errno == ENOSPC, "{cause}");
        // Reads go on, and nothing new is seen.
        let before = everything(&log).await;
        ledger.append(&log, &mut random).await;
        assert_eq!(everything(&log).await, before);
        if round % 3 == 2 {
            // The process ends while the log is latched.
            break;
        }
        if count > 5 {
            log.reopen().await.expect_err("the disk still fails");
            assert!(log.state().latched.is_some());
        }
        disk.mend();
        log.reopen().await.expect("the disk is mended");
        assert_eq!(log.state().latched, None);
        // What was open is superseded: its offsets go to others.
        ledger.check(&log, KEEP, false).await;
    }
    drop(log);
    while let Some(item) = tail.next().await {
        let tidings_server::log::TailItem::Records(records) = item else { panic!("{item:?}") };
        for record in records {
            assert!(ledger.acknowledged.iter().any(|(o, _)| *o == record.offset.0));
        }
    }
    if skip.is_multiple_of(2) {
        disk.restart();
    } else {
        disk.end_process();
    }
    let log = open(&disk, &options, seed + 1).expect("it opens again");
    ledger.check(&log, KEEP, false).await;
    ledger.append(&log, &mut random).await;
    ledger.check(&log, KEEP, false).await;
    assert!(!disk.names().iter().any(|name| name.ends_with(".damaged")), "nothing was damaged");
    failed
}

#[test]
fn what_is_refused_never_appears_and_what_is_acknowledged_stays() {
    let runtime = runtime();
    for (errno, count) in [(EIO, 1), (ENOSPC, 2), (EIO, 3), (ENOSPC, 1_000)] {
        let mut failures = 0;
        for skip in 0..160 {
            println!("errno {errno}, {count} operations after {skip}");
            failures += u32::from(runtime.block_on(fail_once(skip % 5, skip, count, errno)));
        }
        assert!(failures > 50, "{failures} failures");
    }
}

#[test]
fn a_start_on_a_full_disk_asks_for_space_and_takes_nothing_back() {
    let runtime = runtime();
    for errno in [EIO, ENOSPC] {
        let (disk, options) = (SimDisk::new(1), options(Durability::Fsync, KEEP));
        runtime.block_on(async {
            let log = open(&disk, &options, 1).expect("it opens");
            append(&log, "one").await;
        });
        let mut failures = 0;
        for skip in 0..100 {
            disk.end_process();
            disk.fail(skip, 1, errno);
            let opened = open(&disk, &options, skip);
            disk.mend();
            match opened {
                Ok(log) => assert_eq!(log.bounds().last, Offset(1)),
                Err(error) => {
                    let text = error.to_string();
                    assert_eq!(text.contains("; free space there"), errno == ENOSPC, "{text}");
                    failures += 1;
                }
            }
        }
        assert!(failures > 5, "{failures} failures");
    }
}

#[test]
fn reopening_a_log_that_is_well_does_nothing() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let log = open(&disk, &options(Durability::Fsync, KEEP), 1).unwrap();
        append(&log, "one").await;
        let before = disk.operations();
        log.reopen().await.unwrap();
        assert_eq!(disk.operations(), before);
    });
}
