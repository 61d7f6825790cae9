//! What the load does while it is measured, from the first event to the last.

use std::time::{Duration, Instant};

use super::progress::Progress;
use super::subscriber::Subscriber;
use super::{Clock, Failure, Load, Span};

impl Load {
    /// Has every subscriber given one event at least, so that all of them are certainly there.
    pub fn prime(&mut self) -> Result<(), Failure> {
        let tries_max = 5;
        for _ in 0..tries_max {
            self.publish(1)?;
            let deadline = Instant::now() + PRIME_TIME;
            while Instant::now() < deadline {
                self.turn(Duration::from_millis(1))?;
                let published = self.ledger.published;
                if self.subscribers.iter().all(|one| one.reader.next.number == published) {
                    self.ledger.write_off();
                    return Ok(());
                }
            }
        }
        Err(format!("some subscribers were given none of {tries_max} events").into())
    }

    /// Publishes for `time`, with as many events on the way as `window` says.
    pub fn run(&mut self, window: u64, time: Duration) -> Result<Span, Failure> {
        let clock = self.clock();
        let begin = clock.begin;
        let mut moved = (begin, self.ledger.delivered);
        loop {
            self.publish(self.ledger.room(window))?;
            self.turn(Duration::ZERO)?;
            let now = Instant::now();
            if now - begin >= time {
                break;
            }
            if self.ledger.delivered != moved.1 {
                moved = (now, self.ledger.delivered);
            } else if now - moved.0 > STALL {
                // The server has dropped them; what comes after will say how many.
                self.ledger.write_off();
                moved.0 = now;
            }
        }
        Ok(self.since(clock))
    }

    /// Starts to count.
    pub fn clock(&self) -> Clock {
        Clock { begin: Instant::now(), busy: self.busy, delivered: self.ledger.delivered }
    }

    /// What happened since.
    pub fn since(&self, clock: Clock) -> Span {
        Span {
            wall: clock.begin.elapsed(),
            busy: self.busy - clock.busy,
            delivered: self.ledger.delivered - clock.delivered,
        }
    }

    /// Publishes `count` events as fast as `window` allows, and waits for the last.
    pub fn run_events(&mut self, window: u64, count: u64) -> Result<(), Failure> {
        let end = self.ledger.published + count;
        let mut progress = Progress::new(DRAIN_TIME_MAX);
        while self.ledger.published < end || self.ledger.completed < end {
            let room = self.ledger.room(window).min(end - self.ledger.published);
            self.publish(room)?;
            self.turn(Duration::ZERO)?;
            progress.check(self.ledger.delivered, || "its events do not come".to_owned())?;
        }
        Ok(())
    }

    /// Publishes an event each `interval` for `time`, and returns each delivery's delay.
    pub fn pace(&mut self, interval: Duration, time: Duration) -> Result<Vec<u32>, Failure> {
        self.ledger.delays = Some(Vec::new());
        let (begin, mut due) = (Instant::now(), Duration::ZERO);
        while begin.elapsed() < time {
            if begin.elapsed() >= due {
                self.publish(1)?;
                due += interval;
            }
            self.turn(Duration::ZERO)?;
        }
        self.drain()?;
        Ok(self.ledger.delays.take().unwrap_or_default())
    }

    /// Publishes `count` events to nobody, and waits until the server has taken them.
    pub fn publish_unheard(&mut self, count: u64) -> Result<(), Failure> {
        let answers = self.answers();
        self.publish(count)?;
        let mut progress = Progress::new(DRAIN_TIME_MAX);
        while self.answers() < answers + self.answers_to(count) || !self.is_sent() {
            self.turn(Duration::from_millis(1))?;
            progress.check(self.answers(), || "its answers do not come".to_owned())?;
        }
        Ok(())
    }

    /// Waits until all that was published has arrived, or nothing comes any more; returns how many
    /// deliveries are missing since the beginning.
    pub fn drain(&mut self) -> Result<u64, Failure> {
        let mut moved = (Instant::now(), self.ledger.delivered);
        while self.ledger.completed < self.ledger.published {
            self.turn(Duration::from_millis(1))?;
            if self.ledger.delivered != moved.1 {
                moved = (Instant::now(), self.ledger.delivered);
            } else if moved.0.elapsed() > DRAIN_TIME_MAX {
                break;
            }
        }
        let step = |one: &Subscriber| one.reader.next.step;
        let published = self.ledger.published;
        let never = self
            .subscribers
            .iter()
            .map(|one| published.saturating_sub(one.reader.next.number).div_ceil(step(one)));
        let missing = self.ledger.skipped + never.sum::<u64>();
        self.ledger.write_off();
        Ok(missing)
    }

    /// Ends the stream that is published, if it is one, and sees that everything was taken.
    pub fn end_publishing(&mut self) -> Result<(), Failure> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        publisher.end()?;
        let mut progress = Progress::new(DRAIN_TIME_MAX);
        let answers = self.answers_to(self.ledger.published);
        while self.answers() < answers.min(1) {
            self.turn(Duration::from_millis(1))?;
            progress.check(self.answers(), || "its answer does not come".to_owned())?;
        }
        self.publisher = None;
        Ok(())
    }

    fn answers(&self) -> u64 {
        self.publisher.as_ref().map_or(0, |publisher| publisher.answers())
    }

    fn answers_to(&self, events: u64) -> u64 {
        self.publisher.as_ref().map_or(0, |publisher| publisher.answers_to(events))
    }

    fn is_sent(&self) -> bool {
        self.publisher.as_ref().is_none_or(|publisher| publisher.is_sent())
    }
}

/// How often an event is published to have everybody given one.
const PRIME_TIME: Duration = Duration::from_secs(3);
/// A window that does not move for so long is given up.
const STALL: Duration = Duration::from_millis(400);
/// What has not come for so long is missing.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(3);
