//! Measures every cell with all contenders in turn, and prints the table.
//!
//! Contenders take turns round by round, so that whatever else the machine does falls on all of
//! them; a figure is the median of the rounds, and a ratio the median of the rounds' ratios.
//! Fails if a contender of ours reads a corpus wrongly, or a bar is missed.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_bench_codec::shared::fixtures::{self, Corpus};
use tidings_bench_codec::{Contender, Kind, chunks, contenders::ALL};

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let mut missed = Vec::new();
    for chunk_bytes in CHUNK_BYTES {
        let stream_bytes = if chunk_bytes == 1 { STREAM_BYTES_SMALL } else { STREAM_BYTES };
        println!("\nChunks of {chunk_bytes} bytes, MB/s");
        print!("{:9}", "");
        ALL.iter().for_each(|contender| print!(" {:>12}", short(contender.name)));
        println!(" {:>9} {:>9} {:>9}", "borrowed", "owned", "of scan");
        for corpus in corpora(stream_bytes) {
            let cell = format!("{}/{chunk_bytes}", corpus.name);
            if !only.is_empty() && !only.iter().any(|part| cell.contains(part.as_str())) {
                continue;
            }
            missed.extend(row(&corpus, chunk_bytes));
        }
    }
    println!("\n* reads the corpus wrongly   ~ measured twice only, as it takes long");
    if missed.is_empty() {
        println!("Every bar is met.");
        return ExitCode::SUCCESS;
    }
    missed.iter().for_each(|bar| println!("MISSED {bar}"));
    ExitCode::FAILURE
}

/// The corpora that the bars are about.
fn corpora(bytes: usize) -> [Corpus; 7] {
    [
        fixtures::llm(bytes),
        fixtures::tiny(bytes),
        fixtures::lines_64k(bytes),
        fixtures::multi(bytes),
        fixtures::crlf(bytes),
        fixtures::comments(bytes),
        fixtures::drip(bytes),
    ]
}

/// Measures and prints one row, and returns the bars it misses.
fn row(corpus: &Corpus, chunk_bytes: usize) -> Vec<String> {
    let chunks = chunks(&corpus.stream, chunk_bytes);
    let cells: Vec<Cell> = measure(corpus, &chunks);
    print!("{:9}", corpus.name);
    for (cell, contender) in cells.iter().zip(&ALL) {
        let mark = match (cell.right || contender.kind == Kind::Scan, cell.slow) {
            (false, _) => "*",
            (true, true) => "~",
            (true, false) => "",
        };
        let rate = corpus.stream.len() as f64 / cell.median().as_secs_f64() / 1e6;
        print!(" {:>12}", format!("{rate:.0}{mark}"));
    }
    let of = |kind: Kind| ALL.iter().position(|contender| contender.kind == kind).unwrap();
    let (borrowed, owned, scan) =
        (&cells[of(Kind::Borrowed)], &cells[of(Kind::Owned)], &cells[of(Kind::Scan)]);
    let fastest = (0..ALL.len())
        .filter(|at| ALL[*at].kind == Kind::Peer)
        .min_by_key(|at| cells[*at].median())
        .unwrap();
    let ratios = [
        borrowed.times_as_fast_as(&cells[fastest]),
        owned.times_as_fast_as(&cells[fastest]),
        borrowed.times_as_fast_as(scan),
    ];
    ratios.iter().for_each(|ratio| print!(" {ratio:>9.2}"));
    println!("  fastest: {}", ALL[fastest].name);

    let long_lines = corpus.name == "64k";
    let scan_bar = ["llm", "tiny", "multi"].contains(&corpus.name) && chunk_bytes >= 1_400;
    let bars = [
        ("borrowed to the fastest peer", ratios[0], if long_lines { 1.0 } else { 1.3 }),
        ("owned to the fastest peer", ratios[1], 1.0),
        ("borrowed to the scan", ratios[2], if scan_bar { 0.4 } else { 0.0 }),
    ];
    let mut missed: Vec<String> = bars
        .into_iter()
        .filter(|(_, ratio, bar)| ratio < bar)
        .map(|(name, ratio, bar)| {
            format!("{}/{chunk_bytes}: {name} {ratio:.2}, the bar is {bar}", corpus.name)
        })
        .collect();
    if !borrowed.right || !owned.right {
        missed.push(format!("{}/{chunk_bytes}: read wrongly", corpus.name));
    }
    missed
}

/// What was measured of one contender on one corpus.
struct Cell {
    right: bool,
    slow: bool,
    rounds: Vec<Duration>,
}

impl Cell {
    fn median(&self) -> Duration {
        let mut sorted = self.rounds.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    fn times_as_fast_as(&self, other: &Self) -> f64 {
        let round = |at: usize| {
            let theirs = other.rounds[at.min(other.rounds.len() - 1)];
            theirs.as_secs_f64() / self.rounds[at].as_secs_f64()
        };
        let mut ratios: Vec<f64> = (0..self.rounds.len()).map(round).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

fn measure(corpus: &Corpus, chunks: &[Bytes]) -> Vec<Cell> {
    let mut cells: Vec<(Cell, u32)> = ALL.iter().map(|one| first(one, corpus, chunks)).collect();
    for _ in 0..ROUNDS {
        for ((cell, times), contender) in cells.iter_mut().zip(&ALL) {
            if !cell.slow {
                let start = Instant::now();
                for _ in 0..*times {
                    black_box((contender.count)(black_box(chunks)));
                }
                cell.rounds.push(start.elapsed() / *times);
            }
        }
    }
    cells.into_iter().map(|(cell, _)| cell).collect()
}

/// Checks a contender, and finds how often it must run for a round to be long enough.
fn first(contender: &Contender, corpus: &Corpus, chunks: &[Bytes]) -> (Cell, u32) {
    let right = (contender.check)(chunks, corpus);
    let pass = || {
        let start = Instant::now();
        black_box((contender.count)(black_box(chunks)));
        start.elapsed()
    };
    let mut took = pass();
    if took > SLOW {
        // It may be the machine that was slow, and a fast peer must not be left out for that.
        took = took.min(pass());
    }
    let slow = took > SLOW;
    let rounds = if slow { vec![took] } else { Vec::new() };
    let times = (ROUND.as_nanos() / took.as_nanos().max(1)).clamp(1, 10_000) as u32;
    (Cell { right, slow, rounds }, times)
}

fn short(name: &str) -> String {
    name.replace("eventsource", "es").replace("tidings ", "")
}

const CHUNK_BYTES: [usize; 4] = [16 << 10, 1_400, 64, 1];
/// Small enough to stay in the second cache: the decoders are measured, not the memory.
const STREAM_BYTES: usize = 256 << 10;
/// Some peers take time quadratic in the length of a line in small chunks.
const STREAM_BYTES_SMALL: usize = 64 << 10;
const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(1);
/// Whoever takes longer than this for one pass is measured twice only.
const SLOW: Duration = Duration::from_millis(100);
