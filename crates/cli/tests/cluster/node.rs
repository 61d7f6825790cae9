//! A hub as its own process, at an address that stays.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tidings_testing_nats::Process;
use tokio::time::{interval, timeout};

/// How long a hub may take to be ready, NATS's elections included.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    store: Vec<String>,
    address: SocketAddr,
    pub(crate) process: Process,
    /// How often it ended instead of getting ready, and was started once more.
    pub(crate) failed_starts: usize,
    /// How much of its log is of processes before this one.
    log_before: usize,
    directory: TempDir,
}

impl Node {
    /// Starts a hub with a store of its own on disk.
    pub(crate) async fn start_alone() -> Self {
        let mut node = Self::new(&[]);
        let data = node.directory.path().join("data").display().to_string();
        node.store = ["--data".to_owned(), data].into();
        node.start().await;
        node
    }

    /// Starts a hub with its store in NATS.
    pub(crate) async fn start_with_nats(urls: &[String]) -> Self {
        let mut node = Self::new(&["--nats", &urls.join(",")]);
        node.start().await;
        node
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Starts it, at the address that it had if it ran before, and waits until it is ready.
    ///
    /// If it ends it is started once more, as whatever watches over a service does.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        let ready = timeout(READY_WITHIN, async {
            let mut turn = interval(Duration::from_millis(20));
            loop {
                turn.tick().await;
                if let Some(address) = self.told() {
                    return address;
                }
                if !self.process.is_running() {
                    self.failed_starts += 1;
                    self.spawn();
                }
            }
        });
        match ready.await {
            Ok(address) => self.address = address,
            Err(_) => {
                let log = self.log();
                let lines: Vec<_> = log.lines().rev().take(20).collect();
                panic!("the hub is not ready within {READY_WITHIN:?}, the last first: {lines:#?}");
            }
        }
    }

    fn new(store: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            store: store.iter().map(|&arg| arg.to_owned()).collect(),
            address: "127.0.0.1:0".parse().unwrap(),
            process: Process::new(directory.path()),
            failed_starts: 0,
            log_before: 0,
            directory,
        }
    }

    fn spawn(&mut self) {
        self.log_before = self.log().len();
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command
            .args(["serve", "--listen", &self.address.to_string()])
            .args(["--heartbeat", crate::subscriber::HEARTBEAT, "--no-demo"])
            .args(&self.store)
            // A hub takes what begins with TIDINGS_ for an option of its own.
            .env_remove(crate::SEED)
            .env_remove(crate::FAULTS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.process.start(&mut command).unwrap();
    }

    /// Where it listens, once its process says that it is ready.
    fn told(&self) -> Option<SocketAddr> {
        let log = self.log();
        let line = log[self.log_before..].lines().find(|line| line.contains(READY))?;
        let address = line.split("http://").nth(1)?;
        let end = address.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
        address[..end.unwrap_or(address.len())].parse().ok()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("hub.log")
    }
}

const READY: &str = "the hub is ready";
