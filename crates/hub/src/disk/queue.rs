//! The queue before the writer: bounded, and taken whole.

use std::{mem, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};
use tidings_server::{
    log::{AppendError, Appended},
    record::NewRecord,
};
use tokio::sync::oneshot;

/// What the writer is to do.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    Reopen(oneshot::Sender<Result<(), AppendError>>),
    Close(oneshot::Sender<()>),
}

/// A batch that waits to be written.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) records: Vec<NewRecord>,
    /// About how many bytes it takes, never less than it does.
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Jobs that wait for the writer.
#[derive(Debug)]
pub(super) struct Queue {
    records_max: usize,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: Vec<Job>,
    records: usize,
    bytes: usize,
    latched: Option<Arc<str>>,
    closed: bool,
    stopped: bool,
    writer_sleeps: bool,
}

impl Queue {
    pub(super) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { records_max, bytes_max, waiting: Mutex::default(), ready: Condvar::new() }
    }

    /// Queues a batch. It is refused if it does not fit, unless nothing else is waiting.
    pub(super) fn append(
        &self,
        records: Vec<NewRecord>,
        bytes: usize,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(AppendError::Closed);
        }
        if let Some(cause) = &waiting.latched {
            return Err(AppendError::Latched { cause: Arc::clone(cause) });
        }
        let full = waiting.records + records.len() > self.records_max
            || waiting.bytes + bytes > self.bytes_max
            // A batch of no records costs a place too.
            || waiting.jobs.len() >= self.records_max;
        if full && !(waiting.records == 0 && waiting.jobs.is_empty()) {
            return Err(AppendError::Overloaded);
        }
        waiting.records += records.len();
        waiting.bytes += bytes;
        let (answer, answered) = oneshot::channel();
        self.push(&mut waiting, Job::Append(Append { records, bytes, answer }));
        Ok(answered)
    }

    /// Queues a try to leave the latched state.
    pub(super) fn reopen(&self) -> oneshot::Receiver<Result<(), AppendError>> {
        let (answer, answered) = oneshot::channel();
        self.push(&mut self.waiting.lock(), Job::Reopen(answer));
        answered
    }

    /// Refuses appends from now on, and queues the close behind those that are waiting.
    pub(super) fn close(&self) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        self.push(&mut waiting, Job::Close(answer));
        answered
    }

    /// Ends the writer; what is waiting is dropped.
    pub(super) fn stop(&self) {
        let mut waiting = self.waiting.lock();
        (waiting.closed, waiting.stopped) = (true, true);
        waiting.jobs.clear();
        self.ready.notify_one();
    }

    fn push(&self, waiting: &mut Waiting, job: Job) {
        // Nobody is left to take it; dropped, it answers that.
        if waiting.stopped {
            return;
        }
        waiting.jobs.push(job);
        // A wake-up is a system call: only the job that finds the writer asleep pays for it.
        if mem::take(&mut waiting.writer_sleeps) {
            self.ready.notify_one();
        }
    }

    /// Waits for jobs, at most for `time`, and takes all there are into the empty `jobs`; false
    /// if the writer is to end.
    pub(super) fn take(&self, jobs: &mut Vec<Job>, time: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.jobs.is_empty() && !waiting.stopped {
            waiting.writer_sleeps = true;
            self.ready.wait_for(&mut waiting, time);
            waiting.writer_sleeps = false;
        }
        mem::swap(&mut waiting.jobs, jobs);
        !waiting.stopped
    }

    /// A group with so many records and bytes is no longer waiting.
    pub(super) fn make_room(&self, records: usize, bytes: usize) {
        let mut waiting = self.waiting.lock();
        waiting.records -= records;
        waiting.bytes -= bytes;
    }

    /// Refuses appends for this cause, or takes them again.
    pub(super) fn latch(&self, cause: Option<Arc<str>>) {
        self.waiting.lock().latched = cause;
    }

    /// Why appends are refused.
    pub(super) fn latched(&self) -> Option<Arc<str>> {
        self.waiting.lock().latched.clone()
    }
}
