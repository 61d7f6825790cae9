//! A subscription at rest: what is left of it while it has nothing to do but wait.

use std::time::Instant;

use super::{Delivered, Opening, State, Subscription, SubscriptionConfig, TailPlace};
use crate::cursor::{Epoch, Offset};

/// All that there is to know of an opened subscription that waits, for events or for a peer that
/// takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resting {
    /// The place that it has reached.
    pub place: TailPlace,
    /// The last place that the subscriber was told.
    pub told: Offset,
    pub(crate) gaps_told: Offset,
    history_through: Offset,
    trims_seen: u64,
    pub(crate) ask_ended: bool,
}

impl Resting {
    /// At `place` in the shared tail, when the subscriber was told that it is at `told`.
    #[cfg(feature = "engine")]
    pub(crate) fn live(place: TailPlace, told: Offset) -> Self {
        let none = Offset::ZERO;
        Self {
            place,
            told,
            gaps_told: none,
            history_through: none,
            trims_seen: 0,
            ask_ended: false,
        }
    }
}

impl Subscription {
    /// What is to be kept of it while it waits; none if there is more to it than a place.
    pub fn rest(&self) -> Option<Resting> {
        let waits = matches!(self.state, State::Live | State::Reading) && !self.asked;
        let plain = self.opened && self.out.is_empty() && self.close.is_none();
        (waits && plain && self.delivered == Delivered::default()).then_some(Resting {
            place: TailPlace { after: self.after, heard: self.heard },
            told: self.told,
            gaps_told: self.gaps_told,
            history_through: self.history_through,
            trims_seen: self.trims_seen,
            // Where they end is asked again.
            ask_ended: self.ask_ended || self.ends_at.is_some(),
        })
    }

    /// Goes on from where one with this `config` in this `epoch` rested. A heartbeat is due at
    /// `heartbeat_at`, if nothing else is sent before.
    pub fn resume(
        config: SubscriptionConfig,
        epoch: Epoch,
        resting: Resting,
        heartbeat_at: Instant,
    ) -> Self {
        let Resting { place, told, gaps_told, history_through, trims_seen, ask_ended } = resting;
        let mut subscription = Self {
            config,
            name: None,
            epoch,
            state: State::Live,
            out: Default::default(),
            after: place.after,
            start: None,
            heard: place.heard,
            told,
            gaps_told,
            history_through,
            trims_seen,
            opening: Opening::Place,
            opened: true,
            requested: None,
            woken: true,
            heartbeat_at,
            asked: false,
            answer_is_stale: false,
            read_at: None,
            close: None,
            ask_ended,
            ends_at: None,
            delivered: Delivered::default(),
        };
        subscription.go_on();
        subscription
    }

    /// How far the subscriber was told of gaps.
    #[cfg(feature = "engine")]
    pub(crate) fn gaps_told(&self) -> Offset {
        self.gaps_told
    }

    /// Goes back to `place`: what was given after it was not sent.
    pub fn rewind(&mut self, place: TailPlace) {
        self.out.clear();
        self.after = place.after;
        self.heard = place.heard;
        self.told = self.told.min(place.after);
        self.ask_ended = true;
        // The page that comes begins after what was not sent.
        self.answer_is_stale = self.asked;
        if !matches!(self.state, State::Resolving(_)) {
            self.go_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::{Bounds, Page, Since},
        subscription::{Demand, Piece, Start, TailRead},
    };

    #[test]
    fn an_answer_to_what_was_asked_before_it_went_back_skips_nothing() {
        let place = |after| TailPlace { after: Offset(after), heard: 0 };
        let bounds = Bounds { epoch: Epoch::from_bits(1), first: Offset(1), last: Offset(9) };
        let (config, now) = (SubscriptionConfig::default(), Instant::now());
        let mut machine = Subscription::new(config, None, Start::Latest, bounds, 0, now);
        let demand = |machine: &mut Subscription| {
            loop {
                match machine.poll(now) {
                    Demand::Send(_) => {}
                    Demand::Ended => machine.handle_ended(None),
                    demand => return demand,
                }
            }
        };
        assert_eq!(demand(&mut machine), Demand::Tail(place(9)));
        let piece = Piece { from: place(9), ..Piece::from(b"data: 12\n\n".to_vec()) };
        machine.handle_tail(TailRead::Frames {
            piece,
            last: Some(Offset(12)),
            through: place(20),
            marks: false,
            more: true,
        });
        assert_eq!(demand(&mut machine), Demand::Tail(place(20)));
        machine.handle_tail(TailRead::Behind);
        assert!(matches!(demand(&mut machine), Demand::Read(Since { after: Offset(20), .. }, _)));
        machine.rewind(place(9));
        machine.handle_read(Ok(Page::new(Vec::new(), Offset(50))), bounds, now);
        assert_eq!(demand(&mut machine), Demand::Tail(place(9)));
        // What is asked from there is wanted.
        machine.handle_tail(TailRead::Behind);
        assert!(matches!(demand(&mut machine), Demand::Read(Since { after: Offset(9), .. }, _)));
        machine.handle_read(Ok(Page::new(Vec::new(), Offset(50))), bounds, now);
        assert_eq!(demand(&mut machine), Demand::Tail(place(50)));
    }
}
