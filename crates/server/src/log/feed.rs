//! The feed: hands committed records from a log to those who follow its tail.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::record::SharedRecord;

/// The writing side of a log's tail, for whoever implements a log.
///
/// It holds the newest records up to a bound in bytes. Publishing never waits: a follower that
/// falls off the end is [told](TailItem::Lagged), and reads from the log what it missed.
#[derive(Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    queue: Mutex<Queue>,
    // Counts the records ever published.
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<SharedRecord>,
    bytes: usize,
    // How many records were published before the first one in `records`.
    base: u64,
}

impl Feed {
    /// A feed that keeps at most `bytes_max` bytes of records for its followers.
    pub fn new(bytes_max: usize) -> Self {
        let (end, _) = watch::channel(0);
        Self(Arc::new(Shared { bytes_max, queue: Mutex::default(), end }))
    }

    /// Hands on records that are durable and visible to reads.
    pub fn publish(&self, records: impl IntoIterator<Item = SharedRecord>) {
        let end = {
            let mut queue = self.0.queue.lock();
            for record in records {
                queue.bytes += record.memory_bytes();
                queue.records.push_back(record);
            }
            while queue.bytes > self.0.bytes_max && queue.records.len() > 1 {
                if let Some(record) = queue.records.pop_front() {
                    queue.bytes -= record.memory_bytes();
                    queue.base += 1;
                }
            }
            queue.base + queue.records.len() as u64
        };
        self.0.end.send_replace(end);
    }

    /// Follows from the present end.
    pub fn tail(&self) -> Tail {
        let changed = self.0.end.subscribe();
        let queue = self.0.queue.lock();
        let position = queue.base + queue.records.len() as u64;
        drop(queue);
        Tail { shared: Arc::downgrade(&self.0), changed, position }
    }
}

/// Follows a log: yields what is committed after the moment it was made.
#[derive(Debug)]
pub struct Tail {
    shared: std::sync::Weak<Shared>,
    changed: watch::Receiver<u64>,
    position: u64,
}

/// What a tail yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailItem {
    /// The next records.
    Records(Vec<SharedRecord>),
    /// The follower was too slow: records were skipped, and the tail goes on from the present
    /// end. Read from the log what is missing.
    Lagged,
}

impl Tail {
    // One wake-up takes at most this many records, so that the lock is held briefly.
    const RECORDS_MAX: usize = 1_024;

    /// Waits for the next records; `None` once the log is gone. Cancellation loses nothing.
    pub async fn next(&mut self) -> Option<TailItem> {
        loop {
            {
                let shared = self.shared.upgrade()?;
                let queue = shared.queue.lock();
                let end = queue.base + queue.records.len() as u64;
                if self.position < queue.base {
                    self.position = end;
                    return Some(TailItem::Lagged);
                }
                if self.position < end {
                    let skip = (self.position - queue.base) as usize;
                    let records: Vec<_> =
                        queue.records.iter().skip(skip).take(Self::RECORDS_MAX).cloned().collect();
                    self.position += records.len() as u64;
                    return Some(TailItem::Records(records));
                }
                self.changed.mark_unchanged();
                // A publish between the look above and the mark has taken the lock after us,
                // so its change is still to come.
            }
            self.changed.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cursor::Offset,
        record::{NewRecord, Record, Timestamp},
        topic::Topic,
    };

    fn record(offset: u64) -> SharedRecord {
        let new = NewRecord::new(Topic::new("t").unwrap(), "x".repeat(100));
        Arc::new(Record { offset: Offset(offset), time: Timestamp::default(), new })
    }

    fn offsets(item: Option<TailItem>) -> Vec<u64> {
        match item {
            Some(TailItem::Records(records)) => records.iter().map(|r| r.offset.0).collect(),
            other => panic!("not records: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_tail_yields_what_is_published_after_it_was_made() {
        let feed = Feed::new(1 << 20);
        feed.publish([record(1)]);
        let mut tail = feed.tail();
        feed.publish([record(2), record(3)]);
        assert_eq!(offsets(tail.next().await), [2, 3]);
        let waiting = tokio::spawn(async move { tail.next().await });
        tokio::task::yield_now().await;
        feed.publish([record(4)]);
        assert_eq!(offsets(waiting.await.unwrap()), [4]);
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_and_memory_stays_bounded() {
        let one = record(1).memory_bytes();
        let feed = Feed::new(10 * one);
        let mut tail = feed.tail();
        for offset in 1..=100 {
            feed.publish([record(offset)]);
        }
        assert!(feed.0.queue.lock().records.len() <= 10);
        assert_eq!(tail.next().await, Some(TailItem::Lagged));
        feed.publish([record(101)]);
        assert_eq!(offsets(tail.next().await), [101]);
    }

    #[tokio::test]
    async fn the_tail_of_a_log_that_is_gone_ends() {
        let feed = Feed::new(1 << 20);
        let mut tail = feed.tail();
        drop(feed);
        assert_eq!(tail.next().await, None);
    }
}
