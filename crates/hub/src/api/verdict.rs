//! The verdict: why a subscriber got an event, or did not, from what its sessions tell.

use std::sync::Arc;

use tidings_server::{
    cursor::Offset,
    fanout::{Fate, Session},
};

/// What became of an event for a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Acknowledged,
    Sent,
    SentUnconfirmed,
    Waiting,
    CutOff,
    NotConnected,
    NotAskedFor,
    BeforeItStarted,
    Claimed,
    ToldAsGap,
    NotMatched,
    NotAllowed,
    NotKnown,
}

impl Verdict {
    /// The verdict as the API spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Sent => "sent",
            Self::SentUnconfirmed => "sent_unconfirmed",
            Self::Waiting => "waiting",
            Self::CutOff => "cut_off",
            Self::NotConnected => "not_connected",
            Self::NotAskedFor => "not_asked_for",
            Self::BeforeItStarted => "before_it_started",
            Self::Claimed => "claimed",
            Self::ToldAsGap => "told_as_gap",
            Self::NotMatched => "not_matched",
            Self::NotAllowed => "not_allowed",
            Self::NotKnown => "not_known",
        }
    }
}

/// The verdict, and on what it rests.
#[derive(Debug, Clone)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// The session that the event was for.
    pub(super) session: Arc<Session>,
    /// The session by which the subscriber came back after that.
    pub(super) later: Option<Arc<Session>>,
}

/// One session, and whether it follows a topic of the event.
pub(super) struct Witness {
    pub(super) session: Arc<Session>,
    pub(super) follows: bool,
}

/// Judges about the event at `offset`.
///
/// `witnesses` are the subscriber's sessions in the order of their opening, at least one. Sessions
/// that are not known any more may have got events up to `forgotten`.
pub(super) fn judge(
    witnesses: &[Witness],
    allowed: bool,
    offset: Offset,
    forgotten: Offset,
) -> Option<Judgement> {
    let newest = &witnesses.last()?.session;
    let following: Vec<_> =
        witnesses.iter().filter(|one| one.follows).map(|one| &one.session).collect();
    let is = |verdict, session: &Arc<Session>, later: Option<&Arc<Session>>| {
        Some(Judgement { verdict, session: Arc::clone(session), later: later.cloned() })
    };
    let Some(&oldest) = following.first() else { return is(Verdict::NotMatched, newest, None) };
    if !allowed {
        return is(Verdict::NotAllowed, following.last().unwrap_or(&newest), None);
    }
    // What was once confirmed stays so, whatever came after it: by any session that was opened
    // after one that was sent it, for the id counts and not the topics.
    if let Some(sent) = following.iter().find(|session| session.fate(offset) == Fate::Sent)
        && let Some(later) = witnesses
            .iter()
            .map(|one| &one.session)
            .find(|later| later.id.serial > sent.id.serial && later.resumed_past(offset))
    {
        return is(Verdict::Acknowledged, sent, Some(later));
    }
    // Else the last session that was to get it decides.
    let decides = |session: &&Arc<Session>| session.fate(offset) != Fate::BeforeStart;
    let Some(at) = following.iter().rposition(decides) else {
        let verdict = if oldest.resumed_past(offset) {
            Verdict::Claimed
        } else if offset <= forgotten {
            Verdict::NotKnown
        } else {
            Verdict::BeforeItStarted
        };
        return is(verdict, oldest, None);
    };
    let session = following[at];
    let later = following.get(at + 1).copied();
    let back = following[at + 1..].iter().find(|later| later.resumed_past(offset)).copied();
    match (session.fate(offset), session.closed) {
        (Fate::Sent, None) => is(Verdict::Sent, session, None),
        (Fate::Sent, Some(_)) => is(Verdict::SentUnconfirmed, session, later),
        (Fate::Waiting, _) => is(Verdict::Waiting, session, None),
        (Fate::ToldAsGap(_), _) => is(Verdict::ToldAsGap, session, None),
        (Fate::Missed, _) if back.is_some() => is(Verdict::Claimed, session, back),
        (Fate::Missed, _) if later.is_some() => is(Verdict::NotAskedFor, session, later),
        (Fate::Missed, Some(closed)) if offset <= closed.log_end => {
            is(Verdict::CutOff, session, None)
        }
        (Fate::Missed, _) => is(Verdict::NotConnected, session, None),
        (Fate::Unknown | Fate::BeforeStart, _) => is(Verdict::NotKnown, session, None),
    }
}
