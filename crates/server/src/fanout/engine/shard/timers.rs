//! Timers of a shard: which line is looked after when.

use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Shard;
use crate::fanout::{
    engine::{
        line::{LineKey, State},
        wheel::Tick,
    },
    interest::Closing,
};

impl Shard {
    // It is looked after at that moment, or before.
    pub(super) fn schedule(&mut self, key: LineKey, at: Instant) {
        let tick = self.clock.not_before(at);
        let Some(line) = self.line(key) else { return };
        if tick < line.due {
            line.due = tick;
            self.wheel.insert(tick, key);
        }
    }

    pub(super) fn look_after_due(&mut self) {
        while let Some((tick, keys)) = self.wheel.pop(self.tick) {
            for key in keys {
                // Else it was looked after since.
                if let Some(line) = self.line(key).filter(|line| line.due == tick) {
                    line.due = Tick::NEVER;
                    self.look_after(key);
                }
            }
        }
    }

    pub(super) fn look_after(&mut self, key: LineKey) {
        let (now, seen, clock, slow_write) = (self.now, self.seen, self.clock, self.slow_write);
        let closing = self.closings.get(&key.id).copied();
        let is_closing = closing.is_some_and(|closing| closing.at <= now);
        if is_closing {
            self.closings.remove(&key.id);
        }
        let Some(line) = self.line(key) else { return };
        if is_closing {
            // One that takes nothing hears of it as soon as it takes something.
            line.fall_back(seen).closing = closing;
        } else if let Some(closing) = closing {
            self.schedule(key, closing.at);
        }
        let Some(line) = self.line(key) else { return };
        if let State::Behind(behind) = &line.state
            && let Some(since) = behind.blocked
        {
            let until = clock.moment(since) + slow_write;
            if until > now {
                return self.schedule(key, until);
            }
            // Closing in peace would leave what is unsent with the kernel, for a peer that is not
            // there.
            let _ = SockRef::from(&line.socket).set_linger(Some(Duration::ZERO));
            return self.remove(key);
        }
        if let State::InStep = line.state {
            let heartbeat_at = line.heartbeat_at(clock);
            if heartbeat_at > now {
                return self.schedule(key, heartbeat_at);
            }
            line.fall_back(seen);
        }
        self.go_on(key);
    }

    pub(super) fn start_drain(&mut self) {
        let Some(drain) = *self.shared.closing.lock() else { return };
        if self.drain.is_some_and(|before| before.until == drain.until) {
            return;
        }
        self.drain = Some(drain);
        for key in self.keys().collect::<Vec<_>>() {
            self.close(key, drain.closing());
        }
    }

    pub(super) fn close(&mut self, key: LineKey, closing: Closing) {
        self.closings.insert(key.id, closing);
        self.schedule(key, closing.at);
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = LineKey> {
        self.lines.iter().map(|(id, line)| LineKey { id: id as u32, serial: line.serial })
    }
}
