//! Reads: what they cost, and what they do with bytes that have rotted.

use super::*;
use tidings_server::matcher::Matcher;

fn only(topic: &str) -> Filter {
    Filter::new([Matcher::Exact(Topic::new(topic).unwrap())])
}

const ALL: ReadLimits = ReadLimits { records_max: usize::MAX, bytes_max: usize::MAX };

#[test]
fn the_history_of_a_topic_costs_its_own_records() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let keep = Options { segment_bytes: 1 << 20, ..options(Durability::Fsync, usize::MAX) };
        let log = open(&disk, &keep, 1).unwrap();
        for n in 0..50 {
            let mut batch = vec![record("rare", &n.to_string())];
            batch.extend((0..100).map(|_| record("noisy", &"x".repeat(300))));
            log.append(Batch::new(batch)).await.unwrap();
        }
        let before = disk.reads();
        let page = log.read(Since::default(), &only("rare"), ALL).await.unwrap();
        let after = disk.reads();
        assert_eq!(page.records.len(), 50);
        let (bytes, calls) = (after.0 - before.0, after.1 - before.1);
        assert!(bytes <= 50 * 64 && calls <= 50, "{bytes} bytes in {calls} reads");

        // What lies together is read together.
        let page = log.read(Since::default(), &only("noisy"), ALL).await.unwrap();
        let calls = disk.reads().1 - after.1;
        assert!(page.records.len() == 5_000 && calls <= 3, "{calls} reads");
    });
}

#[test]
fn a_rotten_record_is_an_error_and_its_neighbours_are_not() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let log = open(&disk, &options(Durability::Fsync, usize::MAX), 1).unwrap();
        for topic in ["a", "b", "c"] {
            log.append(record(topic, &"x".repeat(100)).into()).await.unwrap();
        }
        disk.tamper("0000000001.log", |bytes| {
            let b = bytes.windows(3).position(|at| at == [1, 0, b'b']).unwrap();
            bytes[b + 50] ^= 1;
        });
        for (topic, well) in [("a", true), ("b", false), ("c", true)] {
            let read = log.read(Since::default(), &only(topic), ALL).await;
            assert_eq!(read.is_ok(), well, "{read:?}");
        }
        let error = log.read(Since::default(), &only("b"), ALL).await.unwrap_err();
        assert!(error.to_string().contains("event 2 in 0000000001.log"), "{error}");
    });
}

#[test]
fn a_segment_that_is_removed_stays_readable_to_who_has_it() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let log = open(&disk, &options(Durability::Fsync, 10), 1).unwrap();
        for n in 0..10 {
            append(&log, &format!("{n} {}", "x".repeat(300))).await;
        }
        let spans = {
            let state = log.shared.state.read();
            let hits = (1..=10).map(|n| state.index.find(Offset(n)).unwrap());
            super::super::spans(&state, &hits.collect::<Vec<_>>())
        };
        for n in 10..60 {
            append(&log, &format!("{n} {}", "x".repeat(300))).await;
        }
        assert!(!disk.names().contains(&"0000000001.log".to_owned()));
        assert_eq!(super::super::fetch(&spans).unwrap().len(), 10);
    });
}

#[test]
fn age_trims_without_appends_and_is_exact() {
    runtime().block_on(async {
        let disk = SimDisk::new(1);
        let log = open(&disk, &options(Durability::Fsync, usize::MAX), 1).unwrap();
        append(&log, "old").await;
        disk.advance_ms(2_000_000);
        append(&log, "young").await;
        assert_eq!(log.bounds().first, Offset(1));
        disk.advance_ms(2_000_000);
        assert_eq!(log.bounds().first, Offset(2));
        assert_eq!(log.state().records, 1);
        disk.advance_ms(2_000_000);
        let read = log.read(Since::after(Offset(1)), &only("a"), ALL).await.unwrap();
        assert_eq!((read.trimmed, read.records.len()), (Offset(2), 0));
    });
}
