//! `scripts/demo-cluster`, as somebody who tries it: a hub is killed, and nothing is lost.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tidings_testing_nats::free_port;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

const TIME_MAX: Duration = Duration::from_secs(60);

/// The script at work. It is told to end when this is dropped, and ends what it started.
struct Demo {
    script: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
    /// The hubs' and the servers' processes, in the order in which the script names them.
    processes: Vec<Pid>,
    data: tempfile::TempDir,
}

impl Demo {
    async fn start() -> Self {
        // A port may be taken between its choice and its use.
        for _ in 0..3 {
            match Self::try_start(&ports()).await {
                Ok(demo) => return demo,
                Err(error) => assert!(error.contains("taken"), "{error}"),
            }
        }
        panic!("the demo found its ports taken three times");
    }

    async fn try_start(ports: &str) -> Result<Self, String> {
        let data = tempfile::tempdir().unwrap();
        let mut script = script(ports).env("TMPDIR", data.path()).spawn().unwrap();
        let lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let mut demo = Self { script, lines, url: String::new(), processes: Vec::new(), data };
        while demo.processes.len() < 5 {
            let line =
                timeout(TIME_MAX, demo.lines.next_line()).await.expect("it is ready in time");
            let Some(line) = line.unwrap() else {
                let mut error = String::new();
                demo.script.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
                return Err(error);
            };
            if line.contains("all of it") {
                demo.url = line.split_whitespace().nth(3).unwrap().trim_end_matches('/').to_owned();
            }
            let ids =
                line.split_once("process").map_or("", |(_, ids)| ids.trim_start_matches("es"));
            let ids = ids.split(',').filter_map(|id| Pid::from_raw(id.trim().parse().ok()?));
            demo.processes.extend(ids);
        }
        Ok(demo)
    }

    /// Publishes until a hub has taken it, as `curl --retry` does.
    async fn publish(&self, http: &reqwest::Client, data: &str) {
        let deadline = Instant::now() + TIME_MAX;
        loop {
            let post = http.post(format!("{}/events/rooms/42", self.url));
            let sent = post.header("idempotency-key", data).body(data.to_owned()).send().await;
            match sent.map(|response| response.status().as_u16()) {
                Ok(200) => return,
                // 409: the attempt before is still under way.
                Ok(status @ 400..500) if status != 409 => panic!("{data} was refused: {status}"),
                _ => assert!(Instant::now() < deadline, "{data} could not be published"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn is_running(&self) -> bool {
        self.processes.iter().any(|process| test_kill_process(*process).is_ok())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Killed without a word, it would leave behind what it started.
        let deadline = Instant::now() + Duration::from_secs(30);
        if let Some(id) = self.script.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(id, Signal::INT);
            while matches!(self.script.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn script(ports: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/demo-cluster");
    let mut command = Command::new(path);
    command
        .env("TIDINGS", env!("CARGO_BIN_EXE_tidings"))
        .env("ROUND_ROBIN", round_robin())
        .env("DEMO_PORTS", ports)
        .env("DEMO_AGAIN_AFTER", "1")
        .env_remove("DEMO_DATA")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn ports() -> String {
    let mut ports = BTreeSet::new();
    while ports.len() < 9 {
        ports.insert(free_port());
    }
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

/// The proxy. A run of all tests has built it; one of this test alone has not, or long ago.
fn round_robin() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap();
    let built = target.join("examples/round-robin");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/round-robin.rs");
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if changed(&built) < changed(&source) {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["build", "--package", "tidings", "--example", "round-robin"]);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).arg("--target-dir");
        let status = cargo.arg(target.parent().unwrap()).status().unwrap();
        assert!(status.success(), "the proxy could not be built");
    }
    built
}

#[tokio::test]
async fn a_hub_is_killed_and_a_listener_is_given_every_event_once() {
    let mut demo = Demo::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Each event takes a connection of its own, and so another hub.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();

    demo.publish(&http, "0").await;
    let url = format!("{}/events/rooms/42", demo.url);
    let args = ["listen", &url, "--data", "--last-event-id", "earliest", "--count", "20"];
    let mut listener = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut heard = BufReader::new(listener.stdout.take().unwrap()).lines();
    for number in 0..20 {
        if number > 0 {
            demo.publish(&http, &number.to_string()).await;
        }
        let data = timeout(TIME_MAX, heard.next_line()).await.expect("it is heard in time");
        assert_eq!(data.unwrap(), Some(number.to_string()));
        // Whichever hub it follows, it loses it.
        if number == 5 || number == 10 {
            let hub = demo.processes[usize::from(number == 10)];
            kill_process(hub, Signal::KILL).unwrap();
        }
        if number == 5 {
            // The first is started again with another id.
            let again = async {
                while let Some(line) = demo.lines.next_line().await.unwrap() {
                    if let Some((_, id)) = line.split_once("is started again: process ") {
                        return id.trim_end_matches('.').parse().unwrap();
                    }
                }
                panic!("the demo has ended");
            };
            let id = timeout(TIME_MAX, again).await.expect("it is started again in time");
            demo.processes.push(Pid::from_raw(id).unwrap());
        }
    }
    assert!(timeout(TIME_MAX, listener.wait()).await.unwrap().unwrap().success());

    let id = Pid::from_raw(demo.script.id().unwrap().cast_signed()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    let status = timeout(TIME_MAX, demo.script.wait()).await.expect("it ends in time").unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!demo.is_running());
    assert_eq!(demo.data.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_missing_or_taken_is_named() {
    let refused = async |command: &mut Command| {
        let output = timeout(TIME_MAX, command.output()).await.expect("it ends in time").unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let without = refused(script(&ports()).env("NATS_SERVER", "no-nats-server")).await;
    assert!(without.contains("no-nats-server is not there"), "{without}");
    assert!(without.contains("apt-get install nats-server"), "{without}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let rest = ports().split_once(',').unwrap().1.to_owned();
    let error = refused(&mut script(&format!("{port},{rest}"))).await;
    assert!(error.contains(&format!("port {port} is taken")), "{error}");
    assert!(error.contains("--ports"), "{error}");
    let few = refused(&mut script("1,2,3")).await;
    assert!(few.contains("has 3 ports and must have 9"), "{few}");
}
