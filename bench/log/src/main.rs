//! Compares the disk log with embedded stores that do the same job, and with the limit.
//!
//! Prints one table in Markdown: medians over the rounds, and the spread of what the bars are
//! about. The contenders take turns in every round. Exits with 1 if a bar fails. The first
//! argument is the number of rounds (default 5), a second one, `bars`, leaves out what the bars
//! are not about; the directory is `TMPDIR`'s.

mod contender;
mod fixture;
mod measure;
mod stores;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use contender::Contender;
use measure::Latency;
use stores::{FjallStore, PlainFile, RedbStore, SqliteStore};
use tempfile::TempDir;

const NAMES: [&str; 5] = ["tidings", "redb 4", "fjall 3", "SQLite", "plain file"];
const OURS: usize = 0;
const FILE: usize = 4;

const OFFERED: u64 = 100_000;
const KEEP_WHILE_TRIMMING: u64 = 50_000;
const FILLED: u64 = 1_000_000;

const SINGLE_BAR: f64 = 2.5;
const OFFERED_BAR: f64 = 3.0;

fn open(which: usize, dir: &Path, keep: u64) -> Contender {
    open_at(which, dir, 1, keep)
}

fn open_at(which: usize, dir: &Path, next: u64, keep: u64) -> Contender {
    match which {
        OURS => Contender::ours(dir, keep),
        1 => Contender::store(RedbStore::open(dir), next, keep),
        2 => Contender::store(FjallStore::open(dir), next, keep),
        3 => Contender::store(SqliteStore::open(dir), next, keep),
        _ => Contender::store(PlainFile::open(dir), next, keep),
    }
}

/// What the rounds found of one contender.
#[derive(Default)]
struct Rounds {
    single: Vec<Latency>,
    saturated: Vec<f64>,
    trimming: Vec<f64>,
    offered: Vec<Option<Latency>>,
    offered_trimming: Vec<Option<Latency>>,
    read: Option<Latency>,
    disk_mb: f64,
    start: Option<Duration>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(5);
    let bars_only = std::env::args().nth(2).is_some_and(|what| what == "bars");
    let mut found: Vec<Rounds> = NAMES.iter().map(|_| Rounds::default()).collect();
    let mut single_direct = Vec::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        single_direct.push(direct());
        for (which, found) in found.iter_mut().enumerate() {
            if !bars_only || which == OURS || which == FILE {
                one_round(which, found, bars_only).await;
            }
        }
    }
    if bars_only {
        return report(&found, &single_direct);
    }
    for (which, found) in found.iter_mut().enumerate().filter(|(which, _)| *which != FILE) {
        eprintln!("a million records: {}", NAMES[which]);
        million(which, found).await;
    }
    report(&found, &single_direct)
}

/// The limit of a single append: a write and a sync in the thread that wants it.
fn direct() -> Latency {
    let dir = TempDir::new().expect("a directory");
    let mut file = PlainFile::open(dir.path());
    let topics = fixture::topics();
    let samples = (0..1_000).map(|n| {
        let record = fixture::record(&topics, n);
        let start = Instant::now();
        file.append(&[record]);
        start.elapsed()
    });
    Latency::of(samples.collect())
}

async fn one_round(which: usize, found: &mut Rounds, bars_only: bool) {
    let dir = TempDir::new().expect("a directory");
    let log = open(which, dir.path(), u64::MAX);
    found.single.push(measure::single(&log, 1_000).await);
    found.offered.push(measure::offered(&log, OFFERED, Duration::from_secs(3)).await);
    if !bars_only {
        found.saturated.push(measure::saturated(&log, Duration::from_secs(2)).await);
    }
    log.close().await;
    if bars_only || which == FILE {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    let log = open(which, dir.path(), KEEP_WHILE_TRIMMING);
    measure::fill(&log, 0, KEEP_WHILE_TRIMMING).await;
    let offered = measure::offered(&log, OFFERED, Duration::from_secs(3)).await;
    found.offered_trimming.push(offered);
    found.trimming.push(measure::saturated(&log, Duration::from_secs(2)).await);
    log.close().await;
}

async fn million(which: usize, found: &mut Rounds) {
    let dir = TempDir::new().expect("a directory");
    let log = open(which, dir.path(), u64::MAX);
    measure::fill(&log, 0, FILLED).await;
    found.read = Some(measure::read_back(&log, 50).await);
    log.close().await;
    found.disk_mb = measure::disk_bytes(dir.path()) as f64 / 1e6;
    let start = Instant::now();
    let log = open_at(which, dir.path(), FILLED + 1, u64::MAX);
    // Open is what has taken an append, and has what was there before.
    log.append(vec![fixture::record(&fixture::topics(), 1)]).await;
    found.start = Some(start.elapsed());
    measure::read_back(&log, 1).await;
    log.close().await;
}

fn report(found: &[Rounds], direct: &[Latency]) -> ExitCode {
    println!("| | {} |", NAMES.join(" | "));
    println!("| --- |{}", " ---: |".repeat(NAMES.len()));
    let row = |name: &str, cell: &dyn Fn(&Rounds) -> String| {
        let cells: Vec<_> = found.iter().map(cell).collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    let kept_up = |rounds: &[Option<Latency>], pick: fn(&Latency) -> f64| {
        let all: Option<Vec<_>> = rounds.iter().map(|round| round.as_ref().map(pick)).collect();
        match all {
            Some(all) => spread(&all),
            None => {
                let kept = rounds.iter().flatten().count();
                format!("fell behind in {} of {}", rounds.len() - kept, rounds.len())
            }
        }
    };
    row("one durable append, p50 µs", &|f| spread(&pick(&f.single, |l| l.p50_us)));
    row("one durable append, p99 µs", &|f| spread(&pick(&f.single, |l| l.p99_us)));
    row("durable appends/s, 2,048 publishers", &|f| spread(&f.saturated));
    row("100,000/s offered, p50 µs", &|f| kept_up(&f.offered, |l| l.p50_us));
    row("100,000/s offered, p99 µs", &|f| kept_up(&f.offered, |l| l.p99_us));
    row("the same while trimming, p99 µs", &|f| kept_up(&f.offered_trimming, |l| l.p99_us));
    row("trimming one record, µs", &|f| match &f.trimming[..] {
        [] => "–".to_owned(),
        trimming => {
            let cost = 1e6 / median(trimming) - 1e6 / median(&f.saturated);
            format!("{:.2}", cost.max(0.0))
        }
    });
    row("1,000 records of 1 of 10,000 topics, p50 µs", &|f| {
        f.read.map_or("–".to_owned(), |read| format!("{:.0}", read.p50_us))
    });
    row("1,000,000 records of 100 bytes, MB", &|f| match f.start {
        Some(_) => format!("{:.0}", f.disk_mb),
        None => "–".to_owned(),
    });
    row("start with them, ms", &|f| {
        f.start.map_or("–".to_owned(), |start| format!("{:.0}", start.as_secs_f64() * 1e3))
    });

    let direct = pick(direct, |latency| latency.p50_us);
    println!();
    println!("Write and sync in one thread, p50 µs: {}.", spread(&direct));
    let single = median(&pick(&found[OURS].single, |l| l.p50_us)) / median(&direct);
    let mut passed = bar("one durable append, p50", single, SINGLE_BAR);
    let p99 = |rounds: &[Option<Latency>]| -> Option<Vec<f64>> {
        rounds.iter().map(|round| round.map(|latency| latency.p99_us)).collect()
    };
    passed &= match (p99(&found[OURS].offered), p99(&found[FILE].offered)) {
        (Some(ours), Some(file)) => {
            bar("100,000/s offered, p99", median(&ours) / median(&file), OFFERED_BAR)
        }
        _ => {
            println!("FAILED: 100,000/s offered was not kept up with");
            false
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bar(what: &str, times: f64, bar: f64) -> bool {
    let passed = times <= bar;
    let word = if passed { "passed" } else { "FAILED" };
    println!("{word}: {what} is {times:.2} × the plain file's, the bar is {bar}");
    passed
}

fn pick(rounds: &[Latency], pick: fn(&Latency) -> f64) -> Vec<f64> {
    rounds.iter().map(pick).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median, and the least and the most.
fn spread(values: &[f64]) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.0} ({least:.0}–{most:.0})", median(values))
}
