//! Several NATS servers that know each other.

use crate::{
    Options, Server,
    deadline::{DEADLINE, until},
    server::{Ports, START_ATTEMPTS, StartError},
};

/// A running cluster, whose streams can have as many replicas as it has servers.
#[derive(Debug)]
pub struct Cluster {
    /// Its servers, to be harmed one by one.
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Starts that many servers, of which JetStream answers when this does.
    pub async fn start(servers: usize) -> Self {
        Self::start_with(servers, &Options::default()).await
    }

    /// Starts that many servers.
    pub async fn start_with(servers: usize, options: &Options) -> Self {
        for _ in 0..START_ATTEMPTS {
            let ports: Vec<_> = (0..servers).map(|_| Ports::free()).collect();
            let routes: Vec<_> = ports.iter().map(|ports| ports.route).collect();
            let launch = |(number, &ports)| {
                Server::launch(&format!("n{number}"), ports, Some(&routes), options)
            };
            let mut cluster = Self { servers: ports.iter().enumerate().map(launch).collect() };
            match cluster.try_listening().await {
                Ok(()) => {
                    if options.jetstream {
                        cluster.ready().await;
                    }
                    return cluster;
                }
                Err(StartError::PortTaken) => {}
                Err(StartError::Failed(log)) => panic!("nats-server did not start:\n{log}"),
            }
        }
        panic!("nats-server found its ports taken {START_ATTEMPTS} times");
    }

    /// The addresses of all servers for clients.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Which server leads this stream; waits until one does.
    pub async fn leader(&mut self, stream: &str) -> usize {
        let leader = until(async || {
            for (number, server) in self.servers.iter_mut().enumerate() {
                if server.leads(stream).await {
                    return Some(number);
                }
            }
            None
        });
        leader.await.unwrap_or_else(|| panic!("nobody leads {stream} within {DEADLINE:?}"))
    }

    /// Waits until all servers that run say that they are well, and one of them leads JetStream
    /// and sees the others.
    pub async fn ready(&mut self) {
        if until(async || self.is_ready().await.then_some(())).await.is_none() {
            let logs: Vec<_> = self.servers.iter().map(Server::log).collect();
            panic!("the cluster is not ready within {DEADLINE:?}:\n{}", logs.join("\n"));
        }
    }

    async fn is_ready(&mut self) -> bool {
        let running = self.servers.iter_mut().filter_map(|server| server.answers().then_some(()));
        let peers = running.count().saturating_sub(1);
        let mut led = false;
        for server in &mut self.servers {
            if server.answers() {
                if !server.is_ready().await {
                    return false;
                }
                led |= server.sees_peers(peers).await;
            }
        }
        led
    }

    async fn try_listening(&mut self) -> Result<(), StartError> {
        for server in &mut self.servers {
            server.try_listening().await?;
        }
        Ok(())
    }
}
