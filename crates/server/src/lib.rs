//! Server-sent events for anyone's server: a log, subscriptions that resume from it, the
//! fan-out, and the HTTP body.
//!
//! ```text
//!  publisher ──► Log::append ──► Log::tail ──► Fanout ──► Subscriber ──► StreamBody ──► socket
//!                    │                                        ▲
//!                    └───────────── Log::read ────────────────┘  who is behind the tail
//! ```
//!
//! A subscriber is a [cursor](cursor::Cursor), not a queue: nothing is held for it while it
//! does not read.
//!
//! ```
//! use std::sync::Arc;
//! use futures_util::StreamExt as _;
//! use tidings_server::{
//!     fanout::{Fanout, FanoutConfig, Subscribe},
//!     log::{Log as _, MemoryLog, Retention},
//!     matcher::{Filter, Matcher},
//!     record::NewRecord,
//!     subscription::{Start, SubscriptionConfig},
//!     topic::Topic,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let log = Arc::new(MemoryLog::new(Retention::default(), rand::random()));
//! let fanout = Fanout::start(log.clone(), FanoutConfig::default());
//! let clock = Topic::new("clock")?;
//! let mut subscriber = fanout.subscribe(Subscribe {
//!     filter: Filter::new([Matcher::Exact(clock.clone())]),
//!     start: Start::Latest, // or Start::from_last_event_id(header)
//!     config: SubscriptionConfig::default(),
//! });
//! log.append(NewRecord::new(clock, "noon").into()).await?;
//! let opening = subscriber.next().await.unwrap();
//! let event = subscriber.next().await.unwrap();
//! assert!(event.ends_with(b"data: noon\n\n"));
//! # drop(opening);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "axum")]
pub mod axum;
pub mod body;
pub mod cursor;
pub mod fanout;
pub mod frame;
pub mod idempotency;
pub mod log;
pub mod matcher;
pub mod record;
pub mod subscriber_name;
pub mod subscription;
pub mod topic;
