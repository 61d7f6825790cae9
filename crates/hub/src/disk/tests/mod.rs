//! Tests on the simulated disk.

mod compaction;
mod crash;
mod damage;
mod keys;
mod latch;
mod queue;
mod reads;
mod unclean;

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings_server::{
    cursor::Offset,
    log::{Batch, Log, ReadLimits, Retention, Since},
    matcher::Filter,
    record::NewRecord,
    topic::Topic,
};
use tokio::runtime::Runtime;

use super::{DiskLog, Durability, OpenError, Options, sim::SimDisk};

fn options(durability: Durability, records_max: usize) -> Options {
    let retention =
        Retention { records_max, bytes_max: u64::MAX, age_max: Duration::from_secs(3_600) };
    Options { retention, durability, segment_bytes: 4 << 10, ..Options::new("/sim") }
}

fn open(disk: &SimDisk, options: &Options, seed: u64) -> Result<DiskLog, OpenError> {
    DiskLog::open_on(Arc::new(disk.clone()), options.clone(), seed, false)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

fn record(topic: &str, data: &str) -> NewRecord {
    NewRecord::new(Topic::new(topic).expect("a topic"), data)
}

async fn append(log: &DiskLog, data: &str) -> Offset {
    log.append(record("a", data).into()).await.expect("appended").records[0].offset().unwrap()
}

/// All that is kept: offsets and data.
async fn everything(log: &DiskLog) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let bounds = log.bounds();
    let mut through = bounds.first.previous();
    while through < bounds.last {
        let since = Since::after(through);
        let page = log.read(since, &Filter::everything(), ReadLimits::default()).await.unwrap();
        through = page.through;
        found.extend(page.records.iter().map(|r| (r.offset.0, r.new.data.to_string())));
    }
    found
}

/// What a log must have, and what it may have, after whatever happened to it.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Vec<(u64, String)>,
    // Batches whose outcome nobody was told.
    open: Vec<Vec<String>>,
    refused: Vec<String>,
    // What was ever seen, by epoch and offset.
    seen: HashMap<(String, u64), String>,
    written: u64,
}

impl Ledger {
    fn batch(&mut self, random: &mut StdRng) -> Vec<String> {
        (0..random.random_range(1..5))
            .map(|_| {
                self.written += 1;
                let long = if random.random_range(0..4) == 0 { 900 } else { 40 };
                format!("{} {}", self.written, "x".repeat(random.random_range(0..long)))
            })
            .collect()
    }

    /// Appends a batch and notes what came of it.
    async fn append(&mut self, log: &DiskLog, random: &mut StdRng) {
        use tidings_server::log::AppendError;
        let batch = self.batch(random);
        let records = batch.iter().map(|data| record(topic_of(data), data)).collect();
        match log.append(Batch::new(records)).await {
            Ok(appended) => {
                let epoch = appended.epoch.to_string();
                for (taken, data) in appended.records.iter().zip(batch) {
                    let offset = taken.offset().unwrap().0;
                    self.see(&epoch, offset, &data);
                    self.acknowledged.push((offset, data));
                }
            }
            Err(AppendError::Unknown { .. }) => self.open.push(batch),
            Err(AppendError::Latched { .. }) => self.refused.extend(batch),
            Err(error) => panic!("{error}"),
        }
    }

    fn see(&mut self, epoch: &str, offset: u64, data: &str) {
        let before = self.seen.insert((epoch.to_owned(), offset), data.to_owned());
        assert!(
            before.as_ref().is_none_or(|before| before == data),
            "offset {offset} of epoch {epoch} was {before:?}, and is {data:?}"
        );
    }

    /// Checks a log of which at least `keep` records are to be there if there were so many. If
    /// `lossy`, the end may be missing.
    async fn check(&mut self, log: &DiskLog, keep: usize, lossy: bool) {
        let found = everything(log).await;
        let epoch = log.bounds().epoch.to_string();
        for (offset, data) in &found {
            self.see(&epoch, *offset, data);
            assert!(!self.refused.contains(data), "{data:?} was refused");
        }
        assert!(found.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "in order, no holes");
        let acknowledged = self.acknowledged.last().map_or(0, |(last, _)| *last);
        let old: Vec<_> = found.iter().filter(|(offset, _)| *offset <= acknowledged).collect();
        let new: Vec<_> = found.iter().filter(|(offset, _)| *offset > acknowledged).collect();
        if lossy {
            let at = |offset| self.acknowledged.iter().find(|(o, _)| *o == offset);
            assert!(old.iter().all(|(offset, data)| at(*offset).is_some_and(|(_, d)| d == data)));
        } else {
            let start = self.acknowledged.len() - old.len();
            assert!(old.into_iter().eq(&self.acknowledged[start..]), "what was acknowledged");
            assert!(found.len() >= keep.min(self.acknowledged.len()), "only {}", found.len());
        }
        let new: Vec<_> = new.into_iter().map(|(_, data)| data.clone()).collect();
        assert!(new.is_empty() || self.open.contains(&new), "{new:?} was never appended whole");
        // From here on the outcome is known.
        let gone = |offset| !lossy && found.first().is_none_or(|(first, _)| offset < *first);
        self.acknowledged.retain(|(offset, _)| gone(*offset));
        self.acknowledged.extend(found);
        let appeared = |batch: &Vec<String>| *batch == new;
        let open = std::mem::take(&mut self.open);
        self.refused.extend(open.into_iter().filter(|batch| !appeared(batch)).flatten());
    }
}

fn topic_of(data: &str) -> &'static str {
    ["a", "b", "c"][data.len() % 3]
}
