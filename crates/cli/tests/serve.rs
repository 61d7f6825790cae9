//! `tidings serve` as a process: how it starts, refuses to start, and leaves.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), what).await.expect("it happens within 30 s")
}

struct Program {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .arg("serve")
            .args(args)
            .env_remove("RUST_LOG")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, lines }
    }

    async fn line(&mut self) -> String {
        soon(self.lines.next_line()).await.unwrap().expect("one more line")
    }

    /// The address, from the one line that tells it.
    async fn address(&mut self) -> String {
        let line = self.line().await;
        let url = line.split("http://").nth(1).expect("the line names the URL");
        url.split('/').next().unwrap().to_owned()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = self.process.id().expect("it runs").cast_signed();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    async fn ended(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        while let Some(line) = soon(self.lines.next_line()).await.unwrap() {
            rest.push_str(&line);
            rest.push('\n');
        }
        (soon(self.process.wait()).await.unwrap(), rest)
    }
}

async fn follow(address: &str) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let request = format!("GET /events/a HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    while !line.contains("tidings.cursor") {
        line.clear();
        soon(stream.read_line(&mut line)).await.unwrap();
    }
    stream
}

#[tokio::test]
async fn either_signal_sends_its_subscribers_away_and_ends_it() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("made/when/missing");
        let args = ["--listen", "127.0.0.1:0", "--data", dir.to_str().unwrap()];
        let mut program = Program::start(&args, &[]);
        let address = program.address().await;
        let mut stream = follow(&address).await;
        program.signal(signal);
        let mut rest = String::new();
        soon(stream.read_to_string(&mut rest)).await.unwrap();
        assert!(rest.contains("retry: ") && rest.ends_with("0\r\n\r\n"), "{rest}");
        let (status, log) = program.ended().await;
        assert!(status.success(), "{log}");
        assert!(log.contains("the hub has left"), "{log}");
    }
}

#[tokio::test]
async fn the_log_tells_once_whom_it_refused_and_what_allows_it() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--memory"], &[]);
    let address = program.address().await;
    for headers in [
        &format!("Host: {address}\r\nOrigin: https://app.example"),
        &format!("Host: {address}\r\nOrigin: https://app.example"),
        "Host: hub.example",
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /topics HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    let told = [program.line().await, program.line().await];
    let says = |line: &str, words: [&str; 3]| words.iter().all(|word| line.contains(word));
    assert!(says(&told[0], ["WARN", "https://app.example", "--cors-origin"]), "{told:?}");
    assert!(says(&told[1], ["WARN", "hub.example", "--public-url"]), "{told:?}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--memory"], &[]);
    let address = program.address().await;
    // A publish that never ends its body keeps the hub from leaving before its time.
    let mut stuck = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /events/a HTTP/1.1\r\nHost: {address}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    soon(stuck.read_u8()).await.unwrap();
    program.signal(rustix::process::Signal::TERM);
    assert!(program.line().await.contains("a second signal"));
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.ended().await.0.code(), Some(1));
}

#[tokio::test]
async fn what_was_published_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let args = ["--listen", "127.0.0.1:0", "--data", data.path().to_str().unwrap()];
    let mut ids = Vec::new();
    for run in 0..2 {
        let mut program = Program::start(&args, &[("TIDINGS_LOG_FORMAT", "json")]);
        let ready: serde_json::Value = serde_json::from_str(&program.line().await).unwrap();
        assert_eq!(ready["events"], run, "{ready}");
        let address = ready["address"].as_str().unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "POST /events/a HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: 1\r\n\r\nx"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let body: serde_json::Value =
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        ids.push(body["id"].as_str().unwrap().to_owned());
        program.signal(rustix::process::Signal::TERM);
        assert!(program.ended().await.0.success());
    }
    let epoch = |id: &str| id.split('-').next().unwrap().to_owned();
    assert_eq!(epoch(&ids[0]), epoch(&ids[1]), "{ids:?}");
    assert!(ids[1].ends_with("-2"), "{ids:?}");
}

#[tokio::test]
async fn it_does_not_start_in_doubt() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);
    let cases: &[Case<'_>] = &[
        (&["--listen", "0.0.0.0:0"], &[], 2, "--insecure-open"),
        (&["--memory", "--data", "x"], &[], 2, "exclude each other"),
        (&["--heartbeat", "15"], &[], 2, "a duration is a number with a unit"),
        (&[], &[("TIDINGS_HEARTBEAT", "15")], 2, "TIDINGS_HEARTBEAT"),
        (&[], &[("TIDINGS_HEARTBEET", "15s")], 2, "did you mean TIDINGS_HEARTBEAT?"),
        (&["--config", "/nowhere/tidings.toml"], &[], 2, "/nowhere/tidings.toml could not be read"),
        (&["--memory", "--listen", &taken], &[], 1, "could not be listened on"),
        (&["--memory"], &[("TIDINGS_TLS_KEY", "key.pem")], 2, "give both, or neither"),
        (
            &["--memory", "--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"],
            &[],
            1,
            "/nowhere/cert.pem, which --tls-cert names, could not be read",
        ),
        (&["--memory"], &[("RUST_LOG", "=x=")], 1, "RUST_LOG"),
    ];
    for (args, variables, code, told) in cases {
        let (status, log) = Program::start(args, variables).ended().await;
        assert_eq!(status.code(), Some(*code), "{args:?} {variables:?}: {log}");
        assert!(log.contains(told), "{args:?} {variables:?}: {log}");
    }
}
