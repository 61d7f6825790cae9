//! What is measured. Each cell starts a server of its own for each figure, so that nothing of one
//! is in another.

mod connect;
mod latency;
mod memory;
mod stalled;
mod storm;
mod throughput;
mod topics;

use std::path::PathBuf;
use std::time::Duration;

use crate::load::{Crowd, Failure, Load, Share};
use crate::peers::{Peer, Publishing, Server, TOPIC};
use crate::results::Results;

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Throughput,
    Latency,
    Memory,
    Stalled,
    Connect,
    Storm,
    Topics,
}

/// What holds for all cells.
pub struct Setting {
    pub tidings: PathBuf,
    pub quick: bool,
}

impl Cell {
    pub const ALL: [Self; 7] = [
        Self::Throughput,
        Self::Latency,
        Self::Memory,
        Self::Stalled,
        Self::Connect,
        Self::Storm,
        Self::Topics,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Stalled => "stalled",
            Self::Connect => "connect",
            Self::Storm => "storm",
            Self::Topics => "topics",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| cell.name() == name)
    }

    /// The sizes at which it is measured, all servers at one and then at the next.
    pub fn sizes(self, quick: bool) -> &'static [usize] {
        match (self, quick) {
            (Self::Throughput, false) => &[1, 100, 1_000, 10_000],
            (Self::Throughput, true) => &[1, 1_000],
            (Self::Latency, _) | (Self::Stalled, false) => &[1_000],
            (Self::Memory, false) => &[15_000],
            (Self::Memory, true) => &[3_000],
            (Self::Stalled, true) => &[200],
            (Self::Connect, false) => &[5_000],
            (Self::Connect, true) => &[1_000],
            (Self::Storm, false) => &[10_000],
            (Self::Storm, true) => &[1_000],
            (Self::Topics, false) => &[1, 1_000, 15_000],
            (Self::Topics, true) => &[1, 1_000],
        }
    }

    /// Whether the server takes part.
    pub fn measures(self, peer: Peer) -> bool {
        match self {
            Self::Throughput | Self::Latency => true,
            // What is published is not on the way to anybody, or is the same to all.
            Self::Memory | Self::Connect => {
                !matches!(peer, Peer::BareCoalescing | Peer::TidingsFsync)
            }
            Self::Stalled => peer.is_tidings(),
            Self::Storm => peer.resumes() && peer != Peer::BareCoalescing,
            Self::Topics => peer.has_topics() && peer != Peer::TidingsFsync,
        }
    }

    /// Whether a few rounds say as much as many.
    pub fn is_steady(self) -> bool {
        matches!(self, Self::Memory | Self::Stalled)
    }

    pub fn measure(
        self,
        peer: Peer,
        size: usize,
        setting: &Setting,
        results: &mut Results,
    ) -> Result<(), Failure> {
        match self {
            Self::Throughput => throughput::measure(peer, size, setting, results),
            Self::Latency => latency::measure(peer, size, setting, results),
            Self::Memory => memory::measure(peer, size, setting, results),
            Self::Stalled => stalled::measure(peer, size, setting, results),
            Self::Connect => connect::measure(peer, size, setting, results),
            Self::Storm => storm::measure(peer, size, setting, results),
            Self::Topics => topics::measure(peer, size, setting, results),
        }
    }
}

/// Has `count` more subscribers follow the one topic.
fn follow(load: &mut Load, server: &Server, count: usize) -> Result<(), Failure> {
    follow_topic(load, server, count, TOPIC)
}

fn follow_topic(
    load: &mut Load,
    server: &Server,
    count: usize,
    topic: &str,
) -> Result<(), Failure> {
    let path = |_| server.path(topic);
    load.connect(&Crowd { count, path: &path, last_event_id: None, share: Share::FromFirst })
}

/// A load that publishes to the one topic.
fn load(server: &Server, publishing: Publishing) -> Result<Load, Failure> {
    let mut load = Load::new(server.address)?;
    load.publish_with(server.events, server.form(publishing))?;
    Ok(load)
}

fn percent(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64() * 100.0
}
