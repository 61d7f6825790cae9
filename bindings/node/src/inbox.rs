//! The inbox of a source: where its batches wait for JavaScript.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{batch::Batch, mailbox::Bell};

/// The batches that JavaScript has not taken yet, and who waits for what.
///
/// There are several, so that neither side waits for the other to wake up: with one, JavaScript had
/// nothing to do for a third of the time at full speed.
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
    batches: VecDeque<Batch>,
    /// The bytes of their texts.
    bytes: usize,
    /// Whether JavaScript has taken all there was, and is to be woken when there is something.
    is_awaited: bool,
    is_closed: bool,
}

/// Batches that wait at most.
const BATCHES_MAX: usize = 4;
/// With so many bytes that wait, there is no room for another batch.
const BYTES_MAX: usize = 128 << 10;

impl State {
    fn is_half_empty(&self) -> bool {
        self.batches.len() <= BATCHES_MAX / 2 && self.bytes <= BYTES_MAX / 2
    }

    /// Takes it, if there is room.
    fn put(&mut self, batch: &mut Batch) -> bool {
        let bytes = batch.bytes();
        let joined = self.batches.back_mut().is_some_and(|last| last.absorb(batch));
        if !joined {
            if self.batches.len() >= BATCHES_MAX || self.bytes >= BYTES_MAX {
                return false;
            }
            self.batches.push_back(std::mem::take(batch));
        }
        self.bytes += bytes;
        true
    }

    /// Takes a question, room or not.
    fn ask(&mut self, attempt: u64, last_event_id: &str) {
        if self.batches.is_empty() {
            self.batches.push_back(Batch::default());
        }
        if let Some(last) = self.batches.back_mut() {
            let before = last.bytes();
            last.push_asked(attempt, last_event_id);
            self.bytes += last.bytes() - before;
        }
    }
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
                if state.put(batch) {
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
        state.ask(attempt, last_event_id);
        if std::mem::take(&mut state.is_awaited) {
            drop(state);
            self.bell.ring(self.id);
        }
    }

    /// The batch that has waited longest, and whether another waits. If there is none, the bell is rung
    /// as soon as there is one.
    pub(crate) fn take(&self) -> Option<(Batch, bool)> {
        let (batch, is_more, has_room) = {
            let mut state = self.state.lock();
            let batch = state.batches.pop_front();
            let is_more = !state.batches.is_empty();
            state.is_awaited = !is_more;
            state.bytes -= batch.as_ref().map_or(0, Batch::bytes);
            (batch?, is_more, state.is_half_empty())
        };
        // Not for each: who waits is woken for many at once.
        if has_room {
            self.room.notify_one();
        }
        Some((batch, is_more))
    }

    /// Drops what waits, and whatever comes.
    pub(crate) fn close(&self) {
        *self.state.lock() = State { is_closed: true, ..State::default() };
        self.room.notify_one();
    }
}
