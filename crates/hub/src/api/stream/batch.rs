//! Events of a stream on their way to the log.

use tidings_server::{cursor::Cursor, idempotency::Key, log::AppendError, record::NewRecord};

use crate::{
    api::{
        key,
        publish::{take, under_way},
    },
    hub::Hub,
    problem::{Account, Kind, Problem},
    under_way::Claim,
};

/// An event of a stream.
#[derive(Debug)]
pub(super) struct Event {
    record: NewRecord,
    key: Option<Key>,
}

impl Event {
    pub(super) fn new(record: NewRecord, key: Option<Key>) -> Self {
        let record = match key {
            Some(key) => record.once(key),
            None => record,
        };
        Self { record, key }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let record = &self.record;
        let topics: usize = record.topics.iter().map(|topic| topic.as_str().len()).sum();
        let id = record.id.as_ref().map_or(0, |id| id.as_str().len());
        let event = record.event.as_ref().map_or(0, |event| event.as_str().len());
        // With a key, a copy of the record is kept.
        let copies = 1 + usize::from(self.key.is_some());
        copies * (size_of::<Self>() + topics + id + event + record.data.len())
    }
}

/// Events that go to the log together.
pub(super) struct Batch {
    /// The number of the first, counted from 1.
    first: u64,
    records: Vec<NewRecord>,
    bytes: usize,
    events_max: usize,
    /// Their keys.
    claim: Claim,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Committed {
    /// What is certain to be published of it: all, or all before the problem.
    pub(super) account: Account,
    pub(super) problem: Option<Problem>,
}

impl Batch {
    // As much as a batch that is published at once takes by default; a single larger event is taken
    // alone.
    const BYTES_MAX: usize = 1 << 20;

    pub(super) fn new(hub: &Hub, first: u64) -> Self {
        Self {
            first,
            records: Vec::new(),
            bytes: 0,
            events_max: hub.config.limits.batch_events_max,
            claim: hub.under_way.empty_claim(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// About how many bytes its events take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the event after its last.
    pub(super) fn next_number(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Adds an event, or gives it back if there is no room for it.
    ///
    /// # Errors
    /// A publish with its key is under way.
    pub(super) fn push(&mut self, event: Event) -> Result<Option<Event>, Problem> {
        let bytes = self.bytes + event.bytes();
        let is_full = self.records.len() >= self.events_max || bytes > Self::BYTES_MAX;
        if is_full && !self.is_empty() {
            return Ok(Some(event));
        }
        if let Some(key) = event.key
            && !self.claim.add(key)
        {
            return Err(under_way().of(key::HEADER).on_event(self.next_number()));
        }
        self.bytes = bytes;
        self.records.push(event.record);
        Ok(None)
    }

    /// Has the log take it.
    pub(super) async fn commit(self, hub: Hub) -> Committed {
        let Self { first, records, claim, .. } = self;
        let last = first + records.len() as u64 - 1;
        let is_keyed = records.iter().any(|record| record.once.is_some());
        let copy = if is_keyed { records.clone() } else { Vec::new() };
        let committed = match append(&hub, records).await {
            Ok(account) => Committed { account, problem: None },
            Err(AppendError::KeyReused { record }) => {
                let problem = Problem::from(AppendError::KeyReused { record });
                let problem = problem.of(key::HEADER).on_event(first + record as u64);
                before(&hub, copy, record, first, problem).await
            }
            Err(error) => refused(error, first, last),
        };
        drop(claim);
        committed
    }
}

/// Publishes what stands before the record that was refused, and all of the batch with it.
async fn before(
    hub: &Hub,
    mut records: Vec<NewRecord>,
    refused_record: usize,
    first: u64,
    problem: Problem,
) -> Committed {
    records.truncate(refused_record);
    if records.is_empty() {
        return Committed { account: Account::default(), problem: Some(problem) };
    }
    let last = first + records.len() as u64 - 1;
    match append(hub, records).await {
        Ok(account) => Committed { account, problem: Some(problem) },
        Err(error) => refused(error, first, last),
    }
}

fn refused(error: AppendError, first: u64, last: u64) -> Committed {
    let mut problem = Problem::from(error);
    if problem.kind == Kind::OutcomeUnknown {
        let events = if first == last {
            format!("event {first} is published")
        } else {
            format!("events {first} to {last} are published")
        };
        problem.detail = format!("{}: whether {events} is not known", problem.detail);
    }
    Committed { account: Account::default(), problem: Some(problem) }
}

async fn append(hub: &Hub, records: Vec<NewRecord>) -> Result<Account, AppendError> {
    let last_own_id =
        records.last().and_then(|record| record.id.as_ref()).map(|id| id.as_str().to_owned());
    let appended = take(hub, records).await?;
    let cursor = |offset| Cursor::new(appended.epoch, offset).to_string();
    Ok(Account {
        published: appended.records.len() as u64,
        last_id: last_own_id.or_else(|| appended.last().map(cursor)),
        repeated: appended.records.iter().filter(|taken| taken.is_repeated()).count() as u64,
    })
}
