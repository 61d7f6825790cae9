//! Gaps: what a subscriber is told when history is gone, and how it goes on.

use crate::cursor::Offset;

/// Where a stream goes on when history is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnGap {
    /// With what is left after the subscriber's own place; if that is not known, from the oldest
    /// event there is, and events may then repeat.
    #[default]
    Oldest,
    /// From now.
    Latest,
}

/// Why a subscriber cannot get all that it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// Events that it follows were trimmed after its id.
    Trimmed,
    /// The log has no event with its id.
    UnknownId,
    /// Its cursor is of another incarnation of the log.
    OtherEpoch,
    /// Its cursor is after the newest event.
    Ahead,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Trimmed, Self::UnknownId, Self::OtherEpoch, Self::Ahead];

    /// The reason as the notice spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::UnknownId => "unknown_id",
            Self::OtherEpoch => "other_epoch",
            Self::Ahead => "ahead",
        }
    }
}

/// What a gap notice tells: the records in between are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The place that the subscription had reached; none if the id that it asked for has no place.
    pub after: Option<Offset>,
    /// The place after which it goes on.
    pub resumes_after: Offset,
}

impl Gap {
    /// Whether the record at `offset` is one of those that are not sent.
    pub fn covers(&self, offset: Offset) -> bool {
        self.after.is_none_or(|after| offset > after) && offset <= self.resumes_after
    }
}
