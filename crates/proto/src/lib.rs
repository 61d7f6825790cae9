//! The `text/event-stream` codec.

#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod decode;
pub mod encode;
pub mod event;
pub mod reconnect;
pub mod source;

pub use decode::{DecodeError, Decoder, Limits};
pub use event::{Event, EventId, EventName};
