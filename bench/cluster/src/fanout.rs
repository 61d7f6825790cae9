//! The same subscribers and events on one, two and three hubs.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Failure, Setting,
    crowd::{Crowd, percentile_ms},
    figures::{grouped, table},
    http::Publisher,
    hub::{Hub, Recipe},
    payload,
    scale::{all_open, is_complete},
    stage::Stage,
};

/// Measures and prints it, and says whether every subscriber got every event.
pub async fn measure(stage: &mut Stage, setting: &Setting) -> Result<bool, Failure> {
    let (subscribers, rate, seconds) = if setting.quick { (600, 20, 3) } else { (6_000, 20, 20) };
    let events = rate * seconds;
    let mut is_met = true;
    let mut rows = Vec::new();
    for hubs in 1..=3 {
        eprintln!("{subscribers} subscribers of {hubs} hubs");
        let recipe = Recipe { stream: format!("fanout-{hubs}"), ..setting.recipe.clone() };
        let hubs = (0..hubs).map(|_| Hub::start(&recipe)).collect::<Result<Vec<_>, _>>()?;
        let mut crowds = Vec::new();
        for (at, hub) in hubs.iter().enumerate() {
            crowds.push(Crowd::start(at, hub.address, subscribers / hubs.len(), events)?);
        }
        all_open(&mut crowds).await?;
        let mut publishers = Vec::new();
        for hub in &hubs {
            publishers.push(Publisher::connect(hub.address).await?);
        }
        let mut pace = interval(Duration::from_secs(1) / rate as u32);
        // Whoever is late makes up for it: the rate is what is offered.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begin = payload::now();
        for event in 0..events {
            pace.tick().await;
            let publisher = &mut publishers[event as usize % hubs.len()];
            publisher.publish(&payload::encode(event, payload::now())).await?;
        }
        let mut end = begin;
        for crowd in &mut crowds {
            for event in 0..events {
                end = end.max(crowd.has(event).await?);
            }
        }
        let mut counts = Vec::new();
        for crowd in crowds {
            counts.push(crowd.end().await?);
        }
        let deliveries = subscribers as u64 * events;
        let is_complete = is_complete(&counts, deliveries);
        is_met &= is_complete;
        let a_second = deliveries as f64 / ((end - begin) as f64 / 1e9);
        let ms = |part| format!("{:.2}", percentile_ms(&counts, part));
        let figures = [ms(0.5), ms(0.99), ms(0.999)];
        rows.push([vec![hubs.len().to_string(), grouped(a_second)], figures.to_vec()].concat());
        drop(hubs);
        stage.delete_stream(&recipe.stream).await?;
    }
    println!(
        "\n### {} subscribers, {rate} events a second, a stream on {} NATS servers\n",
        grouped(subscribers as f64),
        stage.nodes()
    );
    let heads = ["hubs", "deliveries a second", "publish to receipt, p50 ms", "p99", "p99.9"];
    table(&heads, &rows);
    println!("\nHubs, servers and subscribers share this machine's processors.");
    Ok(is_met)
}
