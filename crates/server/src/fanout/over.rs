//! Whether there is anything to come for a subscriber at all.

use super::{Caller, Fanout};
use crate::{
    cursor::Cursor,
    log::{Bounds, ReadLimits, Since},
    matcher::Filter,
    record::PublisherId,
    subscription::Start,
};

impl Fanout {
    // A few pages tell for nearly everybody; who has more of the past to pass gets a stream, which
    // ends by itself.
    const PAGES_MAX: usize = 4;

    /// Whether nothing is to come for who asks for this: all its topics have
    /// [ended](crate::log::Log::ended), and no event is left for it after its start.
    ///
    /// Answer it with 204, which stops an `EventSource` for good (WHATWG HTML 9.2.3); a stream for
    /// it would end at once, and the `EventSource` come back again and again. It is never so where
    /// a gap is to be told first.
    pub async fn is_over(&self, filter: &Filter, start: &Start) -> bool {
        let log = &self.0.log;
        if log.ended(filter).is_none() {
            return false;
        }
        let bounds = log.bounds();
        let Some(mut since) = self.place(start, bounds).await else { return false };
        // Never closed, so the permit is always granted.
        let _permit = self.0.reads.acquire().await;
        for _ in 0..Self::PAGES_MAX {
            if since.after >= bounds.last {
                return true;
            }
            let Ok(page) = log.read(since, filter, ReadLimits::default()).await else {
                return false;
            };
            let is_gap = page.trimmed > since.known();
            if is_gap || page.records.iter().any(|record| record.new.kind.is_event()) {
                return false;
            }
            since = Since { after: page.through, trims_seen: page.trims_seen, ..since };
        }
        false
    }

    /// Remembers who asked for this and was answered that nothing is to come: its last event id
    /// confirms what it had got.
    pub async fn remember_over(&self, caller: Caller, filter: Filter, start: &Start) {
        let place = self.place(start, self.0.log.bounds()).await;
        let session = self.0.enter(caller, self.0.filters.lock().shared(filter), start);
        let mark = self.0.rung_through();
        if let Some(place) = place {
            session.place(place.after);
        }
        self.0.leave(&session, mark);
    }

    // Where it starts, if that is known without a gap.
    async fn place(&self, start: &Start, bounds: Bounds) -> Option<Since> {
        let id = match start {
            Start::Latest => return Some(Since::after(bounds.last)),
            Start::Earliest => {
                // What was trimmed was not asked for.
                let since = Since::after(bounds.first.previous());
                return Some(Since { told: bounds.last, ..since });
            }
            Start::After(id) => id,
        };
        match Cursor::parse(id) {
            Some(cursor) => {
                let since = Since { told: cursor.told(), ..Since::after(cursor.offset) };
                (cursor.epoch == bounds.epoch && since.known() <= bounds.last).then_some(since)
            }
            None => {
                let id = PublisherId::new(id.as_str()).ok()?;
                self.0.log.resolve(&id).await.ok()?.map(Since::after)
            }
        }
    }
}
