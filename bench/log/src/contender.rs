//! What is compared: a durable append and a read by topic, over one store or another.

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};
use tidings_hub::disk::{DiskLog, Options};
use tidings_server::{
    log::{Log, ReadLimits, Retention, Since},
    matcher::{Filter, Matcher},
    record::NewRecord,
};
use tokio::sync::oneshot;

use crate::fixture;

/// A log under test.
#[derive(Clone)]
pub enum Contender {
    Ours(Arc<DiskLog>),
    Store(Arc<Grouped>),
}

/// A store behind [`Grouped`]: called by one thread.
pub trait Store: Send + 'static {
    /// Makes the records durable, indexed by topic, and trims to the newest `keep`.
    fn commit(&mut self, first: u64, records: &[NewRecord], keep: u64);
    /// The data of the records of a topic, oldest first.
    fn read_topic(&mut self, topic: &str, count_max: usize) -> Vec<String>;
}

impl Contender {
    pub fn ours(dir: &Path, keep: u64) -> Self {
        let retention = Retention {
            records_max: usize::try_from(keep).unwrap_or(usize::MAX),
            bytes_max: u64::MAX,
            ..Retention::default()
        };
        let options = Options { retention, ..Options::new(dir) };
        Self::Ours(Arc::new(DiskLog::open(options).expect("the log opens")))
    }

    pub fn store(store: impl Store, next: u64, keep: u64) -> Self {
        Self::Store(Arc::new(Grouped::new(Box::new(store), next, keep)))
    }

    /// Appends and waits until it is durable.
    pub async fn append(&self, records: Vec<NewRecord>) {
        match self {
            Self::Ours(log) => {
                let batch = tidings_server::log::Batch::new(records);
                log.append(batch).await.expect("appended");
            }
            Self::Store(store) => store.append(records).await,
        }
    }

    /// Reads a topic from the start; the data of its records.
    pub async fn read_topic(&self, topic: &str, count_max: usize) -> Vec<String> {
        match self {
            Self::Ours(log) => {
                let filter = Filter::new([Matcher::Exact(fixture::topic(topic))]);
                let limits = ReadLimits { records_max: count_max, bytes_max: usize::MAX };
                let page = log.read(Since::default(), &filter, limits).await;
                let page = page.unwrap_or_else(|error| panic!("{error}"));
                page.records.iter().map(|record| record.new.data.to_string()).collect()
            }
            Self::Store(store) => {
                let store = Arc::clone(store);
                let topic = topic.to_owned();
                let read = move || store.store.lock().read_topic(&topic, count_max);
                tokio::task::spawn_blocking(read).await.expect("read")
            }
        }
    }

    pub async fn close(self) {
        match self {
            Self::Ours(log) => log.close().await,
            Self::Store(store) => drop(store),
        }
    }
}

/// The same queue and group commit for every store: one thread takes whatever is waiting when
/// its last commit ends.
pub struct Grouped {
    queue: Arc<Queue>,
    store: Arc<Mutex<Box<dyn Store>>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<(Vec<Job>, bool)>,
    ready: Condvar,
}

type Job = (Vec<NewRecord>, oneshot::Sender<()>);

impl Grouped {
    fn new(store: Box<dyn Store>, next: u64, keep: u64) -> Self {
        let queue = Arc::<Queue>::default();
        let store = Arc::new(Mutex::new(store));
        let (jobs, committing) = (Arc::clone(&queue), Arc::clone(&store));
        let thread = thread::spawn(move || {
            let mut next = next;
            let mut group = Vec::new();
            let mut records = Vec::new();
            while jobs.take(&mut group) {
                let mut answers = Vec::with_capacity(group.len());
                for (news, answer) in group.drain(..) {
                    records.extend(news);
                    answers.push(answer);
                }
                committing.lock().commit(next, &records, keep);
                next += records.len() as u64;
                records.clear();
                for answer in answers {
                    let _ = answer.send(());
                }
            }
        });
        Self { queue, store, thread: Some(thread) }
    }

    async fn append(&self, records: Vec<NewRecord>) {
        let (answer, answered) = oneshot::channel();
        {
            let mut jobs = self.queue.jobs.lock();
            jobs.0.push((records, answer));
            if jobs.0.len() == 1 {
                self.queue.ready.notify_one();
            }
        }
        answered.await.expect("committed");
    }
}

impl Queue {
    fn take(&self, group: &mut Vec<Job>) -> bool {
        let mut jobs = self.jobs.lock();
        while jobs.0.is_empty() && !jobs.1 {
            self.ready.wait(&mut jobs);
        }
        std::mem::swap(&mut jobs.0, group);
        !(jobs.1 && group.is_empty())
    }
}

impl Drop for Grouped {
    fn drop(&mut self) {
        self.queue.jobs.lock().1 = true;
        self.queue.ready.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
