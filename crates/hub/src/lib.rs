//! The Tidings event hub as a library.
//!
//! ```no_run
//! use tidings_hub::{config::{Config, Store}, serve::Server, store};
//!
//! # async fn hub() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config { store: Store::Memory, ..Config::default() };
//! let log = store::open(&config).await?;
//! let server = Server::bind(config, log).await?;
//! println!("listening on {}", server.url());
//! server.run(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod api;
pub mod config;
mod conn;
mod cors;
mod demo;
pub mod disk;
mod held;
mod hub;
mod local;
mod metrics;
pub mod nats;
mod problem;
mod query;
pub mod serve;
pub mod store;
mod stored;
mod supervisor;
mod under_way;
mod web;
