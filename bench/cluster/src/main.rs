//! Measures hubs that share one stream of NATS JetStream:
//! `cargo run --release -p tidings-bench-cluster`, and `--help` for its options.
//!
//! It starts the NATS servers itself, one that keeps the stream alone (R1) and three that keep a
//! replica each (R3), with their stores in `TMPDIR` and the servers' defaults: they write at once,
//! and sync every two minutes. What is compared takes turns in small slices, so that whatever else
//! the machine does falls on all alike. Every event says its number and is checked byte for byte;
//! one that is missing, comes twice or is changed is a failure. It exits with 1 if a bar is missed.
//!
//! - `--latency` and `--throughput`, the default, hold the clustered log to what the same servers
//!   do with bare messages: published on one connection, with the acknowledgement awaited, and
//!   received by an ordered push consumer on another. A bare message has the events' 100 bytes
//!   each and nothing else.
//! - `--start`: how long a log takes to open.
//! - `--fanout`: the same subscribers and events on one, two and three hubs.
//! - `--scale`: 100,000 subscribers of six hubs. A process that may open 20,000 descriptors
//!   suffices, as hubs and subscribers are in a dozen.
//!
//! Everything is on one machine: with few cores, hubs, servers and subscribers wait for each other.

mod arguments;
mod contender;
mod crowd;
mod fanout;
mod figures;
mod http;
mod hub;
mod latency;
mod ledger;
mod memory;
mod opening;
mod payload;
mod scale;
mod stage;
mod stream;
mod throughput;

use std::process::ExitCode;

use arguments::{Arguments, Part, USAGE};
use hub::Recipe;
use stage::Stage;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all parts are measured with.
pub struct Setting {
    pub quick: bool,
    pub recipe: Recipe,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.first().map(String::as_str) {
        Some(hub::HUB) => hub::serve(&words[1..]).await.map(|()| true),
        Some(crowd::CROWD) => crowd::run(&words[1..]).map(|()| true),
        Some(hub::LAUNCH) => Err(hub::launch(&words[1..])),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(true)
        }
        _ => match Arguments::parse(&words) {
            Ok(asked) => measure(asked).await,
            Err(wrong) => Err(wrong.into()),
        },
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

/// Measures what is asked for; returns whether every bar is met.
async fn measure(asked: Arguments) -> Result<bool, Failure> {
    let mut is_met = true;
    for nodes in asked.nodes {
        let mut stage = Stage::start(nodes).await;
        let recipe = Recipe {
            tidings: asked.tidings.clone(),
            stream: "tidings".to_owned(),
            urls: stage.urls(),
            replicas: nodes,
        };
        let setting = Setting { quick: asked.quick, recipe };
        for part in &asked.parts {
            is_met &= match part {
                Part::Latency => latency::measure(&mut stage, &setting).await?,
                Part::Throughput => throughput::measure(&mut stage, &setting).await?,
                Part::Start => opening::measure(&mut stage, &setting).await?,
                Part::Fanout => fanout::measure(&mut stage, &setting).await?,
                Part::Scale => scale::measure(&mut stage, &setting).await?,
            };
        }
    }
    Ok(is_met)
}
