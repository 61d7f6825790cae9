//! The rest of what a peer took only a part of.

use crate::{cursor::Offset, subscription::EventEnd};

/// What is to be sent before anything else. It pins no event, but where a notice comes right behind:
/// events are encoded again, from the shared tail or from the log, to the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Rest {
    #[default]
    Nothing,
    /// These bytes, of notices and of the response's head, some hundred; or all that is left of a
    /// write in which a notice follows events, as at the end of a stream.
    Bytes(Box<[u8]>),
    /// This event, framed as for a subscriber that was told of gaps up to `gaps_told`, without so
    /// many bytes that were taken.
    Event { event: EventEnd, gaps_told: Offset, skip: usize },
}
