//! The clustered log: one NATS JetStream stream, that any number of hubs append to and follow.
//!
//! ```text
//!  append ─► Appender ─► the stream ─► Follower ─► State ─► Feed ─► the tail
//!               ▲                                    │
//!               └──────────── what became of it ─────┘
//! ```

mod connect;
mod error;
mod options;

pub use self::{
    error::OpenError,
    options::{Auth, Options, Storage, StreamName, StreamNameError, TlsFiles},
};
