//! A reconnect storm: all subscribers are cut off at once, miss some events, and come back with
//! their last event id.

use super::{Setting, follow, load, percent};
use crate::load::{Crowd, Failure, Share};
use crate::peers::{Peer, Publishing, TOPIC};
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
    let last = load.last_id().ok_or("a subscriber was given no id to resume from")?;
    let from = load.published();
    load.cut();
    load.publish_unheard(MISSED)?;
    let path = |_| server.path(TOPIC);
    let clock = load.clock();
    load.connect(&Crowd {
        count: subscribers,
        path: &path,
        last_event_id: Some(&last),
        share: Share::From(from),
    })?;
    let missing = load.drain()?;
    let span = load.since(clock);
    results.lose(&format!("storm of {subscribers}"), peer, missing);
    results.add(Metric::Storm, subscribers, peer, span.wall.as_secs_f64() * 1e3);
    results.add(Metric::StormLoad, subscribers, peer, percent(span.busy, span.wall));
    Ok(())
}

const MISSED: u64 = 100;
