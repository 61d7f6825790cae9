//! What happened to all subscribers, and when.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::Failure;

/// What happened so far.
#[derive(Debug)]
pub struct Tally {
    seen: Mutex<Seen>,
    turns: AtomicUsize,
}

#[derive(Debug)]
pub struct Seen {
    /// Streams that are open.
    pub open: usize,
    begin: Instant,
    // What each subscriber is to be given next.
    next: Vec<u64>,
    // When a stream was opened, since the beginning.
    opened: Vec<Duration>,
    // When no hub took a connection.
    refused: Vec<Duration>,
    // How many streams each hub was asked for, since the beginning.
    by_hub: [usize; 3],
    wrong: Vec<String>,
}

/// What is known in the end.
#[derive(Debug)]
pub struct Tallied {
    /// When a subscriber had its stream again.
    pub reconnects: Vec<Duration>,
    pub refused: usize,
    /// When the last one was back.
    pub all_back: Duration,
    /// When it was over.
    pub end: Duration,
    pub by_hub: [usize; 3],
    /// What was wrong with subscribers; nothing if each has every event once and in order.
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn new(subscribers: usize) -> Self {
        let seen = Seen {
            open: 0,
            begin: Instant::now(),
            next: vec![0; subscribers],
            opened: Vec::new(),
            refused: Vec::new(),
            by_hub: [0; 3],
            wrong: Vec::new(),
        };
        Self { seen: Mutex::new(seen), turns: AtomicUsize::new(0) }
    }

    /// Sets the clock to zero, and forgets who came before.
    pub fn begin(&self) {
        let mut seen = self.seen();
        seen.begin = Instant::now();
        seen.opened.clear();
        seen.refused.clear();
        seen.by_hub = [0; 3];
    }

    /// The time since the beginning.
    pub fn now(&self) -> Duration {
        self.seen().begin.elapsed()
    }

    /// The hub whose turn it is, as a proxy counts.
    pub fn turn(&self) -> usize {
        self.turns.fetch_add(1, Relaxed)
    }

    pub fn opened(&self, hub: usize) {
        let mut seen = self.seen();
        seen.open += 1;
        let now = seen.begin.elapsed();
        seen.opened.push(now);
        seen.by_hub[hub] += 1;
    }

    pub fn closed(&self) {
        self.seen().open -= 1;
    }

    pub fn refused(&self) {
        let mut seen = self.seen();
        let now = seen.begin.elapsed();
        seen.refused.push(now);
    }

    pub fn received(&self, subscriber: usize, next: u64) {
        self.seen().next[subscriber] = next;
    }

    /// Notes why a subscriber has ended.
    pub fn wrong(&self, subscriber: usize, what: String) {
        self.seen().wrong.push(format!("subscriber {subscriber}: {what}"));
    }

    /// Waits until it is so.
    pub async fn wait_until(
        &self,
        wait_max: Duration,
        is_so: impl Fn(&Seen) -> bool,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + wait_max;
        loop {
            {
                let seen = self.seen();
                if is_so(&seen) {
                    return Ok(());
                }
                if let Some(wrong) = seen.wrong.first() {
                    return Err(wrong.clone().into());
                }
                if Instant::now() > deadline {
                    let least = seen.next.iter().min().copied().unwrap_or_default();
                    let text = format!(
                        "after {} s {} streams are open, and every subscriber has {least} events",
                        wait_max.as_secs(),
                        seen.open
                    );
                    return Err(text.into());
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    pub fn result(&self, all_back: Duration) -> Tallied {
        let seen = self.seen();
        Tallied {
            reconnects: seen.opened.clone(),
            refused: seen.refused.len(),
            all_back,
            end: seen.begin.elapsed(),
            by_hub: seen.by_hub,
            wrong: seen.wrong.clone(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether every subscriber has all of the first `events` events.
    pub fn complete(&self, events: u64) -> bool {
        self.wrong.is_empty() && self.next.iter().all(|next| *next == events)
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
