//! The contract suite: what every [`Log`] must do, in tests that any log's crate can run.
//!
//! [`contract_tests!`](crate::contract_tests) makes a test of each check:
//!
//! ```ignore
//! mod memory {
//!     tidings_server::contract_tests!(MemorySubject);
//! }
//! ```

mod appends;
mod history;
mod keys;
mod kinds;
mod model;
mod reads;

use std::{future::Future, pin::Pin, time::Duration};

pub use self::{appends::*, history::*, keys::*, kinds::*, model::*, reads::*};
use super::{Batch, KeyWindow, Log, Page, Read, ReadLimits, Retention, SharedLog};
use crate::{
    cursor::Offset,
    matcher::{Filter, Matcher, Pattern},
    record::{Kind, NewRecord, PublisherId, SharedRecord},
    topic::Topic,
};

/// What makes the logs that are tested.
pub trait Subject: Send + Sync {
    /// An empty log with this retention, which knows keys for this long.
    fn open_with(&self, retention: Retention, keys: KeyWindow) -> SharedLog;

    /// The log again, after it was closed and opened if it outlives that. The retention and the
    /// window are those it was opened with.
    fn reopen_with(
        &self,
        log: SharedLog,
        retention: Retention,
        keys: KeyWindow,
    ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>>;

    /// [`open_with`](Self::open_with) the usual window of keys.
    fn open(&self, retention: Retention) -> SharedLog {
        self.open_with(retention, KeyWindow::default())
    }

    /// [`reopen_with`](Self::reopen_with) the usual window of keys.
    fn reopen(
        &self,
        log: SharedLog,
        retention: Retention,
    ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>> {
        self.reopen_with(log, retention, KeyWindow::default())
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
    Retention { records_max: usize::MAX, bytes_max: u64::MAX, age_max: Duration::MAX }
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
    match log.read(after, filter, limits).await.expect("read") {
        Read::Page(page) => page,
        Read::Trimmed { resume_after } => panic!("trimmed up to {resume_after}"),
    }
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

fn offsets(records: &[SharedRecord]) -> Vec<u64> {
    records.iter().map(|record| record.offset.0).collect()
}

fn data(records: &[SharedRecord]) -> Vec<&str> {
    records.iter().map(|record| &*record.new.data).collect()
}

/// Whether a read after `after` says that something is missing; and that it then says from where
/// nothing is.
async fn is_trimmed(log: &dyn Log, after: Offset, filter: &Filter) -> bool {
    match log.read(after, filter, ReadLimits::default()).await.expect("read") {
        Read::Page(_) => false,
        Read::Trimmed { resume_after } => {
            assert_eq!(resume_after, log.bounds().first.previous());
            let again = log.read(resume_after, filter, ReadLimits::default()).await;
            assert!(matches!(again, Ok(Read::Page(_))), "{again:?}");
            true
        }
    }
}
