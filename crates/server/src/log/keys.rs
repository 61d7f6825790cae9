//! The keys that a log knows: which event was published under which idempotency key, for as long
//! as a retry may come. In memory, beside whatever store holds the records themselves.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use smallvec::SmallVec;

use super::{AppendError, Taken};
use crate::{
    cursor::Offset,
    idempotency::{Key, Once},
    record::{NewRecord, Timestamp},
};

/// For how long a log knows an idempotency key: until the first of the two limits is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyWindow {
    /// Keys known at most; the oldest is forgotten first. Each takes 80 to 150 bytes of memory,
    /// so that the default of 100,000 takes some 13 MiB.
    pub keys_max: usize,
    /// Keys older than this are forgotten. Default 24 hours.
    pub age_max: Duration,
}

impl Default for KeyWindow {
    /// 100,000 keys, 24 hours.
    fn default() -> Self {
        Self { keys_max: 100_000, age_max: Duration::from_secs(24 * 60 * 60) }
    }
}

/// The keys that a log knows.
///
/// A batch is [taken](Self::take) when its places are given, under whatever gives them: that no
/// two events are appended under one key rests on it. Once it is durable, [`trim`](Self::trim)
/// brings the window back to its size; if it could not be written, [`withdraw`](Self::withdraw)
/// forgets its keys.
///
/// What it answers follows from what it was told, in its order, and from nothing else: of several
/// who take the same batches at the same moments, each knows the same keys. So does one that
/// began with the [known](Self::known) keys of another.
#[derive(Debug)]
pub struct Keys {
    window: KeyWindow,
    by_key: HashMap<Key, Offset>,
    in_order: VecDeque<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    offset: Offset,
    time: Timestamp,
    once: Once,
}

impl Keys {
    /// No keys, and for how long they are to be known.
    pub fn new(window: KeyWindow) -> Self {
        Self { window, by_key: HashMap::new(), in_order: VecDeque::new() }
    }

    /// Finds out which of the records are new, and gives those the places after `last`, in their
    /// order. Their keys are known from then on, as of the moment `now`, which never goes back.
    ///
    /// # Errors
    /// [`AppendError::KeyReused`] names the first record whose key stands for another event. No
    /// key is known then that was not before.
    pub fn take(
        &mut self,
        records: &[NewRecord],
        last: Offset,
        now: Timestamp,
    ) -> Result<SmallVec<[Taken; 1]>, AppendError> {
        let mut offset = last;
        self.take_after(last, records, now, |_| {
            offset = offset.next();
            offset
        })
    }

    /// As [`take`](Self::take), but each record has the place that its number in the batch gives
    /// it: the one `n` after the batch's first stands at `first + n`, if it is new. Those that are
    /// repetitions or ephemeral leave gaps.
    ///
    /// `first` must be after all the records whose keys were taken or pushed before. If the batch
    /// is not appended after all, it is the place before `first` to
    /// [withdraw](Self::withdraw) to.
    ///
    /// # Errors
    /// As of [`take`](Self::take).
    pub fn take_at(
        &mut self,
        records: &[NewRecord],
        first: Offset,
        now: Timestamp,
    ) -> Result<SmallVec<[Taken; 1]>, AppendError> {
        self.take_after(first.previous(), records, now, |n| Offset(first.0 + n as u64))
    }

    // `place` says where the record of that number stands, which is asked of the new ones only.
    fn take_after(
        &mut self,
        last: Offset,
        records: &[NewRecord],
        now: Timestamp,
        mut place: impl FnMut(usize) -> Offset,
    ) -> Result<SmallVec<[Taken; 1]>, AppendError> {
        self.expire(now);
        let mut taken = SmallVec::with_capacity(records.len());
        for (record, new) in records.iter().enumerate() {
            if !new.kind.is_kept() {
                taken.push(Taken::Passed);
                continue;
            }
            let known = new.once.as_ref().and_then(|once| self.find(once.key));
            match (known, &new.once) {
                (Some(known), Some(once)) if known.once == **once => {
                    taken.push(Taken::Repeated(known.offset));
                    continue;
                }
                (Some(_), _) => {
                    self.withdraw(last);
                    return Err(AppendError::KeyReused { record });
                }
                (None, _) => {}
            }
            let offset = place(record);
            taken.push(Taken::Appended(offset));
            if let Some(once) = &new.once {
                self.push(offset, now, **once);
            }
        }
        Ok(taken)
    }

    /// Adds the key of a stored record, whose offset must be greater than those before it.
    ///
    /// A key may come again, of a record from after its window: the newest that is pushed is the
    /// one that is known, until it is forgotten. The time should not go back either: a key is
    /// known for at least as long as those before it.
    pub fn push_stored(&mut self, offset: Offset, time: Timestamp, once: Once) {
        self.push(offset, time, once);
        self.trim();
    }

    /// The keys in the order of their records, each with where and when its event was appended:
    /// for storing them. Who [pushes](Self::push_stored) them in this order, for the same window,
    /// knows what is known here after a [`trim`](Self::trim).
    ///
    /// Some may be too old to be known: they are forgotten by the next batch that is taken, by
    /// whoever has them.
    pub fn known(&self) -> impl ExactSizeIterator<Item = (Offset, Timestamp, Once)> {
        self.in_order.iter().map(|&Known { offset, time, once }| (offset, time, once))
    }

    /// Forgets the keys of the records after `last`, which were taken and not appended after all.
    /// Not those of stored ones: a key of an earlier record, which such a one had taken over,
    /// would not come back.
    pub fn withdraw(&mut self, last: Offset) {
        while let Some(known) = self.in_order.pop_back_if(|known| known.offset > last) {
            self.forget(&known);
        }
    }

    /// Forgets the oldest keys past the limit.
    pub fn trim(&mut self) {
        while self.in_order.len() > self.window.keys_max
            && let Some(known) = self.in_order.pop_front()
        {
            self.forget(&known);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        let oldest = now.before(self.window.age_max);
        while let Some(known) = self.in_order.pop_front_if(|known| known.time < oldest) {
            self.forget(&known);
        }
    }

    fn find(&self, key: Key) -> Option<&Known> {
        let offset = self.by_key.get(&key)?;
        let at = self.in_order.binary_search_by_key(offset, |known| known.offset).ok()?;
        self.in_order.get(at)
    }

    fn push(&mut self, offset: Offset, time: Timestamp, once: Once) {
        debug_assert!(self.in_order.back().is_none_or(|known| known.offset < offset));
        self.by_key.insert(once.key, offset);
        self.in_order.push_back(Known { offset, time, once });
    }

    // Of a store's records a later one may have the same key, if it came after the window: then
    // the key stands for the later one, and goes with that. A batch that is taken makes no such
    // pair, for it finds the key. So the known keys, pushed again in their order, make the same
    // pairs, and are forgotten as they would have been.
    fn forget(&mut self, known: &Known) {
        if self.by_key.get(&known.once.key) == Some(&known.offset) {
            self.by_key.remove(&known.once.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{record::Kind, topic::Topic};

    const HOUR_MS: u64 = 60 * 60 * 1_000;

    fn record(key: &str, data: &str) -> NewRecord {
        let key = Key::new("", key).unwrap();
        NewRecord::new(Topic::new("a").unwrap(), data).once(key)
    }

    fn at(unix_ms: u64) -> Timestamp {
        Timestamp { unix_ms }
    }

    #[test]
    fn a_key_is_known_to_the_end_of_its_time_and_a_repetition_adds_none() {
        let mut keys = Keys::new(KeyWindow::default());
        let start = at(1_000_000);
        let taken = keys.take(&[record("k", "1")], Offset(4), start).unwrap();
        assert_eq!(taken[..], [Taken::Appended(Offset(5))]);
        for hours in [0, 1, 23, 24] {
            let now = at(start.unix_ms + hours * HOUR_MS);
            let taken = keys.take(&[record("k", "1")], Offset(9), now).unwrap();
            assert_eq!(taken[..], [Taken::Repeated(Offset(5))], "after {hours} hours");
        }
        let late = at(start.unix_ms + 24 * HOUR_MS + 1);
        let taken = keys.take(&[record("k", "2")], Offset(9), late).unwrap();
        assert_eq!(taken[..], [Taken::Appended(Offset(10))]);
        assert_eq!((keys.in_order.len(), keys.by_key.len()), (1, 1));
    }

    #[test]
    fn what_is_refused_or_withdrawn_leaves_no_key() {
        let mut keys = Keys::new(KeyWindow { keys_max: 2, age_max: Duration::MAX });
        keys.take(&[record("a", "1")], Offset(0), at(1)).unwrap();
        let batch = [record("b", "2"), record("c", "3"), record("a", "other")];
        let refused = keys.take(&batch, Offset(1), at(1));
        assert_eq!(refused, Err(AppendError::KeyReused { record: 2 }));
        assert_eq!((keys.in_order.len(), keys.by_key.len()), (1, 1));
        // Larger than the window; nothing is forgotten for what is not appended in the end.
        keys.take(&batch[..2], Offset(1), at(1)).unwrap();
        keys.withdraw(Offset(1));
        let taken = keys.take(&[record("a", "1"), record("b", "other")], Offset(1), at(1)).unwrap();
        assert_eq!(taken[..], [Taken::Repeated(Offset(1)), Taken::Appended(Offset(2))]);
        keys.take(&[record("c", "3")], Offset(2), at(1)).unwrap();
        keys.trim();
        let taken = keys.take(&[record("a", "1")], Offset(3), at(1)).unwrap();
        assert_eq!(taken[..], [Taken::Appended(Offset(4))], "two later keys are known");
    }

    #[test]
    fn a_store_may_have_a_key_twice() {
        let mut keys = Keys::new(KeyWindow { keys_max: 2, age_max: Duration::MAX });
        for (offset, key) in [(1, "a"), (2, "a"), (3, "b")] {
            keys.push_stored(Offset(offset), at(1), *record(key, key).once.unwrap());
        }
        let taken = keys.take(&[record("a", "a")], Offset(3), at(1)).unwrap();
        assert_eq!(taken[..], [Taken::Repeated(Offset(2))]);
    }

    #[test]
    fn a_place_may_come_from_the_number_in_the_batch() {
        use Taken::{Appended, Passed, Repeated};
        let mut keys = Keys::new(KeyWindow::default());
        let first = Offset(7 << 16);
        let at_number = |n| Offset(first.0 + n);
        let mut passed = record("none", "");
        passed.kind = Kind::Ephemeral;
        passed.once = None;
        let plain = NewRecord { once: None, ..record("none", "") };
        let batch = [record("a", "1"), record("a", "1"), passed, plain, record("b", "2")];
        let taken = keys.take_at(&batch, first, at(1)).unwrap();
        let expected = [
            Appended(first),
            Repeated(first),
            Passed,
            Appended(at_number(3)),
            Appended(at_number(4)),
        ];
        assert_eq!(taken[..], expected);
        // What is refused or withdrawn leaves the keys of others alone, whose places are before.
        let second = Offset(8 << 16);
        let batch = [record("b", "2"), record("c", "3"), record("b", "other")];
        let refused = keys.take_at(&batch, second, at(1));
        assert_eq!(refused, Err(AppendError::KeyReused { record: 2 }));
        assert_eq!((keys.in_order.len(), keys.by_key.len()), (2, 2));
        let taken = keys.take_at(&batch[..2], second, at(1)).unwrap();
        assert_eq!(taken[..], [Repeated(at_number(4)), Appended(second.next())]);
        keys.withdraw(second.previous());
        let taken = keys.take_at(&[record("c", "other"), record("a", "1")], second, at(1)).unwrap();
        assert_eq!(taken[..], [Appended(second), Repeated(first)]);
    }

    #[test]
    fn known_keys_that_are_pushed_again_are_known_and_forgotten_alike() {
        let window = KeyWindow { keys_max: 5, age_max: Duration::from_millis(10) };
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut here = Keys::new(window);
            let mut sequence = 0;
            let mut now = 100;
            // A store's keys may be of any age, and there twice.
            for _ in 0..random.random_range(0..8) {
                sequence += 1;
                let key = random.random_range(0..4).to_string();
                let once = *record(&key, "0").once.unwrap();
                here.push_stored(Offset(sequence << 16), at(now - 5), once);
            }
            let mut there: Option<Keys> = None;
            for step in 0..40 {
                if there.is_none() && random.random_range(0..10) == 0 {
                    let mut restored = Keys::new(window);
                    for (offset, time, once) in here.known() {
                        restored.push_stored(offset, time, once);
                    }
                    there = Some(restored);
                }
                now += random.random_range(0..4);
                sequence += 1;
                let batch: Vec<_> = (0..random.random_range(0..5))
                    .map(|_| {
                        let data = u32::from(random.random_range(0..20) == 0).to_string();
                        record(&random.random_range(0..8).to_string(), &data)
                    })
                    .collect();
                let is_withdrawn = random.random_range(0..5) == 0;
                let take = |keys: &mut Keys| {
                    let first = Offset(sequence << 16);
                    let taken = keys.take_at(&batch, first, at(now));
                    if is_withdrawn {
                        keys.withdraw(first.previous());
                    }
                    keys.trim();
                    (taken, keys.known().collect::<Vec<_>>())
                };
                let expected = take(&mut here);
                assert!(expected.1.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
                if let Some(there) = &mut there {
                    assert_eq!(take(there), expected, "seed {seed}, step {step}");
                }
            }
        }
    }
}
