//! The contract suite: what every [`Log`] must do, in tests that any log's crate can run.
//!
//! [`contract_tests!`](crate::contract_tests) makes a test of each check:
//!
//! ```ignore
//! mod memory {
//!     tidings_server::contract_tests!(MemorySubject);
//! }
//! ```
//!
//! It supposes nothing of an offset but what the contract says: a check learns from the answers
//! where its records stand, and what it asks at a place, it asks in the gap behind it as well.
//!
//! Whoever uses a log also meets one that fails: [`Faulty`](crate::log::contract::Faulty).

mod appends;
mod faulty;
mod history;
mod keys;
mod kinds;
mod model;
mod places;
mod reads;
#[cfg(test)]
pub(crate) mod sparse;

use std::{future::Future, pin::Pin, time::Duration};

use self::places::Places;
pub use self::{
    appends::*,
    faulty::{Fault, Faulty},
    history::*,
    keys::*,
    kinds::*,
    model::*,
    reads::*,
};
use super::{
    Batch, KeyWindow, Log, Page, ReadLimits, Retention, SharedLog, Since, TopicRule, TopicRules,
};
use crate::{
    cursor::Offset,
    matcher::{Filter, Matcher, Pattern},
    record::{Kind, NewRecord, PublisherId, SharedRecord},
    topic::Topic,
};

/// How a log is to be set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Setup {
    /// How much of all topics it keeps.
    pub retention: Retention,
    /// How much of single topics.
    pub rules: TopicRules,
    /// For how long it knows keys.
    pub keys: KeyWindow,
}

impl Setup {
    fn keys(keys: KeyWindow) -> Self {
        Self { keys, ..all().into() }
    }

    fn rules(rules: impl IntoIterator<Item = (Matcher, Retention)>) -> Self {
        let rules = rules.into_iter().map(|(topics, limits)| TopicRule { topics, limits });
        let rules = TopicRules::new(rules.collect()).expect("few rules");
        Self { rules, ..all().into() }
    }
}

impl From<Retention> for Setup {
    /// No rules, and the usual window of keys.
    fn from(retention: Retention) -> Self {
        Self { retention, rules: TopicRules::default(), keys: KeyWindow::default() }
    }
}

/// What makes the logs that are tested.
pub trait Subject: Send + Sync {
    /// An empty log that is set up so.
    fn open_with(&self, setup: Setup) -> SharedLog;

    /// The log again, after it was closed and opened if it outlives that. It is set up as it was.
    fn reopen_with(
        &self,
        log: SharedLog,
        setup: Setup,
    ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>>;

    /// [`open_with`](Self::open_with) no rules and the usual window of keys.
    fn open(&self, retention: Retention) -> SharedLog {
        self.open_with(retention.into())
    }

    /// [`reopen_with`](Self::reopen_with) no rules and the usual window of keys.
    fn reopen(
        &self,
        log: SharedLog,
        retention: Retention,
    ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>> {
        self.reopen_with(log, retention.into())
    }
}

/// Makes a test of each check of the contract, with the [`Subject`] that the expression makes.
#[macro_export]
macro_rules! contract_tests {
    ($subject:expr) => {
        $crate::contract_tests!($subject;
            offsets_rise_and_a_batch_stands_together,
            an_empty_batch_appends_nothing,
            what_is_acknowledged_is_visible,
            every_field_survives,
            concurrent_batches_stay_whole,
            the_tail_yields_everything_once_and_in_order,
            the_tail_of_a_quiet_log_waits,
            a_closed_log_refuses_appends_and_serves_reads,
            filters_choose,
            a_record_is_found_by_its_offset,
            pages_keep_their_limits,
            reads_reach_the_end,
            summaries_come_by_name,
            trimming_keeps_the_newest,
            a_quiet_topic_is_not_trimmed,
            a_log_trimmed_to_nothing_keeps_its_end,
            trims_past_the_bound_may_only_alarm,
            a_reused_id_is_its_earliest_record,
            a_noisy_topic_under_a_rule_evicts_only_itself,
            a_rule_holds_for_each_topic_by_itself,
            an_ephemeral_event_is_in_the_tail_alone,
            a_topic_ends_and_opens,
            the_end_of_a_trimmed_topic_is_known_and_is_no_loss,
            a_random_history_equals_the_model,
            a_key_is_appended_once,
            a_key_stands_for_one_event,
            a_batch_is_less_what_it_repeats,
            a_refused_batch_leaves_no_key,
            publishers_at_the_same_time_append_a_key_once,
            keys_are_known_up_to_a_count,
            keys_are_known_for_a_time,
            keys_are_known_after_their_records_were_trimmed,
            random_keys_equal_the_model,
        );
    };
    ($subject:expr; $($check:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                $crate::log::contract::$check(&$subject).await;
            }
        )*
    };
}

/// Retention that trims nothing.
fn all() -> Retention {
    Retention::UNLIMITED
}

/// Retention of the newest `records_max` records.
fn newest(records_max: usize) -> Retention {
    Retention { records_max, ..all() }
}

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a topic")
}

fn ephemeral(name: &str, data: impl ToString) -> NewRecord {
    NewRecord { kind: Kind::Ephemeral, ..record(name, data) }
}

fn record(name: &str, data: impl ToString) -> NewRecord {
    NewRecord::new(topic(name), data.to_string())
}

fn with_id(name: &str, id: &str) -> NewRecord {
    NewRecord { id: Some(publisher_id(id)), ..record(name, id) }
}

fn publisher_id(id: &str) -> PublisherId {
    PublisherId::new(id).expect("a publisher's id")
}

fn exactly(names: &[&str]) -> Filter {
    Filter::new(names.iter().map(|name| Matcher::Exact(topic(name))))
}

fn pattern(source: &str) -> Matcher {
    let base = url::Url::parse("http://localhost/").expect("a URL");
    Matcher::Pattern(Pattern::parse(source, &base).expect("a pattern"))
}

async fn append(log: &dyn Log, batch: impl Into<Batch>) -> Offset {
    let appended = log.append(batch.into()).await.expect("appended");
    appended.last().expect("a batch with records")
}

async fn page(log: &dyn Log, after: Offset, filter: &Filter, limits: ReadLimits) -> Page {
    let page = log.read(Since::after(after), filter, limits).await.expect("read");
    assert_eq!(page.trimmed, Offset::ZERO, "trimmed after {after}");
    page
}

/// All that matches, page by page, and how far that reaches.
async fn read_all(log: &dyn Log, after: Offset, filter: &Filter) -> (Vec<SharedRecord>, Offset) {
    let last = log.bounds().last;
    let mut through = after;
    let mut records = Vec::new();
    while through < last {
        let page = page(log, through, filter, ReadLimits::default()).await;
        assert!(page.through > through, "a page moves on");
        through = page.through;
        records.extend(page.records);
    }
    (records, through)
}

fn offsets(records: &[SharedRecord]) -> Vec<Offset> {
    records.iter().map(|record| record.offset).collect()
}

fn data(records: &[SharedRecord]) -> Vec<&str> {
    records.iter().map(|record| &*record.new.data).collect()
}

/// Whether a read after `after` says that something is missing; and that it says so no more to who
/// knows.
async fn is_trimmed(log: &dyn Log, after: Offset, filter: &Filter) -> bool {
    let since = Since::after(after);
    let page = log.read(since, filter, ReadLimits::default()).await.expect("read");
    let Page { trimmed, trims_seen, .. } = page;
    assert!(trimmed == Offset::ZERO || trimmed > after);
    for trims_seen in [0, trims_seen] {
        let since = Since { after, told: trimmed, trims_seen };
        let again = log.read(since, filter, ReadLimits::default()).await.expect("read");
        assert_eq!(again, Page { trimmed: Offset::ZERO, ..page.clone() });
        let past = Since { trims_seen, ..Since::after(trimmed.max(after)) };
        let past = log.read(past, filter, ReadLimits::default()).await.expect("read");
        assert_eq!(past.trimmed, Offset::ZERO);
    }
    trimmed > Offset::ZERO
}
