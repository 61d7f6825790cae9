//! A crash at every operation that changes the disk.

use super::*;

const KEEP: usize = 40;

/// Appends, rolls, trims, closes and opens again, until it is through or the power is off.
async fn work(disk: &SimDisk, options: &Options, ledger: &mut Ledger, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for opening in 0..3 {
        let Ok(log) = open(disk, options, seed * 10 + opening) else {
            assert!(disk.crashed(), "only a crash is in the way");
            return;
        };
        if opening > 0 {
            ledger.check(&log, KEEP, false).await;
        }
        for _ in 0..20 {
            ledger.append(&log, &mut random).await;
            if disk.crashed() {
                return;
            }
        }
        log.close().await;
        if disk.crashed() {
            return;
        }
    }
}

fn crash_everywhere(durability: Durability, seeds: std::ops::Range<u64>) {
    let runtime = runtime();
    let options = options(durability, KEEP);
    for seed in seeds {
        for crash_at in 1.. {
            // Printed if the test fails: the same seed and operation fail again.
            println!("{durability:?}, seed {seed}, crash at operation {crash_at}");
            let disk = SimDisk::new(seed << 32 | crash_at);
            let mut ledger = Ledger::default();
            disk.crash_at(crash_at);
            runtime.block_on(work(&disk, &options, &mut ledger, seed));
            if !disk.restart() {
                assert!(crash_at > 100, "the work has many operations");
                break;
            }
            runtime.block_on(after_crash(&disk, &options, &mut ledger, durability, seed));
        }
    }
}

async fn after_crash(
    disk: &SimDisk,
    options: &Options,
    ledger: &mut Ledger,
    durability: Durability,
    seed: u64,
) {
    let epochs: Vec<_> = ledger.seen.keys().map(|(epoch, _)| epoch.clone()).collect();
    let log = open(disk, options, seed * 10 + 7).expect("a crash leaves a log that opens");
    let epoch = log.bounds().epoch.to_string();
    // Between a clean close and the next opening there is nothing to lose.
    let goes_on = epochs.contains(&epoch);
    if durability == Durability::Fsync {
        assert!(goes_on || epochs.is_empty(), "what was acknowledged is there: the epoch goes on");
    }
    ledger.check(&log, KEEP, durability == Durability::Os && !goes_on).await;
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..12 {
        ledger.append(&log, &mut random).await;
    }
    ledger.check(&log, KEEP, false).await;
    drop(log);
    // Once more without a crash: what was mended stays mended.
    disk.end_process();
    let log = open(disk, options, seed * 10 + 8).expect("it opens again");
    // Without syncs the loss of power may well leave holes.
    let damaged = disk.names().iter().any(|name| name.ends_with(".damaged"));
    assert!(durability == Durability::Os || !damaged, "nothing was damaged");
    ledger.check(&log, KEEP, false).await;
}

#[test]
fn a_crash_takes_nothing_back_that_was_synced() {
    crash_everywhere(Durability::Fsync, 0..3);
}

#[test]
fn a_crash_without_syncs_begins_a_new_epoch() {
    crash_everywhere(Durability::Os, 0..2);
}

#[test]
fn the_end_of_the_process_alone_loses_nothing() {
    let runtime = runtime();
    for (durability, same_epoch) in [(Durability::Fsync, true), (Durability::Os, false)] {
        let disk = SimDisk::new(1);
        let options = options(durability, KEEP);
        let mut ledger = Ledger::default();
        let mut random = StdRng::seed_from_u64(1);
        runtime.block_on(async {
            let log = open(&disk, &options, 1).unwrap();
            let epoch = log.bounds().epoch;
            for _ in 0..20 {
                ledger.append(&log, &mut random).await;
            }
            drop(log);
            disk.end_process();
            let log = open(&disk, &options, 2).unwrap();
            assert_eq!(log.bounds().epoch == epoch, same_epoch);
            ledger.check(&log, KEEP, false).await;
        });
    }
}

#[test]
fn a_process_that_ends_while_it_removes_many_segments_leaves_no_hole() {
    let runtime = runtime();
    let options = options(Durability::Fsync, usize::MAX);
    for crash_at in 1.. {
        println!("the process ends at operation {crash_at}");
        let disk = SimDisk::new(crash_at);
        let crashed = runtime.block_on(async {
            let log = open(&disk, &options, 1).expect("it opens");
            let epoch = log.bounds().epoch;
            for n in 0..60 {
                append(&log, &format!("{n} {}", "x".repeat(300))).await;
            }
            // All of that is too old at once: the next commit trims it, and removes its segments.
            disk.advance_ms(3_700_000);
            disk.crash_at(crash_at);
            let kept = log.append(record("a", "kept").into()).await.is_ok();
            drop(log);
            let crashed = disk.crashed();
            disk.end_process();
            let log = open(&disk, &options, 2).expect("it opens again");
            assert_eq!(log.bounds().epoch, epoch);
            let found = everything(&log).await;
            assert!(!kept || found == [(61, "kept".to_owned())], "{found:?}");
            assert!(!disk.names().iter().any(|name| name.ends_with(".damaged")));
            crashed
        });
        if !crashed {
            assert!(crash_at > 10, "many segments were removed");
            break;
        }
    }
}
