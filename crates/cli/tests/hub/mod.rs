//! A hub as its own process.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{net::SocketAddr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// A running hub with a data directory of its own.
pub(crate) struct Hub {
    args: Vec<String>,
    data: tempfile::TempDir,
    address: SocketAddr,
    process: Child,
    http: reqwest::Client,
}

impl Hub {
    /// Starts a hub on a free port.
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args).await
    }

    /// Starts a hub at this address.
    pub(crate) async fn start_at(listen: &str, args: &[&str]) -> Self {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        let data = tempfile::tempdir().unwrap();
        let (process, address) = run(listen, &data, &args).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { args, data, address, process, http }
    }

    /// Kills it without a word, and starts it again at the same address.
    pub(crate) async fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Kills it without a word.
    pub(crate) fn kill(&self) {
        let id = self.process.id().expect("it runs").cast_signed();
        let id = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    }

    /// Waits until it has ended, and starts it again at the same address.
    pub(crate) async fn start_again(&mut self) {
        self.process.wait().await.unwrap();
        let address = self.address.to_string();
        (self.process, self.address) = run(&address, &self.data, &self.args).await;
    }

    /// Starts it again with more options, which it has from then on.
    pub(crate) async fn start_again_with(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self.start_again().await;
    }

    /// The body of this page.
    pub(crate) async fn text(&self, path: &str) -> String {
        self.http.get(self.url(path)).send().await.unwrap().text().await.unwrap()
    }

    /// Publishes if it can: a hub that is being killed gives no answer.
    pub(crate) async fn try_publish(&self, topic: &str, data: &str) -> Option<String> {
        let url = self.url(&format!("/events/{topic}"));
        let response = self.http.post(url).body(data.to_owned()).send().await.ok()?;
        let body = response.error_for_status().ok()?.bytes().await.ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
        Some(answer["id"].as_str()?.to_owned())
    }

    /// Publishes a batch, which is lines of JSON.
    pub(crate) async fn publish_batch(&self, lines: String) {
        let request = self.http.post(self.url("/events")).body(lines);
        let response = request.header("content-type", "application/x-ndjson").send().await.unwrap();
        assert_eq!(response.status(), 200);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Publishes, and answers the event's id.
    pub(crate) async fn publish(&self, topic: &str, data: &str) -> String {
        let url = self.url(&format!("/events/{topic}"));
        let response = self.http.post(url).body(data.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let answer: serde_json::Value =
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }
}

async fn run(listen: &str, data: &tempfile::TempDir, args: &[String]) -> (Child, SocketAddr) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["serve", "--listen", listen, "--data"])
        .arg(data.path())
        .args(args)
        // The test's own, and no option of the hub.
        .env_remove("TIDINGS_TEST_SEED")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut told = String::new();
    let address = timeout(Duration::from_secs(30), async {
        loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("the hub ended: {told}"));
            if let Some(address) = line.split("http://").nth(1) {
                let end = address.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
                return address[..end.unwrap_or(address.len())].parse().unwrap();
            }
            told.push_str(&line);
            told.push('\n');
        }
    });
    let address = address.await.expect("the hub is ready in time");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (process, address)
}
