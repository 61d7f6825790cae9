//! A real disk that is full, and a real directory that is copied or locked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tidings_hub::disk::{DiskLog, OpenError, Options};
use tidings_server::{
    log::{AppendError, Log, ReadLimits, Since},
    matcher::Filter,
    record::NewRecord,
    topic::Topic,
};

/// A small file system in memory.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` without the right to mount one; the simulated disk tests the same everywhere.
    fn mount(size: &str) -> Option<Self> {
        let dir = TempDir::new().expect("a directory");
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn record(n: usize) -> NewRecord {
    NewRecord::new(Topic::new("a").unwrap(), format!("{n} {}", "x".repeat(10_000)))
}

async fn count(log: &DiskLog) -> usize {
    let limits = ReadLimits { records_max: usize::MAX, bytes_max: usize::MAX };
    let read = log.read(Since::default(), &Filter::everything(), limits).await;
    let page = read.expect("a page");
    page.records.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_latches_the_log_until_there_is_room() {
    let Some(disk) = SmallDisk::mount("3m") else {
        eprintln!("skipped: no right to mount a file system");
        return;
    };
    let dir: PathBuf = disk.path().join("log");
    let options = Options { segment_bytes: 256 << 10, ..Options::new(&dir) };
    fs::write(disk.path().join("ballast"), vec![0; 1 << 20]).unwrap();
    let log = DiskLog::open(options.clone()).unwrap();
    let mut appended = 0;
    let cause = loop {
        match log.append(record(appended).into()).await {
            Ok(_) => appended += 1,
            Err(AppendError::Latched { cause }) => break cause,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(cause.contains("No space left") && cause.contains("free space"), "{cause}");
    assert_eq!(log.state().latched.as_deref(), Some(&*cause));
    assert_eq!(count(&log).await, appended, "reads go on");
    log.reopen().await.expect_err("there is still no room");
    fs::remove_file(disk.path().join("ballast")).unwrap();
    log.reopen().await.expect("there is room");
    log.append(record(appended).into()).await.expect("appended");
    let epoch = log.bounds().epoch;
    log.close().await;
    let log = DiskLog::open(options).unwrap();
    assert_eq!(log.bounds().epoch, epoch);
    assert_eq!(count(&log).await, appended + 1, "refused ones never appear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_open_once_and_a_copy_of_it_is_another_log() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let log = DiskLog::open(Options::new(one.path())).unwrap();
    let error = DiskLog::open(Options::new(one.path())).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains(&one.path().display().to_string()), "{error}");
    log.append(record(1).into()).await.unwrap();
    log.close().await;
    let epoch = log.bounds().epoch;
    for entry in fs::read_dir(one.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, two.path().join(path.file_name().unwrap())).unwrap();
    }
    let copy = DiskLog::open(Options::new(two.path())).unwrap();
    assert_ne!(copy.bounds().epoch, epoch);
    assert_eq!(count(&copy).await, 1);
    drop(log);
    let log = DiskLog::open(Options::new(one.path())).unwrap();
    assert_eq!(log.bounds().epoch, epoch);
}
