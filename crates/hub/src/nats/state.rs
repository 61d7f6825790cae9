//! The state: what all messages of the stream, folded in their order, make of the log.
//!
//! Every hub of a stream folds the same messages to the same state. So the fold looks at nothing
//! but the messages: what time it is, the stream says.

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, mem};

use bytes::Bytes;
use tidings_server::{
    cursor::{Epoch, Offset},
    log::{AppendError, Appended, Index, Keys, Place as IndexPlace, Taken},
    record::{NewRecord, Record, SharedRecord, Timestamp},
};

use super::{
    Options,
    checkpoint::{Checkpoint, CheckpointError, Memory, MemoryError, StoredKey},
    held::Held,
    message::{Carried, Entry, Message, MessageError, Place},
};

/// Where a record is in the stream: written as the offset of a record that was never carried is.
pub(super) type Location = Offset;

/// What the messages were folded to.
#[derive(Debug)]
pub(super) struct State {
    pub(super) epoch: Epoch,
    pub(super) index: Index<Location>,
    pub(super) held: Held,
    /// The newest message that was folded; none before the first.
    pub(super) last: Option<Place>,
    // The newest message that is remembered, or was there before the log.
    from: u64,
    keys: Keys,
    retention: tidings_server::log::Retention,
    // Never goes back, as the stream's clock may when another server leads.
    time: Timestamp,
    // Of the messages that are held, the records that have no place in the log.
    skipped: BTreeSet<Offset>,
    // The messages that carry records.
    carriers: BTreeSet<u64>,
    carried_before: u64,
    // The newest message that is a checkpoint; zero before the first.
    checkpoint: u64,
    // While a log is taken up again, what is remembered of its messages.
    past: Option<Past>,
}

#[derive(Debug)]
struct Past {
    memory: Memory,
    later_ids: BTreeSet<Offset>,
}

/// What a message changed.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// Records for those who follow the tail.
    pub(super) records: Vec<SharedRecord>,
    /// What became of each batch of the message.
    pub(super) outcomes: Vec<Outcome>,
    /// A checkpoint, if the message was one.
    pub(super) checkpoint: Option<Checkpoint>,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) node: u64,
    pub(super) number: u64,
    pub(super) result: Result<Appended, AppendError>,
}

/// Why a message could not be folded. All hubs pass over such a message, unless it is a later
/// hub's.
#[derive(Debug, thiserror::Error)]
pub(super) enum FoldError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl FoldError {
    /// Whether a later hub's message was not understood: then the log is not to be folded further.
    pub(super) fn is_newer(&self) -> bool {
        matches!(
            self,
            Self::Message(MessageError::Version(_)) | Self::Checkpoint(CheckpointError::Format(_))
        )
    }
}

impl State {
    // One trim holds the state this long at most: about five milliseconds.
    const TRIM_RECORDS_MAX: usize = 16_384;

    /// The state of a log without events, before the message after `through`.
    pub(super) fn new(epoch: Epoch, through: u64, options: &Options) -> Self {
        Self {
            epoch,
            from: through,
            index: Index::new(Offset::ZERO).with_rules(options.rules.clone()),
            held: Held::default(),
            last: None,
            keys: Keys::new(options.key_window),
            retention: options.retention,
            time: Timestamp::default(),
            skipped: BTreeSet::new(),
            carriers: BTreeSet::new(),
            carried_before: 0,
            checkpoint: 0,
            past: None,
        }
    }

    /// The state before the messages that are left, of a log that has this memory and carries
    /// these records. Messages up to `through` are then [taken up](Self::take_up).
    pub(super) fn remembered(
        checkpoint: &Checkpoint,
        mut memory: Memory,
        carried: Vec<(Place, Vec<Carried>)>,
        options: &Options,
    ) -> Result<Self, MemoryError> {
        let mut state = Self::new(checkpoint.epoch, checkpoint.through, options);
        memory.remind(&mut state.index)?;
        state.time = Timestamp { unix_ms: memory.time_ms };
        state.carried_before = memory.carried_before;
        for (offset, time, once) in mem::take(&mut memory.keys).iter().map(<_>::from) {
            state.keys.push_stored(offset, time, once);
        }
        state.skipped = mem::take(&mut memory.skipped).into_iter().map(Offset).collect();
        let later_ids = mem::take(&mut memory.later_ids).into_iter().map(Offset).collect();
        state.past = Some(Past { memory, later_ids });
        let mut older = Vec::new();
        for (place, carried) in carried {
            state.carriers.insert(place.sequence);
            let all = carried.into_iter().enumerate();
            older.extend(all.map(|(index, one)| (one, place.offset(index))));
        }
        // One that was carried twice is where it was carried last.
        older.sort_by_key(|(one, location)| (one.record.offset, *location));
        let mut older = older.into_iter().peekable();
        while let Some((one, location)) = older.next() {
            let is_elsewhere = |next: &(Carried, _)| next.0.record.offset == one.record.offset;
            if !older.peek().is_some_and(is_elsewhere) {
                let Carried { record, bytes } = one;
                state.list(&record.new, record.offset, record.time, bytes, location);
            }
        }
        Ok(state)
    }

    /// The newest message that was folded, or is remembered.
    pub(super) fn through(&self) -> u64 {
        self.last.map_or(self.from, |last| last.sequence.max(self.from))
    }

    /// Goes on after `through`: the messages up to there that were not folded are gone.
    pub(super) fn pass_over(&mut self, through: u64) {
        self.from = self.from.max(through);
    }

    /// Which message is the newest checkpoint that was folded.
    pub(super) fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Takes up a message that is remembered: one up to [`through`](Self::through), when the state
    /// was made.
    pub(super) fn take_up(&mut self, place: Place, payload: &Bytes) {
        self.last = Some(place);
        let mut live = 0;
        match Message::parse(payload) {
            Ok(Message::Batches { entries, .. }) if place.sequence >= self.carried_before => {
                for Entry { first, records, bytes, .. } in entries {
                    for ((index, new), bytes) in (first..).zip(&records).zip(bytes) {
                        let offset = place.offset(index);
                        let is_listed = new.kind.is_kept() && !self.skipped.contains(&offset);
                        if is_listed && self.list(new, offset, place.time, bytes, offset) {
                            live += 1;
                        }
                    }
                }
            }
            Ok(Message::Carried(carried)) if self.carriers.contains(&place.sequence) => {
                let is_here = |(index, one): (usize, &Carried)| {
                    let hit = self.index.find(one.record.offset);
                    hit.is_some_and(|hit| hit.location == place.offset(index))
                };
                live = carried.iter().enumerate().filter(|one| is_here(*one)).count();
            }
            _ => {}
        }
        self.held.push(place.sequence, live, payload.len());
    }

    // Lists a remembered record, if it is still kept.
    fn list(
        &mut self,
        new: &NewRecord,
        offset: Offset,
        time: Timestamp,
        bytes: u32,
        location: Location,
    ) -> bool {
        let Some(past) = &self.past else { return false };
        // Of a message that was carried in parts, some may be carried and the others not yet: the
        // carried ones were listed before.
        if offset.0 < past.memory.first || offset <= self.index.last() {
            return false;
        }
        let is_first = |id| !self.index.has_id(id) && !past.later_ids.contains(&offset);
        let earliest = new.id.as_ref().is_none_or(is_first);
        let topics = new.topics.iter().map(tidings_server::topic::Topic::as_str);
        let id = new.id.as_ref().map(|id| id.as_str());
        let place = IndexPlace { offset, time, bytes, location };
        self.index.push_stored(place, new.kind, topics, id, earliest).unwrap_or(false)
    }

    /// Ends the taking up. False if records are missing that the memory has.
    pub(super) fn is_whole(&mut self) -> bool {
        let Some(Past { memory, .. }) = self.past.take() else { return true };
        self.index.advance(Offset(memory.last));
        let is_whole = self.index.records() as u64 == memory.records;
        // The memory may have been written down before all was trimmed.
        while self.trim() {}
        is_whole
    }

    /// Folds the next message.
    ///
    /// # Errors
    /// [`FoldError`] if it is not understood. It counts as folded all the same, unless
    /// [`FoldError::is_newer`].
    pub(super) fn fold(&mut self, place: Place, payload: &Bytes) -> Result<Folded, FoldError> {
        let message = Message::parse(payload).map_err(FoldError::from);
        let message = message.and_then(|message| match message {
            Message::Checkpoint(json) => Ok((None, Some(Checkpoint::parse(&json)?))),
            message => Ok((Some(message), None)),
        });
        if message.as_ref().is_err_and(FoldError::is_newer) {
            return message.map(|_| Folded::default());
        }
        self.last = Some(place);
        self.time = self.time.max(place.time);
        let mut folded = Folded::default();
        let mut live = 0;
        let result = message.map(|(message, checkpoint)| {
            match message {
                Some(Message::Batches { node, entries }) => {
                    for entry in entries {
                        live += self.append(node, place, entry, &mut folded);
                    }
                }
                Some(Message::Carried(carried)) => {
                    live = self.carry(place, &carried);
                    self.carriers.insert(place.sequence);
                }
                _ => {}
            }
            if checkpoint.is_some() {
                self.checkpoint = place.sequence;
            }
            folded.checkpoint = checkpoint;
        });
        self.held.push(place.sequence, live, payload.len());
        self.keys.trim();
        result.map(|()| folded)
    }

    fn append(&mut self, node: u64, place: Place, entry: Entry, folded: &mut Folded) -> usize {
        let Entry { number, first, records, bytes } = entry;
        let taken = match self.keys.take_at(&records, place.offset(first), self.time) {
            Ok(taken) => taken,
            Err(error) => {
                let kept = (first..).zip(&records).filter(|(_, new)| new.kind.is_kept());
                self.skipped.extend(kept.map(|(index, _)| place.offset(index)));
                folded.outcomes.push(Outcome { node, number, result: Err(error) });
                return 0;
            }
        };
        let mut live = 0;
        let time = place.time;
        for (((index, new), bytes), taken) in (first..).zip(records).zip(bytes).zip(&taken) {
            let offset = match *taken {
                Taken::Appended(offset) => offset,
                Taken::Repeated(_) => {
                    self.skipped.insert(place.offset(index));
                    continue;
                }
                Taken::Passed => {
                    let offset = self.index.last();
                    folded.records.push(Record { offset, time, new }.into());
                    continue;
                }
            };
            let earliest = new.id.as_ref().is_none_or(|id| !self.index.has_id(id));
            let place = IndexPlace { offset, time, bytes, location: offset };
            self.index.push(place, &new, earliest);
            folded.records.push(Record { offset, time, new }.into());
            live += 1;
        }
        let result = Ok(Appended::new(self.epoch, taken));
        folded.outcomes.push(Outcome { node, number, result });
        live
    }

    // Notes where the records are now. How many of them are kept.
    fn carry(&mut self, place: Place, carried: &[Carried]) -> usize {
        let mut live = Vec::new();
        for (index, one) in carried.iter().enumerate() {
            if let Some(hit) = self.index.find(one.record.offset) {
                self.held.release(Place::of(hit.location).0);
                live.push((hit.offset, place.offset(index)));
            }
        }
        let count = live.len();
        self.index.relocate(live);
        count
    }

    /// Trims a part of what is not kept any longer; false if nothing is left to trim. To be called
    /// until then, before the next message is folded.
    pub(super) fn trim(&mut self) -> bool {
        let Self { index, held, retention, time, .. } = self;
        index.trim(retention, *time, Self::TRIM_RECORDS_MAX, |hit| {
            held.release(Place::of(hit.location).0);
        });
        index.is_over(retention, *time)
    }

    /// Whether something would be trimmed if a message came at this moment.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.index.is_over(&self.retention, now)
    }

    /// The locations of the records that are kept in messages before `sequence`.
    pub(super) fn kept_before(&self, sequence: u64) -> Vec<(Offset, Location)> {
        let before = Place { sequence, ..Place::default() }.offset(0);
        let hits = self.index.between(Offset::ZERO, before.previous());
        let mut kept: Vec<_> = hits
            .filter(|hit| hit.location < before)
            .map(|hit| (hit.offset, hit.location))
            .collect();
        kept.sort_unstable();
        kept
    }

    /// What a hub that starts must know besides the messages from the oldest one on that has a
    /// record that is kept; that message; and the messages that carry records.
    pub(super) fn memory(&self) -> (Memory, u64, Vec<u64>) {
        let next = self.through() + 1;
        let oldest = self.held.first_live().unwrap_or(next);
        let oldest_place = Place { sequence: oldest, ..Place::default() }.offset(0);
        let memory = Memory {
            time_ms: self.time.unix_ms,
            carried_before: oldest.max(self.carried_before),
            keys: self.keys.known().map(StoredKey::from).collect(),
            skipped: self.skipped.range(oldest_place..).map(|offset| offset.0).collect(),
            ..Memory::of(&self.index)
        };
        (memory, oldest, self.carriers.range(oldest..).copied().collect())
    }

    /// Forgets the messages before `oldest`, once a checkpoint says that they are not needed.
    pub(super) fn clear(&mut self, oldest: u64) {
        self.held.clear(oldest);
        self.carriers = self.carriers.split_off(&oldest);
        let oldest = Place { sequence: oldest, ..Place::default() }.offset(0);
        self.skipped = self.skipped.split_off(&oldest);
    }
}
