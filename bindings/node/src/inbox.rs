//! The inbox of a source: where its batches wait for JavaScript.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{batch::Batch, mailbox::Bell};

/// One batch that JavaScript has not taken yet, and who waits for what.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Notified when there is room, or nobody takes anything any longer.
    room: Notify,
    id: u32,
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// Whether JavaScript found nothing, and is to be woken when there is something.
    is_awaited: bool,
    is_closed: bool,
}

impl Inbox {
    pub(crate) fn new(id: u32, bell: Arc<Bell>) -> Arc<Self> {
        let state = State { is_awaited: true, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), room: Notify::new(), id, bell })
    }

    /// Puts a batch in, as soon as there is room for it; `batch` is empty then. False once nobody
    /// takes anything any longer.
    pub(crate) async fn put(&self, batch: &mut Batch) -> bool {
        loop {
            {
                let mut state = self.state.lock();
                if state.is_closed {
                    return false;
                }
                if state.batch.absorb(batch) {
                    let is_awaited = std::mem::take(&mut state.is_awaited);
                    drop(state);
                    return !is_awaited || self.bell.ring(self.id);
                }
            }
            self.room.notified().await;
        }
    }

    /// Asks for the headers of an attempt, at once: there is one question at a time.
    pub(crate) fn ask(&self, attempt: u64, last_event_id: &str) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        state.batch.push_asked(attempt, last_event_id);
        if std::mem::take(&mut state.is_awaited) {
            drop(state);
            self.bell.ring(self.id);
        }
    }

    /// The batch that waits. If there is none, the bell is rung as soon as there is one.
    pub(crate) fn take(&self) -> Option<Batch> {
        let batch = {
            let mut state = self.state.lock();
            if state.batch.is_empty() {
                state.is_awaited = true;
                return None;
            }
            std::mem::take(&mut state.batch)
        };
        self.room.notify_one();
        Some(batch)
    }

    /// Drops what waits, and whatever comes.
    pub(crate) fn close(&self) {
        *self.state.lock() = State { is_closed: true, ..State::default() };
        self.room.notify_one();
    }
}
