//! What an idle subscriber holds in memory, in the server and in the kernel.

use std::time::{Duration, Instant};

use super::{Setting, follow, load};
use crate::load::{Failure, Load};
use crate::peers::{Peer, Publishing, Server};
use crate::process::Memory;
use crate::results::{Metric, Results};

pub fn measure(
    peer: Peer,
    connections: usize,
    setting: &Setting,
    results: &mut Results,
) -> Result<(), Failure> {
    let server = peer.start(&setting.tidings)?;
    let mut load = load(&server, Publishing::Each)?;
    // What is made for the first subscriber alone is there before it counts.
    follow(&mut load, &server, 1)?;
    load.prime()?;
    let one = settled(&server, &mut load)?;
    follow(&mut load, &server, SOME - 1)?;
    let some = settled(&server, &mut load)?;
    follow(&mut load, &server, connections - SOME)?;
    let all = settled(&server, &mut load)?;
    // What is made for a subscriber's first event may stay with it. The publisher may have been
    // silent for too long.
    load.publish_with(server.events, server.form(Publishing::Each))?;
    load.prime()?;
    let given = settled(&server, &mut load)?;
    let each = |from: u64, to: u64, count: usize| (to as f64 - from as f64) / count as f64;
    let user = |from: Memory, to: Memory, count| each(from.user_bytes, to.user_bytes, count);
    let mut add = |metric, size, bytes| results.add(metric, size, peer, bytes);
    add(Metric::Idle, SOME, user(one, some, SOME - 1));
    add(Metric::Idle, connections, user(one, all, connections - 1));
    add(Metric::Slope, connections, user(some, all, connections - SOME));
    add(Metric::Given, connections, user(one, given, connections - 1));
    add(Metric::Kernel, connections, each(one.slab_bytes, all.slab_bytes, connections - 1));
    Ok(())
}

/// The server's memory once it has stopped changing, or after a while.
pub fn settled(server: &Server, load: &mut Load) -> Result<Memory, Failure> {
    let begin = Instant::now();
    let mut last = server.process.memory()?;
    let mut same = 0;
    while same < SAME && begin.elapsed() < SETTLE_TIME_MAX {
        load.idle(LOOK)?;
        let now = server.process.memory()?;
        same = if now.user_bytes == last.user_bytes { same + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// The smaller of the crowds.
const SOME: usize = 1_000;
const LOOK: Duration = Duration::from_millis(100);
const SAME: usize = 5;
const SETTLE_TIME_MAX: Duration = Duration::from_secs(5);
