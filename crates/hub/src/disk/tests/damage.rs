//! Damage, copies, formats: what a start does with a directory that is not as it was left.

use super::*;

const KEEP: usize = usize::MAX;

/// A closed or a dropped log of 60 records in several segments; its disk and epoch.
async fn filled(closed: bool) -> (SimDisk, String, Vec<(u64, String)>) {
    let disk = SimDisk::new(1);
    let log = open(&disk, &options(Durability::Fsync, KEEP), 1).unwrap();
    for n in 0..60 {
        append(&log, &format!("{n} {}", "x".repeat(300))).await;
    }
    let records = everything(&log).await;
    if closed {
        log.close().await;
    }
    let epoch = log.bounds().epoch.to_string();
    drop(log);
    disk.end_process();
    let segments = disk.names().iter().filter(|name| name.ends_with(".log")).count();
    assert!(segments >= 4, "{segments} segments");
    (disk, epoch, records)
}

/// Opens the log, and checks that it has some of the records without a hole, a new epoch if
/// `fresh`, and goes on after them. How many it has.
async fn check(disk: &SimDisk, epoch: &str, records: &[(u64, String)], fresh: bool) -> usize {
    let log = open(disk, &options(Durability::Fsync, KEEP), 2).expect("it opens");
    assert_eq!(log.bounds().epoch.to_string() != epoch, fresh);
    let found = everything(&log).await;
    let start = found[0].0 as usize - 1;
    assert_eq!(found, records[start..start + found.len()]);
    let last = append(&log, "more").await;
    assert_eq!(last.0 as usize, start + found.len() + 1);
    log.close().await;
    let epoch = log.bounds().epoch;
    drop(log);
    // What was damaged is dealt with: neither after a close nor after a crash is it new again.
    for seed in [3, 4] {
        let log = open(disk, &options(Durability::Fsync, KEEP), seed).expect("it opens again");
        assert_eq!(log.bounds().epoch, epoch);
        assert_eq!(everything(&log).await.len(), found.len() + 1);
        drop(log);
        disk.end_process();
    }
    found.len()
}

fn damaged_files(disk: &SimDisk) -> usize {
    disk.names().iter().filter(|name| name.ends_with(".damaged")).count()
}

#[test]
fn a_bit_that_rots_anywhere_is_damage() {
    runtime().block_on(async {
        for closed in [true, false] {
            for (segment, at) in [(1, 30), (1, 60), (1, 1_000), (2, 10), (2, 3_000), (4, 100)] {
                let (disk, epoch, records) = filled(closed).await;
                disk.tamper(&format!("{segment:010}.log"), |bytes| bytes[at] ^= 4);
                let left = check(&disk, &epoch, &records, true).await;
                assert!(left < records.len(), "segment {segment}, byte {at}");
                assert!(damaged_files(&disk) > 0, "what stood after it is set aside");
            }
        }
    });
}

#[test]
fn a_closed_log_that_lost_its_end_is_damaged() {
    runtime().block_on(async {
        for lose in [true, false] {
            let (disk, epoch, records) = filled(true).await;
            let last = disk.names().into_iter().rfind(|name| name.ends_with(".log")).unwrap();
            if lose {
                disk.lose(&last);
            } else {
                disk.tamper(&last, |bytes| {
                    let cut = bytes.len() - 100;
                    bytes.truncate(cut);
                });
            }
            let left = check(&disk, &epoch, &records, true).await;
            assert!(left < 60 && left > 30, "{left} left");
        }
    });
}

#[test]
fn a_missing_segment_is_damage() {
    runtime().block_on(async {
        let (disk, epoch, records) = filled(false).await;
        disk.lose("0000000003.log");
        let left = check(&disk, &epoch, &records, true).await;
        assert!((1..59).contains(&left) && damaged_files(&disk) > 0, "{left} left");

        // Without the first one, whoever wants its records is told that they are gone.
        let (disk, epoch, _) = filled(false).await;
        disk.lose("0000000001.log");
        let log = open(&disk, &options(Durability::Fsync, KEEP), 2).unwrap();
        assert_ne!(log.bounds().epoch.to_string(), epoch);
        let first = log.bounds().first;
        assert!(first > Offset(1) && log.bounds().last == Offset(60));
        let filter = Filter::everything();
        let read = log.read(Since::default(), &filter, ReadLimits::default()).await.unwrap();
        assert_eq!(read.trimmed, first.previous());
    });
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = DiskLog::open(Options::new(path)).unwrap_err();
        assert!(matches!(error, OpenError::NotDirectory { .. }), "{error}");
        assert!(error.to_string().contains("is a file"), "{error}");
    }
}

#[test]
fn a_copy_begins_a_new_epoch_and_so_does_the_option() {
    runtime().block_on(async {
        let (disk, epoch, records) = filled(true).await;
        disk.become_copy();
        assert_eq!(check(&disk, &epoch, &records, true).await, 60);

        let (disk, epoch, _) = filled(true).await;
        let asked = Options { new_epoch: true, ..options(Durability::Fsync, KEEP) };
        let log = open(&disk, &asked, 2).unwrap();
        assert_ne!(log.bounds().epoch.to_string(), epoch);
        assert_eq!(log.bounds().last, Offset(60));
    });
}

#[test]
fn what_cannot_be_opened_is_named_and_not_touched() {
    runtime().block_on(async {
        let opened = |disk: &SimDisk| open(disk, &options(Durability::Fsync, KEEP), 2).map(drop);
        let (disk, ..) = filled(true).await;
        let log = open(&disk, &options(Durability::Fsync, KEEP), 2).unwrap();
        assert!(matches!(opened(&disk), Err(OpenError::Locked { .. })));
        log.close().await;

        let operations = disk.operations();
        let names = disk.names();
        disk.tamper("manifest", |bytes| bytes[15] ^= 1);
        let error = opened(&disk).unwrap_err();
        assert!(matches!(error, OpenError::Manifest { .. }), "{error}");
        disk.tamper("manifest", |bytes| *bytes = b"tidings log 7\n".to_vec());
        let error = opened(&disk).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::NewerFormat { found: 7, known: super::super::segment::FORMAT, .. }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("format 7"), "{error}");
        disk.lose("manifest");
        assert!(matches!(opened(&disk), Err(OpenError::Manifest { .. })));
        assert_eq!(disk.operations(), operations);
        assert_eq!(disk.names().len(), names.len() - 1);
    });
}

#[test]
fn a_lost_memory_of_trims_is_no_silence() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let keep = options(Durability::Fsync, 10);
        let log = open(&disk, &keep, 1).unwrap();
        let epoch = log.bounds().epoch;
        log.append(record("quiet", "1").into()).await.unwrap();
        for n in 0..60 {
            append(&log, &format!("{n} {}", "x".repeat(300))).await;
        }
        log.close().await;
        drop(log);
        disk.tamper("trims", |bytes| bytes[9] ^= 1);
        let log = open(&disk, &keep, 2).unwrap();
        assert_ne!(log.bounds().epoch, epoch);
        let quiet =
            Filter::new([tidings_server::matcher::Matcher::Exact(Topic::new("quiet").unwrap())]);
        let read = log.read(Since::default(), &quiet, ReadLimits::default()).await.unwrap();
        assert!(read.trimmed > Offset::ZERO, "{read:?}");
    });
}

#[test]
fn damage_to_what_was_trimmed_does_not_turn_offsets_back() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let keep = Options { segment_bytes: 1 << 20, ..options(Durability::Fsync, 10) };
        let log = open(&disk, &keep, 1).unwrap();
        for n in 0..60 {
            append(&log, &format!("{n}")).await;
        }
        log.close().await;
        let epoch = log.bounds().epoch;
        drop(log);
        // In the middle of the only segment, before the ten records that are kept.
        disk.tamper("0000000001.log", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        for seed in 2..5 {
            let log = open(&disk, &keep, seed).unwrap();
            assert_ne!(log.bounds().epoch, epoch);
            let next = log.bounds().last.next();
            assert!(next > Offset(50), "{next}");
            assert_eq!(append(&log, "more").await, next);
            let found = everything(&log).await;
            assert_eq!(found.last().map(|(offset, _)| *offset), Some(next.0));
            log.close().await;
        }
        assert_eq!(damaged_files(&disk), 1, "dealt with once");
    });
}
