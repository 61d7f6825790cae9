//! Damage to a log that was not closed: nothing acknowledged is lost in silence, and no offset is
//! used twice in one epoch.

use super::*;

const KEEP: usize = usize::MAX;
const SECTOR: usize = 512;

/// A log of some records that was left as by `kill -9`.
struct Left {
    disk: SimDisk,
    options: Options,
    epoch: String,
    records: Vec<(u64, String)>,
}

impl Left {
    /// Of `count` records in segments of `segment_bytes`, in one or two runs.
    async fn new(count: u64, segment_bytes: u64, runs: u64) -> Self {
        let disk = SimDisk::new(1);
        let options = Options { segment_bytes, ..options(Durability::Fsync, KEEP) };
        let mut records = Vec::new();
        let mut epoch = String::new();
        for run in 0..runs {
            let log = open(&disk, &options, run).unwrap();
            for n in 0..count / runs {
                // Also large ones with sectors of zeros, and small ones.
                let long = [10, 300, 1_500][n as usize % 3];
                let fill = if n % 5 == 0 { "\0" } else { "x" };
                append(&log, &format!("{n} {}", fill.repeat(long))).await;
            }
            records = everything(&log).await;
            epoch = log.bounds().epoch.to_string();
            drop(log);
            disk.end_process();
        }
        Self { disk, options, epoch, records }
    }

    fn segments(&self) -> Vec<String> {
        self.disk.names().into_iter().filter(|name| name.ends_with(".log")).collect()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.disk.tamper(name, |found| bytes.clone_from(found));
        bytes
    }

    /// Starts, appends, and checks: a new epoch, or everything and offsets that go on. Whether
    /// the epoch is new.
    async fn check(&self, what: &str) -> bool {
        let log = open(&self.disk, &self.options, 77).unwrap_or_else(|e| panic!("{what}: {e}"));
        let fresh = log.bounds().epoch.to_string() != self.epoch;
        let found = everything(&log).await;
        let next = append(&log, "more").await;
        if !fresh {
            assert!(found == self.records, "{what}: {} events are left", found.len());
            assert_eq!(next.0, self.records.len() as u64 + 1, "{what}");
        }
        fresh
    }
}

/// Where the last frame of the log begins: its segment and place.
fn last_frame(left: &Left) -> (String, usize) {
    let mut segments = left.segments().into_iter().rev();
    segments
        .find_map(|name| {
            let bytes = left.bytes(&name);
            let at = bytes.windows(4).rposition(|bytes| bytes == b"\xf7Tf\xfe")?;
            Some((name, at))
        })
        .expect("a frame")
}

/// Applies each of `changes` to a log of its own.
async fn each(
    shape: (u64, u64, u64),
    changes: impl IntoIterator<Item = (String, impl FnOnce(&Left))>,
) -> (usize, usize) {
    let (mut fresh, mut same) = (0, 0);
    for (what, change) in changes {
        let left = Left::new(shape.0, shape.1, shape.2).await;
        change(&left);
        *(if left.check(&what).await { &mut fresh } else { &mut same }) += 1;
    }
    (fresh, same)
}

const SHAPES: [(u64, u64, u64); 3] = [(12, 4 << 10, 1), (20, 16 << 10, 2), (3, 64 << 10, 1)];

#[test]
fn a_flipped_byte_is_no_silent_loss() {
    runtime().block_on(async {
        for shape in SHAPES {
            let left = Left::new(shape.0, shape.1, shape.2).await;
            let (last, at) = last_frame(&left);
            let mut changes = Vec::new();
            for name in left.segments() {
                let bytes = left.bytes(&name).len();
                // Every byte of headers and of the last frame's start, and a sample of the rest.
                let places = (0..100).chain((100..bytes).step_by(151));
                let end = (at..bytes).filter(|_| name == last).take(100);
                for (place, bit) in places.chain(end).zip((0..8).cycle()) {
                    let name = name.clone();
                    changes.push((format!("{name}: byte {place}"), move |left: &Left| {
                        left.disk.tamper(&name, |bytes| bytes[place] ^= 1 << bit);
                    }));
                }
            }
            let (fresh, _) = each(shape, changes).await;
            assert!(fresh > 20, "{fresh}");
        }
    });
}

#[test]
fn a_cut_file_is_no_silent_loss() {
    runtime().block_on(async {
        for shape in SHAPES {
            let left = Left::new(shape.0, shape.1, shape.2).await;
            let mut changes = Vec::new();
            for name in left.segments() {
                let bytes = left.bytes(&name).len();
                let cuts = (0..80).chain((80..bytes).step_by(307)).chain(bytes - 9..bytes);
                for cut in cuts {
                    let name = name.clone();
                    changes.push((format!("{name} cut at {cut}"), move |left: &Left| {
                        left.disk.tamper(&name, |bytes| bytes.truncate(cut));
                    }));
                }
            }
            let (fresh, _) = each(shape, changes).await;
            assert!(fresh > 20, "{fresh}");
        }
    });
}

#[test]
fn zeroed_sectors_are_no_silent_loss_but_for_what_looks_like_a_tear() {
    runtime().block_on(async {
        for shape in SHAPES {
            let left = Left::new(shape.0, shape.1, shape.2).await;
            let (last, at) = last_frame(&left);
            let mut changes = Vec::new();
            for name in left.segments() {
                let sectors = left.bytes(&name).len() / SECTOR;
                for from in 0..sectors.min(40) {
                    for count in [1, 2, 3, 7] {
                        let to = (from + count).min(sectors) * SECTOR;
                        let from = from * SECTOR;
                        // The exception, as documented.
                        if name == last && to > at && from >= SECTOR {
                            continue;
                        }
                        let name = name.clone();
                        changes.push((
                            format!("{name}: zeros {from}..{to}"),
                            move |left: &Left| {
                                left.disk.tamper(&name, |bytes| bytes[from..to].fill(0));
                            },
                        ));
                    }
                }
            }
            let (fresh, _) = each(shape, changes).await;
            assert!(fresh > 3, "{fresh}");
        }
    });
}

#[test]
fn lost_segments_are_no_silent_loss() {
    runtime().block_on(async {
        for shape in SHAPES {
            let left = Left::new(shape.0, shape.1, shape.2).await;
            let segments = left.segments();
            let mut changes = Vec::new();
            for from in 0..segments.len() {
                for to in from + 1..=segments.len() {
                    let lost = segments[from..to].to_vec();
                    changes.push((format!("{lost:?} lost"), move |left: &Left| {
                        lost.iter().for_each(|name| left.disk.lose(name));
                    }));
                }
            }
            let count = changes.len();
            assert_eq!(each(shape, changes).await, (count, 0));
        }
    });
}

#[test]
fn lost_segments_of_a_trimmed_log_are_no_silent_loss() {
    runtime().block_on(async {
        for lost in 0.. {
            let disk = SimDisk::new(1);
            let options = options(Durability::Fsync, 20);
            let log = open(&disk, &options, 1).unwrap();
            let epoch = log.bounds().epoch;
            for n in 0..60 {
                append(&log, &format!("{n} {}", "x".repeat(300))).await;
            }
            drop(log);
            disk.end_process();
            let mut names = disk.names();
            names.retain(|name| name.ends_with(".log"));
            assert_ne!(names[0], "0000000001.log");
            // One of them; and last, none.
            names.get(lost).inspect(|name| disk.lose(name));
            let log = open(&disk, &options, 2).unwrap();
            assert_eq!(log.bounds().epoch == epoch, lost >= names.len(), "{lost}");
            let found = everything(&log).await;
            assert!(found.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
            assert_eq!(append(&log, "more").await, log.bounds().last);
            if lost >= names.len() {
                assert_eq!(log.bounds().last, Offset(61));
                break;
            }
        }
    });
}

#[test]
fn a_tear_of_the_last_frame_keeps_the_epoch_and_rot_in_it_does_not() {
    runtime().block_on(async {
        let left = Left::new(12, 16 << 10, 1).await;
        let (name, at) = last_frame(&left);
        let sector = at.next_multiple_of(SECTOR);
        left.disk.tamper(&name, |bytes| bytes[sector..sector + SECTOR].fill(0));
        let log = open(&left.disk, &left.options, 7).unwrap();
        assert_eq!(log.bounds().epoch.to_string(), left.epoch);
        assert_eq!(log.bounds().last, Offset(11));
        drop(log);

        let left = Left::new(12, 16 << 10, 1).await;
        left.disk.tamper(&name, |bytes| bytes[sector] ^= 1);
        assert!(left.check("rot").await);
        assert!(left.disk.names().iter().any(|name| name.ends_with(".damaged")));
    });
}

#[test]
fn a_withdrawn_group_keeps_the_epoch_also_after_reopening() {
    runtime().block_on(async {
        for (reopens, fails) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
            let disk = SimDisk::new(3);
            let options = Options { segment_bytes: 64 << 10, ..options(Durability::Fsync, KEEP) };
            let log = open(&disk, &options, 1).unwrap();
            let epoch = log.bounds().epoch;
            append(&log, "one").await;
            // The sync fails, and then perhaps the withdrawal.
            disk.fail(1, fails, 5);
            log.append(record("a", &"x".repeat(3_000)).into()).await.unwrap_err();
            disk.mend();
            if reopens {
                log.reopen().await.unwrap();
                append(&log, "two").await;
            }
            drop(log);
            disk.end_process();
            let log = open(&disk, &options, 2).unwrap();
            assert_eq!(log.bounds().epoch, epoch, "{reopens} {fails}");
            let found = everything(&log).await;
            assert!(!reopens || found.len() == 2 && found[1].1 == "two");
            drop(log);
            disk.end_process();
        }
    });
}

#[test]
fn without_its_last_segments_a_reopened_log_begins_a_new_epoch() {
    runtime().block_on(async {
        let disk = SimDisk::new(3);
        let options = options(Durability::Fsync, KEEP);
        let log = open(&disk, &options, 1).unwrap();
        let epoch = log.bounds().epoch;
        append(&log, "one").await;
        disk.fail(1, 1, 5);
        log.append(record("a", "refused").into()).await.unwrap_err();
        log.reopen().await.unwrap();
        append(&log, "two").await;
        drop(log);
        disk.end_process();
        for name in disk.names().iter().filter(|name| name.ends_with(".log")).skip(1) {
            disk.lose(name);
        }
        let log = open(&disk, &options, 2).unwrap();
        assert_ne!(log.bounds().epoch, epoch);
    });
}

#[test]
fn a_frame_larger_than_a_segment_is_proved_too() {
    runtime().block_on(async {
        for cut in [None, Some(5_000), Some(30_000)] {
            let disk = SimDisk::new(3);
            let options = options(Durability::Fsync, KEEP);
            let log = open(&disk, &options, 1).unwrap();
            let epoch = log.bounds().epoch;
            append(&log, "one").await;
            append(&log, &"x".repeat(40_000)).await;
            drop(log);
            disk.end_process();
            if let Some(cut) = cut {
                disk.tamper("0000000002.log", |bytes| bytes.truncate(cut));
            }
            let log = open(&disk, &options, 2).unwrap();
            assert_eq!(log.bounds().epoch == epoch, cut.is_none());
            assert!(cut.is_some() || everything(&log).await.len() == 2);
        }
    });
}
