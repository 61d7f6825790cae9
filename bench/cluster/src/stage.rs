//! The NATS servers, and the streams on them.

use async_nats::jetstream::{self, stream};
use tidings_hub::nats::{NatsLog, Options, Site, StreamName};
use tidings_testing_nats::{Cluster, Server};

use crate::{Failure, opening};

/// NATS servers that were started for the bench, and end with it.
pub enum Stage {
    /// One, which keeps a stream alone.
    One(Box<Server>),
    /// Three, each of which keeps a replica of every stream.
    Three(Cluster),
}

impl Stage {
    pub async fn start(nodes: usize) -> Self {
        match nodes {
            1 => Self::One(Box::new(Server::start().await)),
            _ => Self::Three(Cluster::start(nodes).await),
        }
    }

    pub fn nodes(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Three(cluster) => cluster.servers.len(),
        }
    }

    /// What the columns are named.
    pub fn name(&self) -> String {
        format!("R{}", self.nodes())
    }

    pub fn urls(&self) -> Vec<String> {
        match self {
            Self::One(server) => vec![server.url()],
            Self::Three(cluster) => cluster.urls(),
        }
    }

    /// The processes of the servers.
    pub fn processes(&mut self) -> Vec<u32> {
        match self {
            Self::One(server) => server.process().into_iter().collect(),
            Self::Three(cluster) => {
                cluster.servers.iter_mut().filter_map(Server::process).collect()
            }
        }
    }

    /// The servers for who publishes to a stream, its leader, and for who follows it, another one
    /// if there is one. So it is for every contender, whoever leads its stream.
    pub async fn places(&mut self, stream: &str) -> (String, String) {
        match self {
            Self::One(server) => (server.url(), server.url()),
            Self::Three(cluster) => {
                let leader = cluster.leader(stream).await;
                let other = (leader + 1) % cluster.servers.len();
                (cluster.servers[leader].url(), cluster.servers[other].url())
            }
        }
    }

    /// A connection of its own.
    pub async fn connect(&self, url: &str) -> Result<jetstream::Context, Failure> {
        Ok(jetstream::new(async_nats::connect(url).await?))
    }

    /// Makes a stream such as a hub makes.
    pub async fn make_stream(&self, name: &str) -> Result<(), Failure> {
        let context = self.connect(&self.urls()[0]).await?;
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("{name}.>")],
            num_replicas: self.nodes(),
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::New,
            allow_direct: true,
            ..stream::Config::default()
        };
        context.create_stream(config).await?;
        Ok(())
    }

    pub async fn delete_stream(&self, name: &str) -> Result<(), Failure> {
        self.connect(&self.urls()[0]).await?.delete_stream(name).await?;
        Ok(())
    }

    /// How many messages a stream holds, and their bytes.
    pub async fn held(&self, name: &str) -> Result<(u64, u64), Failure> {
        let context = self.connect(&self.urls()[0]).await?;
        let state = context.get_stream(name).await?.cached_info().state.clone();
        Ok((state.messages, state.bytes))
    }

    /// What the first server's store takes on its disk.
    pub fn disk_bytes(&self) -> u64 {
        opening::disk_bytes(&match self {
            Self::One(server) => server.store(),
            Self::Three(cluster) => cluster.servers[0].store(),
        })
    }

    /// How a log of that stream is opened by way of one server.
    pub fn options(&self, stream: &str, url: &str) -> Result<Options, Failure> {
        log_options(stream, &[url.to_owned()], self.nodes())
    }

    pub async fn open(&self, stream: &str, url: &str) -> Result<NatsLog, Failure> {
        Ok(NatsLog::open(self.options(stream, url)?).await?)
    }
}

/// How the log of a stream is opened.
pub fn log_options(stream: &str, urls: &[String], replicas: usize) -> Result<Options, Failure> {
    let mut site: Site = urls.join(",").parse()?;
    site.stream = StreamName::new(stream)?;
    site.replicas = Some(replicas.to_string().parse()?);
    Ok(Options::new(site))
}
