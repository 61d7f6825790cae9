//! Compaction: a few old records do not keep everything around them on the disk, and a crash at
//! any point of it loses nothing and brings nothing back.

use tidings_server::{
    log::{TopicRule, TopicRules},
    matcher::Matcher,
};

use super::*;

const NOISY_KEPT: usize = 5;

fn ruled() -> Options {
    let limits = Retention { records_max: NOISY_KEPT, ..Retention::UNLIMITED };
    let rule = TopicRule { topics: Matcher::Exact(Topic::new("noisy").unwrap()), limits };
    let rules = TopicRules::new(vec![rule]).unwrap();
    Options { rules, ..options(Durability::Fsync, usize::MAX) }
}

fn only(name: &str) -> Filter {
    Filter::new([Matcher::Exact(Topic::new(name).unwrap())])
}

/// All that is kept of a topic, and how far it was trimmed.
async fn topic(log: &DiskLog, name: &str) -> (Vec<(u64, String)>, u64) {
    let limits = ReadLimits { records_max: usize::MAX, bytes_max: usize::MAX };
    let page = log.read(Since::default(), &only(name), limits).await.unwrap();
    let records = page.records.iter().map(|r| (r.offset.0, r.new.data.to_string()));
    (records.collect(), page.trimmed.0)
}

/// Bytes of the segments, and how many there are.
fn size(disk: &SimDisk) -> (usize, usize) {
    // At one moment: the log's writer goes on while this looks.
    let files = disk.sizes().into_iter().filter(|(name, _)| name.ends_with(".log"));
    files.fold((0, 0), |(bytes, count), (_, size)| (bytes + size, count + 1))
}

#[test]
fn a_noisy_topic_beside_a_quiet_one_takes_no_more_than_twice_what_is_kept() {
    runtime().block_on(async {
        let (disk, options) = (SimDisk::new(1), ruled());
        let mut log = open(&disk, &options, 1).unwrap();
        let epoch = log.bounds().epoch;
        let mut quiet = Vec::new();
        for n in 0..3_000 {
            let name = if n % 40 == 0 { "quiet" } else { "noisy" };
            let data = format!("{n} {}", "x".repeat(n % 300));
            let offset = log.append(record(name, &data).into()).await.unwrap().last().unwrap();
            if name == "quiet" {
                quiet.push((offset.0, data));
            }
            let (bytes, files) = size(&disk);
            // What is kept twice, the one that is written, the one before it, and the next.
            let bound = 2 * log.state().bytes as usize + 3 * (4 << 10) + files * 72;
            assert!(bytes <= bound, "{bytes} bytes in {files} files at {n}, not {bound}");
            assert!(files <= 4 + log.state().bytes as usize / 512, "{files} files");
            if n % 700 == 699 {
                log.close().await;
                drop(log);
                disk.end_process();
                log = open(&disk, &options, 1).unwrap();
                assert_eq!(log.bounds().epoch, epoch);
            }
        }
        assert_eq!(topic(&log, "quiet").await, (quiet, 0));
        assert_eq!(topic(&log, "noisy").await.0.len(), NOISY_KEPT);
        assert_eq!(log.bounds().first, Offset(1));
        assert!(disk.names().iter().all(|name| !name.ends_with(".damaged")));
    });
}

#[test]
fn who_reads_from_segments_that_are_compacted_reads_on() {
    runtime().block_on(async {
        let (disk, options) = (SimDisk::new(1), ruled());
        let log = open(&disk, &options, 1).unwrap();
        let fill = "x".repeat(300);
        for name in ["quiet", "noisy", "noisy"] {
            log.append(record(name, &fill).into()).await.unwrap();
        }
        let spans = {
            let state = log.shared.state.read();
            let hits = (1..=3).map(|n| state.index.find(Offset(n)).unwrap());
            super::super::spans(&state, &hits.collect::<Vec<_>>())
        };
        for _ in 0..100 {
            log.append(record("noisy", &fill).into()).await.unwrap();
        }
        assert!(!disk.names().contains(&"0000000001.log".to_owned()), "{:?}", disk.names());
        assert_eq!(super::super::fetch(&spans).unwrap().len(), 3);
    });
}

/// What was acknowledged of each topic, and what may be there too.
#[derive(Default)]
struct Book {
    quiet: Vec<(u64, String)>,
    noisy: Vec<(u64, String)>,
    open: Option<String>,
    epoch: Option<String>,
}

impl Book {
    async fn append(&mut self, log: &DiskLog, n: usize) {
        let name = if n.is_multiple_of(9) { "quiet" } else { "noisy" };
        let data = format!("{n} {}", "x".repeat(200 + 97 * n % 500));
        match log.append(record(name, &data).into()).await {
            Ok(appended) => {
                let list = if name == "quiet" { &mut self.quiet } else { &mut self.noisy };
                list.push((appended.last().unwrap().0, data));
            }
            Err(_) => self.open = Some(data),
        }
    }

    async fn check(&mut self, log: &DiskLog) {
        let epoch = log.bounds().epoch.to_string();
        assert!(self.epoch.is_none() || self.epoch.as_ref() == Some(&epoch), "the epoch goes on");
        self.epoch = Some(epoch);
        let (mut quiet, trimmed) = topic(log, "quiet").await;
        assert_eq!(trimmed, 0);
        let (mut noisy, trimmed) = topic(log, "noisy").await;
        let lists = [(&mut quiet, &mut self.quiet), (&mut noisy, &mut self.noisy)];
        for (found, acknowledged) in lists {
            // The last one may be there that nobody was told of.
            if let Some(last) = found.last()
                && self.open.as_ref() == Some(&last.1)
            {
                acknowledged.push(last.clone());
            }
        }
        self.open = None;
        assert_eq!(quiet, self.quiet);
        let kept = self.noisy.len().min(NOISY_KEPT);
        let (gone, kept) = self.noisy.split_at(self.noisy.len() - kept);
        assert_eq!(noisy, kept);
        assert_eq!(trimmed, gone.last().map_or(0, |(offset, _)| *offset));
        assert!(disk_is_sound(log));
    }
}

fn disk_is_sound(log: &DiskLog) -> bool {
    log.shared.storage.list().unwrap().iter().all(|name| !name.ends_with(".damaged"))
}

async fn work(
    disk: &SimDisk,
    options: &Options,
    book: &mut Book,
    openings: std::ops::Range<usize>,
) {
    for opening in openings {
        let Ok(log) = open(disk, options, opening as u64) else {
            assert!(disk.crashed(), "only a crash is in the way");
            return;
        };
        book.check(&log).await;
        for n in 0..30 {
            book.append(&log, opening * 30 + n).await;
            if disk.crashed() {
                return;
            }
        }
        // Once as by a kill.
        if opening % 2 == 0 {
            log.close().await;
        }
        if disk.crashed() {
            return;
        }
        drop(log);
        disk.end_lock();
    }
}

#[test]
fn a_crash_at_any_point_of_it_loses_nothing_and_brings_nothing_back() {
    let (runtime, options) = (runtime(), ruled());
    for seed in 0..2 {
        for crash_at in 1.. {
            println!("seed {seed}, crash at operation {crash_at}");
            let disk = SimDisk::new(seed << 32 | crash_at);
            let mut book = Book::default();
            disk.crash_at(crash_at);
            runtime.block_on(work(&disk, &options, &mut book, 0..3));
            if !disk.restart() {
                assert!(crash_at > 200, "the work has many operations");
                let compacted = |name: &String| {
                    name.ends_with(".log") && disk.bytes(name)[24..28] == *b"\xf7Tc\xfe"
                };
                assert!(disk.names().iter().any(compacted), "some were compacted");
                break;
            }
            runtime.block_on(work(&disk, &options, &mut book, 3..5));
        }
    }
}

#[test]
fn a_damaged_compacted_segment_is_no_silent_loss() {
    runtime().block_on(async {
        let filled = async || {
            let (disk, options) = (SimDisk::new(1), ruled());
            let log = open(&disk, &options, 1).unwrap();
            let mut book = Book::default();
            for n in 0..100 {
                book.append(&log, n).await;
            }
            let epoch = log.bounds().epoch;
            drop(log);
            disk.end_process();
            (disk, options, epoch)
        };
        let (disk, ..) = filled().await;
        let name = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
        let bytes = disk.bytes(&name);
        assert_eq!(bytes[24..28], *b"\xf7Tc\xfe", "it is compacted");
        for at in (0..100).chain((100..bytes.len()).step_by(61)) {
            for cut in [false, true] {
                let (disk, options, epoch) = filled().await;
                disk.tamper(&name, |bytes| if cut { bytes.truncate(at) } else { bytes[at] ^= 1 });
                let log = open(&disk, &options, 2).unwrap();
                assert_ne!(log.bounds().epoch, epoch, "byte {at}, cut {cut}");
            }
        }
    });
}

#[test]
fn a_record_that_cannot_be_read_holds_up_no_other_segment() {
    runtime().block_on(async {
        let (disk, options) = (SimDisk::new(1), ruled());
        let log = open(&disk, &options, 1).unwrap();
        log.append(record("quiet", &"q".repeat(300)).into()).await.unwrap();
        disk.tamper("0000000001.log", |bytes| {
            let at = bytes.iter().position(|byte| *byte == b'q').unwrap() + 100;
            bytes[at] ^= 1;
        });
        for n in 0..3_000 {
            let name = if n % 40 == 0 { "quiet" } else { "noisy" };
            log.append(record(name, &"x".repeat(300)).into()).await.unwrap();
        }
        let (bytes, files) = size(&disk);
        assert!(
            bytes as u64 <= 10 * log.state().bytes && files < 60,
            "{bytes} bytes, {files} files"
        );
    });
}
