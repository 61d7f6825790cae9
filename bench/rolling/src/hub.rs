//! A hub's process.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::Failure;

/// A running hub, which ends when this is dropped.
pub struct Hub {
    address: SocketAddr,
    process: Child,
}

impl Hub {
    /// Starts a hub, and waits until it says that it is ready.
    pub async fn start(
        program: &Path,
        listen: &str,
        nats: &str,
        options: &[String],
    ) -> Result<Self, Failure> {
        let mut process = Command::new(program)
            .args(["serve", "--listen", listen, "--nats", nats])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stderr.take().ok_or("it has no error output")?;
        let mut lines = BufReader::new(output).lines();
        let address = timeout(READY_TIME_MAX, async {
            let mut told = String::new();
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = address_in(&line) {
                    return Ok(address);
                }
                told.push_str(&line);
                told.push('\n');
            }
            Err::<_, Failure>(format!("the hub ended:\n{told}").into())
        });
        let address = address.await.map_err(|_| "the hub did not start in time")??;
        // What it says later is for whoever looks for what went wrong.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("WARN") || line.contains("ERROR") {
                    eprintln!("  {address}: {line}");
                }
            }
        });
        let hub = Self { address, process };
        hub.ready().await?;
        Ok(hub)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it to leave, and waits until it has.
    pub async fn leave(&mut self) -> Result<(), Failure> {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(id.ok_or("a hub has ended by itself")?, Signal::TERM)?;
        let status = timeout(LEAVE_TIME_MAX, self.process.wait()).await;
        let status = status.map_err(|_| "a hub did not leave in time")??;
        if status.success() { Ok(()) } else { Err(format!("a hub left with {status}").into()) }
    }

    async fn ready(&self) -> Result<(), Failure> {
        let ready = timeout(READY_TIME_MAX, async {
            while !self.is_ready().await {
                sleep(LOOK_EVERY).await;
            }
        });
        Ok(ready.await.map_err(|_| "a hub was not ready in time")?)
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address).await else { return false };
        let request = b"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
        let mut answer = Vec::new();
        stream.write_all(request).await.is_ok()
            && stream.read_to_end(&mut answer).await.is_ok()
            && answer.get(8..12) == Some(b" 200")
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("http://")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && !".:".contains(c)).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

const READY_TIME_MAX: Duration = Duration::from_secs(60);
const LEAVE_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
