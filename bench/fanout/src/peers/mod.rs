//! The servers that are compared, each started in a process of its own.
//!
//! | name | what it is |
//! | --- | --- |
//! | `bare` | the limit: one system call an event and subscriber, and nothing else |
//! | `bare-coalescing` | the limit of whoever sends together what came together |
//! | `tidings` | our hub with its history in memory |
//! | `tidings-fsync` | our hub as it is by default: what anybody sees is on the disk |
//! | `nchan` | nginx with the Nchan module, as Debian has them |
//! | `axum` | axum's responder over tokio's broadcast channel |
//! | `node` | Node.js without packages, and a loop over the answers |
//!
//! All are published to over one connection that is kept, a POST an event, pipelined where several
//! are under way; the limits by a length and the data. Our hub takes bursts as a stream of events in
//! one POST as well, which nobody else does: that is its row, and the POSTs are a second one. Only
//! the limits, the hub and Nchan give back what a subscriber missed, and only the hub and Nchan have
//! topics. Nchan takes 32,768 events a second on a channel, and drops what is beyond that.

mod axum;
mod bare;
mod nchan;
mod tape;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::load::{Failure, Form, Paths};
use crate::process::Process;

pub use nchan::{install as install_nchan, module as nchan_module};

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Bare,
    BareCoalescing,
    Tidings,
    TidingsFsync,
    Nchan,
    Axum,
    Node,
}

/// How a server is published to, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Publishing {
    /// One event at a time.
    Each,
    /// Events as they come, in one request: where the server has a way for it.
    Streamed,
}

impl Peer {
    pub const ALL: [Self; 7] = [
        Self::Bare,
        Self::BareCoalescing,
        Self::Tidings,
        Self::TidingsFsync,
        Self::Nchan,
        Self::Axum,
        Self::Node,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareCoalescing => "bare-coalescing",
            Self::Tidings => "tidings",
            Self::TidingsFsync => "tidings-fsync",
            Self::Nchan => "nchan",
            Self::Axum => "axum",
            Self::Node => "node",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == name)
    }

    pub fn is_tidings(self) -> bool {
        matches!(self, Self::Tidings | Self::TidingsFsync)
    }

    /// Whether a subscriber that comes back is given what it missed.
    pub fn resumes(self) -> bool {
        !matches!(self, Self::Axum | Self::Node)
    }

    pub fn has_topics(self) -> bool {
        self.is_tidings() || self == Self::Nchan
    }

    /// Starts it, with our own hub at `tidings`.
    pub fn start(self, tidings: &Path) -> Result<Server, Failure> {
        let itself = std::env::current_exe()?;
        let (process, address, events, directory) = match self {
            Self::Bare | Self::BareCoalescing => {
                let mut process = Process::start(&itself, &[SERVE, self.name()])?;
                let (address, events) = process.find_in_output(|line| {
                    let (address, events) = line.split_once(' ')?;
                    Some((address.parse().ok()?, events.parse().ok()?))
                })?;
                (process, address, events, None)
            }
            Self::Axum => {
                let mut process = Process::start(&itself, &[SERVE, self.name()])?;
                let address = process.find_in_output(|line| line.parse().ok())?;
                (process, address, address, None)
            }
            Self::Node => {
                let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/node.mjs");
                let script = script.to_str().ok_or("the bench's path is not UTF-8")?;
                let mut process = Process::start(Path::new("node"), &[script])?;
                let address = process.find_in_output(|line| line.parse().ok())?;
                (process, address, address, None)
            }
            Self::Nchan => {
                let (process, address, directory) = nchan::start()?;
                (process, address, address, Some(directory))
            }
            Self::Tidings | Self::TidingsFsync => {
                let directory = TempDir::new()?;
                let data = directory.path().to_str().ok_or("TMPDIR is not UTF-8")?;
                let store = match self {
                    Self::Tidings => vec!["--memory"],
                    _ => vec!["--data", data],
                };
                let arguments = [&["serve"], &store[..], TIDINGS_OPTIONS].concat();
                let mut process = Process::start(tidings, &arguments)?;
                let address = process.find_in_errors(address_of_tidings)?;
                (process, address, address, Some(directory))
            }
        };
        Ok(Server { peer: self, process, address, events, _directory: directory })
    }
}

/// A server that runs, and ends when this is dropped.
pub struct Server {
    peer: Peer,
    pub process: Process,
    /// Where it is followed.
    pub address: SocketAddr,
    /// Where it is published to.
    pub events: SocketAddr,
    // After the process, which uses it.
    _directory: Option<TempDir>,
}

impl Server {
    /// The path of the stream of a topic.
    pub fn path(&self, topic: &str) -> String {
        match self.peer {
            Peer::Nchan => format!("/sub?channel={topic}"),
            _ => format!("/events/{topic}"),
        }
    }

    /// How events are published to the topic that all follow.
    pub fn form(&self, publishing: Publishing) -> Form {
        let path = self.posts_to(TOPIC);
        match self.peer {
            Peer::Bare | Peer::BareCoalescing => Form::Raw,
            Peer::Tidings | Peer::TidingsFsync if publishing == Publishing::Streamed => {
                Form::Stream { path }
            }
            _ => Form::Posts { paths: Paths::One(path) },
        }
    }

    /// How events are published to many topics in turn.
    pub fn form_in_turn(&self, topics: u64) -> Form {
        Form::Posts { paths: Paths::Turns(self.posts_to(""), topics) }
    }

    fn posts_to(&self, topic: &str) -> String {
        match self.peer {
            Peer::Nchan => format!("/pub?channel={topic}"),
            _ => format!("/events/{topic}"),
        }
    }
}

/// Runs one of our own servers in this process.
pub fn serve(name: &str) -> io::Result<()> {
    match Peer::named(name) {
        Some(Peer::Bare) => bare::serve(false),
        Some(Peer::BareCoalescing) => bare::serve(true),
        Some(Peer::Axum) => axum::serve(),
        _ => Err(io::Error::other("no such server")),
    }
}

fn address_of_tidings(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("\"address\":\"")?;
    rest.split('"').next()?.parse().ok()
}

/// The topic that all subscribers follow.
pub const TOPIC: &str = "bench";
/// The first argument with which this program is a server.
pub const SERVE: &str = "serve";
/// What is not limited by default needs no option; no time may pass for those that are silent or
/// take nothing.
const TIDINGS_OPTIONS: &[&str] = &[
    "--listen",
    "127.0.0.1:0",
    "--log-format",
    "json",
    "--no-demo",
    "--header-timeout",
    "1h",
    "--stream-idle-timeout",
    "1h",
    "--slow-write-timeout",
    "1h",
];
