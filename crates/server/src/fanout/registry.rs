//! The registry: who is subscribed, and who was not long ago.
//!
//! A subscriber is entered when it opens, reports to its own record while it runs, and is closed
//! once: nothing here is touched for an event. Whatever delivers events needs no more of it than
//! [`Registry::open`], the record's few reports and [`Registry::close`].

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    open_session::OpenSession,
    session::{Closed, Session, SessionId},
};
use crate::{cursor::Offset, subscriber_name::SubscriberName};

/// The sessions that are open, and the last that were closed.
#[derive(Debug)]
pub(super) struct Registry {
    closed_max: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    serial: u64,
    sessions: BTreeSet<Entry>,
    // Those that ended, in that order.
    closed: VecDeque<SessionId>,
    closed_bytes: usize,
    closed_of: HashMap<SubscriberName, ClosedOf>,
    // How far sessions of any name that were forgotten had got.
    forgotten: Offset,
}

/// The ended sessions of one name.
#[derive(Debug, Default)]
struct ClosedOf {
    serials: VecDeque<u64>,
    // How far those that were forgotten had got.
    forgotten: Offset,
}

#[derive(Debug, Clone)]
enum Entry {
    Open(Arc<OpenSession>),
    Closed(Arc<Session>),
}

/// What is known of a subscriber.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sessions {
    /// Its sessions, the newest first: the open ones and the last few that ended.
    pub sessions: Vec<Arc<Session>>,
    /// Whether it has more sessions open than these.
    pub more: bool,
    /// Sessions that are not known any more may have got events up to here.
    pub forgotten: Offset,
}

impl Registry {
    // So that one name that comes and goes does not drive out the others.
    const CLOSED_OF_A_NAME_MAX: usize = 4;
    // A session of a hundred long patterns takes 50 KiB, and most of them half of one.
    const CLOSED_BYTES_MAX: usize = 4 << 20;
    const SESSIONS_OF_A_NAME_MAX: usize = 100;

    /// Keeps `closed_max` sessions that ended. Of what was delivered up to `before` it knows
    /// nothing.
    pub(super) fn new(closed_max: usize, before: Offset) -> Self {
        let known = Known { forgotten: before, ..Known::default() };
        Self { closed_max, known: Mutex::new(known) }
    }

    /// Enters the session that `open` makes under the next number.
    pub(super) fn open(&self, open: impl FnOnce(u64) -> OpenSession) -> Arc<OpenSession> {
        let mut known = self.known.lock();
        known.serial += 1;
        let session = Arc::new(open(known.serial));
        known.sessions.insert(Entry::Open(Arc::clone(&session)));
        session
    }

    /// Keeps what is left to know of a session that ends.
    pub(super) fn close(&self, session: &OpenSession, rung_through: Offset, closed: Closed) {
        let last = Arc::new(session.picture(rung_through, Some(closed)));
        let (id, bytes) = (last.id.clone(), last.memory_bytes());
        let mut known = self.known.lock();
        known.sessions.replace(Entry::Closed(last));
        known.closed_bytes += bytes;
        let of = known.closed_of.entry(id.name.clone()).or_default();
        of.serials.push_back(id.serial);
        let one_too_many = of.serials.len() > Self::CLOSED_OF_A_NAME_MAX;
        known.closed.push_back(id.clone());
        if one_too_many {
            known.forget_oldest_of(&id.name);
        }
        while known.closed.len() > self.closed_max || known.closed_bytes > Self::CLOSED_BYTES_MAX {
            let Some(oldest) = known.closed.front().map(|id| id.name.clone()) else { break };
            known.forget_oldest_of(&oldest);
        }
    }

    /// The sessions after `after`, in order, at most `count_max`.
    pub(super) fn page(
        &self,
        after: Option<&SessionId>,
        count_max: usize,
        rung_through: Offset,
    ) -> Vec<Arc<Session>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let found: Vec<_> = {
            let known = self.known.lock();
            let range = known.sessions.range::<SessionId, _>((from, Unbounded));
            range.take(count_max).cloned().collect()
        };
        found.into_iter().map(|entry| entry.picture(rung_through)).collect()
    }

    /// What is known of `name`.
    pub(super) fn sessions_of(&self, name: &SubscriberName, rung_through: Offset) -> Sessions {
        let id = |serial| SessionId { name: name.clone(), serial };
        let (mut found, forgotten) = {
            let known = self.known.lock();
            let range = known.sessions.range::<SessionId, _>(id(0)..=id(u64::MAX)).rev();
            let found: Vec<_> = range.take(Self::SESSIONS_OF_A_NAME_MAX + 1).cloned().collect();
            let of = known.closed_of.get(name).map_or(Offset::ZERO, |of| of.forgotten);
            (found, known.forgotten.max(of))
        };
        let more = found.len() > Self::SESSIONS_OF_A_NAME_MAX;
        found.truncate(Self::SESSIONS_OF_A_NAME_MAX);
        let sessions = found.into_iter().map(|entry| entry.picture(rung_through)).collect();
        Sessions { sessions, more, forgotten }
    }
}

impl Known {
    fn forget_oldest_of(&mut self, name: &SubscriberName) {
        let Some(of) = self.closed_of.get_mut(name) else { return };
        let Some(serial) = of.serials.pop_front() else { return };
        let id = SessionId { name: name.clone(), serial };
        if let Some(Entry::Closed(session)) = self.sessions.take(&id) {
            self.closed_bytes -= session.memory_bytes();
            of.forgotten = of.forgotten.max(session.cursor.unwrap_or_default());
        }
        if of.serials.is_empty() {
            self.forgotten = self.forgotten.max(of.forgotten);
            self.closed_of.remove(name);
        }
        if let Some(at) = self.closed.iter().position(|other| other.serial == serial) {
            self.closed.remove(at);
        }
    }
}

impl Entry {
    fn picture(self, rung_through: Offset) -> Arc<Session> {
        match self {
            Self::Open(session) => Arc::new(session.picture(rung_through, None)),
            Self::Closed(session) => session,
        }
    }
}

impl Borrow<SessionId> for Entry {
    fn borrow(&self) -> &SessionId {
        match self {
            Self::Open(session) => &session.id,
            Self::Closed(session) => &session.id,
        }
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        Borrow::<SessionId>::borrow(self).cmp(other.borrow())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Timestamp;

    fn name(text: &str) -> SubscriberName {
        SubscriberName::new(text).unwrap()
    }

    fn open(registry: &Registry, text: &str, cursor: u64) -> Arc<OpenSession> {
        let session = registry.open(|serial| {
            let id = SessionId { name: name(text), serial };
            OpenSession::new(id, Arc::default(), None, None)
        });
        session.place(Offset(cursor));
        session
    }

    fn close(registry: &Registry, session: &OpenSession) {
        let closed = Closed { at: Timestamp::now(), log_end: Offset(100) };
        registry.close(session, Offset::ZERO, closed);
    }

    fn is_whole(registry: &Registry) {
        let known = registry.known.lock();
        let closed = known.sessions.iter().filter_map(|entry| match entry {
            Entry::Open(_) => None,
            Entry::Closed(session) => Some(session.memory_bytes()),
        });
        let bytes: Vec<_> = closed.collect();
        assert_eq!(bytes.len(), known.closed.len());
        assert_eq!(bytes.iter().sum::<usize>(), known.closed_bytes);
        let of: usize = known.closed_of.values().map(|of| of.serials.len()).sum();
        assert_eq!(of, known.closed.len());
        assert!(known.closed_of.values().all(|of| !of.serials.is_empty()));
    }

    #[test]
    fn the_last_that_closed_are_kept_and_no_more() {
        let registry = Registry::new(1_000, Offset(5));
        let stays = open(&registry, "stays", 1);
        for n in 0..1_500 {
            close(&registry, &open(&registry, &format!("n{n}"), 10 + n));
        }
        assert_eq!(registry.page(None, 10_000, Offset::ZERO).len(), 1_001);
        is_whole(&registry);
        let of = |text| registry.sessions_of(&name(text), Offset::ZERO);
        assert!(of("n499").sessions.is_empty());
        assert_eq!(of("n500").sessions.len(), 1);
        assert_eq!(of("n500").forgotten, Offset(509), "how far n499 had got");
        assert!(of("stays").sessions[0].closed.is_none());
        close(&registry, &stays);
        assert!(of("stays").sessions[0].closed.is_some());
        is_whole(&registry);
    }

    #[test]
    fn one_name_that_comes_and_goes_drives_out_nobody() {
        let registry = Registry::new(1_000, Offset(5));
        close(&registry, &open(&registry, "quiet", 7));
        for n in 0..10_000 {
            close(&registry, &open(&registry, "noisy", n));
        }
        is_whole(&registry);
        let noisy = registry.sessions_of(&name("noisy"), Offset::ZERO);
        let cursors: Vec<_> = noisy.sessions.iter().map(|s| s.cursor.unwrap().0).collect();
        assert_eq!(cursors, [9_999, 9_998, 9_997, 9_996], "the newest first");
        assert_eq!(noisy.forgotten, Offset(9_995));
        let quiet = registry.sessions_of(&name("quiet"), Offset::ZERO);
        assert_eq!((quiet.sessions.len(), quiet.forgotten), (1, Offset(5)));
    }

    #[test]
    fn any_number_of_one_name_may_be_open() {
        let registry = Registry::new(1_000, Offset::ZERO);
        let open: Vec<_> = (0..10_000).map(|_| open(&registry, "many", 1)).collect();
        let many = registry.sessions_of(&name("many"), Offset::ZERO);
        assert!(many.more && many.sessions.len() == 100);
        assert_eq!(many.sessions[0].id.serial, 10_000);
        open.iter().for_each(|session| close(&registry, session));
        is_whole(&registry);
        assert_eq!(registry.sessions_of(&name("many"), Offset::ZERO).sessions.len(), 4);
    }

    #[test]
    fn pages_follow_one_another_by_name() {
        let registry = Registry::new(10, Offset::ZERO);
        let held: Vec<_> =
            ["b", "a", "c", "a"].into_iter().map(|text| open(&registry, text, 1)).collect();
        close(&registry, &held[0]);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = registry.page(after.as_ref(), 3, Offset::ZERO);
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            seen.extend(page.iter().map(|s| (s.id.name.to_string(), s.id.serial)));
        }
        let expected = [("a", 2), ("a", 4), ("b", 1), ("c", 3)].map(|(n, s)| (n.to_owned(), s));
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let registry = Registry::new(100_000, Offset::ZERO);
        for n in 0..20_000 {
            close(&registry, &open(&registry, &format!("{n:0120}"), 1));
        }
        is_whole(&registry);
        assert!(registry.known.lock().closed_bytes <= Registry::CLOSED_BYTES_MAX);
    }
}
