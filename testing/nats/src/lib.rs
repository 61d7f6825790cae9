//! Real NATS servers on loopback for tests, and the harm that may come to them.
//!
//! ```text
//!  client ─► Proxy ─► Server 0 ◄─┐
//!              │        ▲        │ routes      Cluster
//!             cut       ▼        │
//!             heal    Server 1 ◄─┴─► Server 2
//!                       │
//!                   kill, freeze, stop, wipe
//! ```
//!
//! ```no_run
//! # async fn example() {
//! use tidings_testing_nats::Cluster;
//!
//! let mut cluster = Cluster::start(3).await;
//! // … connect to cluster.urls(), make the stream `tidings` with three replicas …
//! let leader = cluster.leader("tidings").await;
//! cluster.servers[leader].kill();
//! assert_ne!(cluster.leader("tidings").await, leader);
//! cluster.servers[leader].restart().await;
//! # }
//! ```
//!
//! Everything here panics when it does not get what it needs, and says why: a test has nothing
//! better to do. Whatever is started ends with the test's process, also when that is killed.

#![forbid(unsafe_code)]

mod cluster;
mod deadline;
mod guard;
mod monitor;
mod options;
mod port;
mod process;
mod proxy;
mod server;

pub use self::{
    cluster::Cluster, options::Options, port::free_port, process::Process, proxy::Proxy,
    server::Server,
};
