//! A simulated disk: keeps what is durable and what is not apart, crashes and fails on demand.

mod file;

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings_server::record::Timestamp;

use self::file::{Change, FileState};
use super::{
    frame::SECTOR_BYTES,
    storage::{File, Lock, Storage},
};

/// A disk with one directory. Clones are the same disk.
#[derive(Debug, Clone)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: StdRng,
    now: Timestamp,
    identity: String,
    locked: Arc<()>,
    files: Vec<FileState>,
    // The directory as it is seen, and as it is on the disk with the changes that are not.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    // Operations that change something, so far.
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    fail: Option<(u64, u64, i32)>,
    read_bytes: u64,
    read_calls: u64,
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Remove(String),
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl SimDisk {
    /// An empty disk, whose chances come from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: StdRng::seed_from_u64(seed),
            now: Timestamp { unix_ms: 1_000_000 },
            identity: "here".to_owned(),
            locked: Arc::new(()),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            operations: 0,
            crash_at: None,
            crashed: false,
            fail: None,
            read_bytes: 0,
            read_calls: 0,
        })))
    }

    /// Crashes at the `operation`th change from now: it is left undone or, if a write, may be
    /// done in part; then nothing works until [`restart`](Self::restart).
    pub(super) fn crash_at(&self, operation: u64) {
        let mut state = self.0.lock();
        state.crash_at = Some(state.operations + operation);
    }

    /// Loses power now, and comes back: of what was not synced any part may be there.
    pub(super) fn restart(&self) -> bool {
        let mut state = self.0.lock();
        let State { random, files, names, durable_names, name_changes, .. } = &mut *state;
        // File systems keep the order of a directory's changes.
        let kept = random.random_range(0..=name_changes.len());
        for change in name_changes.drain(..).take(kept) {
            change.apply(durable_names);
        }
        names.clone_from(durable_names);
        let style = random.random_range(0..4);
        for file in files {
            file.tear(random, style);
        }
        state.locked = Arc::new(());
        state.crash_at = None;
        state.fail = None;
        std::mem::take(&mut state.crashed)
    }

    /// The process ends, and the machine does not: what was written is there.
    pub(super) fn end_process(&self) {
        let mut state = self.0.lock();
        state.locked = Arc::new(());
        (state.crash_at, state.fail, state.crashed) = (None, None, false);
    }

    /// Fails the next `count` changes after `skip` more with an error of the operating system.
    pub(super) fn fail(&self, skip: u64, count: u64, errno: i32) {
        let mut state = self.0.lock();
        let from = state.operations + skip + 1;
        state.fail = Some((from, from + count, errno));
    }

    /// Takes back [`fail`](Self::fail).
    pub(super) fn mend(&self) {
        self.0.lock().fail = None;
    }

    /// Lets no operation through while the guard is held.
    pub(super) fn hold(&self) -> impl Sized + '_ {
        self.0.lock()
    }

    /// Whether power was lost.
    pub(super) fn crashed(&self) -> bool {
        self.0.lock().crashed
    }

    /// Changes so far.
    pub(super) fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Bytes and calls of reads so far.
    pub(super) fn reads(&self) -> (u64, u64) {
        let state = self.0.lock();
        (state.read_bytes, state.read_calls)
    }

    /// Lets time go by.
    pub(super) fn advance_ms(&self, time_ms: u64) {
        self.0.lock().now.unix_ms += time_ms;
    }

    /// Makes the directory a copy of itself.
    pub(super) fn become_copy(&self) {
        self.0.lock().identity.push_str(" copied");
    }

    /// The files there are, by name.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// How many bytes each file has, all at one moment.
    pub(super) fn sizes(&self) -> Vec<(String, usize)> {
        let state = self.0.lock();
        let files = state.names.iter();
        files.map(|(name, &file)| (name.clone(), state.files[file].seen.len())).collect()
    }

    /// The bytes of a file, as they are seen.
    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.0.lock();
        state.files[state.names[name]].seen.clone()
    }

    /// The lock is let go, and a crash that is to come still comes.
    pub(super) fn end_lock(&self) {
        self.0.lock().locked = Arc::new(());
    }

    /// Changes a file behind the log's back, durably.
    pub(super) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        let file = state.names[name];
        let file = &mut state.files[file];
        change(&mut file.seen);
        file.durable.clone_from(&file.seen);
        file.changes.clear();
    }

    /// Removes a file behind the log's back, durably.
    pub(super) fn lose(&self, name: &str) {
        let mut state = self.0.lock();
        state.names.remove(name);
        state.durable_names = state.names.clone();
        state.name_changes.clear();
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => names.insert(name, file),
            Self::Remove(name) => names.remove(&name),
        };
    }
}

impl State {
    // Counts an operation; fails if it is not to be.
    fn operation(&mut self) -> io::Result<()> {
        if self.crashed {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        if self.crash_at == Some(self.operations) {
            self.crashed = true;
            return Err(io::Error::other("the power went off"));
        }
        match self.fail {
            Some((from, to, errno)) if (from..to).contains(&self.operations) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => Ok(()),
        }
    }

    fn rename_to(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }
}

impl Storage for SimDisk {
    fn dir(&self) -> &Path {
        Path::new("/sim")
    }

    fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    fn lock(&self, _: &str) -> io::Result<Lock> {
        let state = self.0.lock();
        if Arc::strong_count(&state.locked) > 1 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Lock { identity: state.identity.clone(), _held: Box::new(Arc::clone(&state.locked)) })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        state.operation()?;
        let file = match state.names.get(name).copied() {
            Some(file) => {
                state.files[file].change(Change::Length(0));
                file
            }
            None => {
                state.files.push(FileState::default());
                let file = state.files.len() - 1;
                state.rename_to(NameChange::Set(name.to_owned(), file));
                file
            }
        };
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let state = self.0.lock();
        let &file = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operation()?;
        let &file = state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.rename_to(NameChange::Set(to.to_owned(), file));
        state.rename_to(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operation()?;
        state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        state.rename_to(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operation()?;
        let State { durable_names, name_changes, .. } = &mut *state;
        for change in name_changes.drain(..) {
            change.apply(durable_names);
        }
        Ok(())
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().files[self.file].seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        let seen = &state.files[self.file].seen;
        let from = (at as usize).min(seen.len());
        let read = buffer.len().min(seen.len() - from);
        buffer[..read].copy_from_slice(&seen[from..from + read]);
        state.read_bytes += read as u64;
        state.read_calls += 1;
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let operation = state.operation();
        // A write that fails may have written any first part of it, short of all.
        let part = match operation {
            Ok(()) => bytes.len(),
            Err(_) if bytes.is_empty() => 0,
            // Whole sectors: the system copies and the disk writes no smaller pieces.
            Err(_) => {
                let part = state.random.random_range(0..bytes.len());
                let end = (at as usize + part) / SECTOR_BYTES * SECTOR_BYTES;
                end.saturating_sub(at as usize)
            }
        };
        let change = Change::Write { at: at as usize, bytes: bytes[..part].to_vec() };
        state.files[self.file].change(change);
        operation
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        self.disk.0.lock().operation()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.operation()?;
        state.files[self.file].change(Change::Length(len as usize));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let operation = state.operation();
        let crashed = state.crashed;
        let State { files, random, .. } = &mut *state;
        let file = &mut files[self.file];
        if crashed {
            return operation;
        }
        for change in std::mem::take(&mut file.changes) {
            // After a failed sync the system holds for written what may not be: another sync
            // does not try again.
            if operation.is_ok() || random.random() {
                change.apply(&mut file.durable);
            }
        }
        operation
    }
}
