//! Filters, each of them once: most subscribers follow what others follow.

use std::{collections::HashSet, sync::Arc};

use crate::matcher::Filter;

/// The filters of the subscribers there are.
#[derive(Debug, Default)]
pub(super) struct Filters {
    known: HashSet<Arc<Filter>>,
    forget_at: usize,
}

impl Filters {
    // Below that many there is little to win by looking for those that nobody has any more.
    const FORGET_AT_LEAST: usize = 1_024;

    /// The one that is equal to `filter`.
    pub(super) fn shared(&mut self, filter: Filter) -> Arc<Filter> {
        if let Some(known) = self.known.get(&filter) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.forget_at.max(Self::FORGET_AT_LEAST) {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.known.shrink_to(2 * self.known.len());
            self.forget_at = 2 * self.known.len();
        }
        let filter = Arc::new(filter);
        self.known.insert(Arc::clone(&filter));
        filter
    }

    /// Forgets it if whoever has this was the last: a filter of many patterns takes megabytes.
    pub(super) fn left(&mut self, filter: &Arc<Filter>) {
        // This one, and the one that is known.
        if Arc::strong_count(filter) <= 2 {
            self.known.remove(filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matcher::Matcher, topic::Topic};

    fn of(topic: usize) -> Filter {
        Filter::new([Matcher::Exact(Topic::new(format!("t{topic}")).unwrap())])
    }

    #[test]
    fn equal_filters_are_one_and_those_that_nobody_has_are_forgotten() {
        let mut filters = Filters::default();
        let first = filters.shared(of(0));
        assert!(Arc::ptr_eq(&first, &filters.shared(of(0))));
        for topic in 0..100_000 {
            filters.shared(of(topic));
        }
        assert!(filters.known.len() <= Filters::FORGET_AT_LEAST);
        assert!(Arc::ptr_eq(&first, &filters.shared(of(0))), "it is still somebody's");
        let held: Vec<_> = (0..10_000).map(|topic| filters.shared(of(topic))).collect();
        assert!(filters.known.len() >= held.len());
        let twice = filters.shared(of(0));
        filters.left(&twice);
        assert!(filters.known.contains(&twice), "it is somebody else's, too");
        let last = filters.shared(of(200_000));
        filters.left(&last);
        assert!(!filters.known.contains(&last));
    }
}
