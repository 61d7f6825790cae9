//! Restarts the hubs of a cluster one after the other under load, and shows what it costs:
//! `cargo run --release -p tidings-bench-rolling`, and `--help` for its options.
//!
//! ```text
//!  publisher ──► hub 1 ─┐                     ┌─► hub 1 ─► subscribers
//!  20 a second   hub 2 ─┼─► three servers ────┼─► hub 2 ─► subscribers   each knows all three hubs,
//!                hub 3 ─┘   of NATS           └─► hub 3 ─► subscribers   as a proxy in front does
//! ```
//!
//! Each subscriber does what a browser's `EventSource` does: when its stream ends it waits for the
//! time that the hub told it and comes back with the last id. It must have been given every event
//! once and in order in the end, or the bench fails. The publisher sends each event with a key, again
//! and again until a hub has taken it.

mod arguments;
mod hub;
mod plot;
mod publisher;
mod report;
mod restarts;
mod subscriber;
mod tally;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use arguments::{Arguments, USAGE};
use hub::Hub;
use publisher::Publisher;
use subscriber::Subscriber;
use tally::Tally;
use tidings_testing_nats::Cluster;
use tokio::time::{Instant, sleep};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match Arguments::parse(&words) {
        Ok(Some(asked)) => run(&asked).await,
        Ok(None) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(wrong) => Err(wrong.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(asked: &Arguments) -> Result<(), Failure> {
    let tidings = match &asked.tidings {
        Some(path) => path.clone(),
        None => build_tidings()?,
    };
    more_files()?;
    eprintln!("Starting three NATS servers and three hubs.");
    let cluster = Cluster::start(3).await;
    let urls = cluster.urls().join(",");
    let mut hubs = Vec::new();
    for _ in 0..HUBS {
        hubs.push(Hub::start(&tidings, "127.0.0.1:0", &urls, &asked.hub_options).await?);
    }
    let addresses: Arc<[SocketAddr]> = hubs.iter().map(Hub::address).collect();

    let tally = Arc::new(Tally::new(asked.subscribers));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..asked.subscribers {
        tasks.spawn(Subscriber::new(number, &addresses, &tally).run());
        // As many at once as the listeners' queues take.
        if number % 100 == 99 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    tally.wait_until(OPEN_TIME_MAX, |seen| seen.open == asked.subscribers).await?;
    eprintln!("{} subscribers follow. Publishing {} a second.", asked.subscribers, asked.rate);

    let publisher = Publisher::start(&addresses, asked.rate);
    tally.begin();
    sleep(BEFORE).await;
    let restarts = restarts::roll(&mut hubs, &tidings, &urls, asked, &tally).await?;
    tally.wait_until(OPEN_TIME_MAX, |seen| seen.open == asked.subscribers).await?;
    let all_back = tally.now();
    sleep(AFTER).await;
    let published = publisher.stop().await?;
    let deadline = Instant::now() + DELIVERY_TIME_MAX;
    let all_have =
        tally.wait_until(DELIVERY_TIME_MAX, |seen| seen.complete(published.events)).await;
    eprintln!(
        "Waited {} ms for the last event.",
        DELIVERY_TIME_MAX.saturating_sub(deadline - Instant::now()).as_millis()
    );
    tasks.shutdown().await;

    let result = tally.result(all_back);
    report::print(&result, &restarts, &published, asked);
    if let Some(path) = &asked.svg {
        std::fs::write(path, plot::svg(&result, &restarts))?;
        println!("\nThe plot is {}.", path.display());
    }
    all_have?;
    if result.wrong.is_empty() {
        Ok(())
    } else {
        Err("not every subscriber has every event".into())
    }
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

/// Lets this process, and those that it starts, open as many files as it may.
fn more_files() -> Result<(), Failure> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

const HUBS: usize = 3;
// Before the first restart and after the last return, so that the plot shows the rest.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(3);
const OPEN_TIME_MAX: Duration = Duration::from_secs(60);
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(30);
