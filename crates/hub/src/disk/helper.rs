//! The helper: prepares and removes segments beside the writer, so that no commit waits for it.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use super::{
    compaction::{Compacted, Plan},
    manifest::Manifest,
    pace::Pace,
    segment::Segment,
    storage::Storage,
    trims::Trims,
};

// A segment brings three tasks at most, and the one after the next waits for the first of them:
// the writer never gets so far ahead.
const TASKS_MAX: usize = 64;

/// Where the helper's work is done.
///
/// Dropped, it finishes what it was handed: nobody else may have the directory before.
#[derive(Debug)]
pub(super) struct Helper(Place);

#[derive(Debug)]
enum Place {
    /// In a thread of its own.
    Beside {
        tasks: mpsc::SyncSender<Task>,
        thread: JoinHandle<Worker>,
    },
    /// In the writer's thread, at once: a simulated disk then sees the same order every time.
    InTurn(Worker),
    Finished,
}

#[derive(Debug)]
pub(super) enum Task {
    /// Make a segment ready, and then have the manifest say so.
    Prepare {
        number: u32,
        bytes: u64,
        manifest: Manifest,
        pace: Arc<Pace>,
        answer: mpsc::SyncSender<io::Result<Segment>>,
    },
    /// Remove segments whose records are all trimmed, once that is remembered.
    Remove { trims: Trims, numbers: Vec<u32> },
    /// Compact segments that are mostly trimmed.
    Compact { plan: Plan, answer: mpsc::SyncSender<io::Result<Compacted>> },
    /// Sync a segment that is full.
    Sync(Arc<Segment>),
}

/// A segment that is being made ready.
#[derive(Debug)]
pub(super) struct Spare {
    pace: Arc<Pace>,
    answered: mpsc::Receiver<io::Result<Segment>>,
}

impl Spare {
    /// Says how much of the active segment is used.
    pub(super) fn used(&self, bytes: u64, of: u64) {
        self.pace.used(bytes, of);
    }

    /// Waits until the segment is ready.
    pub(super) fn ready(&self) -> io::Result<Segment> {
        self.pace.hurry();
        let gone = || io::Error::other("the thread that prepares segments is gone");
        self.answered.recv().map_err(|_| gone())?
    }

    /// Waits until the helper has let go of the segment.
    pub(super) fn give_up(&self) {
        self.pace.stop();
        // Whatever came of it: the file is made anew, or removed by the next start.
        let _ = self.answered.recv();
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.pace.stop();
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    storage: Arc<dyn Storage>,
    // Removals that failed are tried again with the next ones.
    to_remove: VecDeque<u32>,
    // Whether all that was to be synced was.
    synced: bool,
}

impl Helper {
    pub(super) fn new(storage: Arc<dyn Storage>, beside: bool) -> io::Result<Self> {
        let mut worker = Worker { storage, to_remove: VecDeque::new(), synced: true };
        if !beside {
            return Ok(Self(Place::InTurn(worker)));
        }
        let (tasks, queue) = mpsc::sync_channel(TASKS_MAX);
        let thread =
            thread::Builder::new().name("tidings-segments".to_owned()).spawn(move || {
                for task in queue {
                    worker.run(task);
                }
                worker
            })?;
        Ok(Self(Place::Beside { tasks, thread }))
    }

    /// Hands on a task.
    pub(super) fn start(&mut self, task: Task) {
        match &mut self.0 {
            // It ends only with us, or by a panic that the answer's absence tells of.
            Place::Beside { tasks, .. } => drop(tasks.send(task)),
            Place::InTurn(worker) => worker.run(task),
            Place::Finished => {}
        }
    }

    /// Has a segment made ready; `manifest` tells of it.
    pub(super) fn prepare(&mut self, number: u32, bytes: u64, manifest: Manifest) -> Spare {
        let (answer, answered) = mpsc::sync_channel(1);
        let pace = Arc::<Pace>::default();
        if matches!(self.0, Place::InTurn(_)) {
            pace.hurry();
        }
        self.start(Task::Prepare { number, bytes, manifest, pace: Arc::clone(&pace), answer });
        Spare { pace, answered }
    }

    /// Finishes what was handed on; whether all that was to be synced was.
    pub(super) fn finish(&mut self) -> bool {
        match mem::replace(&mut self.0, Place::Finished) {
            Place::Beside { tasks, thread } => {
                drop(tasks);
                thread.join().is_ok_and(|worker| worker.synced)
            }
            Place::InTurn(worker) => worker.synced,
            Place::Finished => true,
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Worker {
    fn run(&mut self, task: Task) {
        match task {
            Task::Prepare { number, bytes, manifest, pace, answer } => {
                let prepared = Segment::prepare(&*self.storage, number, bytes, Some(&pace))
                    .and_then(|segment| manifest.write(&*self.storage).map(|()| segment));
                // If nobody waits any more, the next start removes the segment.
                let _ = answer.send(prepared);
            }
            // If nobody waits any more, the next start finds it.
            Task::Compact { plan, answer } => {
                drop(answer.send(plan.run(&*self.storage, &mut self.to_remove)));
            }
            Task::Sync(segment) => self.synced &= segment.file.sync().is_ok(),
            Task::Remove { trims, numbers } => {
                self.to_remove.extend(numbers);
                if let Err(error) = self.remove(&trims) {
                    tracing::warn!(
                        "{}: cannot remove old segments: {error}; trying again with the next",
                        self.storage.dir().display()
                    );
                }
            }
        }
    }

    fn remove(&mut self, trims: &Trims) -> io::Result<()> {
        // First remembered, then forgotten: after a crash in between, nobody is told that
        // nothing is missing.
        trims.write(&*self.storage)?;
        // The oldest first: a start finds no hole between those that are left, wherever we stop.
        while let Some(&number) = self.to_remove.front() {
            match self.storage.remove(&Segment::name(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.to_remove.pop_front(),
            };
        }
        self.storage.sync_dir()
    }
}
