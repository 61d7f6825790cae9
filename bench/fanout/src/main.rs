//! Compares servers of event streams on loopback, from the limit of the kernel to what most
//! programs do: `cargo run --release -p tidings-bench-fanout`, and `--help` for its options.
//!
//! Each server is a process of its own on one core, and all subscribers and the publisher are one
//! thread on another. The servers take turns in every round, so that whatever else the machine does
//! falls on all of them, and another one begins in each; a figure is the median of the rounds with
//! the least and the most. Every event carries its number and its time, and every subscriber's
//! events are compared byte for byte with what was published, in its order. What a server drops is
//! counted and shown.
//!
//! The limit, `bare`, makes one system call an event and subscriber and nothing else;
//! `bare-coalescing` makes one for all that came since. See [`peers`] for the others.

mod arguments;
mod bars;
mod cells;
mod disturbance;
mod interrupt;
mod load;
mod peers;
mod process;
mod report;
mod results;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use arguments::{Arguments, USAGE};
use bars::Outcome;
use cells::{Cell, Setting};
use disturbance::Disturbance;
use load::Failure;
use peers::Peer;
use report::Circumstances;
use results::Results;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.first().map(String::as_str) {
        Some(process::LAUNCH) => Err(process::launch(&words[1..])),
        Some(peers::SERVE) => peers::serve(words.get(1).map_or("", String::as_str))
            .map(|()| true)
            .map_err(Failure::from),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(true)
        }
        _ => Arguments::parse(&words).map_err(Failure::from).and_then(|asked| compare(&asked)),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints and writes the report; returns whether every bar is met.
fn compare(asked: &Arguments) -> Result<bool, Failure> {
    let tidings = match &asked.tidings {
        Some(path) => path.clone(),
        None => build_tidings()?,
    };
    if asked.install {
        peers::install_nchan()?;
    }
    let mut peers = asked.peers.clone();
    if peers.contains(&Peer::Nchan) && peers::nchan_module().is_none() {
        eprintln!("Nchan is left out: it is not installed, and --install does it");
        peers.retain(|peer| *peer != Peer::Nchan);
    }
    interrupt::listen()?;
    process::more_files()?;
    process::pin(process::LOADS_CORE)?;
    let setting = Setting { tidings, quick: asked.quick };
    let mut results = Results::default();
    let disturbance = Disturbance::begin()?;
    for round in 0..asked.rounds {
        eprintln!("round {} of {}", round + 1, asked.rounds);
        for cell in &asked.cells {
            if cell.is_steady() && round >= STEADY_ROUNDS {
                continue;
            }
            one_round(*cell, round, &peers, &setting, &mut results)?;
        }
    }
    let others_percent = disturbance.percent()?;
    table::print(&results);
    println!("\nOther programs had {others_percent:.0} % of the machine meanwhile.");
    let bars = bars::bars(&results);
    println!();
    for bar in bars.iter().filter(|bar| bar.outcome() != Outcome::Open) {
        println!("{bar}");
    }
    let left_out = asked.peers.iter().filter(|peer| !peers.contains(peer));
    let circumstances = Circumstances {
        machine: machine(),
        rounds: asked.rounds,
        others_percent,
        left_out: left_out.map(|peer| peer.name().to_owned()).collect(),
    };
    report::write(&asked.report, &results, &bars, &circumstances)?;
    println!("\nThe report is {}.", asked.report.display());
    Ok(bars.iter().all(|bar| bar.outcome() != Outcome::Missed))
}

/// The processor and the kernel.
fn machine() -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, Linux {}", model.unwrap_or("A processor"), kernel.trim())
}

/// Measures all servers one after the other, another first in each round.
fn one_round(
    cell: Cell,
    round: usize,
    peers: &[Peer],
    setting: &Setting,
    results: &mut Results,
) -> Result<(), Failure> {
    let mut peers: Vec<Peer> = peers.iter().copied().filter(|peer| cell.measures(*peer)).collect();
    let count = peers.len().max(1);
    peers.rotate_left(round % count);
    for size in cell.sizes(setting.quick) {
        for peer in &peers {
            eprintln!("  {} at {size}: {}", cell.name(), peer.name());
            let measured = cell.measure(*peer, *size, setting, results);
            measured.map_err(|failure| format!("{} at {}: {failure}", peer.name(), cell.name()))?;
        }
    }
    Ok(())
}

/// Builds the hub in the workspace above the benches', and says where it is.
fn build_tidings() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new("cargo")
        .args(["build", "--release", "--package", "tidings"])
        .current_dir(&root)
        .status()?;
    if !status.success() {
        return Err("the hub could not be built".into());
    }
    Ok(root.join("target/release/tidings").canonicalize()?)
}

/// What hardly differs from round to round is measured in the first ones only.
const STEADY_ROUNDS: usize = 3;
