//! The `text/event-stream` codec.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

pub mod encode;
pub mod event;

pub use event::{Event, EventId, EventName};
