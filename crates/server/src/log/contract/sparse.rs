//! A log whose offsets have wide gaps: it shows that the suite asks no more of a log than its
//! contract says.

use futures_core::future::BoxFuture;
use tokio::sync::Mutex;

use crate::{
    cursor::Offset,
    log::{
        AppendError, Appended, Batch, Bounds, Feed, Log, LogState, MemoryLog, Page, ReadError,
        ReadLimits, Since, Tail, TailItem, Taken, TopicSummary,
    },
    matcher::Filter,
    record::{PublisherId, Record, SharedRecord},
};

/// A memory log whose nth record stands at the nth place of the row `1 << 16`, `1 << 16 | 1`,
/// `2 << 16`, `2 << 16 | 1`...: every other neighbour is far away, and none stands at its number.
#[derive(Debug)]
pub(crate) struct Sparse {
    log: MemoryLog,
    feed: Feed,
    // Of the log. Who appends holds it until the feed has what it yields of that.
    tail: Mutex<Tail>,
}

impl Sparse {
    // More than a check ever appends at once.
    const FEED_BYTES_MAX: usize = 8 << 20;

    /// The log, of which nobody else may have a hold, with other offsets.
    pub(crate) fn new(log: MemoryLog) -> Self {
        let tail = Mutex::new(log.tail());
        Self { log, feed: Feed::new(Self::FEED_BYTES_MAX), tail }
    }
}

/// Where the record stands whose offset in the memory log is `dense`.
fn sparse(dense: Offset) -> Offset {
    let place = dense.0 + 1;
    if dense == Offset::ZERO { dense } else { Offset(((place / 2) << 16) | (place % 2)) }
}

/// The offset in the memory log of the last record that stands there or before.
fn dense(sparse: Offset) -> Offset {
    let (sequence, index) = (sparse.0 >> 16, sparse.0 & 0xffff);
    if sequence == 0 { Offset::ZERO } else { Offset(sequence * 2 + index.min(1) - 1) }
}

fn sparse_record(record: &SharedRecord) -> SharedRecord {
    Record { offset: sparse(record.offset), ..Record::clone(record) }.into()
}

impl Log for Sparse {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let mut tail = self.tail.lock().await;
            let mut appended = self.log.append(batch).await?;
            let mut due = appended.records.iter().filter(|taken| !taken.is_repeated()).count();
            while due > 0 {
                let item = tail.next().await;
                let Some(TailItem::Records(records)) = item else {
                    panic!("not records: {item:?}")
                };
                due -= records.len();
                self.feed.publish(records.iter().map(sparse_record));
            }
            for taken in &mut appended.records {
                if let Taken::Appended(offset) | Taken::Repeated(offset) = taken {
                    *offset = sparse(*offset);
                }
            }
            Ok(appended)
        })
    }

    fn read<'a>(
        &'a self,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            let Since { after, told, trims_seen } = since;
            let dense_since = Since { after: dense(after), told: dense(told), trims_seen };
            let page = self.log.read(dense_since, filter, limits).await?;
            // What was read reaches to the next record, unless there is none.
            let through = if page.through < self.log.bounds().last {
                sparse(page.through.next()).previous()
            } else {
                sparse(page.through)
            };
            Ok(Page {
                records: page.records.iter().map(sparse_record).collect(),
                through: through.max(after),
                trimmed: sparse(page.trimmed),
                trims_seen: page.trims_seen,
            })
        })
    }

    fn tail(&self) -> Tail {
        self.feed.tail()
    }

    fn bounds(&self) -> Bounds {
        let Bounds { epoch, first, last } = self.log.bounds();
        let is_empty = first > last;
        let last = sparse(last);
        Bounds { epoch, first: if is_empty { last.next() } else { sparse(first) }, last }
    }

    fn resolve<'a>(
        &'a self,
        id: &'a PublisherId,
    ) -> BoxFuture<'a, Result<Option<Offset>, ReadError>> {
        Box::pin(async move { Ok(self.log.resolve(id).await?.map(sparse)) })
    }

    fn record(&self, offset: Offset) -> BoxFuture<'_, Result<Option<SharedRecord>, ReadError>> {
        Box::pin(async move {
            let found = self.log.record(dense(offset)).await?;
            Ok(found.as_ref().map(sparse_record).filter(|record| record.offset == offset))
        })
    }

    fn ended(&self, filter: &Filter) -> Option<Offset> {
        self.log.ended(filter).map(sparse)
    }

    fn topics(&self, after: Option<&str>, count_max: usize) -> Vec<TopicSummary> {
        let topics = self.log.topics(after, count_max).into_iter();
        topics.map(|topic| TopicSummary { last: sparse(topic.last), ..topic }).collect()
    }

    fn state(&self) -> LogState {
        self.log.state()
    }

    fn reopen(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        self.log.reopen()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let _appending = self.tail.lock().await;
            self.log.close().await;
        })
    }
}

#[test]
fn a_place_is_after_the_records_up_to_it_and_no_others() {
    assert_eq!([1, 2, 3, 4].map(|n| sparse(Offset(n)).0), [65_536, 65_537, 131_072, 131_073]);
    for n in 0..100 {
        let [this, next] = [n, n + 1].map(|n| sparse(Offset(n)));
        assert!(this < next);
        for place in [this, Offset((this.0 + next.0) / 2), next.previous()] {
            assert_eq!(dense(place), Offset(n), "{place}");
        }
    }
}
