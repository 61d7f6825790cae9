//! Who is to be woken by which topic.

use std::{
    collections::HashMap,
    num::NonZeroU64,
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
    // Of the bell that all lines of a shard share: how far each of them got all there was, or is
    // known not to have.
    swept: Option<AtomicU64>,
}

/// When and with which reconnection time a subscriber is to close.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    pub(super) retry: std::time::Duration,
    pub(super) at: std::time::Instant,
}

impl Bell {
    /// The bell of a shard that has all there is up to `through`.
    #[cfg(feature = "engine")]
    pub(super) fn of_shard(through: Offset) -> Self {
        Self { swept: Some(AtomicU64::new(through.0)), ..Self::default() }
    }

    /// Notes how far the shard has looked after all its lines.
    #[cfg(feature = "engine")]
    pub(super) fn sweep(&self, through: Offset) {
        if let Some(swept) = &self.swept {
            swept.store(through.0, Ordering::Release);
        }
    }

    /// Of a shard's bell: how far the shard has looked after all its lines.
    pub(super) fn swept(&self) -> Option<Offset> {
        self.swept.as_ref().map(|swept| Offset(swept.load(Ordering::Acquire)))
    }

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
    last: u64,
    all: HashMap<InterestId, Arc<Bell>>,
    by_topic: HashMap<Topic, HashMap<InterestId, Arc<Bell>>>,
    by_pattern: HashMap<InterestId, (Arc<Filter>, Arc<Bell>)>,
    // Rung for everything.
    shards: Vec<Arc<Bell>>,
    // How many lines of the shards follow a topic by its name.
    of_shards: HashMap<Topic, usize>,
}

pub(super) type InterestId = NonZeroU64;

impl Interest {
    pub(super) fn add(&mut self, filter: &Arc<Filter>, bell: &Arc<Bell>) -> InterestId {
        let id = NonZeroU64::MIN.saturating_add(self.last);
        self.last = id.get();
        self.all.insert(id, Arc::clone(bell));
        for topic in filter.topics() {
            self.by_topic.entry(topic.clone()).or_default().insert(id, Arc::clone(bell));
        }
        if filter.has_patterns() {
            self.by_pattern.insert(id, (Arc::clone(filter), Arc::clone(bell)));
        }
        id
    }

    pub(super) fn remove(&mut self, id: InterestId, filter: &Filter) {
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
        self.shards.iter().for_each(|bell| bell.ring(after));
        if self.all.is_empty() {
            return;
        }
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
        self.bells().chain(&self.shards).for_each(|bell| bell.ring(Offset::ZERO));
    }

    /// Rings this one for everything.
    #[cfg(feature = "engine")]
    pub(super) fn add_shard(&mut self, bell: &Arc<Bell>) {
        self.shards.push(Arc::clone(bell));
    }

    /// Rings it no longer.
    #[cfg(feature = "engine")]
    pub(super) fn remove_shard(&mut self, bell: &Arc<Bell>) {
        self.shards.retain(|other| !Arc::ptr_eq(other, bell));
    }

    /// Notes that one more of a shard's lines follows these topics.
    #[cfg(feature = "engine")]
    pub(super) fn add_line(&mut self, filter: &Filter) {
        for topic in filter.topics() {
            *self.of_shards.entry(topic.clone()).or_default() += 1;
        }
    }

    /// Notes that one less does.
    #[cfg(feature = "engine")]
    pub(super) fn remove_line(&mut self, filter: &Filter) {
        for topic in filter.topics() {
            if let Some(lines) = self.of_shards.get_mut(topic) {
                *lines -= 1;
                if *lines == 0 {
                    self.of_shards.remove(topic);
                }
            }
        }
    }

    pub(super) fn bells(&self) -> impl Iterator<Item = &Arc<Bell>> {
        self.all.values()
    }

    /// Subscribers that follow `topic` by its name.
    pub(super) fn of_topic(&self, topic: &Topic) -> usize {
        let of_shards = self.of_shards.get(topic).copied().unwrap_or_default();
        self.by_topic.get(topic).map_or(0, HashMap::len) + of_shards
    }
}
