//! Who is to be woken by which topic.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::{matcher::Filter, record::SharedRecord, topic::Topic};

/// The sign by which a subscriber learns that there is something for it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
    closing: Mutex<Option<Closing>>,
}

/// When and with which reconnection time a subscriber is to close.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    pub(super) retry: std::time::Duration,
    pub(super) at: std::time::Instant,
}

impl Bell {
    pub(super) fn ring(&self) {
        // Only the first ring since the subscriber looked needs to wake its task.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    pub(super) fn listen(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    pub(super) fn take(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    pub(super) fn close(&self, closing: Closing) {
        *self.closing.lock() = Some(closing);
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn take_closing(&self) -> Option<Closing> {
        self.closing.lock().take()
    }
}

/// The subscribers by what they follow.
#[derive(Debug, Default)]
pub(super) struct Interest {
    next: u64,
    all: HashMap<u64, Arc<Bell>>,
    by_topic: HashMap<Topic, HashMap<u64, Arc<Bell>>>,
    by_pattern: HashMap<u64, (Arc<Filter>, Arc<Bell>)>,
}

impl Interest {
    pub(super) fn add(&mut self, filter: &Arc<Filter>, bell: &Arc<Bell>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.all.insert(id, Arc::clone(bell));
        for topic in filter.topics() {
            self.by_topic.entry(topic.clone()).or_default().insert(id, Arc::clone(bell));
        }
        if filter.has_patterns() {
            self.by_pattern.insert(id, (Arc::clone(filter), Arc::clone(bell)));
        }
        id
    }

    pub(super) fn remove(&mut self, id: u64, filter: &Filter) {
        self.all.remove(&id);
        self.by_pattern.remove(&id);
        for topic in filter.topics() {
            if let Some(bells) = self.by_topic.get_mut(topic) {
                bells.remove(&id);
                if bells.is_empty() {
                    self.by_topic.remove(topic);
                }
            }
        }
    }

    /// Rings for every subscriber that follows a topic of these records.
    pub(super) fn ring(&self, records: &[SharedRecord]) {
        for record in records {
            for topic in &record.new.topics {
                for bell in self.by_topic.get(topic).into_iter().flat_map(HashMap::values) {
                    bell.ring();
                }
                for (filter, bell) in self.by_pattern.values() {
                    if !bell.is_rung() && filter.matches_topic(topic) {
                        bell.ring();
                    }
                }
            }
        }
    }

    pub(super) fn ring_all(&self) {
        self.all.values().for_each(|bell| bell.ring());
    }

    pub(super) fn bells(&self) -> impl Iterator<Item = &Arc<Bell>> {
        self.all.values()
    }

    /// Subscribers that follow `topic` by its name.
    pub(super) fn of_topic(&self, topic: &Topic) -> usize {
        self.by_topic.get(topic).map_or(0, HashMap::len)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
