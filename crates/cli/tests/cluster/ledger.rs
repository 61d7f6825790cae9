//! What was sent, and what was acknowledged, as it happens.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::checker::{Acknowledgement, Event, Submission};

/// What all publishers write down.
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
    /// How many publishes were acknowledged.
    acknowledged: watch::Sender<usize>,
}

struct Pages {
    clock: u64,
    submissions: Vec<Submission>,
    last_acknowledged: Instant,
    silence_max: Duration,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let pages = Pages {
            clock: 0,
            submissions: Vec::new(),
            last_acknowledged: Instant::now(),
            silence_max: Duration::ZERO,
        };
        Self { pages: Mutex::new(pages), acknowledged: watch::Sender::default() }
    }

    /// Writes down what is about to be sent; answers its number.
    pub(crate) fn start(&self, events: Vec<Event>) -> usize {
        let mut pages = self.pages.lock();
        pages.clock += 1;
        let started = pages.clock;
        pages.submissions.push(Submission { events, started, acknowledged: None });
        pages.submissions.len() - 1
    }

    /// Writes down that it was acknowledged, with the ids of its events.
    pub(crate) fn acknowledge(&self, number: usize, ids: Vec<String>) {
        let mut pages = self.pages.lock();
        pages.clock += 1;
        let at = pages.clock;
        pages.submissions[number].acknowledged = Some(Acknowledgement { at, ids });
        let silence = pages.last_acknowledged.elapsed();
        pages.silence_max = pages.silence_max.max(silence);
        pages.last_acknowledged = Instant::now();
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// Waits until this many more publishes are acknowledged.
    pub(crate) async fn more(&self, publishes: usize) {
        let mut acknowledged = self.acknowledged.subscribe();
        let enough = *acknowledged.borrow() + publishes;
        acknowledged.wait_for(|&count| count >= enough).await.expect("the ledger is there");
    }

    /// The longest time without an acknowledgement since this was last asked.
    pub(crate) fn take_silence(&self) -> Duration {
        let mut pages = self.pages.lock();
        let silence = pages.silence_max.max(pages.last_acknowledged.elapsed());
        pages.silence_max = Duration::ZERO;
        pages.last_acknowledged = Instant::now();
        silence
    }

    pub(crate) fn submissions(&self) -> Vec<Submission> {
        self.pages.lock().submissions.clone()
    }
}
