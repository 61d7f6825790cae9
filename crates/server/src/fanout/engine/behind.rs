//! A line that is not in step: what is left to send, and what it does after that.

use super::{desk::Lookup, rest::Rest, wheel::Tick};
use crate::{
    fanout::interest::Closing,
    subscription::{Resting, Subscription},
};

/// What there is to a line that is not in step.
pub(super) struct Behind {
    /// Since when the peer takes nothing.
    pub(super) blocked: Option<Tick>,
    pub(super) rest: Rest,
    /// The look-up of the event of which the rest is.
    pub(super) looking: Option<Lookup>,
    pub(super) then: Then,
    /// What the subscription asked the log for.
    pub(super) asked: Option<Lookup>,
    pub(super) closing: Option<Closing>,
    /// Whether it is among those that look when the shard has seen more.
    pub(super) looks: bool,
}

/// How a line goes on.
pub(super) enum Then {
    Resting(Resting),
    Subscription(Box<Subscription>),
    /// Not at all.
    End,
}

impl Behind {
    pub(super) fn new(then: Then) -> Self {
        Self {
            blocked: None,
            rest: Rest::Nothing,
            looking: None,
            then,
            asked: None,
            closing: None,
            looks: false,
        }
    }
}
