//! The writer: one thread that groups what is waiting, commits it, and answers.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tidings_server::{
    cursor::Offset,
    log::{AppendError, Appended, Keys, Place, Taken},
    record::{PublisherId, Record, SharedRecord, Timestamp},
};
use tokio::sync::oneshot;

use super::{
    Location, Shared,
    active::{Active, Failure, Group},
    frame,
    options::Options,
    queue::{Append, Job},
};
use crate::stored;

// A group takes this much at most, so that no answer waits for a write of the whole queue.
const GROUP_BYTES_MAX: usize = 4 << 20;
// The buffer is kept from group to group up to this size.
const BUFFER_BYTES_MAX: usize = 8 << 20;

/// The bytes of the largest frame: a batch is never divided.
pub(super) fn frame_bytes_max(options: &Options) -> u64 {
    let header_and_padding = frame::HEADER_BYTES + frame::SECTOR_BYTES;
    (GROUP_BYTES_MAX.max(options.batch_bytes_max) + header_and_padding) as u64
}

/// The state of the writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    // None once the log is closed.
    active: Option<Active>,
    // Of what is durable, and of the group that is being written.
    keys: Keys,
    time: Timestamp,
    group: Vec<Append>,
    group_bytes: usize,
    // What encoding the group makes of it.
    buffer: Vec<u8>,
    encoded: Vec<Encoded>,
    answers: Vec<(Answer, Result<Appended, AppendError>)>,
    ids: HashSet<PublisherId>,
}

type Answer = oneshot::Sender<Result<Appended, AppendError>>;

#[derive(Debug)]
struct Encoded {
    record: SharedRecord,
    // Where it lies in the buffer.
    at: usize,
    bytes: usize,
    id_reused: bool,
}

impl Encoded {
    fn is_kept(&self) -> bool {
        self.record.new.kind.is_kept()
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, active: Active, keys: Keys, time: Timestamp) -> Self {
        Self {
            shared,
            active: Some(active),
            keys,
            time,
            group: Vec::new(),
            group_bytes: 0,
            buffer: Vec::new(),
            encoded: Vec::new(),
            answers: Vec::new(),
            ids: HashSet::new(),
        }
    }

    /// Works until the log is dropped.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // Also when this thread panics: then those who wait learn that nobody will answer.
        let _stop = StopOnDrop(&shared);
        let age = shared.options.retention.age_max;
        let age_check = age.clamp(Duration::from_secs(1), Duration::from_secs(60));
        let mut jobs = Vec::new();
        while shared.queue.take(&mut jobs, age_check) {
            for job in jobs.drain(..) {
                self.job(job);
            }
            self.commit();
        }
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Append(append) => {
                if self.group_bytes + append.bytes > GROUP_BYTES_MAX {
                    self.commit();
                }
                self.group_bytes += append.bytes;
                self.group.push(append);
            }
            Job::Reopen(answer) => {
                self.commit();
                // Whoever asked may have gone, here and below.
                let _ = answer.send(self.reopen());
            }
            Job::Close(answer) => {
                self.commit();
                self.close();
                let _ = answer.send(());
            }
        }
    }

    // Commits the group, answers it, and only then trims.
    fn commit(&mut self) {
        if !self.group.is_empty() {
            let records = self.group.iter().map(|append| append.records.len()).sum();
            let committed = self.commit_group();
            // Before the answers: who has got one finds room for the next.
            self.shared.queue.make_room(records, std::mem::take(&mut self.group_bytes));
            match committed {
                Ok(written) => self.publish(written),
                Err(error) => self.refuse(&error),
            }
        }
        self.shared.trim();
        if let Some(active) = &mut self.active {
            active.sweep();
            active.compact();
        }
    }

    // Where the group's frame begins; nowhere, if the group has no new records.
    fn commit_group(&mut self) -> Result<Option<Location>, AppendError> {
        if let Some(cause) = self.shared.queue.latched() {
            return Err(AppendError::Latched { cause });
        }
        let Some(last) = self.active.as_ref().map(Active::last) else {
            return Err(AppendError::Closed);
        };
        self.time = self.time.max(self.shared.storage.now());
        self.encode(last);
        let records = self.encoded.iter().filter(|encoded| encoded.is_kept()).count();
        let Some(active) = self.active.as_mut().filter(|_| records > 0) else {
            return Ok(None);
        };
        let group = Group { records: records as u32, first: last.next() };
        let written = active.write(&mut self.buffer, &group);
        written.map(Some).map_err(|Failure { cause, may_be_there }| {
            tracing::error!("{cause}");
            self.shared.queue.latch(Some(Arc::clone(&cause)));
            if may_be_there {
                AppendError::Unknown { cause }
            } else {
                AppendError::Latched { cause }
            }
        })
    }

    // Gives the group's new records their places after `last`, and their bytes. A batch that
    // repeats another of the group is answered with it, once that is durable.
    fn encode(&mut self, last: Offset) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        frame::begin(&mut self.buffer);
        let epoch = self.shared.epoch;
        let mut offset = last;
        for append in self.group.drain(..) {
            let taken = match self.keys.take(&append.records, offset, self.time) {
                Ok(taken) => taken,
                Err(error) => {
                    self.answers.push((append.answer, Err(error)));
                    continue;
                }
            };
            for (new, taken) in append.records.into_iter().zip(&taken) {
                match *taken {
                    Taken::Appended(place) => offset = place,
                    Taken::Repeated(_) => continue,
                    Taken::Passed => {
                        // It is not written, and goes to the tail in its turn.
                        let record = Arc::new(Record { offset, time: self.time, new });
                        self.encoded.push(Encoded { record, at: 0, bytes: 0, id_reused: false });
                        continue;
                    }
                }
                let reused = new.id.as_ref().is_some_and(|id| {
                    !self.ids.insert(id.clone()) || self.shared.state.read().index.has_id(id)
                });
                let at = self.buffer.len();
                stored::encode(&mut self.buffer, offset, self.time, &new, reused);
                let bytes = self.buffer.len() - at;
                let record = Arc::new(Record { offset, time: self.time, new });
                self.encoded.push(Encoded { record, at, bytes, id_reused: reused });
            }
            self.answers.push((append.answer, Ok(Appended::new(epoch, taken))));
        }
        self.ids.clear();
    }

    // What is durable becomes visible to reads, then to the tail, then is acknowledged.
    fn publish(&mut self, frame: Option<Location>) {
        if let Some(Location { segment, at: frame }) = frame {
            self.push(segment, frame);
        }
        self.shared.feed.publish(self.encoded.drain(..).map(|encoded| encoded.record));
        self.keys.trim();
        for (answer, outcome) in self.answers.drain(..) {
            // Whoever asked may have gone, here and below.
            let _ = answer.send(outcome);
        }
    }

    fn push(&self, segment: u32, frame: u32) {
        let mut state = self.shared.state.write();
        let kept = self.encoded.iter().filter(|encoded| encoded.is_kept());
        for Encoded { record, at, bytes, id_reused } in kept {
            let place = Place {
                offset: record.offset,
                time: record.time,
                bytes: *bytes as u32,
                location: Location { segment, at: frame + *at as u32 },
            };
            state.index.push(place, &record.new, !id_reused);
        }
        let kept = self.encoded.iter().filter(|encoded| encoded.is_kept());
        let live_bytes: u64 = kept.map(|encoded| encoded.bytes as u64).sum();
        let last = state.index.last();
        if let Some(kept) = state.segments.back_mut() {
            kept.last = last;
            kept.live_bytes += live_bytes;
        }
    }

    fn refuse(&mut self, error: &AppendError) {
        self.encoded.clear();
        if let Some(active) = &self.active {
            self.keys.withdraw(active.last());
        }
        let unwritten = self.group.drain(..).map(|append| append.answer);
        let written = self.answers.drain(..).map(|(answer, _)| answer);
        for answer in unwritten.chain(written) {
            let _ = answer.send(Err(error.clone()));
        }
    }

    fn reopen(&mut self) -> Result<(), AppendError> {
        let active = self.active.as_mut().ok_or(AppendError::Closed)?;
        if self.shared.queue.latched().is_none() {
            return Ok(());
        }
        let reopened = active.reopen().map_err(|failure| failure.cause);
        self.shared.queue.latch(reopened.as_ref().err().cloned());
        reopened.map_err(|cause| AppendError::Latched { cause })
    }

    fn close(&mut self) {
        let Some(active) = self.active.take() else { return };
        // After a failed write the disk is not to be trusted with the word that all is well.
        if self.shared.queue.latched().is_some() {
            return;
        }
        if let Err(error) = active.close() {
            let dir = self.shared.options.dir.display();
            tracing::warn!("{dir}: the log was not closed cleanly: {error}");
        }
    }
}

struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // So that health checks say it too.
            self.0.queue.latch(Some("the log's writer failed; restart the hub".into()));
        }
        self.0.queue.stop();
    }
}
