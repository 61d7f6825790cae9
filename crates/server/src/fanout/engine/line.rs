//! A line: a plain connection with a stream on it, and how far it has got.

use std::{
    any::Any,
    io::{self, IoSlice, Read as _, Write as _},
    sync::Arc,
    time::Instant,
};

use mio::net::TcpStream;

use super::{
    Framing,
    behind::{Behind, Then},
    desk::report,
    groups::Seat,
    outgoing::Outgoing,
    rest::Rest,
    wheel::{Clock, Tick},
};
use crate::{
    cursor::Offset,
    fanout::membership::Membership,
    subscription::{Delivered, Resting, Subscription, SubscriptionConfig, TailPlace},
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
    // What its peer sent, which nobody asked for.
    unasked_bytes: u32,
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

impl Line {
    // A peer that only follows sends nothing.
    const UNASKED_BYTES_MAX: u32 = 64 << 10;

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
        let behind = Behind { rest: Rest::Bytes(head), ..Behind::new(then) };
        Self {
            socket,
            serial,
            seat,
            due: Tick::NEVER,
            sent_at: now,
            framing,
            unasked_bytes: 0,
            config,
            told: Offset::ZERO,
            state: State::Behind(Box::new(behind)),
            member,
            _held: held,
        }
    }

    /// Reads what its peer sends, which is of no interest; says whether the peer is still there, and
    /// does not send too much.
    pub(super) fn hear(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return false,
                Ok(bytes) => {
                    self.unasked_bytes = self.unasked_bytes.saturating_add(bytes as u32);
                    if self.unasked_bytes > Self::UNASKED_BYTES_MAX {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Writes bytes; says how many were taken. Less than all means that there is no more room: the
    /// kernel tells when there is.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        taken(|| self.socket.write(bytes))
    }

    /// Writes these parts, without the first `skip` bytes of them.
    pub(super) fn write_parts(&mut self, parts: [&[u8]; 3], mut skip: usize) -> io::Result<usize> {
        let parts = parts.map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            IoSlice::new(&part[skipped..])
        });
        taken(|| self.socket.write_vectored(&parts))
    }

    /// Takes it out of step: it is at `place`.
    pub(super) fn fall_back(&mut self, place: TailPlace) -> &mut Behind {
        if let State::InStep = self.state {
            let then = Then::Resting(Resting::live(place, self.told));
            self.state = State::Behind(Box::new(Behind::new(then)));
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

    /// Puts it among those that look when the shard has seen more; false if it is one already.
    pub(super) fn will_look(&mut self) -> bool {
        match &mut self.state {
            State::InStep => false,
            State::Behind(behind) => !std::mem::replace(&mut behind.looks, true),
        }
    }

    /// Takes it out of them.
    pub(super) fn looked(&mut self) {
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

    /// Whether a part of an event was sent, and not all of it.
    pub(super) fn is_within_event(&self) -> bool {
        matches!(&self.state, State::Behind(behind) if matches!(behind.rest, Rest::Event { .. }))
    }

    /// Lets it ask whether its topics have ended.
    pub(super) fn ask_ended(&mut self, seen: TailPlace) {
        let behind = self.fall_back(seen);
        if let Then::Resting(resting) = &mut behind.then {
            resting.ask_ended = true;
        }
    }
}

fn taken(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => return Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
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
