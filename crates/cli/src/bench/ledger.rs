//! What one subscriber has received, so that what it has not can be told.

use std::collections::BTreeSet;
use std::ops::Range;

/// The events of a run that one subscriber has received.
///
/// While all goes well it is one number a publisher; only what is missing takes more.
#[derive(Debug)]
pub(super) struct Ledger {
    tracks: Box<[Track]>,
}

/// The events of one publisher, which publishes each after the answer to the one before, so that
/// they have an order.
#[derive(Debug, Clone, Default)]
struct Track {
    /// All below have come, the holes excepted.
    next: u32,
    /// What has not come although a later one has: in order, and not empty.
    holes: Vec<Range<u32>>,
    /// How many were in holes for which there was no room any more.
    forgotten: u64,
}

/// What an event is to the subscriber that receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It comes in its turn, or after some that have not come yet.
    InOrder,
    /// It comes for the first time, but after a later one.
    OutOfOrder,
    /// It has come before.
    Repeated,
}

impl Ledger {
    pub(super) fn new(publishers: usize) -> Self {
        Self { tracks: vec![Track::default(); publishers].into_boxed_slice() }
    }

    /// Enters an event, unless there is no such publisher.
    pub(super) fn enter(&mut self, publisher: u16, number: u32) -> Option<Arrival> {
        Some(self.tracks.get_mut(usize::from(publisher))?.enter(number))
    }

    /// How many of the first `sent` events of a publisher have not come, those of `uncertain` left
    /// out, of which nobody knows whether they were published.
    pub(super) fn lost(&self, publisher: usize, sent: u32, uncertain: &BTreeSet<u32>) -> u64 {
        let Some(track) = self.tracks.get(publisher) else { return 0 };
        let rest = track.next.min(sent)..sent;
        let holes = track.holes.iter().cloned().chain([rest]);
        let missing = holes.map(|hole| {
            let excused = uncertain.range(hole.clone()).count() as u64;
            u64::from(hole.end - hole.start) - excused
        });
        missing.sum::<u64>() + track.forgotten
    }
}

impl Track {
    fn enter(&mut self, number: u32) -> Arrival {
        if number >= self.next {
            if number > self.next {
                if self.holes.len() == HOLES_MAX {
                    let oldest = self.holes.remove(0);
                    self.forgotten += u64::from(oldest.end - oldest.start);
                }
                self.holes.push(self.next..number);
            }
            self.next = number.saturating_add(1);
            return Arrival::InOrder;
        }
        let at = self.holes.partition_point(|hole| hole.end <= number);
        let Some(hole) = self.holes.get(at).filter(|hole| hole.contains(&number)).cloned() else {
            return Arrival::Repeated;
        };
        let parts = [hole.start..number, number + 1..hole.end];
        self.holes.splice(at..=at, parts.into_iter().filter(|part| !part.is_empty()));
        Arrival::OutOfOrder
    }
}

/// Holes of one publisher that are told apart: 8 KiB. Past that, the oldest is taken for lost, and
/// an event that still comes out of it for repeated.
const HOLES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    fn lost(ledger: &Ledger, sent: u32) -> u64 {
        ledger.lost(0, sent, &BTreeSet::new())
    }

    #[test]
    fn what_is_missing_is_lost_unless_it_is_uncertain() {
        let mut ledger = Ledger::new(2);
        for number in [0, 1, 4, 5, 9] {
            assert_eq!(ledger.enter(0, number), Some(Arrival::InOrder));
        }
        assert_eq!(lost(&ledger, 12), 2 + 3 + 2);
        assert_eq!(ledger.lost(0, 12, &BTreeSet::from([1, 3, 7, 11, 12])), 4);
        assert_eq!(ledger.enter(0, 7), Some(Arrival::OutOfOrder));
        assert_eq!(ledger.enter(0, 7), Some(Arrival::Repeated));
        assert_eq!(ledger.enter(0, 9), Some(Arrival::Repeated));
        assert_eq!(lost(&ledger, 10), 4);
        assert_eq!(ledger.lost(1, 3, &BTreeSet::new()), 3);
        assert_eq!(ledger.enter(2, 0), None);
    }

    #[test]
    fn past_its_bound_the_oldest_hole_is_lost() {
        let mut ledger = Ledger::new(1);
        let holes = HOLES_MAX as u32 + 10;
        for number in 0..holes {
            ledger.enter(0, 2 * number + 1);
        }
        assert_eq!(ledger.tracks[0].holes.len(), HOLES_MAX);
        assert_eq!(lost(&ledger, 2 * holes), u64::from(holes));
        assert_eq!(ledger.enter(0, 0), Some(Arrival::Repeated));
        assert_eq!(ledger.enter(0, 2 * holes - 2), Some(Arrival::OutOfOrder));
        assert_eq!(lost(&ledger, 2 * holes), u64::from(holes) - 1);
    }

    /// The same as a set of all that has come.
    #[test]
    fn it_agrees_with_a_set() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let (mut ledger, mut seen) = (Ledger::new(1), HashSet::new());
            let mut highest = None;
            for _ in 0..300 {
                let number = random.random_range(0..150);
                let expected = if !seen.insert(number) {
                    Arrival::Repeated
                } else if highest > Some(number) {
                    Arrival::OutOfOrder
                } else {
                    Arrival::InOrder
                };
                highest = highest.max(Some(number));
                assert_eq!(ledger.enter(0, number), Some(expected), "seed {seed}");
                assert_eq!(lost(&ledger, 150), 150 - seen.len() as u64, "seed {seed}");
            }
        }
    }
}
