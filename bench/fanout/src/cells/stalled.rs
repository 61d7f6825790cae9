//! What a subscriber that takes nothing holds in the server's memory beyond one that has nothing to
//! take, while one beside it is given everything.

use super::memory::settled;
use super::{Setting, follow, follow_topic, load};
use crate::load::{Failure, PAYLOAD_BYTES};
use crate::peers::{Peer, Publishing};
use crate::results::{Metric, Results};

pub fn measure(
    peer: Peer,
    stalled: usize,
    setting: &Setting,
    results: &mut Results,
) -> Result<(), Failure> {
    let with = memory_after(peer, stalled, setting, true)?;
    let without = memory_after(peer, stalled, setting, false)?;
    let each = (with as f64 - without as f64) / stalled as f64;
    results.add(Metric::Stalled, stalled, peer, each);
    Ok(())
}

/// What the server holds after it has published to one that reads, and to others that stall or
/// follow another topic.
fn memory_after(
    peer: Peer,
    others: usize,
    setting: &Setting,
    stalled: bool,
) -> Result<u64, Failure> {
    let server = peer.start(&setting.tidings)?;
    let mut load = load(&server, Publishing::Streamed)?;
    follow(&mut load, &server, 1)?;
    load.prime()?;
    match stalled {
        true => follow(&mut load, &server, others)?,
        false => follow_topic(&mut load, &server, others, "quiet")?,
    }
    load.stall(1)?;
    let bytes = if setting.quick { BYTES_QUICK } else { BYTES };
    load.run_events(super::throughput::WINDOW, (bytes / PAYLOAD_BYTES) as u64)?;
    load.end_publishing()?;
    Ok(settled(&server, &mut load)?.user_bytes)
}

const BYTES: usize = 20_000_000;
const BYTES_QUICK: usize = 4_000_000;
