//! The place of a message, apart from what it says.

use tidings_proto::EventId;

use crate::Message;

/// Which message of its source one is, to [acknowledge](crate::EventSource::acknowledge) it when the
/// message itself is gone: taken apart, or turned into a value.
///
/// It counts for the source that delivered the message alone. That of an event without a source that
/// could be acknowledged, such as one of an [`EventStream`](crate::EventStream), changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// 1 is the first.
    pub(crate) number: u64,
    pub(crate) last_event_id: EventId,
}

impl Message {
    /// The place of this message.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        Receipt { number: self.number, last_event_id: self.last_event_id.clone() }
    }
}

impl From<&Message> for Receipt {
    fn from(message: &Message) -> Self {
        message.receipt()
    }
}

impl From<&Self> for Receipt {
    fn from(receipt: &Self) -> Self {
        receipt.clone()
    }
}

impl From<Box<Self>> for Receipt {
    fn from(receipt: Box<Self>) -> Self {
        *receipt
    }
}
