//! Pieces: the bytes that a subscription has to send, and which events they are.

use bytes::Bytes;

use super::TailPlace;

/// Bytes to be sent: the frames of events, or a notice of the stream itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub bytes: Bytes,
    /// Where in them each event ends; none are in a notice.
    pub events: Vec<EventEnd>,
    /// The place before the first event.
    pub from: TailPlace,
}

/// The end of an event's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventEnd {
    /// The bytes up to there.
    pub at: usize,
    /// The place right after the event.
    pub place: TailPlace,
    /// Whether the log keeps the event.
    pub kept: bool,
}

/// A notice.
impl From<Vec<u8>> for Piece {
    fn from(notice: Vec<u8>) -> Self {
        Self { bytes: notice.into(), events: Vec::new(), from: TailPlace::default() }
    }
}
