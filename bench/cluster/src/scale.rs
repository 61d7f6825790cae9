//! A hundred thousand subscribers, of six hubs.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Failure, Setting,
    crowd::{Counts, Crowd},
    figures::{grouped, percentile, spread, table},
    http::Publisher,
    hub::Hub,
    memory, payload,
    stage::Stage,
};

const HUBS: usize = 6;

/// Measures and prints it, and says whether every subscriber got every event.
pub async fn measure(stage: &mut Stage, setting: &Setting) -> Result<bool, Failure> {
    let (subscribers, events, pause) = match setting.quick {
        true => (6_000, 5, Duration::from_secs(1)),
        false => (100_000, 20, Duration::from_secs(4)),
    };
    memory::watch()?;
    let mut hubs = Vec::new();
    for _ in 0..HUBS {
        hubs.push(Hub::start(&setting.recipe)?);
    }
    let before = hubs.iter().map(|hub| memory::of(hub.process())).collect::<Result<Vec<_>, _>>()?;
    let available_before = memory::available()?;

    let begin = Instant::now();
    let shares: Vec<_> =
        (0..HUBS).map(|at| subscribers / HUBS + usize::from(at < subscribers % HUBS)).collect();
    let mut crowds = Vec::new();
    for (at, hub) in hubs.iter().enumerate() {
        crowds.push(Crowd::start(at, hub.address, shares[at], events)?);
    }
    all_open(&mut crowds).await?;
    let opening = begin.elapsed();
    eprintln!("{subscribers} streams are open");

    let mut last_ms = Vec::new();
    let mut hubs_last_ms = Vec::new();
    let mut pace = interval(pause);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.tick().await;
    for event in 0..events {
        // Among others, heartbeats go out meanwhile.
        pace.tick().await;
        memory::watch()?;
        // Hubs close connections that are idle for longer than a round of all.
        let mut publisher = Publisher::connect(hubs[event as usize % HUBS].address).await?;
        let published = payload::now();
        publisher.publish(&payload::encode(event, published)).await?;
        let mut each = Vec::new();
        for crowd in &mut crowds {
            each.push(crowd.has(event).await?.saturating_sub(published) as f64 / 1e6);
        }
        last_ms.push(percentile(&each, 1.0));
        hubs_last_ms.extend(each);
    }
    let after = hubs.iter().map(|hub| memory::of(hub.process())).collect::<Result<Vec<_>, _>>()?;
    let available_after = memory::available()?;
    let mut nats = Vec::new();
    for process in stage.processes() {
        nats.push(memory::of(process)?.rss as f64 / 1e6);
    }
    let mut counts = Vec::new();
    for crowd in crowds {
        counts.push(crowd.end().await?);
    }

    let rss = |held: &[memory::Held]| held.iter().map(|held| held.rss as f64).collect::<Vec<_>>();
    let pss = |held: &[memory::Held]| held.iter().map(|held| held.pss as f64).collect::<Vec<_>>();
    let mega =
        |bytes: Vec<f64>| spread(&bytes.iter().map(|bytes| bytes / 1e6).collect::<Vec<_>>(), 1);
    let grown = |before: Vec<f64>, after: Vec<f64>| {
        let grown = after.iter().sum::<f64>() - before.iter().sum::<f64>();
        format!("{:.0}", grown / subscribers as f64)
    };
    let at = |values: &[f64], part| format!("{:.0}", percentile(values, part));
    let taken = available_before.saturating_sub(available_after) as f64;
    println!(
        "\n### {} subscribers of {HUBS} hubs, a stream on {} NATS servers, all on this machine\n",
        grouped(subscribers as f64),
        stage.nodes()
    );
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    table(
        &["", ""],
        &[
            row("streams opened a second", grouped(subscribers as f64 / opening.as_secs_f64())),
            row("RSS of a hub without subscribers, MB", mega(rss(&before))),
            row("PSS of a hub without subscribers, MB", mega(pss(&before))),
            row("RSS of a hub with its share, MB", mega(rss(&after))),
            row("PSS of a hub with its share, MB", mega(pss(&after))),
            row("RSS a subscriber, bytes", grown(rss(&before), rss(&after))),
            row("PSS a subscriber, bytes", grown(pss(&before), pss(&after))),
            row("RSS of a NATS server, MB", spread(&nats, 1)),
            row(
                "the machine's memory that all took, crowds and kernel too, MB",
                grouped(taken / 1e6),
            ),
            row("the same a subscriber, bytes", grouped(taken / subscribers as f64)),
            row("publish until the last one has it, ms: p50", at(&last_ms, 0.5)),
            row("p99", at(&last_ms, 0.99)),
            row("max", at(&last_ms, 1.0)),
            row("publish until a hub's last one has it, ms: p50", at(&hubs_last_ms, 0.5)),
            row("p99", at(&hubs_last_ms, 0.99)),
        ],
    );
    println!();
    Ok(is_complete(&counts, subscribers as u64 * events))
}

/// Waits until all are, as long as there is memory.
pub async fn all_open(crowds: &mut [Crowd]) -> Result<(), Failure> {
    let opened = futures_util::future::try_join_all(crowds.iter_mut().map(Crowd::open));
    let mut looks = interval(Duration::from_millis(500));
    let enough = async {
        loop {
            looks.tick().await;
            if let Err(failure) = memory::watch() {
                return failure;
            }
        }
    };
    tokio::select! {
        opened = opened => opened.map(drop),
        failure = enough => Err(failure),
    }
}

/// Prints what is missing, and says whether nothing is.
pub fn is_complete(counts: &[Counts], expected: u64) -> bool {
    let deliveries: u64 = counts.iter().map(|counts| counts.deliveries).sum();
    let missing: u64 = counts.iter().map(|counts| counts.missing).sum();
    let is_complete = deliveries == expected && missing == 0;
    let word = if is_complete { "met" } else { "MISSED" };
    let (deliveries, expected) = (grouped(deliveries as f64), grouped(expected as f64));
    println!("{word}: {deliveries} deliveries of {expected}, each once and in its order");
    is_complete
}
