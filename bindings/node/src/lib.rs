//! The native part of the npm package `tidings`: an `EventSource` for Node.js on the Rust client.
//!
//! ```text
//!   tokio's thread                                    JavaScript's thread
//!  ┌───────────────────────────┐                     ┌───────────────────────────────┐
//!  │ tidings_client::EventSource│ ──Batch──▶ Inbox ──│─take()──▶ an event a task      │
//!  │  a task a source           │ ◀──room───         │          dispatchEvent(…)     │
//!  └───────────────────────────┘ ──id──▶ Mailbox ────│─wake──▶ which sources have any │
//!                                                     └───────────────────────────────┘
//! ```
//!
//! The network, the parsing and the reconnecting are the client's; the interface is JavaScript's, in
//! `lib/`. Between them, events go in batches: one string with the text of many events, and numbers
//! that say how it is cut. A source whose batches nobody takes is not read further, so that a slow
//! listener holds up the server and fills no memory: 128 KiB that wait, three batches
//! of 64 KiB (the last that waits, the next, and the one in JavaScript's hands), and an
//! event more in each are the most that is held for a source.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod asking;
mod batch;
mod cookie_jar;
mod follower;
mod headers;
mod inbox;
mod mailbox;
mod options;
mod runtime;
mod source;
