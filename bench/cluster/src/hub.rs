//! Hubs, each a process of its own over the stream in NATS: this program's, which serves with the
//! same library, or the hub's program.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustix::process::{Resource, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use tidings_hub::{config::Config, nats::NatsLog, serve::Server};

use crate::{Failure, stage};

/// The first argument with which this program is a hub.
pub const HUB: &str = "hub";
/// The first argument with which this program becomes another that ends with its parent.
pub const LAUNCH: &str = "launch";

/// What hubs are started with.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The hub's program, if it is not this one.
    pub tidings: Option<PathBuf>,
    pub stream: String,
    pub urls: Vec<String>,
    pub replicas: usize,
}

/// A hub's process, which is killed when this is dropped.
pub struct Hub {
    child: Child,
    pub address: SocketAddr,
}

impl Hub {
    /// Starts one, and waits until it listens.
    pub fn start(recipe: &Recipe) -> Result<Self, Failure> {
        let Recipe { tidings, stream, urls, replicas } = recipe;
        let (urls, replicas) = (urls.join(","), replicas.to_string());
        let mut command = Command::new(std::env::current_exe()?);
        match tidings {
            None => command.args([HUB, stream, &urls, &replicas]),
            Some(program) => command.arg(LAUNCH).arg(program).args([
                "serve",
                "--nats",
                &urls,
                "--nats-stream",
                stream,
                "--nats-replicas",
                &replicas,
                "--listen",
                "127.0.0.1:0",
                "--log-format",
                "json",
                "--no-demo",
            ]),
        };
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        match address(child.stderr.take()) {
            Ok(address) => Ok(Self { child, address }),
            Err(failure) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(failure)
            }
        }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(errors: Option<impl Read + Send + 'static>) -> Result<SocketAddr, Failure> {
    let mut lines = BufReader::new(errors.ok_or("it has no standard error")?).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next().transpose()? {
        let found = line.split_once("\"address\":\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(address) = found.and_then(|found| found.parse().ok()) {
            // Whatever else it says must not hold it up.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(address);
        }
        seen.push(line);
        if seen.len() > LINES_MAX {
            break;
        }
    }
    Err(format!("a hub did not start: {}", seen.join("\n")).into())
}

/// Is a hub, until it is killed.
pub async fn serve(arguments: &[String]) -> Result<(), Failure> {
    let [stream, urls, replicas] = arguments else {
        return Err("a hub needs a stream, the servers and the number of replicas".into());
    };
    prepare()?;
    let urls: Vec<_> = urls.split(',').map(str::to_owned).collect();
    let log = NatsLog::open(stage::log_options(stream, &urls, replicas.parse()?)?).await?;
    let listen = "127.0.0.1:0".parse()?;
    let config = Config { listen, demo: false, ..Config::default() };
    let server = Server::bind(config, Arc::new(log)).await?;
    eprintln!("{{\"address\":\"{}\"}}", server.address());
    server.run(std::future::pending()).await;
    Err("the log is over".into())
}

/// Becomes another program, which ends with its parent; returns why it could not.
pub fn launch(arguments: &[String]) -> Failure {
    use std::os::unix::process::CommandExt as _;
    let [program, arguments @ ..] = arguments else {
        return "there is nothing to launch".into();
    };
    match prepare() {
        Ok(()) => Command::new(program).args(arguments).exec().into(),
        Err(failure) => failure,
    }
}

/// Has this process end with its parent, and open as many descriptors as it may.
pub fn prepare() -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(())
}

const LINES_MAX: usize = 100;
