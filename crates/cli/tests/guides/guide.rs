//! A guide that is followed: its files, its hub, its servers and its commands.

use std::{
    collections::HashSet, env, ffi::OsString, fs::File, path::Path, process::Stdio, time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    hub::Hub,
    markdown::{Block, blocks},
};

/// The ports that the guides name: the hub's, and those of the servers in a guide. In what a guide
/// says, free ones take their places; nothing else is changed.
const HUB_PORT: &str = "8080";
const SERVER_PORTS: [&str; 2] = ["8000", "8001"];

/// What the name of a server's log ends in.
const LOG: &str = ".log";

/// How long anything may take: long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Guide {
    name: &'static str,
    blocks: Vec<Block>,
    tried: HashSet<String>,
    ports: Vec<(&'static str, String)>,
    dir: tempfile::TempDir,
    pub(crate) hub: Hub,
    servers: Vec<Child>,
}

impl Guide {
    /// Takes the guide's files, and starts its hub, which calls its subscribers back soon.
    pub(crate) async fn follow(name: &'static str, hub_options: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides").join(name);
        let mut blocks = blocks(&std::fs::read_to_string(path).unwrap());
        let mut ports: Vec<_> =
            SERVER_PORTS.iter().map(|&port| (port, free_port().to_string())).collect();
        let serve = blocks.iter().find(|block| block.title == "hub");
        let serve = put(&serve.expect("the guide starts a hub").text, &ports);
        let options = serve.trim().strip_prefix("tidings serve").expect("the hub's command");
        let options = options.split_whitespace().chain(["--retry", "200ms"]);
        let options: Vec<_> = options.chain(hub_options.iter().copied()).collect();
        let hub = Hub::start(&options).await;
        ports.push((HUB_PORT, hub.address().port().to_string()));
        for block in &mut blocks {
            block.text = put(&block.text, &ports);
        }

        let dir = tempfile::tempdir().unwrap();
        for file in blocks.iter().filter(|block| block.language != "sh") {
            std::fs::write(dir.path().join(&file.title), &file.text).unwrap();
        }
        let tried = HashSet::from(["hub".to_owned()]);
        Self { name, blocks, tried, ports, dir, hub, servers: Vec::new() }
    }

    /// Starts a server by the guide's command, and waits until it tells its URL.
    pub(crate) async fn serve(&mut self, title: &str) {
        let log = self.dir.path().join(format!("{title}{LOG}"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut server = self.command(title).stderr(log).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let ready = timeout(DEADLINE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("http://") {
                    return;
                }
            }
            panic!("{}: the server {title:?} ended", self.name);
        });
        ready.await.expect("the server tells its URL in time");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.servers.push(server);
    }

    /// Kills the server that was started last, and waits until it is gone.
    pub(crate) async fn kill_server(&mut self) {
        self.servers.pop().expect("a server runs").kill().await.unwrap();
    }

    /// Runs commands of the guide, which succeed, and answers what they print.
    pub(crate) async fn run(&mut self, title: &str) -> String {
        let running = self.begin(title);
        self.end(running).await
    }

    /// Starts commands of the guide.
    pub(crate) fn begin(&mut self, title: &str) -> Child {
        self.command(title).kill_on_drop(true).spawn().unwrap()
    }

    /// Waits until they have ended, and answers what they printed.
    pub(crate) async fn end(&self, running: Child) -> String {
        let output = timeout(DEADLINE, running.wait_with_output()).await;
        let output = output.expect("the commands end in time").unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {printed}", self.name);
        printed
    }

    fn command(&mut self, title: &str) -> Command {
        let mut found = self.blocks.iter().filter(|b| b.language == "sh" && b.title == title);
        let text = &found.next().unwrap_or_else(|| panic!("no commands {title:?}")).text;
        assert_eq!(found.next(), None, "the title {title:?} is there twice");
        self.tried.insert(title.to_owned());
        // What is a single command takes the shell's place, so that it is what gets killed.
        let script = match text.trim().lines().count() {
            1 => format!("exec {text}"),
            _ => format!("set -eu\n{text}"),
        };
        // curl does not fail by itself when it is refused.
        std::fs::write(self.dir.path().join(".curlrc"), "fail-with-body\nsilent\nshow-error\n")
            .unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .current_dir(self.dir.path())
            .env("CURL_HOME", self.dir.path())
            .env("PATH", path_with_the_program())
            .env("PYTHONUNBUFFERED", "1")
            .env("no_proxy", "*")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    /// The URL at a server of the guide, by the port that the guide gives it.
    pub(crate) fn url(&self, port: &str, path: &str) -> String {
        let put = self.ports.iter().find(|(named, _)| *named == port);
        format!("http://127.0.0.1:{}{path}", put.expect("a port of the guide").1)
    }

    /// The text of a file of the guide.
    pub(crate) fn file(&self, title: &str) -> &str {
        &self.blocks.iter().find(|block| block.title == title).expect("a file of the guide").text
    }

    /// Asserts that no command of the guide was left out.
    pub(crate) fn finish(self) {
        let commands = self.blocks.iter().filter(|block| block.language == "sh");
        let left: Vec<_> = commands.filter(|block| !self.tried.contains(&block.title)).collect();
        assert!(left.is_empty(), "{} has commands that were not tried: {left:?}", self.name);
    }
}

/// What its servers said is of interest when the guide fails.
impl Drop for Guide {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for file in self.dir.path().read_dir().into_iter().flatten().flatten() {
            let path = file.path();
            if path.to_string_lossy().ends_with(LOG) {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                println!("{}:\n{log}", path.display());
            }
        }
    }
}

/// The text with free ports in place of those that it names.
fn put(text: &str, ports: &[(&str, String)]) -> String {
    let (mut put, mut rest) = (String::new(), text);
    // In one pass, as the digits of a free port may hold those of a named one.
    while let Some((at, named, free)) = ports
        .iter()
        .filter_map(|(named, free)| Some((rest.find(named)?, named, free)))
        .min_by_key(|&(at, ..)| at)
    {
        put.extend([&rest[..at], free]);
        rest = &rest[at + named.len()..];
    }
    put + rest
}

#[test]
fn a_free_port_is_put_once() {
    let ports = [("8000", "48001".to_owned()), ("8001", "50000".to_owned())];
    assert_eq!(put("a 8001 b 8000", &ports), "a 50000 b 48001");
}

/// A port that is free, and that nobody is given unasked: a connection of it was closed a moment ago,
/// and waits for its last packets.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let near = std::net::TcpStream::connect(address).unwrap();
    let (far, _) = listener.accept().unwrap();
    // Who closes first is the one that waits.
    drop(far);
    drop(near);
    address.port()
}

fn path_with_the_program() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_tidings"));
    let dirs = [program.parent().unwrap().to_owned()];
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(dirs.into_iter().chain(env::split_paths(&path))).unwrap()
}
