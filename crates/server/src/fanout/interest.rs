//! Who is to be woken by which topic.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::{cursor::Offset, matcher::Filter, record::SharedRecord, topic::Topic};

/// The sign by which a subscriber learns that there is something for it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    // Zero while silent; else one more than the offset up to which there was nothing for the
    // subscriber since it last looked.
    rung: AtomicU64,
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
    /// Rings for something after `quiet`, and after all that it was rung for before.
    pub(super) fn ring(&self, quiet: Offset) {
        // Only the first ring since the subscriber looked needs to wake its task.
        let first = quiet.0.saturating_add(1);
        if self.rung.compare_exchange(SILENT, first, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.waker.wake();
        }
    }

    pub(super) fn listen(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// If it was rung: up to where there was nothing for the subscriber.
    pub(super) fn take(&self) -> Option<Offset> {
        let rung = self.rung.swap(SILENT, Ordering::AcqRel);
        (rung != SILENT).then(|| Offset(rung).previous())
    }

    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire) != SILENT
    }

    pub(super) fn close(&self, closing: Closing) {
        *self.closing.lock() = Some(closing);
        self.ring(Offset::ZERO);
        self.waker.wake();
    }

    pub(super) fn take_closing(&self) -> Option<Closing> {
        self.closing.lock().take()
    }
}

const SILENT: u64 = 0;

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

    /// Rings for every subscriber that follows a topic of these records, which come after `after`.
    pub(super) fn ring(&self, records: &[SharedRecord], after: Offset) {
        let mut through = after;
        for record in records {
            let mut quiet = through;
            if record.new.kind.is_kept() {
                through = record.offset;
                quiet = record.offset.previous();
            }
            for topic in &record.new.topics {
                for bell in self.by_topic.get(topic).into_iter().flat_map(HashMap::values) {
                    bell.ring(quiet);
                }
                for (filter, bell) in self.by_pattern.values() {
                    if !bell.is_rung() && filter.matches_topic(topic) {
                        bell.ring(quiet);
                    }
                }
            }
        }
    }

    pub(super) fn ring_all(&self) {
        self.all.values().for_each(|bell| bell.ring(Offset::ZERO));
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
