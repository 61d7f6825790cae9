//! Keys under way: of which idempotency keys a publish is being handled.
//!
//! The log itself never appends a key twice, and answers a repetition once the outcome of the
//! first is known. But a publisher that sends its event again while the first try is stuck would
//! only wait beside it, with as many bytes as before; it is told at once.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use tidings_server::idempotency::Key;

/// The keys of the publishes that are being handled: no more than the events that are.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashSet<Key>>>);

/// Keys that are under way until this is dropped, as it is when the publisher goes away.
#[derive(Debug)]
pub(crate) struct Claim {
    under_way: UnderWay,
    keys: Vec<Key>,
}

impl UnderWay {
    /// A claim to no key, to add to.
    pub(crate) fn empty_claim(&self) -> Claim {
        Claim { under_way: self.clone(), keys: Vec::new() }
    }

    /// Claims the keys, all or none; a key may be given more than once. Else says which of the
    /// items has a key that is under way already.
    pub(crate) fn claim(
        &self,
        keys: impl IntoIterator<Item = Option<Key>>,
    ) -> Result<Claim, usize> {
        let mut claim = self.empty_claim();
        let mut own = HashSet::new();
        for (at, key) in keys.into_iter().enumerate() {
            let Some(key) = key.filter(|&key| own.insert(key)) else { continue };
            if !self.0.lock().insert(key) {
                return Err(at);
            }
            claim.keys.push(key);
        }
        Ok(claim)
    }
}

impl Claim {
    /// Claims one more key, unless it is under way already.
    #[must_use]
    pub(crate) fn add(&mut self, key: Key) -> bool {
        let claimed = self.under_way.0.lock().insert(key);
        if claimed {
            self.keys.push(key);
        }
        claimed
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut under_way = self.under_way.0.lock();
        self.keys.iter().for_each(|key| {
            under_way.remove(key);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_claimed_by_one_until_it_is_let_go() {
        let [a, b, c] = ["a", "b", "c"].map(|key| Some(Key::new("", key).unwrap()));
        let under_way = UnderWay::default();
        let first = under_way.claim([None, a, b, a, None]).expect("its own twice is no conflict");
        assert_eq!(under_way.claim([None, c, b]).unwrap_err(), 2);
        let second = under_way.claim([c]).expect("what was refused as a whole claims nothing");
        drop(first);
        let third = under_way.claim([a, b]).expect("they were let go");
        assert_eq!(under_way.claim([c]).unwrap_err(), 0);
        let mut fourth = under_way.empty_claim();
        assert!(!fourth.add(c.unwrap()), "it is the second's");
        drop(second);
        assert!(fourth.add(c.unwrap()) && !fourth.add(c.unwrap()));
        drop((third, fourth));
        assert!(under_way.0.lock().is_empty());
    }
}
