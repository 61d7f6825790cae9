//! What was published, and who has it: the check, the window and the count of what is missing.

use super::payload::{self, Payload};

/// The account of one run.
///
/// Every payload is compared with what was published, as long as it is among the last
/// [`REMEMBERED`], which it always is: the window is smaller.
pub struct Ledger {
    sent: Box<[Sent]>,
    /// Those who are to get each event.
    pub receivers: u64,
    pub published: u64,
    /// All receivers have all events before this one, or missed them.
    pub completed: u64,
    /// Payloads that were right, each counted for each receiver.
    pub delivered: u64,
    /// Events that a receiver was not given though it was given a later one.
    pub skipped: u64,
    /// The delays from publish to receipt in nanoseconds, while they are wanted.
    pub delays: Option<Vec<u32>>,
}

#[derive(Clone)]
struct Sent {
    payload: Payload,
    nanos: u64,
    /// How many receivers are done with it.
    done: u64,
}

/// Something arrived that no right server sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A payload with bytes of its own, or cut short.
    Corrupt,
    /// An event a second time, or after a later one.
    OutOfOrder { expected: u64, came: u64 },
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Corrupt => f.write_str("a subscriber was sent data that was not published"),
            Self::OutOfOrder { expected, came } => {
                write!(f, "a subscriber was sent event {came} where {expected} was to come")
            }
        }
    }
}

impl std::error::Error for Wrong {}

impl Ledger {
    pub fn new() -> Self {
        let unsent = Sent { payload: payload::encode(0, 0), nanos: 0, done: 0 };
        Self {
            sent: vec![unsent; REMEMBERED as usize].into(),
            receivers: 0,
            published: 0,
            completed: 0,
            delivered: 0,
            skipped: 0,
            delays: None,
        }
    }

    /// The payload of the next event, published at `nanos`.
    pub fn publish(&mut self, nanos: u64) -> Payload {
        let payload = payload::encode(self.published, nanos);
        *self.slot(self.published) = Sent { payload, nanos, done: 0 };
        self.published += 1;
        payload
    }

    /// How many events may be published so that at most `window` are on the way.
    pub fn room(&self, window: u64) -> u64 {
        window.saturating_sub(self.published - self.completed)
    }

    /// Takes what a receiver was given at `nanos`, who has the events before `next`, every `step`th
    /// being for it; returns what comes next for it.
    #[inline]
    pub fn receive(&mut self, payload: &Payload, next: Next, nanos: u64) -> Result<Next, Wrong> {
        let Next { number, step } = next;
        if number != Next::ANY && self.slot(number).payload == *payload {
            self.take(number, nanos);
            return Ok(Next { number: number + step, step });
        }
        let came = payload::number(payload).ok_or(Wrong::Corrupt)?;
        let remembered = self.published.saturating_sub(REMEMBERED)..self.published;
        if came >= self.published
            || remembered.contains(&came) && self.slot(came).payload != *payload
        {
            return Err(Wrong::Corrupt);
        }
        if number != Next::ANY {
            if came < number || !(came - number).is_multiple_of(step) {
                return Err(Wrong::OutOfOrder { expected: number, came });
            }
            for skipped in (number..came).step_by(step as usize) {
                self.skipped += 1;
                self.slot(skipped).done += 1;
            }
        }
        self.take(came, nanos);
        Ok(Next { number: came + step, step })
    }

    /// Moves on to where somebody still waits.
    pub fn settle(&mut self) {
        while self.completed < self.published && self.slot(self.completed).done >= self.receivers {
            self.completed += 1;
        }
    }

    /// Waits for nothing that was published so far.
    pub fn write_off(&mut self) {
        self.completed = self.published;
    }

    #[inline]
    fn take(&mut self, number: u64, nanos: u64) {
        self.delivered += 1;
        let sent = self.slot(number);
        sent.done += 1;
        let delay = nanos.saturating_sub(sent.nanos);
        if let Some(delays) = &mut self.delays {
            delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }

    #[inline]
    fn slot(&mut self, number: u64) -> &mut Sent {
        &mut self.sent[(number % REMEMBERED) as usize]
    }
}

/// What a receiver is to be given next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    pub number: u64,
    pub step: u64,
}

impl Next {
    /// Whatever comes first: for one that was not there from the beginning.
    pub const ANY: u64 = u64::MAX;
}

/// So many events are remembered; more than any window has.
pub const REMEMBERED: u64 = 4_096;
