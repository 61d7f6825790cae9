//! The topics that have more than their rule keeps, or will have once time has passed.

use std::collections::BTreeSet;

use super::TopicId;
use crate::record::Timestamp;

/// Topics to be trimmed by rules of their own. None is looked for: whoever changes a topic says
/// how it stands.
#[derive(Debug, Default)]
pub(super) struct Overruns {
    // More records or bytes than are kept.
    over: BTreeSet<TopicId>,
    // When the oldest record of a topic is too old.
    expiries: BTreeSet<(u64, TopicId)>,
}

impl Overruns {
    /// A topic that is to be trimmed at the moment `now`.
    pub(super) fn due(&self, now: Timestamp) -> Option<TopicId> {
        let expired = || self.expiries.first().filter(|(expiry_ms, _)| *expiry_ms <= now.unix_ms);
        self.over.first().copied().or_else(|| expired().map(|&(_, id)| id))
    }

    /// Says whether the topic has more than is kept.
    pub(super) fn set_over(&mut self, id: TopicId, is_over: bool) {
        if is_over {
            self.over.insert(id);
        } else if !self.over.is_empty() {
            self.over.remove(&id);
        }
    }

    /// Says when the topic's oldest record is too old, and what was said before.
    pub(super) fn set_expiry(&mut self, id: TopicId, before: Option<u64>, now: Option<u64>) {
        if let Some(before) = before {
            self.expiries.remove(&(before, id));
        }
        if let Some(now) = now {
            self.expiries.insert((now, id));
        }
    }
}
