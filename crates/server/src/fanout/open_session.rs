//! An open session: what its subscriber reports while it runs, in a fixed number of bytes.

use std::{
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use parking_lot::Mutex;

use super::{
    interest::Bell,
    session::{Closed, Gaps, Session, SessionId, followed},
};
use crate::{
    cursor::Offset,
    matcher::Filter,
    record::Timestamp,
    subscription::{Delivered, Phase},
};

/// What a running session reports. One task writes, anybody reads.
///
/// It takes 160 bytes, to which a test holds it, and some 25 in the registry; the text of its name
/// is beside it if that is longer than 23 bytes.
#[derive(Debug)]
pub(super) struct OpenSession {
    pub(super) id: SessionId,
    pub(super) filter: Arc<Filter>,
    // Set once somebody delivers to it.
    bell: OnceLock<Arc<Bell>>,
    peer: Peer,
    opened: Timestamp,
    start: AtomicU64,
    cursor: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    taken_ms: AtomicU64,
    activity: AtomicU8,
    // Of those alone that resumed or were told of a gap.
    past: Mutex<Option<Box<Past>>>,
}

/// An address, in less memory than the usual type takes.
#[derive(Debug)]
enum Peer {
    Unknown,
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl Peer {
    fn of(address: Option<SocketAddr>) -> Self {
        match address {
            None => Self::Unknown,
            Some(SocketAddr::V4(address)) => Self::V4(address),
            Some(SocketAddr::V6(address)) => Self::V6(Box::new(address)),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unknown => None,
            Self::V4(address) => Some(SocketAddr::V4(*address)),
            Self::V6(address) => Some(SocketAddr::V6(**address)),
        }
    }
}

#[derive(Debug, Default)]
struct Past {
    resumed_after: Option<Box<str>>,
    gaps: Gaps,
}

/// An offset that is not known: none is so large, for the next one would not fit.
const UNKNOWN: u64 = u64::MAX;
/// Live, and all that had rung by then was handed over: the bell tells of whatever is new.
const IDLE: u8 = u8::MAX;

impl OpenSession {
    pub(super) fn new(
        id: SessionId,
        filter: Arc<Filter>,
        peer: Option<SocketAddr>,
        resumed_after: Option<Box<str>>,
    ) -> Self {
        let past = resumed_after.is_some().then(|| Past { resumed_after, gaps: Gaps::default() });
        Self {
            id,
            filter,
            bell: OnceLock::new(),
            peer: Peer::of(peer),
            opened: Timestamp::now(),
            start: AtomicU64::new(UNKNOWN),
            cursor: AtomicU64::new(UNKNOWN),
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            taken_ms: AtomicU64::new(0),
            activity: AtomicU8::new(Phase::Resolving as u8),
            past: Mutex::new(past.map(Box::new)),
        }
    }

    /// From now on this bell rings for what is new to it.
    pub(super) fn listen(&self, bell: Arc<Bell>) {
        // Nobody delivers to it but one.
        let _ = self.bell.set(bell);
    }

    /// The stream is to get what matches after `start`.
    pub(super) fn place(&self, start: Offset) {
        if self.start.load(Relaxed) == UNKNOWN {
            self.start.store(start.0, Relaxed);
            // Unless the place was found and bytes were taken since.
            let _ = self.cursor.compare_exchange(UNKNOWN, start.0, Release, Relaxed);
        }
    }

    /// The connection has taken this `at` that time, and with it all that matches up to `reached`.
    pub(super) fn hand_over(&self, reached: Offset, delivered: Delivered, at: Timestamp) {
        self.take(delivered, at);
        self.cursor.store(reached.0, Release);
    }

    /// The connection has taken this `at` that time, and has got no further by it.
    pub(super) fn take(&self, delivered: Delivered, at: Timestamp) {
        if let Some(gap) = delivered.gap {
            self.past.lock().get_or_insert_default().gaps.add(gap);
        }
        if delivered.bytes > 0 {
            // One writer: no need of a locked addition.
            self.events.store(self.events.load(Relaxed) + delivered.events, Relaxed);
            self.bytes.store(self.bytes.load(Relaxed) + delivered.bytes, Relaxed);
            self.taken_ms.store(at.unix_ms, Relaxed);
        }
    }

    /// It looks for what is new. Must be called before the bell is asked: see [`Self::cursor`].
    pub(super) fn look(&self) {
        self.activity.store(Phase::Live as u8, Release);
    }

    /// It has looked, and is in this phase; `idle` if there was nothing for it.
    pub(super) fn rest(&self, phase: Phase, idle: bool) {
        let idle = idle && phase == Phase::Live;
        self.activity.store(if idle { IDLE } else { phase as u8 }, Release);
    }

    // Whoever is idle and was not rung for has got all that matches up to the mark. The order
    // matters: the mark was read first, so that what it covers has rung; a bell that is silent
    // because it was taken meanwhile shows that the session is no longer idle, or again, and then
    // it has handed over what it was rung for.
    //
    // A line that is idle when its shard has looked after all has got all that there was by then;
    // one that could not take it is not idle, and was marked so before.
    fn cursor(&self, rung_through: Offset) -> Option<Offset> {
        let swept = self.bell.get().and_then(|bell| bell.swept());
        let silent = swept.is_some() || self.bell.get().is_some_and(|bell| !bell.is_rung());
        let rung_through = swept.unwrap_or(rung_through);
        let idle = self.activity.load(Acquire) == IDLE;
        let handed = self.cursor.load(Acquire);
        let handed = (handed != UNKNOWN).then_some(Offset(handed))?;
        Some(if silent && idle { handed.max(rung_through) } else { handed })
    }

    fn phase(&self) -> Phase {
        let activity = self.activity.load(Acquire);
        let found = [Phase::Resolving, Phase::Replaying, Phase::Closed].into_iter();
        found.into_iter().find(|&phase| phase as u8 == activity).unwrap_or(Phase::Live)
    }

    /// A picture of it. `rung_through` must have been read before.
    pub(super) fn picture(&self, rung_through: Offset, closed: Option<Closed>) -> Session {
        let cursor = self.cursor(rung_through);
        let (topics, patterns) = followed(&self.filter);
        let start = self.start.load(Acquire);
        let taken_ms = self.taken_ms.load(Relaxed);
        let past = self.past.lock();
        let past = past.as_deref();
        Session {
            id: self.id.clone(),
            topics,
            patterns,
            everything: self.filter.is_everything(),
            peer: self.peer.address(),
            opened: self.opened,
            closed,
            phase: if closed.is_some() { Phase::Closed } else { self.phase() },
            resumed_after: past.and_then(|past| past.resumed_after.clone()),
            start: (start != UNKNOWN).then_some(Offset(start)),
            cursor,
            events: self.events.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            taken: (taken_ms > 0).then_some(Timestamp { unix_ms: taken_ms }),
            // A compiled pattern is not kept for one that is gone.
            filter: closed.is_none().then(|| Arc::clone(&self.filter)),
            gaps: past.map(|past| past.gaps.clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscriber_name::SubscriberName;

    fn open() -> OpenSession {
        let id = SessionId { name: SubscriberName::new("a").unwrap(), serial: 1 };
        let session = OpenSession::new(id, Arc::default(), None, None);
        session.listen(Arc::default());
        session
    }

    #[test]
    fn an_open_session_takes_little() {
        // With the two counts of its `Arc`.
        assert!(size_of::<OpenSession>() + 16 <= 160, "{}", size_of::<OpenSession>());
    }

    #[test]
    fn only_who_is_idle_and_was_not_rung_for_has_got_it_all() {
        let session = open();
        let cursor = |mark| session.picture(Offset(mark), None).cursor;
        assert_eq!(cursor(9), None, "it has no place yet");
        session.place(Offset(3));
        assert_eq!(cursor(9), Some(Offset(3)));
        session.rest(Phase::Live, true);
        assert_eq!(cursor(9), Some(Offset(9)));
        session.bell.get().unwrap().ring(Offset(3));
        assert_eq!(cursor(9), Some(Offset(3)));
        session.look();
        session.bell.get().unwrap().take();
        assert_eq!(cursor(9), Some(Offset(3)), "it looks, and has handed over nothing yet");
        let delivered = Delivered { events: 1, bytes: 5, gap: None };
        session.hand_over(Offset(9), delivered, Timestamp::now());
        session.rest(Phase::Live, true);
        assert_eq!(cursor(8), Some(Offset(9)));
        session.rest(Phase::Replaying, true);
        assert_eq!(cursor(12), Some(Offset(9)), "who reads the log is not idle");
    }
}
