//! How many streams are opened a second: a connection, a request, the head of the answer.

use super::{Setting, follow, percent};
use crate::load::{Failure, Load};
use crate::peers::Peer;
use crate::results::{Metric, Results};

pub fn measure(
    peer: Peer,
    connections: usize,
    setting: &Setting,
    results: &mut Results,
) -> Result<(), Failure> {
    let server = peer.start(&setting.tidings)?;
    let mut load = Load::new(server.address)?;
    // The first ones pay for what is there for all others.
    follow(&mut load, &server, connections / 10)?;
    load.cut();
    let clock = load.clock();
    follow(&mut load, &server, connections)?;
    let span = load.since(clock);
    results.add(Metric::Connects, connections, peer, connections as f64 / span.wall.as_secs_f64());
    results.add(Metric::ConnectsLoad, connections, peer, percent(span.busy, span.wall));
    Ok(())
}
