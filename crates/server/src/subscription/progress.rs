//! How far a subscription is: what it is doing, and what it has done.

use super::Gap;

/// What a subscription is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It waits for the place of a publisher's id.
    Resolving,
    /// It reads from the log what the shared tail no longer has.
    Replaying,
    /// It follows the shared tail.
    Live,
    /// It is over.
    Closed,
}

impl Phase {
    /// The phase as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Replaying => "replaying",
            Self::Live => "live",
            Self::Closed => "closed",
        }
    }
}

/// What a subscription has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Events sent, notices not counted.
    pub events: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The gap notice since the last look, if there was one.
    pub gap: Option<Gap>,
}
