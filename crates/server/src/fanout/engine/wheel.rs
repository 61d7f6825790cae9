//! Timers: what is due when, in steps that are coarse enough to cost next to nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A moment, in steps since the wheel was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// After all moments.
    pub(super) const NEVER: Self = Self(u64::MAX);
}

/// Tells steps from moments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    const STEP_MS: u64 = 25;

    pub(super) fn new(now: Instant) -> Self {
        Self { started: now }
    }

    /// The step that `moment` is in.
    pub(super) fn tick(self, moment: Instant) -> Tick {
        let since = moment.saturating_duration_since(self.started);
        Tick(since.as_millis() as u64 / Self::STEP_MS)
    }

    /// The first moment of the step.
    pub(super) fn moment(self, tick: Tick) -> Instant {
        self.started + Duration::from_millis(tick.0 * Self::STEP_MS)
    }

    /// The first step that does not begin before `moment`.
    pub(super) fn not_before(self, moment: Instant) -> Tick {
        self.tick(moment + Duration::from_millis(Self::STEP_MS) - Duration::from_nanos(1))
    }
}

/// What is due when.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    slots: BTreeMap<Tick, Vec<T>>,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self { slots: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, tick: Tick, what: T) {
        self.slots.entry(tick).or_default().push(what);
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Tick> {
        self.slots.first_key_value().map(|(&tick, _)| tick)
    }

    /// What is due by `now`, of one step.
    pub(super) fn pop(&mut self, now: Tick) -> Option<(Tick, Vec<T>)> {
        let first = self.slots.first_entry().filter(|first| *first.key() <= now)?;
        Some(first.remove_entry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_never_early() {
        let start = Instant::now();
        let (clock, mut wheel) = (Clock::new(start), Wheel::new());
        let at = |ms| start + Duration::from_millis(ms);
        for ms in [130, 20, 26, 50, 125] {
            let tick = clock.not_before(at(ms));
            assert!(clock.moment(tick) >= at(ms));
            wheel.insert(tick, ms);
        }
        assert_eq!(wheel.next(), Some(clock.tick(at(25))));
        assert_eq!(wheel.pop(clock.tick(at(24))), None);
        let mut due = Vec::new();
        while let Some((_, step)) = wheel.pop(clock.tick(at(125))) {
            due.extend(step);
        }
        assert_eq!(due, [20, 26, 50, 125]);
        assert_eq!(wheel.next(), Some(clock.tick(at(150))));
    }
}
