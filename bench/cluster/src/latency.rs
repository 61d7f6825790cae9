//! From publish to receipt, one event at a time at a fixed pace.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Failure, Setting,
    contender::{Contender, Kind},
    figures::{Bar, Bound, grouped, percentile, table},
    payload,
    stage::Stage,
};

const PACE: Duration = Duration::from_millis(5);
/// The contenders take turns after so many events, so that noise falls on all of them.
const SLICE: u64 = 25;
/// The bar of the median to the bare one.
const P50_BAR: f64 = 1.3;

/// Measures all, prints them, and says whether the bar is met.
pub async fn measure(stage: &mut Stage, setting: &Setting) -> Result<bool, Failure> {
    let mut kinds = vec![Kind::Bare, Kind::Clustered, Kind::Hubs];
    if stage.nodes() == 1 {
        kinds.extend([Kind::Memory, Kind::Disk]);
    }
    // Where the servers put what follows a stream is theirs to choose: each round asks anew.
    let (rounds, slices) = if setting.quick { (2, 8) } else { (10, 20) };
    let mut micros = vec![Vec::new(); kinds.len()];
    for round in 0..rounds {
        eprintln!("{}: latency, round {} of {rounds}", stage.name(), round + 1);
        let mut contenders = Vec::new();
        for (at, &kind) in kinds.iter().enumerate() {
            let stream = format!("latency-{round}-{at}");
            contenders.push(Contender::start(kind, stage, &stream, Some(&setting.recipe)).await?);
        }
        for contender in &mut contenders {
            // The first ones warm up.
            slice(contender, 0).await?;
            contender.ledger.latencies();
        }
        for turn in 1..=slices {
            for contender in &mut contenders {
                slice(contender, turn).await?;
            }
        }
        for (contender, micros) in contenders.into_iter().zip(&mut micros) {
            let latencies = contender.ledger.latencies();
            micros.extend(latencies.iter().map(|&nanos| nanos as f64 / 1e3));
            contender.close(stage).await?;
        }
    }
    println!("\n### {}: publish to receipt, 200 events a second, µs\n", stage.name());
    let bare = percentile(&micros[0], 0.5);
    let rows = kinds.iter().zip(&micros).map(|(kind, micros)| {
        let at = |part| format!("{:.0}", percentile(micros, part));
        let ratio = format!("{:.2}", percentile(micros, 0.5) / bare);
        let samples = grouped(micros.len() as f64);
        vec![kind.name().to_owned(), at(0.5), at(0.9), at(0.99), at(1.0), ratio, samples]
    });
    let heads = ["", "p50", "p90", "p99", "max", "p50 to bare", "samples"];
    table(&heads, &rows.collect::<Vec<_>>());
    println!();
    let bar = Bar {
        what: format!("{}: p50 of the clustered log to bare NATS", stage.name()),
        value: percentile(&micros[1], 0.5) / bare,
        bound: Bound::AtMost(P50_BAR),
    };
    Ok(bar.judge())
}

async fn slice(contender: &mut Contender, turn: u64) -> Result<(), Failure> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in turn * SLICE..(turn + 1) * SLICE {
        pace.tick().await;
        let payload = payload::encode(number, payload::now());
        let message = contender.sender.message(&[payload]);
        contender.sender.send(message).await?;
    }
    contender.has((turn + 1) * SLICE).await
}
