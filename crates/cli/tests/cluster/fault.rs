//! What goes wrong, one thing at a time.

use std::time::Duration;

use futures_util::future::join_all;
use rand::{RngExt as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::time::sleep;

use crate::stage::Stage;

/// A fault that a majority of the servers survives, or that ends before the next one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A hub is killed without a word, and started again.
    KillHub,
    /// A hub is told to leave, and started again.
    StopHub,
    /// A hub stands still and goes on.
    FreezeHub,
    /// A hub's lines to NATS carry nothing for a while, and nobody is told.
    CutHub,
    /// The server that leads the stream is killed; another leads, and it comes back.
    KillLeader,
    /// A server that does not lead the stream stands still and goes on.
    FreezeFollower,
    /// The server that leads the stream stands still until another leads, and goes on.
    FreezeLeader,
    /// All servers are told to leave at once, and started again.
    StopServers,
    /// Servers and hubs are told to leave and started again, one after the other.
    RestartAll,
}

impl Fault {
    /// Those of a hub that is alone.
    pub(crate) const OF_A_HUB: [Self; 3] = [Self::KillHub, Self::StopHub, Self::FreezeHub];
    /// Those of hubs over a cluster of servers. Not [`FreezeLeader`](Self::FreezeLeader), which
    /// servers do not survive by themselves: see `bare`.
    pub(crate) const OF_A_CLUSTER: [Self; 8] = [
        Self::KillHub,
        Self::StopHub,
        Self::FreezeHub,
        Self::CutHub,
        Self::KillLeader,
        Self::FreezeFollower,
        Self::StopServers,
        Self::RestartAll,
    ];

    /// Those of the servers themselves, with or without hubs.
    pub(crate) const OF_SERVERS: [Self; 4] =
        [Self::KillLeader, Self::FreezeFollower, Self::StopServers, Self::RestartAll];

    /// That many faults by chance, none a second time before each came once.
    pub(crate) fn deal(kinds: &[Self], count: usize, random: &mut StdRng) -> Vec<Self> {
        let mut faults = Vec::new();
        while faults.len() < count {
            let mut round = kinds.to_vec();
            round.shuffle(random);
            faults.extend(round);
        }
        faults.truncate(count);
        faults
    }

    /// Does the harm, and undoes it.
    pub(crate) async fn strike(self, stage: &mut Stage, random: &mut StdRng) {
        // The servers may be alone.
        let hub = random.random_range(0..stage.nodes.len().max(1));
        // How long it lasts is part of the fault; nothing is waited for.
        let mut lasts = |millis| sleep(Duration::from_millis(random.random_range(millis)));
        match self {
            Self::KillHub => {
                stage.nodes[hub].process.kill();
                stage.nodes[hub].start().await;
            }
            Self::StopHub => {
                stage.nodes[hub].process.stop().await;
                stage.nodes[hub].start().await;
            }
            Self::FreezeHub => {
                stage.nodes[hub].process.freeze();
                lasts(500..5_000).await;
                stage.nodes[hub].process.thaw();
            }
            Self::CutHub => {
                stage.lines[hub].iter().for_each(|line| line.cut());
                lasts(1_000..9_000).await;
                stage.lines[hub].iter().for_each(|line| line.heal());
            }
            Self::KillLeader => {
                let cluster = stage.cluster_mut();
                let leader = cluster.leader(STREAM).await;
                cluster.servers[leader].kill();
                cluster.leader(STREAM).await;
                cluster.servers[leader].restart().await;
            }
            Self::FreezeFollower => {
                let cluster = stage.cluster_mut();
                let leader = cluster.leader(STREAM).await;
                let others = random.random_range(1..cluster.servers.len());
                let server = (leader + others) % cluster.servers.len();
                let lasts = Duration::from_millis(random.random_range(500..6_000));
                cluster.servers[server].freeze();
                sleep(lasts).await;
                cluster.servers[server].thaw();
            }
            Self::FreezeLeader => {
                let cluster = stage.cluster_mut();
                let leader = cluster.leader(STREAM).await;
                cluster.servers[leader].freeze();
                cluster.leader(STREAM).await;
                cluster.servers[leader].thaw();
            }
            Self::StopServers => {
                let servers = &mut stage.cluster_mut().servers;
                join_all(servers.iter_mut().map(|server| server.stop())).await;
                join_all(servers.iter_mut().map(|server| server.restart())).await;
            }
            Self::RestartAll => {
                let cluster = stage.cluster_mut();
                for server in 0..cluster.servers.len() {
                    cluster.servers[server].stop().await;
                    cluster.servers[server].restart().await;
                    cluster.ready().await;
                }
                for node in &mut stage.nodes {
                    node.process.stop().await;
                    node.start().await;
                }
            }
        }
    }
}

/// The stream that hubs make unless they are told another.
pub(crate) const STREAM: &str = "tidings";
