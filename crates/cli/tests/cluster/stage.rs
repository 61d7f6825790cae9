//! The hubs, the servers below them, and the lines between.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tidings_testing_nats::{Cluster, Proxy};
use tokio::time::{interval, timeout};

use crate::{client, ledger::Ledger, node::Node};

/// How long it may take after a fault until all is well again.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Publishes that have to be acknowledged between two faults.
const ACKNOWLEDGED_BETWEEN: usize = 40;

pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    pub(crate) cluster: Option<Cluster>,
    /// The lines of each hub to all servers.
    pub(crate) lines: Vec<Vec<Proxy>>,
    seed: u64,
}

/// How long it took until all was well.
pub(crate) struct Settled {
    pub(crate) servers: Duration,
    /// After the servers.
    pub(crate) hubs: Duration,
}

impl Stage {
    /// One hub that keeps its log on disk.
    pub(crate) async fn alone(seed: u64) -> Self {
        let nodes = vec![Node::start_alone().await];
        Self { nodes, cluster: None, lines: Vec::new(), seed }
    }

    /// Hubs over a cluster of NATS servers, each over lines of its own.
    pub(crate) async fn cluster(seed: u64, hubs: usize, servers: usize) -> Self {
        let cluster = Cluster::start(servers).await;
        let mut stage = Self { nodes: Vec::new(), cluster: Some(cluster), lines: Vec::new(), seed };
        for _ in 0..hubs {
            let mut lines = Vec::new();
            for server in &stage.cluster.as_ref().expect("it was started").servers {
                lines.push(Proxy::start(server.address()).await);
            }
            let urls: Vec<_> = lines.iter().map(Proxy::url).collect();
            stage.lines.push(lines);
            stage.nodes.push(Node::start_with_nats(&urls).await);
        }
        stage
    }

    pub(crate) fn addresses(&self) -> Arc<[SocketAddr]> {
        self.nodes.iter().map(Node::address).collect()
    }

    pub(crate) fn cluster_mut(&mut self) -> &mut Cluster {
        self.cluster.as_mut().expect("the fault is one of a cluster")
    }

    /// Waits until the servers are well, every hub takes events again, and many are acknowledged.
    pub(crate) async fn settle(&mut self, ledger: &Ledger) -> Settled {
        let begun = Instant::now();
        if let Some(cluster) = &mut self.cluster {
            cluster.ready().await;
        }
        let servers = begun.elapsed();
        let settled = timeout(SETTLED_WITHIN, async {
            let http = client::new();
            let mut turn = interval(Duration::from_millis(20));
            for node in &self.nodes {
                let url = format!("http://{}/readyz", node.address());
                while !http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                    turn.tick().await;
                }
            }
            ledger.more(ACKNOWLEDGED_BETWEEN).await;
        });
        assert!(settled.await.is_ok(), "publishing does not work within {SETTLED_WITHIN:?}");
        Settled { servers, hubs: begun.elapsed() - servers }
    }

    /// Writes what hubs and servers wrote where it outlives them.
    fn keep_logs(&self) {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", self.seed));
        let hubs = self.nodes.iter().map(Node::log);
        let servers = self.cluster.iter().flat_map(|cluster| &cluster.servers);
        let logs =
            [("hub", hubs.collect()), ("nats", servers.map(|server| server.log()).collect())];
        fs::create_dir_all(&directory).unwrap();
        for (kind, logs) in logs as [(&str, Vec<String>); 2] {
            for (number, log) in logs.iter().enumerate() {
                fs::write(directory.join(format!("{kind}-{number}.log")), log).unwrap();
            }
        }
        println!("the logs are in {}", directory.display());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
    }
}
