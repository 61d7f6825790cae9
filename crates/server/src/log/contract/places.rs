//! Where the records of a log stand, as the log answered.

use std::ops::{Index, RangeInclusive};

use super::*;
use crate::log::Taken;

/// The offsets that a log gave to the records of a check, which counts them from 1: the nth stands
/// at `places[n]`, and `places[0]` is the place before them all.
///
/// Of an offset nothing is known before it is answered, but that it is after those before it.
pub(super) struct Places(Vec<Offset>);

impl Places {
    pub(super) fn new() -> Self {
        Self(vec![Offset::ZERO])
    }

    /// Appends records that are all kept and none of them a repetition, and says where the last
    /// one stands.
    pub(super) async fn append(&mut self, log: &dyn Log, batch: impl Into<Batch>) -> Offset {
        let batch = batch.into();
        let count = batch.records.len();
        let appended = log.append(batch).await.expect("appended");
        assert_eq!(appended.records.len(), count);
        for taken in appended.records {
            let Taken::Appended(offset) = taken else { panic!("{taken:?} of a new record") };
            self.push(offset);
        }
        self.last()
    }

    /// The next record stands there.
    pub(super) fn push(&mut self, offset: Offset) {
        assert!(offset > self.last(), "{offset} after {}", self.last());
        self.0.push(offset);
    }

    /// How many records there are.
    pub(super) fn count(&self) -> usize {
        self.0.len() - 1
    }

    pub(super) fn last(&self) -> Offset {
        self[self.count()]
    }

    /// Where these records stand.
    pub(super) fn of(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<Offset> {
        numbers.into_iter().map(|n| self[n]).collect()
    }

    /// The places behind the nth record and not behind the next one: whoever reads after any of
    /// them has the same before them. One place, if the next offset is the next record's, and
    /// after the last record.
    pub(super) fn gap(&self, n: usize) -> RangeInclusive<Offset> {
        self[n]..=self.0.get(n + 1).map_or(self[n], |next| next.previous())
    }

    /// The first and the last place of the [`gap`](Self::gap), once if they are the same.
    pub(super) fn after(&self, n: usize) -> impl Iterator<Item = Offset> + use<> {
        let (first, last) = self.gap(n).into_inner();
        [first].into_iter().chain((last > first).then_some(last))
    }

    /// Which record stands there.
    pub(super) fn number(&self, offset: Offset) -> usize {
        self.0.binary_search(&offset).expect("the place of a record")
    }
}

impl Index<usize> for Places {
    type Output = Offset;

    fn index(&self, n: usize) -> &Offset {
        &self.0[n]
    }
}
