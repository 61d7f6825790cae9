//! A process that is killed while it writes: what it was told is durable is there.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;
use tidings_hub::disk::{DiskLog, Durability, Options};
use tidings_server::{
    log::{Batch, Log, ReadLimits, Since},
    matcher::Filter,
    record::NewRecord,
    topic::Topic,
};

// Set in the child, to the directory of its log.
const DIR: &str = "TIDINGS_TEST_KILL_DIR";
const ROUNDS: usize = 3;
const ACKNOWLEDGED_A_ROUND: usize = 300;

fn options(dir: &std::path::Path, durability: Durability) -> Options {
    Options { segment_bytes: 64 << 10, durability, ..Options::new(dir) }
}

fn durability() -> Durability {
    match std::env::var("TIDINGS_TEST_KILL_DURABILITY").as_deref() {
        Ok("os") => Durability::Os,
        _ => Durability::Fsync,
    }
}

/// The child: appends for ever, and says what was acknowledged. Does nothing as a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let log = Arc::new(DiskLog::open(options(dir.as_ref(), durability())).expect("it opens"));
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for n in 0.. {
                    let data = format!("{publisher} {n}");
                    let record = |_| NewRecord::new(Topic::new("a").unwrap(), data.as_str());
                    let appended = log.append(Batch::new((0..3).map(record).collect())).await;
                    let appended = appended.expect("appended");
                    let first = appended.records[0].offset().unwrap();
                    println!("acknowledged {} {first} {data}", appended.epoch);
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.expect("a publisher");
    }
}

/// What a child says that it was told: epoch, first offset, data.
fn kill_one(dir: &TempDir, durability: &str) -> Vec<(String, u64, String)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["child", "--exact", "--nocapture"])
        .env(DIR, dir.path())
        .env("TIDINGS_TEST_KILL_DURABILITY", durability)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        let line = line.expect("a line");
        let Some(said) = line.strip_prefix("acknowledged ") else { continue };
        let mut words = said.splitn(3, ' ');
        let mut word = || words.next().expect("a word").to_owned();
        acknowledged.push((word(), word().parse().expect("an offset"), word()));
        if acknowledged.len() == ACKNOWLEDGED_A_ROUND {
            // SIGKILL; what it says before it is dead counts too.
            child.kill().expect("killed");
        }
    }
    let status = child.wait().expect("its end");
    assert!(!status.success() && acknowledged.len() >= ACKNOWLEDGED_A_ROUND, "{status}");
    acknowledged
}

async fn killed_again_and_again(name: &str, durability: Durability) {
    let dir = TempDir::new().expect("a directory");
    let mut epochs = Vec::new();
    let mut acknowledged = Vec::new();
    for _ in 0..ROUNDS {
        acknowledged.extend(kill_one(&dir, name));
        epochs.push(acknowledged.last().expect("one").0.clone());
    }
    match durability {
        Durability::Fsync => assert!(epochs.iter().all(|epoch| *epoch == epochs[0])),
        Durability::Os => assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]),
    }
    let log = DiskLog::open(options(dir.path(), durability)).expect("it opens");
    let limits = ReadLimits { records_max: usize::MAX, bytes_max: usize::MAX };
    let read = log.read(Since::default(), &Filter::everything(), limits).await;
    let page = read.expect("a page");
    for (at, record) in page.records.iter().enumerate() {
        assert_eq!(record.offset.0, at as u64 + 1, "no holes");
    }
    for batch in page.records.chunks(3) {
        assert!(batch.len() == 3 && batch.iter().all(|r| r.new.data == batch[0].new.data));
    }
    for (_, first, data) in &acknowledged {
        let record = &page.records[*first as usize - 1];
        assert_eq!(*record.new.data, **data, "at {first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    killed_again_and_again("fsync", Durability::Fsync).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncs_nothing_is_lost_either_but_the_epoch_is_new() {
    killed_again_and_again("os", Durability::Os).await;
}
