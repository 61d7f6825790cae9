//! Bytes to events.
//!
//! A [`Decoder`] is handed the stream in chunks, however the network cut it, and polled for what
//! the chunk completes. What comes out is the same for every way of cutting, one byte at a time
//! and empty chunks included, and an event comes out with the byte that ends it, never later.
//! The cost is linear in the bytes: an unfinished line is not read again when its next part comes.
//!
//! ```text
//!  chunk ──▶ line ends ──▶ fields ──▶ event ──blank line──▶ Item ──▶ borrowed, or an owned Event
//!    │                                  ▲
//!    └── the part of a line at the end ─┘  kept in the decoder until the rest comes
//! ```
//!
//! A line that lies whole within a chunk is not copied: an event with one such data line borrows
//! its data from the chunk. Only text that is handed out is checked for UTF-8, and only what is
//! not UTF-8 is rewritten.
//!
//! Standard: WHATWG HTML,
//! ["Parsing an event stream"](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)
//! and
//! ["Interpreting an event stream"](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation),
//! with two deliberate differences. The id of a stream that goes on after a reconnect starts from
//! the last one instead of blank, as browsers do; and there are [`Limits`].
// Input from outside never panics; tests may.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used))]

mod decoder;
mod event_buffer;
mod field;
mod item;
mod limits;
mod line_ends;
mod lines;
mod part;
mod resume;
mod utf8;
mod vectors;

pub use decoder::Decoder;
pub use item::{EventRef, Item, OwnedItem};
pub use limits::{DecodeError, Limits};
