//! Membership: what makes somebody a subscriber, and lets it leave.

use std::sync::Arc;

use super::{
    Shared,
    interest::{Bell, InterestId},
    open_session::OpenSession,
};

/// A subscriber's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<OpenSession>,
    // None while no bell rings for it.
    rung_as: Option<InterestId>,
}

// One of those for whom the bell of their shard rings.
#[cfg(feature = "engine")]
const OF_SHARD: InterestId = InterestId::MAX;

impl Membership {
    pub(super) fn new(shared: Arc<Shared>, session: Arc<OpenSession>) -> Self {
        shared.counters.opened();
        Self { shared, session, rung_as: None }
    }

    /// A bell that rings for it from now on.
    pub(super) fn listen(&mut self) -> Arc<Bell> {
        let bell = Arc::new(Bell::default());
        let id = self.shared.interest.lock().add(&self.session.filter, &bell);
        if let Some(drain) = *self.shared.closing.lock() {
            bell.close(drain.closing());
        }
        self.session.listen(Arc::clone(&bell));
        self.rung_as = Some(id);
        bell
    }

    /// From now on it is one of those for whom a shard's `bell` rings.
    #[cfg(feature = "engine")]
    pub(super) fn join(&mut self, bell: &Arc<Bell>) {
        self.shared.interest.lock().add_line(&self.session.filter);
        self.session.listen(Arc::clone(bell));
        self.rung_as = Some(OF_SHARD);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Self { shared, session, rung_as } = self;
        // The mark first: nobody rings for what comes once it is removed.
        let mark = shared.rung_through();
        match *rung_as {
            None => {}
            #[cfg(feature = "engine")]
            Some(OF_SHARD) => shared.interest.lock().remove_line(&session.filter),
            Some(id) => shared.interest.lock().remove(id, &session.filter),
        }
        shared.counters.left();
        shared.leave(session, mark);
        shared.filters.lock().left(&session.filter);
    }
}
