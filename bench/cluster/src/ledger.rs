//! Who counts what is received, and checks it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};

use crate::{Failure, payload};

/// How long what was published may take to arrive.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The events of one receiver: each is to come once, and as it was published.
#[derive(Debug)]
pub struct Ledger {
    state: Mutex<State>,
    received: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<bool>,
    received: u64,
    wrong: Option<String>,
    latencies: Vec<u64>,
}

impl Ledger {
    pub fn new() -> Self {
        Self { state: Mutex::default(), received: watch::Sender::new(0) }
    }

    /// Notes what came together.
    pub fn receive<'a>(&self, payloads: impl IntoIterator<Item = &'a [u8]>) {
        let now = payload::now();
        let received = {
            let mut state = self.state.lock();
            for payload in payloads {
                state.note(payload, now);
            }
            state.received
        };
        self.received.send_replace(received);
    }

    /// Notes that nothing more comes.
    pub fn break_off(&self, cause: String) {
        self.state.lock().wrong.get_or_insert(cause);
        self.received.send_modify(|_| {});
    }

    /// Waits until so many events have come since the beginning.
    pub async fn has(&self, count: u64) -> Result<(), Failure> {
        let mut received = self.received.subscribe();
        let is_done = |received: &u64| *received >= count || self.state.lock().wrong.is_some();
        let is_late = timeout(DEADLINE, received.wait_for(is_done)).await.is_err();
        let state = self.state.lock();
        if let Some(wrong) = &state.wrong {
            return Err(wrong.clone().into());
        }
        if is_late || state.received != count {
            let received = state.received;
            return Err(format!("{received} events came of {count} within {DEADLINE:?}").into());
        }
        Ok(())
    }

    /// Nanoseconds from publish to receipt of each event since the last call.
    pub fn latencies(&self) -> Vec<u64> {
        std::mem::take(&mut self.state.lock().latencies)
    }
}

impl State {
    fn note(&mut self, payload: &[u8], now: u64) {
        let Some(said) = payload::decode(payload) else {
            let shown = String::from_utf8_lossy(payload).into_owned();
            self.wrong.get_or_insert(format!("an event is not as it was published: {shown:?}"));
            return;
        };
        let number = said.number as usize;
        if self.seen.len() <= number {
            self.seen.resize(number + 1, false);
        }
        if std::mem::replace(&mut self.seen[number], true) {
            self.wrong.get_or_insert(format!("event {number} came twice"));
        }
        self.received += 1;
        self.latencies.push(now.saturating_sub(said.nanos));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_twice_or_changed_is_a_failure() {
        let one = payload::encode(0, 0).into_bytes();
        let ledger = Ledger::new();
        ledger.receive([&one[..]]);
        assert!(ledger.has(1).await.is_ok());
        ledger.receive([&one[..]]);
        assert!(ledger.has(2).await.is_err());
        let ledger = Ledger::new();
        ledger.receive([&one[1..]]);
        assert!(ledger.has(1).await.is_err());
    }
}
