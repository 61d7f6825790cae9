//! The inbox of a shard: what others have for it, and how they wake it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use parking_lot::Mutex;

use super::{Connection, line::LineKey};
use crate::{
    fanout::{Subscriber, answer::Answer},
    log::ReadError,
    record::SharedRecord,
};

/// Something for a shard.
pub(super) enum Message {
    /// A new line.
    Adopt(Box<(Subscriber, Connection)>),
    /// What a line's subscription asked the log for.
    Answer(LineKey, Answer),
    /// The event of which a line has sent a part.
    Found(LineKey, Result<Option<SharedRecord>, ReadError>),
}

/// What others have for a shard: at most a message a line, and those that are to be lines.
pub(super) struct Inbox {
    // None once the shard has ended.
    messages: Mutex<Option<Vec<Message>>>,
    waker: mio::Waker,
    // The shard was told and has not looked since.
    woken: AtomicBool,
    stop: AtomicBool,
}

impl Inbox {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Self {
            messages: Mutex::new(Some(Vec::new())),
            waker,
            woken: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }

    /// Puts a message in; false if the shard has ended, and the message with it.
    pub(super) fn put(&self, message: Message) -> bool {
        let is_open = self.messages.lock().as_mut().map(|messages| messages.push(message));
        self.rouse();
        is_open.is_some()
    }

    /// All that was put in. Called before the bell is looked at, which wakes the shard by the inbox.
    pub(super) fn take(&self) -> Vec<Message> {
        self.woken.store(false, Ordering::SeqCst);
        self.messages.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All that was put in, when nobody will look any more.
    pub(super) fn close(&self) -> Vec<Message> {
        self.messages.lock().take().unwrap_or_default()
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.rouse();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn rouse(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            // It fails only if the poll is gone, and then the shard is.
            let _ = self.waker.wake();
        }
    }
}

impl Wake for Inbox {
    fn wake(self: Arc<Self>) {
        self.rouse();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rouse();
    }
}
