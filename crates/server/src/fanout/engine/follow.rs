//! What a line that is not in step does, until it is, or has to wait.

use std::{io, time::Instant};

use super::{
    Framing,
    behind::Then,
    desk::{Desk, Lookup, Next, Question, report},
    line::{Line, LineKey, State},
    rest::Rest,
};
use crate::{
    cursor::{Epoch, Offset},
    fanout::membership::Membership,
    record::Record,
    subscription::{Delivered, Demand, EventEnd, Phase, Subscription, frame},
};

impl Line {
    // What goes out in one write, beside one piece.
    const WRITE_BYTES: usize = 64 << 10;
    // A peer that takes all that it is given would else have the shard for itself.
    const WRITES_A_TURN: usize = 4;

    /// Goes on until there is nothing more to do for now.
    pub(super) fn go_on(&mut self, key: LineKey, desk: &mut Desk<'_>) -> Next {
        let State::Behind(behind) = &mut self.state else { return Next::InStep };
        if behind.looking.is_some() {
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
                    // What was told changes nothing about an event that is not behind it.
                    if !event.kept || gaps_told <= event.place.after {
                        let shared = entry.frame(self.config.format, desk.epoch);
                        return self.send_rest(key, shared, event, gaps_told, skip, desk);
                    }
                    let plain = self.encode(&entry.record, gaps_told, desk.epoch);
                    return self.send_rest(key, &plain, event, gaps_told, skip, desk);
                }
                // What no log keeps is lost with the tail; the subscriber comes back.
                if !event.kept {
                    return Next::Gone;
                }
                behind.rest = Rest::Event { event, gaps_told, skip };
                let question = Question::Record(event.place.after);
                behind.looking = Some(desk.ask(key, &self.member, question));
                return Next::Answer;
            }
        }
        self.follow(key, desk)
    }

    /// Goes on with the rest of an event that was looked up.
    pub(super) fn found(&mut self, key: LineKey, record: &Record, desk: &mut Desk<'_>) -> Next {
        let State::Behind(behind) = &mut self.state else { return Next::InStep };
        behind.looking = None;
        match std::mem::take(&mut behind.rest) {
            Rest::Event { event, gaps_told, skip } => {
                desk.out.clear();
                let plain = self.encode(record, gaps_told, desk.epoch);
                self.send_rest(key, &plain, event, gaps_told, skip, desk)
            }
            rest => {
                behind.rest = rest;
                self.go_on(key, desk)
            }
        }
    }

    fn encode(&self, record: &Record, gaps_told: Offset, epoch: Epoch) -> Vec<u8> {
        let mut plain = Vec::new();
        frame(&mut plain, record, &self.config, epoch, gaps_told);
        plain
    }

    // Sends what is left of an event with this frame.
    fn send_rest(
        &mut self,
        key: LineKey,
        plain: &[u8],
        event: EventEnd,
        gaps_told: Offset,
        skip: usize,
        desk: &mut Desk<'_>,
    ) -> Next {
        let mut head = Vec::new();
        self.framing.before(&mut head, plain.len());
        let tail = self.framing.after();
        let bytes = head.len() + plain.len() + tail.len();
        if skip >= bytes {
            return Next::Gone;
        }
        let Ok(written) = self.write_parts([&head, plain, tail], skip) else { return Next::Gone };
        let whole = skip + written == bytes;
        let delivered = Delivered { events: u64::from(whole), bytes: written as u64, gap: None };
        if written > 0 {
            self.sent_at = desk.tick;
        }
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
        for _ in 0..Self::WRITES_A_TURN {
            let State::Behind(behind) = &mut self.state else { return Next::InStep };
            let step = match &mut behind.then {
                Then::Subscription(subscription) => {
                    if let Some(closing) = behind.closing.take() {
                        subscription.handle_close(closing.retry, closing.at);
                    }
                    let ask = &mut behind.asked;
                    gather(subscription, key, self.framing, &self.member, ask, desk)
                }
                // It was resumed above.
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
        Next::Again
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
    asked: &mut Option<Lookup>,
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
            Demand::Resolve(sought) => {
                *asked = Some(desk.ask(key, member, Question::Resolve(sought)));
            }
            Demand::Read(since, limits) => {
                *asked = Some(desk.ask(key, member, Question::Read(since, limits)));
            }
            Demand::Wait(until) => return Step::Wait(until),
            Demand::End => {
                desk.out.push_end(framing);
                return Step::End;
            }
        }
    }
}
