//! Where a subscription starts.

use crate::{frame::requested, record::EARLIEST};

/// Where a subscriber wants to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With what is published from now on.
    Latest,
    /// With the oldest event there is.
    Earliest,
    /// After the event with this id: a `Last-Event-ID`, as it was received.
    After(String),
}

impl Start {
    /// Reads a `Last-Event-ID`: empty is [`Latest`](Self::Latest), `earliest` is
    /// [`Earliest`](Self::Earliest).
    pub fn from_last_event_id(id: &str) -> Self {
        match id {
            "" => Self::Latest,
            EARLIEST => Self::Earliest,
            id => Self::After(id.to_owned()),
        }
    }

    /// The id that it asks for, as it may be told to others: cut to 256 bytes.
    pub fn requested(&self) -> Option<&str> {
        match self {
            Self::Latest => None,
            Self::Earliest => Some(EARLIEST),
            Self::After(id) => Some(requested(id)),
        }
    }
}
