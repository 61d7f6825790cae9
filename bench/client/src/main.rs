//! Compares the client with other crates' and with the limit, end to end over HTTP/1.1 on loopback.
//!
//! `cargo run --release -p tidings-bench-client [ROUNDS]` (default 5) prints the tables of one
//! source at full speed, of a thousand in one process, and of one that is not read; then the bars.
//! It exits with 1 if one is missed.
//!
//! The server is this program in a second process, and each figure is taken in a third, which runs
//! the contender on one thread: with two cores, the server has the other. Nothing is pinned. The
//! contenders take turns in every round, so that whatever else the machine does falls on all of
//! them; a figure is the median of the rounds with the least and the most, and a ratio the median
//! of the rounds' ratios. Each process checks the count and a sum over the type, data and last event
//! id of all events that it is measured with; at full speed it has compared each of them before.
//!
//! The streams are the codec bench's, sent in the chunked transfer coding. Each event is a chunk, as
//! APIs of language models send them; or the chunks have 1,400 bytes, or 16 KiB: the more events a
//! chunk holds, the less HTTP costs beside decoding. The server has them framed before and writes
//! as much at a time as the socket takes, so that it is rarely what is waited for. Where it is, or
//! where another program has a core (a contender was busy for less than [`BUSY`] of the time),
//! events a second say little, and the bar goes by CPU time an event.
//!
//! The limit is a loop over the body as `reqwest` gives it, with the HTTP client of our source, that
//! makes nothing of the bytes and does not even look at them. Below it is the same on a connection
//! of `hyper`, for what `reqwest` itself costs; above it the loop with our decoder and owned events,
//! for what the source costs beside decoding, as no client that hands out events can do less.
//!
//! [`BUSY`]: report::BUSY

mod contender;
mod measure;
mod report;
mod server;
mod usage;
mod workload;

use std::process::ExitCode;

use contender::{Contender, Failure};
use measure::Measurement;
use report::Rounds;
use server::{Chunks, Server};
use workload::Workload;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match arguments[..] {
        ["server"] => run(async { Ok(server::serve().await?) }),
        ["measure", contender, server, measurement] => measure_here(contender, server, measurement),
        [] => return compare(ROUNDS),
        [rounds] if rounds.parse::<usize>().is_ok_and(|rounds| rounds > 0) => {
            return compare(rounds.parse().unwrap_or(ROUNDS));
        }
        _ => Err("the only argument is the number of rounds, 1 or more".into()),
    };
    exit_code(ended)
}

fn compare(rounds: usize) -> ExitCode {
    match measure_all(rounds) {
        Ok(found) => {
            found.print();
            if found.print_bars() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => exit_code(Err(failure)),
    }
}

/// Takes every figure in every round.
fn measure_all(rounds: usize) -> Result<Rounds, Failure> {
    let server = Server::start()?;
    let mut found = Rounds::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for measurement in measurements() {
            let long = matches!(measurement, Measurement::Crowd | Measurement::Stall);
            if long && round >= LONG_ROUNDS {
                continue;
            }
            for contender in contenders(measurement) {
                let figures = measurement.run(contender, server.address)?;
                found.add(measurement, contender, figures);
            }
        }
    }
    Ok(found)
}

fn measurements() -> Vec<Measurement> {
    let full_speed = Workload::ALL.into_iter().flat_map(|workload| {
        CHUNKS.into_iter().map(move |chunks| Measurement::FullSpeed { workload, chunks })
    });
    full_speed.chain([Measurement::Crowd, Measurement::Stall]).collect()
}

/// One source is the same however its HTTP client was made, and a bare connection is no client of
/// a thousand.
fn contenders(measurement: Measurement) -> Vec<Contender> {
    let left_out = match measurement {
        Measurement::FullSpeed { .. } | Measurement::Stall => Contender::TidingsNew,
        Measurement::Crowd => Contender::Hyper,
    };
    Contender::ALL.into_iter().filter(|contender| *contender != left_out).collect()
}

fn measure_here(contender: &str, server: &str, measurement: &str) -> Result<(), Failure> {
    let contender = Contender::named(contender).ok_or("no such contender")?;
    let (server, measurement) = (server.parse()?, measurement.parse::<Measurement>()?);
    run(async move {
        println!("{}", measurement.take(contender, server).await?);
        Ok(())
    })
}

/// Runs it on this thread, as a task among the others: waking what a runtime blocks on takes a
/// system call, which a program with tasks does not make for each chunk.
fn run(future: impl Future<Output = Result<(), Failure>> + Send + 'static) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::spawn(future).await? })
}

fn exit_code(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

const ROUNDS: usize = 5;
/// What takes seconds is measured in the first rounds only.
const LONG_ROUNDS: usize = 3;
const CHUNKS: [Chunks; 3] = [Chunks::Events, Chunks::PACKET, Chunks::LARGE];
