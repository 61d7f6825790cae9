//! An exact `text/event-stream` codec, and the state machine of an event source on top of it.
//!
//! It knows no sockets, no clock and no runtime, and needs `alloc` alone:
//!
//! ```text
//!  bytes in   ──▶ decode::Decoder ──▶ Item (borrowed) or Event (owned)
//!  bytes out  ◀── encode::event   ◀── EventId, EventName, data
//!
//!  responses, bytes, time ──▶ source::Source ──▶ requests, events, deadlines
//! ```
//!
//! [`decode`] reads a stream in chunks of any size, exactly as WHATWG HTML says, with bounds on
//! what a peer can make it hold. [`encode`] writes frames and cannot fail, because the types of
//! [`event`] refuse what the wire cannot carry when they are made. [`source`] is what a browser's
//! `EventSource` does with it all, as a machine that is handed whatever happens, and [`reconnect`]
//! says when it tries again.
//!
//! ```
//! use tidings_proto::{Decoder, EventId, EventName, Limits, encode};
//!
//! let mut stream = Vec::new();
//! let (id, name) = (EventId::new("42")?, EventName::new("price")?);
//! encode::event(&mut stream, Some(&id), Some(&name), None, "17.20");
//!
//! let mut decoder = Decoder::new(Limits::default());
//! for mut chunk in stream.chunks(5) {
//!     while let Some(event) = decoder.poll_event(&mut chunk)? {
//!         assert_eq!((event.event_type, event.data.as_str()), (name.clone(), "17.20"));
//!     }
//! }
//! assert_eq!(decoder.last_event_id(), "42");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The feature `std`, on by default, lets the search for line ends use the processor's widest
//! vectors. It changes nothing else.

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
