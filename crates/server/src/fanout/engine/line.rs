//! A line: a plain connection with a stream on it, and how far it has got.

use std::{
    any::Any,
    io::{self, Read as _, Write as _},
    sync::Arc,
    time::Instant,
};

use mio::net::TcpStream;
use parking_lot::RwLock;

use super::{
    Framing,
    groups::Seat,
    outgoing::Outgoing,
    rest::Rest,
    wheel::{Clock, Tick},
};
use crate::{
    cursor::{Epoch, Offset},
    fanout::{interest::Closing, membership::Membership, ring::Ring},
    log::{ReadLimits, Since},
    record::{PublisherId, Record, Timestamp},
    subscription::{
        Delivered, Demand, EventEnd, Phase, Resting, Subscription, SubscriptionConfig, TailPlace,
        frame,
    },
};

/// Which line, and not another that has its place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineKey {
    pub(super) id: u32,
    pub(super) serial: u32,
}

/// A connection that a shard writes to.
// What a delivery needs is in the first cache line, of which each begins one.
#[repr(C, align(64))]
pub(super) struct Line {
    pub(super) socket: TcpStream,
    pub(super) serial: u32,
    pub(super) state: State,
    pub(super) member: Membership,
    /// The last place that its subscriber was told, while it is in step.
    pub(super) told: Offset,
    /// When it was written to last.
    pub(super) sent_at: Tick,
    /// When it is looked after next.
    pub(super) due: Tick,
    pub(super) seat: Seat,
    pub(super) framing: Framing,
    // What its peer sent, which nobody asked for, in units of the shard's read buffer.
    unasked: u8,
    pub(super) config: Arc<SubscriptionConfig>,
    _held: Box<dyn Any + Send>,
}

/// How a line is doing.
pub(super) enum State {
    /// It has all that its shard has seen.
    InStep,
    /// It has less, or there is more to it.
    Behind(Box<Behind>),
}

pub(super) struct Behind {
    /// Since when the peer takes nothing.
    pub(super) blocked: Option<Tick>,
    rest: Rest,
    // The rest is being looked up.
    looking: bool,
    then: Then,
    pub(super) closing: Option<Closing>,
    // It is among those that look when the shard has seen more.
    looks: bool,
}

enum Then {
    Resting(Resting),
    Subscription(Box<Subscription>),
    End,
}

/// What is to be done next about a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it is in step.
    InStep,
    /// To look again when its shard has seen more, or at this moment.
    Look(Instant),
    /// Nothing before this moment.
    Wait(Instant),
    /// The peer has to take what was sent.
    Blocked,
    /// An answer is to come.
    Answer,
    /// It is over.
    Gone,
}

/// What a line needs of its shard.
pub(super) struct Desk<'a> {
    pub(super) ring: &'a RwLock<Ring>,
    pub(super) epoch: Epoch,
    /// What the shard has seen.
    pub(super) seen: TailPlace,
    pub(super) now: Instant,
    pub(super) tick: Tick,
    pub(super) clock: Clock,
    pub(super) out: &'a mut Outgoing,
    pub(super) tally: &'a mut Delivered,
    /// Asks the log, for the line with this key.
    pub(super) ask: &'a mut dyn FnMut(LineKey, Question),
}

/// What a line asks of the log.
pub(super) enum Question {
    Resolve(PublisherId),
    Read(Since, ReadLimits),
    Record(Offset),
}

impl Line {
    // What goes out in one write, beside one piece.
    const WRITE_BYTES: usize = 64 << 10;
    // A peer that only follows sends nothing.
    const UNASKED_MAX: u8 = 16;

    #[expect(clippy::too_many_arguments, reason = "it is made in one place")]
    pub(super) fn new(
        socket: TcpStream,
        serial: u32,
        seat: Seat,
        framing: Framing,
        head: Box<[u8]>,
        subscription: Subscription,
        member: Membership,
        held: Box<dyn Any + Send>,
        config: Arc<SubscriptionConfig>,
        now: Tick,
    ) -> Self {
        let then = Then::Subscription(Box::new(subscription));
        let rest = Rest::Bytes(head);
        let (blocked, closing) = (None, None);
        let behind = Behind { blocked, rest, looking: false, then, closing, looks: false };
        Self {
            socket,
            serial,
            seat,
            due: Tick::NEVER,
            sent_at: now,
            framing,
            unasked: 0,
            config,
            told: Offset::ZERO,
            state: State::Behind(Box::new(behind)),
            member,
            _held: held,
        }
    }

    /// Reads what its peer sends, which is of no interest; says whether the peer is still there.
    pub(super) fn hear(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return false,
                Ok(_) if self.unasked == Self::UNASKED_MAX => return false,
                Ok(_) => self.unasked += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Writes bytes that are for it, as one that is in step; says how many were taken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.socket.write(&bytes[written..]) {
                // A part means that there is no more room: the kernel tells when there is.
                Ok(taken) if taken > 0 => {
                    written += taken;
                    break;
                }
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Takes it out of step: it is at `place`.
    pub(super) fn fall_back(&mut self, place: TailPlace) -> &mut Behind {
        if let State::InStep = self.state {
            let then = Then::Resting(Resting::live(place, self.told));
            let (blocked, closing) = (None, None);
            let rest = Rest::Nothing;
            let behind = Behind { blocked, rest, looking: false, then, closing, looks: false };
            self.state = State::Behind(Box::new(behind));
            self.member.session.look();
        }
        match &mut self.state {
            State::Behind(behind) => behind,
            State::InStep => unreachable!("it was just taken out of step"),
        }
    }

    /// Whether it has all that its shard has seen.
    pub(super) fn is_in_step(&self) -> bool {
        matches!(self.state, State::InStep)
    }

    /// Notes that, in step at `place`, it took only so many bytes of what was written to it.
    pub(super) fn fall_behind(
        &mut self,
        place: TailPlace,
        out: &Outgoing,
        written: usize,
        tally: &mut Delivered,
        tick: Tick,
    ) {
        let left = out.left(written, Offset::ZERO);
        let events = out.events() - left.events_unsent;
        let delivered = Delivered { events, bytes: written as u64, gap: None };
        if written > 0 {
            self.sent_at = tick;
        }
        self.told = left.told.unwrap_or(self.told);
        let (place, told) = (left.back_to.unwrap_or(place), self.told);
        let behind = self.fall_back(place);
        behind.then = Then::Resting(Resting::live(place, told));
        behind.rest = left.rest;
        behind.blocked = Some(tick);
        let reached = left.sent_through.map(|sent| sent.after);
        report(&self.member, tally, reached, delivered);
    }

    /// Goes on until there is nothing more to do for now.
    pub(super) fn go_on(&mut self, key: LineKey, desk: &mut Desk<'_>) -> Next {
        let State::Behind(behind) = &mut self.state else { return Next::InStep };
        if behind.looking {
            return Next::Answer;
        }
        if behind.blocked.is_some() {
            return Next::Blocked;
        }
        desk.out.clear();
        match std::mem::take(&mut behind.rest) {
            Rest::Nothing => {}
            // With what else there is, in one write.
            Rest::Bytes(bytes) => desk.out.push_head(&bytes),
            Rest::Event { event, gaps_told, skip } => {
                let entry = desk.ring.read().entry(&event).cloned();
                if let Some(entry) = entry {
                    return self.send_rest(key, &entry.record, event, gaps_told, skip, desk);
                }
                // What no log keeps is lost with the tail; the subscriber comes back.
                if !event.kept {
                    return Next::Gone;
                }
                behind.rest = Rest::Event { event, gaps_told, skip };
                behind.looking = true;
                (desk.ask)(key, Question::Record(event.place.after));
                return Next::Answer;
            }
        }
        self.follow(key, desk)
    }

    /// Goes on with the rest of an event that was looked up.
    pub(super) fn found(&mut self, key: LineKey, record: &Record, desk: &mut Desk<'_>) -> Next {
        let State::Behind(behind) = &mut self.state else { return Next::InStep };
        behind.looking = false;
        match std::mem::take(&mut behind.rest) {
            Rest::Event { event, gaps_told, skip } => {
                desk.out.clear();
                self.send_rest(key, record, event, gaps_told, skip, desk)
            }
            rest => {
                behind.rest = rest;
                self.go_on(key, desk)
            }
        }
    }

    fn send_rest(
        &mut self,
        key: LineKey,
        record: &Record,
        event: EventEnd,
        gaps_told: Offset,
        skip: usize,
        desk: &mut Desk<'_>,
    ) -> Next {
        let (mut plain, mut framed) = (Vec::new(), Vec::new());
        frame(&mut plain, record, &self.config, desk.epoch, gaps_told);
        self.framing.frame(&mut framed, &plain);
        let Some(rest) = framed.get(skip..) else { return Next::Gone };
        let Ok(written) = self.write(rest) else { return Next::Gone };
        let whole = written == rest.len();
        let delivered = Delivered { events: u64::from(whole), bytes: written as u64, gap: None };
        self.sent_at = desk.tick;
        let reached = whole.then_some(event.place.after);
        report(&self.member, desk.tally, reached, delivered);
        if !whole {
            let State::Behind(behind) = &mut self.state else { return Next::InStep };
            behind.rest = Rest::Event { event, gaps_told, skip: skip + written };
            behind.blocked = Some(desk.tick);
            return Next::Blocked;
        }
        if let State::Behind(behind) = &mut self.state
            && let Then::Resting(resting) = &mut behind.then
            && event.kept
        {
            resting.told = event.place.after;
        }
        self.follow(key, desk)
    }

    // Does what its subscription asks for. What is in `out` goes first.
    fn follow(&mut self, key: LineKey, desk: &mut Desk<'_>) -> Next {
        let heartbeat_at = self.heartbeat_at(desk.clock);
        let State::Behind(behind) = &mut self.state else { return Next::InStep };
        if let Then::Resting(resting) = &behind.then {
            let config = *self.config;
            let resumed = Subscription::resume(config, desk.epoch, *resting, heartbeat_at);
            behind.then = Then::Subscription(Box::new(resumed));
        }
        loop {
            let State::Behind(behind) = &mut self.state else { return Next::InStep };
            let step = match &mut behind.then {
                Then::Subscription(subscription) => {
                    if let Some(closing) = behind.closing.take() {
                        subscription.handle_close(closing.retry, closing.at);
                    }
                    gather(subscription, key, self.framing, &self.member, desk)
                }
                Then::End | Then::Resting(_) => Step::End,
            };
            match self.flush(desk, matches!(step, Step::End)) {
                Ok(true) => {}
                Ok(false) => return Next::Blocked,
                Err(_) => return Next::Gone,
            }
            match step {
                Step::Full => desk.out.clear(),
                Step::End => return Next::Gone,
                Step::Wait(until) => return self.settle(until, desk),
            }
        }
    }

    // Writes what was gathered, and with that its `end`; false if not all of it was taken.
    fn flush(&mut self, desk: &mut Desk<'_>, end: bool) -> io::Result<bool> {
        let out = &*desk.out;
        let written = if out.bytes.is_empty() { 0 } else { self.write(&out.bytes)? };
        if written > 0 {
            self.sent_at = desk.tick;
        }
        let State::Behind(behind) = &mut self.state else { return Ok(true) };
        let whole = written == out.bytes.len();
        let Then::Subscription(subscription) = &mut behind.then else {
            // The end alone.
            if !whole {
                behind.rest = Rest::Bytes(out.bytes[written..].into());
                behind.blocked = Some(desk.tick);
            }
            return Ok(whole);
        };
        let session = &self.member.session;
        // At rest, it no longer knows where it began.
        if let Some(start) = subscription.start() {
            session.place(start);
        }
        let mut delivered = subscription.take_delivered();
        delivered.bytes = written as u64;
        if whole {
            let reached = subscription.sent_through();
            report(&self.member, desk.tally, reached, delivered);
            return Ok(true);
        }
        let left = out.left(written, subscription.gaps_told());
        delivered.events -= left.events_unsent.min(delivered.events);
        let reached = left.sent_through.map(|place| place.after);
        report(&self.member, desk.tally, reached, delivered);
        if let Some(place) = left.back_to {
            subscription.rewind(place);
        }
        behind.rest = left.rest;
        behind.blocked = Some(desk.tick);
        session.rest(subscription.phase(), false);
        if end {
            behind.then = Then::End;
        } else if let Some(resting) = subscription.rest() {
            behind.then = Then::Resting(resting);
        }
        Ok(false)
    }

    // Everything was sent: is it in step with its shard?
    fn settle(&mut self, until: Instant, desk: &Desk<'_>) -> Next {
        let State::Behind(behind) = &mut self.state else { return Next::InStep };
        let Then::Subscription(subscription) = &mut behind.then else { return Next::Gone };
        let phase = subscription.phase();
        let resting = subscription.rest().filter(|_| phase == Phase::Live);
        let in_step = resting.filter(|resting| resting.place == desk.seen);
        self.member.session.rest(phase, in_step.is_some());
        if let Some(resting) = in_step {
            self.told = resting.told;
            self.state = State::InStep;
            return Next::InStep;
        }
        if phase == Phase::Live {
            subscription.handle_wake();
            return Next::Look(until);
        }
        Next::Wait(until)
    }

    /// Puts it among those that look when the shard has seen more; false if it is one already.
    pub(super) fn will_look(&mut self) -> bool {
        match &mut self.state {
            State::InStep => false,
            State::Behind(behind) => !std::mem::replace(&mut behind.looks, true),
        }
    }

    /// Takes it out of them.
    pub(super) fn looks(&mut self) {
        if let State::Behind(behind) = &mut self.state {
            behind.looks = false;
        }
    }

    /// When a heartbeat is due, if nothing is sent before.
    pub(super) fn heartbeat_at(&self, clock: Clock) -> Instant {
        clock.moment(self.sent_at) + self.config.heartbeat
    }

    /// Gives its subscription what it asked for.
    pub(super) fn handle(&mut self, give: impl FnOnce(&mut Subscription)) {
        if let State::Behind(behind) = &mut self.state
            && let Then::Subscription(subscription) = &mut behind.then
        {
            give(subscription);
        }
    }

    /// Lets it ask whether its topics have ended.
    pub(super) fn ask_ended(&mut self, seen: TailPlace) {
        let behind = self.fall_back(seen);
        if let Then::Resting(resting) = &mut behind.then {
            resting.ask_ended = true;
        }
    }
}

enum Step {
    Full,
    Wait(Instant),
    End,
}

fn gather(
    subscription: &mut Subscription,
    key: LineKey,
    framing: Framing,
    member: &Membership,
    desk: &mut Desk<'_>,
) -> Step {
    loop {
        match subscription.poll(desk.now) {
            Demand::Send(piece) => {
                desk.out.push(framing, &piece);
                if desk.out.bytes.len() >= Line::WRITE_BYTES {
                    return Step::Full;
                }
            }
            Demand::Tail(place) => {
                let (filter, format) = (&member.session.filter, subscription.config().format);
                let read = desk.ring.read().read(place, desk.seen, filter, format);
                subscription.handle_tail(read);
            }
            Demand::Ended => {
                let ended = member.shared.log.ended(&member.session.filter);
                subscription.handle_ended(ended);
            }
            Demand::Resolve(id) => (desk.ask)(key, Question::Resolve(id)),
            Demand::Read(since, limits) => (desk.ask)(key, Question::Read(since, limits)),
            Demand::Wait(until) => return Step::Wait(until),
            Demand::End => {
                desk.out.push_end(framing);
                return Step::End;
            }
        }
    }
}

fn report(
    member: &Membership,
    tally: &mut Delivered,
    reached: Option<Offset>,
    delivered: Delivered,
) {
    tally.events += delivered.events;
    tally.bytes += delivered.bytes;
    if delivered.gap.is_some() {
        member.shared.counters.add(Delivered { gap: delivered.gap, ..Delivered::default() });
    }
    let (session, now) = (&member.session, Timestamp::now());
    match reached {
        Some(reached) => session.hand_over(reached, delivered, now),
        None => session.take(delivered, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_little() {
        assert!(size_of::<Line>() <= 128, "{}", size_of::<Line>());
        assert!(size_of::<Behind>() <= 200, "{}", size_of::<Behind>());
    }
}
