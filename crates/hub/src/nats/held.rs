//! The messages that the stream holds, and how much of each is still kept.

use std::collections::VecDeque;

/// The messages that the stream holds, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    messages: VecDeque<One>,
    all: Amount,
    dead: Amount,
}

#[derive(Debug, Clone, Copy)]
struct One {
    sequence: u64,
    // Records of it that are kept.
    live: u32,
    bytes: u32,
}

/// Messages and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Amount {
    fn add(&mut self, message: One) {
        self.messages += 1;
        self.bytes += u64::from(message.bytes);
    }

    fn take(&mut self, message: One) {
        self.messages -= 1;
        self.bytes -= u64::from(message.bytes);
    }
}

impl Held {
    // Below that, nothing is worth a checkpoint.
    const MESSAGES_MIN: u64 = 1_000;
    const BYTES_MIN: u64 = 16 << 20;
    // A checkpoint frees an eighth of what the stream holds, or is not worth it.
    const SHARE: u64 = 8;
    // So much is carried over at once at most.
    const CARRY_BYTES_MAX: u64 = 32 << 20;

    /// Notes a message, which comes after all others, with so many records that are kept.
    pub(super) fn push(&mut self, sequence: u64, live: usize, bytes: usize) {
        debug_assert!(self.messages.back().is_none_or(|last| last.sequence < sequence));
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        let message = One { sequence, live, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) };
        self.messages.push_back(message);
        self.all.add(message);
        if live == 0 {
            self.dead.add(message);
        }
    }

    /// Notes that one more record of the message is not kept there.
    pub(super) fn release(&mut self, sequence: u64) {
        let at = self.messages.binary_search_by_key(&sequence, |message| message.sequence);
        let Some(message) = at.ok().and_then(|at| self.messages.get_mut(at)) else { return };
        debug_assert!(message.live > 0);
        message.live = message.live.saturating_sub(1);
        if message.live == 0 {
            self.dead.add(*message);
        }
    }

    /// The oldest message of which something is kept, if there is one.
    pub(super) fn first_live(&self) -> Option<u64> {
        self.messages.iter().find(|message| message.live > 0).map(|message| message.sequence)
    }

    /// Up to which message, exclusive, the stream is worth being cleared: at least half of the
    /// messages before it are dead, or of their bytes. None if that frees too little.
    pub(super) fn clearable(&self, eager: bool) -> Option<u64> {
        let (messages_min, bytes_min) =
            if eager { (1, u64::MAX) } else { (Self::MESSAGES_MIN, Self::BYTES_MIN) };
        let is_enough = |dead: Amount| {
            let share = if eager { u64::MAX } else { Self::SHARE };
            dead.messages >= messages_min.max(self.all.messages / share)
                || dead.bytes >= bytes_min.max(self.all.bytes / share)
        };
        if !is_enough(self.dead) {
            return None;
        }
        let (mut live, mut dead) = (Amount::default(), Amount::default());
        let mut best = None;
        for message in &self.messages {
            if message.live == 0 {
                dead.add(*message);
            } else {
                live.add(*message);
            }
            if live.bytes > Self::CARRY_BYTES_MAX {
                break;
            }
            let is_wasteful = dead.messages >= live.messages || dead.bytes >= live.bytes;
            if message.live == 0 && is_wasteful && is_enough(dead) {
                best = Some(message.sequence + 1);
            }
        }
        best
    }

    /// Forgets the messages before `sequence`, which the stream holds no longer.
    pub(super) fn clear(&mut self, sequence: u64) {
        while let Some(message) = self.messages.pop_front_if(|message| message.sequence < sequence)
        {
            self.all.take(message);
            if message.live == 0 {
                self.dead.take(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(live: impl IntoIterator<Item = usize>) -> Held {
        let mut held = Held::default();
        for (sequence, live) in (1..).zip(live) {
            held.push(sequence, live, 100);
        }
        held
    }

    #[test]
    fn what_is_dead_in_front_is_cleared_without_carrying() {
        let mut held = held((0..4_000).map(|at| usize::from(at >= 2_000)));
        assert_eq!(held.clearable(false), Some(2_001));
        assert_eq!(held.first_live(), Some(2_001));
        held.clear(2_001);
        assert_eq!(held.dead, Amount::default());
        assert_eq!(held.all, Amount { messages: 2_000, bytes: 200_000 });
        assert_eq!(held.clearable(false), None);
    }

    #[test]
    fn a_message_is_dead_with_its_last_record() {
        let mut held = held([2, 1]);
        held.release(1);
        assert_eq!(held.dead.messages, 0);
        held.release(1);
        assert_eq!(held.dead, Amount { messages: 1, bytes: 100 });
        // Cleared already, or never there.
        held.release(9);
        assert_eq!(held.first_live(), Some(2));
    }

    #[test]
    fn few_that_live_among_many_dead_are_worth_carrying() {
        // Every tenth lives: all of it can be cleared, and a tenth of it is carried.
        let sparse = held((0..5_000).map(|at| usize::from(at % 10 == 0)));
        assert_eq!(sparse.clearable(false), Some(5_001));
        // Two of three live: nothing is worth it.
        assert_eq!(held((0..9_000).map(|at| usize::from(at % 3 > 0))).clearable(false), None);
        // Too few to bother.
        assert_eq!(held((0..900).map(|_| 0)).clearable(false), None);
        assert_eq!(held((0..900).map(|_| 0)).clearable(true), Some(901));
    }

    #[test]
    fn after_clearing_at_most_two_thirds_are_dead() {
        // Whatever is dead, and however it lies: what is left to clear is small.
        for every in 2..20 {
            let mut held = held((0..20_000).map(|at| usize::from(at % every == 0)));
            while let Some(to) = held.clearable(false) {
                held.clear(to);
            }
            let (all, dead) = (held.all, held.dead);
            assert!(dead.messages * 3 <= all.messages * 2 + 3_000, "{every}: {dead:?} of {all:?}");
        }
    }
}
