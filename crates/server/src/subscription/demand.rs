//! What a subscription asks for, and what it is given of the shared tail.

use std::time::Instant;

use super::Piece;
use crate::{
    cursor::{Cursor, Offset},
    log::{ReadLimits, Since},
    record::PublisherId,
};

/// What a subscription asks of whoever drives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Send these bytes.
    Send(Piece),
    /// Find what the subscriber has had, then [`Subscription::handle_resolved`](super::Subscription::handle_resolved).
    Resolve(Sought),
    /// Look in the shared tail after this place, then [`Subscription::handle_tail`](super::Subscription::handle_tail).
    Tail(TailPlace),
    /// Ask the log whether the topics have [ended](crate::log::Log::ended), then
    /// [`Subscription::handle_ended`](super::Subscription::handle_ended).
    Ended,
    /// Read the log since then, then [`Subscription::handle_read`](super::Subscription::handle_read).
    Read(Since, ReadLimits),
    /// Nothing to do before this moment, unless [`Subscription::handle_wake`](super::Subscription::handle_wake) is called.
    Wait(Instant),
    /// The stream is over.
    End,
}

/// What a subscriber has had last, that is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// The record with this publisher's id.
    Id(PublisherId),
    /// A cursor of the log's epoch, after all that the log knows of: with a log that others append
    /// to, another hub may have known more.
    Ahead(Cursor),
}

/// A place in the shared tail, where ephemeral events stand between the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TailPlace {
    /// The last record behind it.
    pub after: Offset,
    /// How many ephemeral events, of all that there ever were, are behind it.
    pub heard: u64,
}

/// What the shared tail has after a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailRead {
    /// The frames of what matches, and how far they reach.
    Frames {
        /// Whole frames, ready to be sent.
        piece: Piece,
        /// The offset of the last record among them, if there is one.
        last: Option<Offset>,
        /// All that matches up to here is among them.
        through: TailPlace,
        /// Whether a topic ended or was opened up to there.
        marks: bool,
        /// Whether the tail has more after it.
        more: bool,
    },
    /// The tail does not reach back that far.
    Behind,
}
