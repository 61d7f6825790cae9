//! One NATS server.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Options,
    deadline::{DEADLINE, until},
    monitor,
    port::{free_port, loopback},
    process::Process,
};

/// A running NATS server with a store of its own.
///
/// It is killed and its store deleted when it is dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    ports: Ports,
    is_alone: bool,
    has_jetstream: bool,
    // Before its directory, so that nobody writes there any more when that is deleted.
    process: Process,
    directory: TempDir,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    client: u16,
    monitor: u16,
    pub(crate) route: u16,
}

/// Why a server is not there.
pub(crate) enum StartError {
    /// Somebody was faster.
    PortTaken,
    /// What it wrote.
    Failed(String),
}

impl Server {
    /// Starts one server with JetStream, which answers when this does.
    pub async fn start() -> Self {
        Self::start_with(&Options::default()).await
    }

    /// Starts one server.
    pub async fn start_with(options: &Options) -> Self {
        for _ in 0..START_ATTEMPTS {
            let mut server = Self::launch("n0", Ports::free(), None, options);
            match server.try_listening().await {
                Ok(()) => {
                    server.ready().await;
                    return server;
                }
                Err(StartError::PortTaken) => {}
                Err(StartError::Failed(log)) => panic!("nats-server did not start:\n{log}"),
            }
        }
        panic!("nats-server found its ports taken {START_ATTEMPTS} times");
    }

    /// Its address for clients, `nats://127.0.0.1:…`, also while it is down.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Its address for clients, also while it is down.
    pub fn address(&self) -> SocketAddr {
        loopback(self.ports.client)
    }

    /// The id of its process, if that runs.
    pub fn process(&mut self) -> Option<u32> {
        self.process.id()
    }

    /// Kills it without a word, if it runs.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to leave, if it runs, and waits until it has.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// Stops the time for it: it keeps its connections, and says nothing.
    pub fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.process.thaw();
    }

    /// Starts it again at the same address with the same store, after it was killed or stopped.
    ///
    /// A server alone is ready then; one of a cluster listens, and is ready when [`ready`] says so.
    ///
    /// [`ready`]: Self::ready
    pub async fn restart(&mut self) {
        // Its ports are not those of outgoing connections, but somebody may be quick.
        let listening = until(async || {
            if !self.process.is_running() {
                self.spawn();
            }
            match self.try_listening().await {
                Ok(()) => Some(()),
                Err(StartError::PortTaken) => None,
                Err(StartError::Failed(log)) => panic!("nats-server did not come back:\n{log}"),
            }
        });
        if listening.await.is_none() {
            panic!("nats-server found its ports taken for {DEADLINE:?}:\n{}", self.log());
        }
        if self.is_alone {
            self.ready().await;
        }
    }

    /// Deletes what it has stored, while it is down.
    pub fn wipe(&mut self) {
        assert!(!self.process.is_running(), "kill or stop the server before its store is deleted");
        match fs::remove_dir_all(self.store()) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => panic!("store: {cause}"),
            _ => {}
        }
    }

    /// Waits until it says that it is well: JetStream answers, and all that it stores is current.
    pub async fn ready(&mut self) {
        let ready = until(async || self.is_ready().await.then_some(()));
        assert!(ready.await.is_some(), "not ready within {DEADLINE:?}:\n{}", self.log());
    }

    /// Whether it runs, listens and says that it leads this stream.
    pub async fn leads(&mut self, stream: &str) -> bool {
        let jsz = self.page("/jsz?accounts=true&streams=true").await;
        jsz.is_some_and(|jsz| monitor::leads(&jsz, &self.name, stream))
    }

    /// What it wrote since it was first started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Launches a server, which may not listen yet.
    pub(crate) fn launch(
        name: &str,
        ports: Ports,
        routes: Option<&[u16]>,
        options: &Options,
    ) -> Self {
        let directory = tempfile::tempdir().expect("there is a directory for temporary files");
        let mut server = Self {
            name: name.to_owned(),
            ports,
            is_alone: routes.is_none(),
            has_jetstream: options.jetstream,
            process: Process::new(directory.path()),
            directory,
        };
        fs::write(server.config_path(), server.config(routes, options)).unwrap();
        server.spawn();
        server
    }

    /// Waits until it listens.
    pub(crate) async fn try_listening(&mut self) -> Result<(), StartError> {
        let outcome = until(async || {
            if !self.process.is_running() {
                let log = self.log();
                // Of an earlier start it says nothing here.
                let last = log.rsplit("Starting nats-server").next().unwrap_or_default();
                let taken = last.contains("address already in use");
                let why = if taken { StartError::PortTaken } else { StartError::Failed(log) };
                return Some(Err(why));
            }
            self.page("/varz").await.map(|_| Ok(()))
        });
        outcome.await.unwrap_or_else(|| Err(StartError::Failed(self.log())))
    }

    pub(crate) async fn is_ready(&mut self) -> bool {
        self.page("/healthz").await.is_some_and(|page| page["status"] == "ok")
    }

    pub(crate) async fn sees_peers(&mut self, peers: usize) -> bool {
        let jsz = self.page("/jsz").await;
        jsz.is_some_and(|jsz| monitor::sees_peers(&jsz, peers))
    }

    pub(crate) fn answers(&mut self) -> bool {
        self.process.is_running() && !self.process.is_frozen()
    }

    async fn page(&mut self, path: &str) -> Option<Value> {
        if !self.answers() {
            return None;
        }
        monitor::page(loopback(self.ports.monitor), path).await
    }

    fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new("nats-server");
        command.arg("--config").arg(self.config_path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        if let Err(cause) = self.process.start(&mut command) {
            could_not_run(&cause);
        }
    }

    fn config(&self, routes: Option<&[u16]>, options: &Options) -> String {
        let Ports { client, monitor, route } = self.ports;
        let mut config = format!(
            "server_name: {}\nlisten: \"127.0.0.1:{client}\"\nhttp: \"127.0.0.1:{monitor}\"\n",
            self.name,
        );
        if self.has_jetstream {
            // Without limits it takes its share of the machine, and refuses streams on a full one.
            config += &format!(
                "jetstream {{ store_dir: {:?}, max_memory_store: 256MB, max_file_store: 4GB }}\n",
                self.store(),
            );
        }
        if let Some(routes) = routes {
            let routes: Vec<_> =
                routes.iter().map(|port| format!("\"nats-route://127.0.0.1:{port}\"")).collect();
            // Clients that are told of the other servers would go to them past a proxy.
            config += &format!(
                "cluster {{ name: testing, listen: \"127.0.0.1:{route}\", no_advertise: true, \
                 routes: [{}] }}\n",
                routes.join(", "),
            );
        }
        config + &options.config
    }

    fn config_path(&self) -> PathBuf {
        self.directory.path().join("nats.conf")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("nats.log")
    }

    /// The directory with what it has stored, to be copied or replaced while it is down.
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }
}

impl Ports {
    /// Ports that nobody has right now.
    pub(crate) fn free() -> Self {
        Self { client: free_port(), monitor: free_port(), route: free_port() }
    }
}

pub(crate) const START_ATTEMPTS: usize = 5;

fn could_not_run(cause: &io::Error) -> ! {
    if cause.kind() == ErrorKind::NotFound {
        panic!("nats-server is not installed: apt-get install nats-server, or scripts/test");
    }
    panic!("nats-server could not be run: {cause}");
}
