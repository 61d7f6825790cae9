//! Publishing to many topics in turn, each with one subscriber: what one event costs must not grow
//! with how many topics there are that it is not for.
//!
//! A subscriber is a connection here, so that there are as many topics as a process may open files:
//! 15,000 where the limit is 20,000, and not the 100,000 that a hub may well have.

use super::Setting;
use super::throughput::{TIME, TIME_QUICK, WINDOW, under_load};
use crate::load::{Crowd, Failure, Load, Share};
use crate::peers::Peer;
use crate::results::{Metric, Results};

pub fn measure(
    peer: Peer,
    topics: usize,
    setting: &Setting,
    results: &mut Results,
) -> Result<(), Failure> {
    let server = peer.start(&setting.tidings)?;
    let mut load = Load::new(server.address)?;
    let path = |which: usize| server.path(&which.to_string());
    load.connect(&Crowd { count: topics, path: &path, last_event_id: None, share: Share::InTurn })?;
    load.publish_with(server.events, server.form_in_turn(topics as u64))?;
    let time = if setting.quick { TIME_QUICK } else { TIME };
    let under = under_load(&server, &mut load, WINDOW, time)?;
    results.add(Metric::TopicRate, topics, peer, under.rate);
    results.add(Metric::TopicCpu, topics, peer, under.cpu_us);
    results.add(Metric::TopicLoad, topics, peer, under.load_percent);
    results.lose(&format!("{topics} topics"), peer, under.missing);
    Ok(())
}
