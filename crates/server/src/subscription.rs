//! The subscription: a subscriber as a cursor, without any I/O.
//!
//! ```text
//!  a publisher's id ──► Resolving ──┐      behind the tail
//!                                   ▼    ┌────────────────► Reading
//!  a cursor, or none ────────────► Live ─┤                     │
//!                                   ▲    └──► Closed           │
//!                                   └──────────────────────────┘
//! ```
//!
//! Whoever drives it calls [`Subscription::poll`] and does what it asks: sends bytes, looks in
//! the shared tail, reads the log, resolves an id, waits. The answers go back in by `handle_*`.
//! It asks for nothing while bytes wait to be sent, so what it holds is bounded by one page.
//! A replay and a slow reader are the same thing: a cursor that the tail does not reach back to.

mod config;
mod demand;
mod gap;
mod notices;
mod piece;
mod progress;
mod resting;
mod start;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

#[cfg(feature = "engine")]
pub(crate) use self::notices::frame;
pub use self::{
    config::SubscriptionConfig,
    demand::{Demand, Sought, TailPlace, TailRead},
    gap::{Gap, GapReason, OnGap},
    piece::{EventEnd, Piece},
    progress::{Delivered, Phase},
    resting::Resting,
    start::Start,
};
use crate::{
    cursor::{Cursor, Epoch, Offset},
    log::{Bounds, Page, ReadError, Since},
    record::PublisherId,
    subscriber_name::SubscriberName,
};

/// A subscriber's place in the log and the stream that follows from it.
#[derive(Debug)]
pub struct Subscription {
    config: SubscriptionConfig,
    name: Option<SubscriberName>,
    epoch: Epoch,
    state: State,
    out: VecDeque<Piece>,
    /// All that matches up to here was sent or is in `out`.
    after: Offset,
    /// The place that was asked for, once it is known.
    start: Option<Offset>,
    /// How many ephemeral events are behind it.
    heard: u64,
    /// The last place that the subscriber was told.
    told: Offset,
    /// How far the subscriber was told of gaps. While that is ahead of its place, it reads the log,
    /// for the ids that it gets say so, and the shared frames' do not.
    gaps_told: Offset,
    /// What there was when it began, for who asked for all of that: up to here it reads from the
    /// log, as the tail also has what was trimmed.
    history_through: Offset,
    /// What the last read says of how it looked for them.
    trims_seen: u64,
    opening: Opening,
    opened: bool,
    requested: Option<String>,
    /// Records that match may be in the tail.
    woken: bool,
    heartbeat_at: Instant,
    /// A look-up or read was asked for and not answered.
    asked: bool,
    /// What was asked is of a place that it went back from.
    answer_is_stale: bool,
    /// After a failed read: when to try again.
    read_at: Option<Instant>,
    close: Option<Close>,
    /// Whether the topics have ended is to be asked.
    ask_ended: bool,
    /// The place where the topics ended: the stream is over there.
    ends_at: Option<Offset>,
    delivered: Delivered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Resolving(Sought),
    /// Reads from the log what the tail no longer has.
    Reading,
    /// Looks in the tail, or waits there.
    Live,
    Closed,
}

/// What a stream opens with.
#[derive(Debug, Clone, Copy)]
enum Opening {
    /// The place that was asked for, or the notice that something after it was trimmed.
    Place,
    /// The place from which there is something: what was trimmed was not asked for.
    Earliest,
    /// The notice that the place is not known. It speaks for all that was trimmed, too.
    Gap(GapReason, Bounds),
}

#[derive(Debug, Clone, Copy)]
struct Close {
    retry: Duration,
    at: Instant,
}

impl Subscription {
    /// A subscription that starts at `start` in a log with these bounds, when there were so many
    /// ephemeral events: those are not for it. The opening tells the subscriber its `name`, if it
    /// has one.
    pub fn new(
        config: SubscriptionConfig,
        name: Option<SubscriberName>,
        start: Start,
        bounds: Bounds,
        heard: u64,
        now: Instant,
    ) -> Self {
        let mut subscription = Self {
            config,
            name,
            epoch: bounds.epoch,
            state: State::Live,
            out: VecDeque::new(),
            after: bounds.last,
            start: None,
            heard,
            told: Offset::ZERO,
            gaps_told: Offset::ZERO,
            history_through: Offset::ZERO,
            trims_seen: 0,
            opening: Opening::Place,
            opened: false,
            requested: None,
            woken: true,
            heartbeat_at: now + config.heartbeat,
            asked: false,
            answer_is_stale: false,
            read_at: None,
            close: None,
            ask_ended: true,
            ends_at: None,
            delivered: Delivered::default(),
        };
        subscription.place(start, bounds);
        subscription
    }

    fn place(&mut self, start: Start, bounds: Bounds) {
        let id = match start {
            Start::Latest => {
                self.start = Some(self.after);
                return self.open();
            }
            Start::Earliest => {
                self.start_after(bounds.first.previous());
                self.opening = Opening::Earliest;
                self.history_through = bounds.last;
                return self.go_on();
            }
            Start::After(id) => id,
        };
        let gap = match Cursor::parse(&id) {
            Some(cursor) if cursor.epoch != bounds.epoch => Some(GapReason::OtherEpoch),
            Some(cursor) if cursor.reaches() > bounds.last => {
                self.state = State::Resolving(Sought::Ahead(cursor));
                None
            }
            Some(cursor) => {
                self.start_after(cursor.offset);
                self.gaps_told = cursor.told();
                self.go_on();
                None
            }
            None => match PublisherId::new(id.as_str()) {
                Ok(id) => {
                    self.state = State::Resolving(Sought::Id(id));
                    None
                }
                Err(_) => Some(GapReason::UnknownId),
            },
        };
        self.requested = Some(id);
        if let Some(reason) = gap {
            self.lose(reason, bounds);
        }
    }

    // The place is not known: the stream goes on from another.
    fn lose(&mut self, reason: GapReason, bounds: Bounds) {
        self.state = State::Live;
        match self.config.on_gap {
            OnGap::Oldest => {
                self.after = bounds.first.previous();
                self.opening = Opening::Gap(reason, bounds);
                self.history_through = bounds.last;
                self.go_on();
            }
            OnGap::Latest => self.tell_gap(reason, bounds.last, Offset::ZERO, bounds),
        }
    }

    fn start_after(&mut self, place: Offset) {
        self.after = place;
        self.start = Some(place);
    }

    /// What to do now.
    pub fn poll(&mut self, now: Instant) -> Demand {
        if let Some(piece) = self.out.pop_front() {
            self.heartbeat_at = now + self.config.heartbeat;
            return self.send(piece);
        }
        if let Some(close) = self.close.filter(|close| close.at <= now) {
            self.close = None;
            self.state = State::Closed;
            let mut out = Vec::new();
            self.config.format.retry(&mut out, close.retry);
            if !out.is_empty() {
                return self.send(out.into());
            }
        }
        if self.ask_ended && self.state != State::Closed {
            return Demand::Ended;
        }
        let is_over = self.ends_at.is_some_and(|at| self.opened && at <= self.after);
        if is_over && self.state != State::Closed {
            self.state = State::Closed;
            // Behind the last event there may be much that is for others. Who comes back from
            // before it would have all of it looked through again, and never hear that it is over.
            let mut out = Vec::new();
            self.tell_cursor(&mut out);
            if !out.is_empty() {
                return self.send(out.into());
            }
        }
        let may_ask = !self.asked && self.read_at.is_none_or(|at| at <= now);
        match &self.state {
            State::Closed => Demand::End,
            State::Resolving(sought) if may_ask => {
                self.asked = true;
                Demand::Resolve(sought.clone())
            }
            State::Reading if may_ask => {
                self.asked = true;
                let Self { after, gaps_told: told, trims_seen, .. } = *self;
                Demand::Read(Since { after, told, trims_seen }, self.config.read_limits)
            }
            State::Live if self.woken => {
                Demand::Tail(TailPlace { after: self.after, heard: self.heard })
            }
            _ if self.heartbeat_at <= now => {
                let heartbeat = self.heartbeat(now);
                self.send(heartbeat)
            }
            _ => {
                let read_at = self.read_at.filter(|_| !self.asked && self.state != State::Live);
                let close_at = self.close.map(|close| close.at);
                let others = [read_at, close_at].into_iter().flatten();
                Demand::Wait(others.fold(self.heartbeat_at, Instant::min))
            }
        }
    }

    fn send(&mut self, piece: Piece) -> Demand {
        self.delivered.events += piece.events.len() as u64;
        self.delivered.bytes += piece.bytes.len() as u64;
        Demand::Send(piece)
    }

    /// Records that match may be in the tail.
    pub fn handle_wake(&mut self) {
        self.woken = true;
    }

    /// A subscription that is live and was not woken since has nothing to get up to `through`.
    pub fn handle_quiet(&mut self, through: Offset) {
        if self.state == State::Live && !self.woken && self.opened {
            self.after = self.after.max(through);
        }
    }

    /// The answer to [`Demand::Ended`].
    pub fn handle_ended(&mut self, at: Option<Offset>) {
        self.ask_ended = false;
        self.ends_at = at;
    }

    /// The answer to [`Demand::Resolve`].
    pub fn handle_resolved(
        &mut self,
        found: Result<Option<Offset>, ReadError>,
        bounds: Bounds,
        now: Instant,
    ) {
        if !self.answered() {
            return;
        }
        match found {
            Ok(Some(offset)) => {
                if let State::Resolving(Sought::Ahead(cursor)) = &self.state {
                    self.gaps_told = cursor.told();
                }
                self.start_after(offset);
                self.state = State::Live;
            }
            Ok(None) => self.lose(
                match &self.state {
                    State::Resolving(Sought::Ahead(_)) => GapReason::Ahead,
                    _ => GapReason::UnknownId,
                },
                bounds,
            ),
            Err(_) => self.read_at = Some(now + self.config.read_retry),
        }
    }

    /// The answer to [`Demand::Tail`].
    pub fn handle_tail(&mut self, read: TailRead) {
        match read {
            TailRead::Behind => self.state = State::Reading,
            TailRead::Frames { piece, last, through, marks, more } => {
                self.open();
                self.push(piece);
                self.after = self.after.max(through.after);
                self.heard = self.heard.max(through.heard);
                self.ask_ended |= marks;
                self.told = last.unwrap_or(self.told);
                self.woken = more;
            }
        }
    }

    /// The answer to [`Demand::Read`].
    pub fn handle_read(&mut self, read: Result<Page, ReadError>, bounds: Bounds, now: Instant) {
        if !self.answered() {
            return;
        }
        let page = match read {
            Ok(page) => page,
            Err(_) => return self.read_at = Some(now + self.config.read_retry),
        };
        self.trims_seen = page.trims_seen;
        if page.trimmed > self.after.max(self.gaps_told) {
            // Up to the first record that is left there is nothing: the closer to it the stream
            // goes on, the sooner its cursors need not say what was told.
            let left = page.records.first().map_or(page.through, |first| first.offset.previous());
            let resume_after = left.max(self.after);
            match (self.opening, self.config.on_gap) {
                (Opening::Place, OnGap::Latest) => {
                    return self.tell_gap(GapReason::Trimmed, bounds.last, Offset::ZERO, bounds);
                }
                (Opening::Place, OnGap::Oldest) => {
                    self.tell_gap(GapReason::Trimmed, resume_after, page.trimmed, bounds);
                }
                // Nothing was said yet: what the stream opens with is said of this place.
                _ => (self.after, self.gaps_told) = (resume_after, page.trimmed),
            }
        }
        self.open();
        let (mut frames, mut events) = (Vec::new(), Vec::new());
        let from = TailPlace { after: self.after, heard: self.heard };
        for record in page.records.iter().filter(|record| record.new.kind.is_event()) {
            self.frame(&mut frames, record);
            let place = TailPlace { after: record.offset, heard: self.heard };
            events.push(EventEnd { at: frames.len(), place, kept: true });
            self.told = record.offset;
        }
        // The mark of an end may be among the records, or among those that were trimmed.
        self.ask_ended = true;
        self.push(Piece { bytes: frames.into(), events, from });
        self.after = self.after.max(page.through);
        self.go_on();
    }

    /// Sends `retry` at the moment `at`, and closes.
    pub fn handle_close(&mut self, retry: Duration, at: Instant) {
        self.close = Some(Close { retry, at });
    }

    /// What was done since the last call.
    pub fn take_delivered(&mut self) -> Delivered {
        std::mem::take(&mut self.delivered)
    }

    /// How it behaves.
    pub fn config(&self) -> &SubscriptionConfig {
        &self.config
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Resolving(_) => Phase::Resolving,
            State::Reading => Phase::Replaying,
            State::Live => Phase::Live,
            State::Closed => Phase::Closed,
        }
    }

    /// The place that was asked for: none while a publisher's id is looked up, and none for good
    /// if the id has no place.
    pub fn start(&self) -> Option<Offset> {
        self.start
    }

    /// How far all that matches was sent; none while some of it waits to be sent.
    pub fn sent_through(&self) -> Option<Offset> {
        let placed = !matches!(self.state, State::Resolving(_));
        (placed && self.out.is_empty()).then_some(self.after)
    }

    // Whether the answer is still wanted.
    fn answered(&mut self) -> bool {
        self.asked = false;
        self.read_at = None;
        let is_stale = std::mem::take(&mut self.answer_is_stale);
        !is_stale && self.state != State::Closed
    }

    // The tail says whether it reaches back to here, if its frames may be sent.
    fn go_on(&mut self) {
        let is_of_log = self.after < self.gaps_told.max(self.history_through);
        self.state = if is_of_log { State::Reading } else { State::Live };
        self.woken = true;
    }
}
