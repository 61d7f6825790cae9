//! The measurements. Each checks what it measured.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{contender::Contender, fixture};

/// Durations at the median and at the 99th of 100, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Latency {
    pub fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let at = |part: f64| {
            let index = ((samples.len() as f64 - 1.0) * part) as usize;
            samples[index].as_secs_f64() * 1e6
        };
        Self { p50_us: at(0.5), p99_us: at(0.99) }
    }
}

/// One append after the other.
pub async fn single(log: &Contender, count: u64) -> Latency {
    let topics = fixture::topics();
    let mut samples = Vec::new();
    for n in 0..count {
        let record = fixture::record(&topics, n);
        let start = Instant::now();
        log.append(vec![record]).await;
        samples.push(start.elapsed());
    }
    Latency::of(samples)
}

/// Appends a second by 2,048 publishers, each of which waits for its own.
pub async fn saturated(log: &Contender, time: Duration) -> f64 {
    const PUBLISHERS: u64 = 2_048;
    let topics = Arc::new(fixture::topics());
    let count = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let (log, topics, count) = (log.clone(), Arc::clone(&topics), Arc::clone(&count));
            tokio::spawn(async move {
                let mut n = publisher;
                while start.elapsed() < time {
                    log.append(vec![fixture::record(&topics, n)]).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    n += PUBLISHERS;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.expect("a publisher");
    }
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// Appends at a fixed rate whether the log keeps up or not; latency from the scheduled time.
/// `None` if it falls behind by more than two seconds.
pub async fn offered(log: &Contender, a_second: u64, time: Duration) -> Option<Latency> {
    let topics = Arc::new(fixture::topics());
    let total = a_second * time.as_millis() as u64 / 1_000;
    let samples = Arc::new(Mutex::new(Vec::with_capacity(total as usize)));
    let answered = Arc::new(AtomicU64::new(0));
    let driver = {
        let (log, samples, answered) = (log.clone(), Arc::clone(&samples), Arc::clone(&answered));
        let runtime = tokio::runtime::Handle::current();
        move || {
            let start = Instant::now();
            let gap = Duration::from_secs(1).div_f64(a_second as f64);
            let mut n = 0;
            while n < total {
                let due = (start.elapsed().as_secs_f64() * a_second as f64) as u64;
                if n - answered.load(Ordering::Relaxed) > 2 * a_second {
                    return false;
                }
                // Due together, submitted together: a task each would measure the tasks.
                let scheduled: Vec<_> = (n..due.min(total)).collect();
                n = due.min(total).max(n);
                for part in scheduled.chunks(8) {
                    let part = part.to_vec();
                    let (log, samples) = (log.clone(), Arc::clone(&samples));
                    let (answered, topics) = (Arc::clone(&answered), Arc::clone(&topics));
                    runtime.spawn(async move {
                        let appends = part.iter().map(|&n| {
                            let record = fixture::record(&topics, n);
                            let (log, samples, answered) = (&log, &samples, &answered);
                            async move {
                                log.append(vec![record]).await;
                                let latency = start.elapsed().saturating_sub(gap.mul_f64(n as f64));
                                samples.lock().push(latency);
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                        });
                        futures_util::future::join_all(appends).await;
                    });
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            true
        }
    };
    if !tokio::task::spawn_blocking(driver).await.expect("the driver") {
        while_answered(&answered, u64::MAX).await;
        return None;
    }
    if !while_answered(&answered, total).await {
        return None;
    }
    let samples = std::mem::take(&mut *samples.lock());
    assert_eq!(samples.len() as u64, total);
    Some(Latency::of(samples))
}

// Waits until `total` are answered, or two seconds have gone by.
async fn while_answered(answered: &AtomicU64, total: u64) -> bool {
    let start = Instant::now();
    while answered.load(Ordering::Relaxed) < total {
        if start.elapsed() > Duration::from_secs(2) {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

/// Appends `count` records in batches.
pub async fn fill(log: &Contender, from: u64, count: u64) -> Duration {
    let topics = fixture::topics();
    let start = Instant::now();
    for first in (from..from + count).step_by(1_000) {
        let records = (first..first + 1_000).map(|n| fixture::record(&topics, n)).collect();
        log.append(records).await;
    }
    start.elapsed()
}

/// Reads 1,000 records of one topic, of a log that was filled with a million from zero.
pub async fn read_back(log: &Contender, rounds: u32) -> Latency {
    let expected: Vec<_> = (0..1_000).map(|n| fixture::data_of(n * 1_000)).collect();
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let found = log.read_topic(fixture::READ, 1_000).await;
        samples.push(start.elapsed());
        assert!(found == expected, "{} records read back are not those appended", found.len());
    }
    Latency::of(samples)
}

/// Bytes that the directory takes.
pub fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let metadata = path.metadata().expect("its metadata");
            if metadata.is_dir() { disk_bytes(&path) } else { metadata.blocks() * 512 }
        })
        .sum()
}
