//! `tidings serve --nats`: what it says of NATS, and what it exits with.

use std::{process::Stdio, time::Duration};

use async_nats::jetstream::{self, stream::Config};
use tidings_testing_nats::{Options, Server};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::Command,
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A start of the program that fails.
struct Refusal {
    code: i32,
    error: String,
}

impl Refusal {
    async fn of(args: &[&str]) -> Self {
        let run = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .arg("serve")
            .args(args)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let run = timeout(DEADLINE, run).await.expect("it ends in time").unwrap();
        let error = String::from_utf8(run.stderr).unwrap();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!error.contains("async_nats"), "{error}");
        assert!(run.stdout.is_empty());
        // One line tells it, after what the log tells.
        let told = error.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(told, 1, "{error}");
        Self { code: run.status.code().expect("it was not killed"), error }
    }

    #[track_caller]
    fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.error);
        for word in words {
            assert!(self.error.contains(word), "{word:?} is not in: {}", self.error);
        }
    }
}

async fn server(config: &str) -> Server {
    Server::start_with(&Options::with_config(config)).await
}

#[tokio::test]
async fn what_is_not_understood_exits_with_2() {
    for (args, words) in [
        (&["--nats", "http://hub:hunter2@localhost"][..], &["URL 1 begins with http://"][..]),
        (&["--nats", "nats://localhost", "--memory"], &["--nats and --memory exclude each other"]),
        (&["--nats", "nats://localhost", "--durability", "os"], &["sync_interval"]),
        (&["--nats-creds", "hub.creds"], &["--nats-creds is set, and --nats is not"]),
        (&["--nats", "nats://localhost", "--nats-replicas", "4"], &["1, 3 or 5"]),
    ] {
        Refusal::of(args).await.is(2, words);
    }
}

#[tokio::test]
async fn nobody_there_exits_with_3() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = format!("nats://hub:hunter2@{closed}");
    let words = ["could not be reached at nats://127.0.0.1:", "refused", "--nats-wait"];
    Refusal::of(&["--nats", &closed, "--nats-wait", "0s"]).await.is(3, &words);
    let unknown = "nats://hub:hunter2@nats.invalid";
    let words = ["could not be reached at nats://nats.invalid:4222 within 200ms", "address"];
    let refusal = Refusal::of(&["--nats", unknown, "--nats-wait", "200ms"]).await;
    refusal.is(3, &words);
    assert!(refusal.error.contains("waiting for NATS for up to 200ms"), "{}", refusal.error);
}

#[tokio::test]
async fn not_being_let_in_exits_with_4() {
    let server = server(
        "authorization { users: [{ user: hub, password: right }, \
         { user: guest, password: hunter2, permissions: { publish: \"orders.>\" } }] }",
    )
    .await;
    let url = |user: &str| server.url().replace("nats://", &format!("nats://{user}@"));
    let wrong = Refusal::of(&["--nats", &url("hub:hunter2")]).await;
    wrong.is(4, &["refuses the hub", "the user and the password in --nats"]);
    Refusal::of(&["--nats", &server.url()]).await.is(4, &["wants to know who that is"]);
    let guest = Refusal::of(&["--nats", &url("guest:hunter2")]).await;
    guest.is(4, &["Permissions Violation", "$JS.API.STREAM.INFO.tidings"]);
    let tls = Refusal::of(&["--nats", &url("hub:hunter2").replace("nats:", "tls:")]).await;
    tls.is(4, &["TLS with NATS", "begins with nats://"]);
    let missing = ["--nats", &server.url(), "--nats-creds", "/nowhere/hub.creds"];
    let words = ["--nats-creds /nowhere/hub.creds could not be read", "No such file"];
    Refusal::of(&missing).await.is(4, &words);
}

#[tokio::test]
async fn servers_that_will_not_do_exit_with_5() {
    let without = Server::start_with(&Options::without_jetstream()).await;
    let refusal = Refusal::of(&["--nats", &without.url()]).await;
    refusal.is(5, &["without JetStream", "nats-server with -js"]);

    let small = server("max_payload: 64KB").await;
    let words = ["at most 65536 bytes", "max_payload: 1048576", "--body-bytes-max 32768"];
    Refusal::of(&["--nats", &small.url()]).await.is(5, &words);
    // Limits that do fit, for servers as they are set up by default, are the hub's own defaults.
    let large = server("").await;
    let args = ["--nats", &large.url(), "--body-bytes-max", "1MiB"];
    Refusal::of(&args).await.is(5, &["max_payload: 1081344"]);

    let args = ["--nats", &large.url(), "--nats-replicas", "3"];
    Refusal::of(&args).await.is(5, &["cannot be kept on 3 servers", "--nats-replicas 1"]);
}

#[tokio::test]
async fn another_stream_exits_with_6() {
    let server = server("").await;
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let theirs = Config {
        name: "orders".into(),
        subjects: vec!["orders.>".into()],
        max_age: Duration::from_secs(60),
        allow_direct: true,
        ..Config::default()
    };
    jetstream.create_stream(theirs).await.unwrap();
    let args = ["--nats", &server.url(), "--nats-stream", "orders"];
    Refusal::of(&args).await.is(
        6,
        &[
            "its discard is old and must be new, its max_age is 1m and must be unlimited",
            "`nats stream edit orders --discard new --max-age=-1` mends it",
            "--nats-stream takes another",
        ],
    );
}

#[tokio::test]
async fn what_has_nothing_to_do_with_nats_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    Refusal::of(&["--memory", "--listen", &address]).await.is(1, &["could not be listened on"]);
}

#[tokio::test]
async fn a_hub_that_was_let_in_stays_while_nats_is_away_and_leaves_with_0() {
    let mut server = server("authorization { user: hub, password: hunter2 }").await;
    let mut hub = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TIDINGS_NATS", server.url().replace("nats://", "nats://hub:hunter2@"))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(hub.stderr.take().unwrap()).lines();
    let mut told = String::new();
    let mut tells = async |words: &str| {
        loop {
            let line = timeout(DEADLINE, lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{words:?} is not told: {told}")).unwrap();
            let line = line.unwrap_or_else(|| panic!("the hub ended: {told}"));
            assert!(!line.contains("hunter2") && !line.contains("async_nats"), "{line}");
            told.push_str(&line);
            told.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    };
    let ready = tells("the hub is ready").await;
    let history = format!("history=\"{} stream tidings\"", server.url());
    assert!(ready.contains(&history), "{ready}");
    server.kill();
    tells("the connection to NATS is lost").await;
    server.restart().await;
    tells("connected to NATS again").await;
    let id = rustix::process::Pid::from_raw(hub.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    tells("the hub has left").await;
    assert_eq!(timeout(DEADLINE, hub.wait()).await.unwrap().unwrap().code(), Some(0));
    assert_eq!(told.matches("the connection to NATS is lost").count(), 1, "{told}");
}
