//! How long an event takes from the publisher to each of many subscribers, at a pace that any
//! server keeps.

use std::time::Duration;

use super::{Setting, follow, load};
use crate::load::Failure;
use crate::peers::{Peer, Publishing};
use crate::results::{Metric, Results};

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
    load.pace(INTERVAL, WARM_UP)?;
    let time = if setting.quick { TIME_QUICK } else { TIME };
    let mut delays = load.pace(INTERVAL, time)?;
    delays.sort_unstable();
    for (metric, part) in [(Metric::P50, 0.5), (Metric::P99, 0.99), (Metric::P999, 0.999)] {
        let at = (delays.len() as f64 * part) as usize;
        let delay = delays.get(at).ok_or("no event has arrived")?;
        results.add(metric, subscribers, peer, f64::from(*delay) / 1e6);
    }
    results.lose(&format!("{subscribers} subscribers, paced"), peer, load.drain()?);
    Ok(())
}

const INTERVAL: Duration = Duration::from_millis(10);
const WARM_UP: Duration = Duration::from_millis(300);
const TIME: Duration = Duration::from_secs(3);
const TIME_QUICK: Duration = Duration::from_secs(1);
