//! Deliveries a second to a number of subscribers, and what one costs the server.

use std::time::Duration;

use super::{Setting, follow, load, percent};
use crate::load::{Failure, Load};
use crate::peers::{Peer, Publishing, Server};
use crate::results::{Metric, Results, Row};

pub fn measure(
    peer: Peer,
    subscribers: usize,
    setting: &Setting,
    results: &mut Results,
) -> Result<(), Failure> {
    let server = peer.start(&setting.tidings)?;
    let mut load = load(&server, Publishing::Each)?;
    follow(&mut load, &server, subscribers)?;
    load.prime()?;
    let time = if setting.quick { TIME_QUICK } else { TIME };
    let mut one = |load: &mut Load, window, metrics: [Metric; 3], posts| {
        let row = Row { peer, posts };
        let span = under_load(&server, load, window, time)?;
        results.add(metrics[0], subscribers, row, span.rate);
        results.add(metrics[1], subscribers, row, span.cpu_us);
        results.add(metrics[2], subscribers, row, span.load_percent);
        let cell = format!("{subscribers} subscribers, {window} in flight");
        results.lose(&cell, row, span.missing);
        Ok::<(), Failure>(())
    };
    one(&mut load, 1, [Metric::RateOne, Metric::CpuOne, Metric::LoadOne], false)?;
    let burst = [Metric::RateBurst, Metric::CpuBurst, Metric::LoadBurst];
    if peer == Peer::Tidings {
        one(&mut load, WINDOW, burst, true)?;
    }
    if peer.is_tidings() {
        load.publish_with(server.events, server.form(Publishing::Streamed))?;
    }
    one(&mut load, WINDOW, burst, false)?;
    load.end_publishing()
}

/// What a server did under load.
pub struct Under {
    pub rate: f64,
    pub cpu_us: f64,
    pub load_percent: f64,
    pub missing: u64,
}

/// Warms the server up, then measures it for `time`, then sees what is missing.
pub fn under_load(
    server: &Server,
    load: &mut Load,
    window: u64,
    time: Duration,
) -> Result<Under, Failure> {
    let missing = load.drain()?;
    load.run(window, time / 4)?;
    let before = server.process.cpu()?;
    let span = load.run(window, time)?;
    let cpu = server.process.cpu()? - before;
    let delivered = span.delivered as f64;
    Ok(Under {
        rate: delivered / span.wall.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / delivered,
        load_percent: percent(span.busy, span.wall),
        missing: load.drain()? - missing,
    })
}

/// The events on the way in bursts.
pub const WINDOW: u64 = 64;
pub const TIME: Duration = Duration::from_millis(1_500);
pub const TIME_QUICK: Duration = Duration::from_millis(400);
