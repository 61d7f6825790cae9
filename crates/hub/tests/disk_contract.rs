//! The contract of every log, kept by the disk log.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

use parking_lot::Mutex;
use tempfile::TempDir;
use tidings_hub::disk::{DiskLog, Options};
use tidings_server::log::{
    SharedLog,
    contract::{Setup, Subject},
};

/// Disk logs, each in a directory of its own.
struct Disk {
    segment_bytes: u64,
    dirs: Mutex<Vec<(SharedLog, TempDir)>>,
}

impl Disk {
    fn new(segment_bytes: u64) -> Self {
        Self { segment_bytes, dirs: Mutex::default() }
    }

    fn open_in(&self, dir: PathBuf, setup: Setup) -> SharedLog {
        let segment_bytes = self.segment_bytes;
        let Setup { retention, rules, keys: key_window, .. } = setup;
        let options = Options { retention, rules, key_window, segment_bytes, ..Options::new(dir) };
        Arc::new(DiskLog::open(options).expect("the log opens"))
    }
}

impl Subject for Disk {
    fn open_with(&self, setup: Setup) -> SharedLog {
        let dir = TempDir::new().expect("a directory");
        let log = self.open_in(dir.path().to_owned(), setup);
        self.dirs.lock().push((Arc::clone(&log), dir));
        log
    }

    fn reopen_with(
        &self,
        log: SharedLog,
        setup: Setup,
    ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>> {
        Box::pin(async move {
            log.close().await;
            let epoch = log.bounds().epoch;
            let mut dirs = self.dirs.lock();
            let (kept, dir) =
                dirs.iter_mut().find(|(kept, _)| Arc::ptr_eq(kept, &log)).expect("a log of ours");
            *kept = self.open_in(dir.path().to_owned(), setup);
            assert_eq!(kept.bounds().epoch, epoch, "a clean close keeps the epoch");
            Arc::clone(kept)
        })
    }
}

mod ordinary_segments {
    tidings_server::contract_tests!(super::Disk::new(64 << 20));
}

mod tiny_segments {
    tidings_server::contract_tests!(super::Disk::new(4 << 10));
}
