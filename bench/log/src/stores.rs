//! The stores: redb, fjall, SQLite, and the plain file that is the limit.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use fjall::{Database as Fjall, Keyspace, KeyspaceCreateOptions, PersistMode};
use redb::{Database as Redb, ReadableDatabase, TableDefinition};
use rusqlite::{Connection, params};
use tidings_server::record::NewRecord;

use crate::contender::Store;

const RECORDS: TableDefinition<u64, (&str, &str)> = TableDefinition::new("records");
const BY_TOPIC: TableDefinition<(&str, u64), ()> = TableDefinition::new("by_topic");

pub struct RedbStore(Redb);

impl RedbStore {
    pub fn open(dir: &Path) -> Self {
        Self(Redb::create(dir.join("redb")).expect("redb opens"))
    }
}

impl Store for RedbStore {
    fn commit(&mut self, first: u64, news: &[NewRecord], keep: u64) {
        let write = self.0.begin_write().expect("a transaction");
        {
            let mut records = write.open_table(RECORDS).expect("a table");
            let mut by_topic = write.open_table(BY_TOPIC).expect("a table");
            for (offset, new) in (first..).zip(news) {
                let topic = new.topics[0].as_str();
                records.insert(offset, (topic, &*new.data)).expect("inserted");
                by_topic.insert((topic, offset), ()).expect("inserted");
            }
            let end = first + news.len() as u64;
            for offset in oldest_gone(first, end, keep) {
                if let Some(gone) = records.remove(offset).expect("removed") {
                    by_topic.remove((gone.value().0, offset)).expect("removed");
                }
            }
        }
        write.commit().expect("committed");
    }

    fn read_topic(&mut self, topic: &str, count_max: usize) -> Vec<String> {
        let read = self.0.begin_read().expect("a transaction");
        let records = read.open_table(RECORDS).expect("a table");
        let by_topic = read.open_table(BY_TOPIC).expect("a table");
        let found = by_topic.range((topic, 0)..=(topic, u64::MAX)).expect("a range");
        found
            .take(count_max)
            .map(|entry| {
                let (key, _) = entry.expect("an entry");
                let record = records.get(key.value().1).expect("read").expect("there");
                record.value().1.to_owned()
            })
            .collect()
    }
}

pub struct FjallStore {
    db: Fjall,
    records: Keyspace,
    by_topic: Keyspace,
}

impl FjallStore {
    pub fn open(dir: &Path) -> Self {
        let db = Fjall::builder(dir.join("fjall")).open().expect("fjall opens");
        let keyspace = |name| db.keyspace(name, KeyspaceCreateOptions::default).expect("made");
        let (records, by_topic) = (keyspace("records"), keyspace("by_topic"));
        Self { db, records, by_topic }
    }

    fn topic_key(topic: &[u8], offset: u64) -> Vec<u8> {
        [topic, &[0], &offset.to_be_bytes()].concat()
    }
}

impl Store for FjallStore {
    fn commit(&mut self, first: u64, news: &[NewRecord], keep: u64) {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for (offset, new) in (first..).zip(news) {
            let topic = new.topics[0].as_str().as_bytes();
            let value = [&[topic.len() as u8], topic, new.data.as_bytes()].concat();
            batch.insert(&self.records, offset.to_be_bytes(), value);
            batch.insert(&self.by_topic, Self::topic_key(topic, offset), []);
        }
        let end = first + news.len() as u64;
        for offset in oldest_gone(first, end, keep) {
            let key = offset.to_be_bytes();
            if let Some(gone) = self.records.get(key).expect("read") {
                let topic = &gone[1..][..gone[0].into()];
                batch.remove(&self.by_topic, Self::topic_key(topic, offset));
                batch.remove(&self.records, key);
            }
        }
        batch.commit().expect("committed");
    }

    fn read_topic(&mut self, topic: &str, count_max: usize) -> Vec<String> {
        let prefix = [topic.as_bytes(), &[0]].concat();
        self.by_topic
            .prefix(&prefix)
            .take(count_max)
            .map(|entry| {
                let key = entry.key().expect("a key");
                let value = self.records.get(&key[prefix.len()..]).expect("read").expect("there");
                String::from_utf8(value[1 + usize::from(value[0])..].to_vec()).expect("text")
            })
            .collect()
    }
}

pub struct SqliteStore(Connection);

impl SqliteStore {
    pub fn open(dir: &Path) -> Self {
        let db = Connection::open(dir.join("sqlite")).expect("sqlite opens");
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS records
                 (offset INTEGER PRIMARY KEY, topic TEXT NOT NULL, data TEXT NOT NULL);
             CREATE INDEX IF NOT EXISTS by_topic ON records (topic, offset);",
        )
        .expect("the schema");
        Self(db)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, first: u64, news: &[NewRecord], keep: u64) {
        let write = self.0.transaction().expect("a transaction");
        {
            let mut insert =
                write.prepare_cached("INSERT INTO records VALUES (?, ?, ?)").expect("a statement");
            for (offset, new) in (first..).zip(news) {
                insert
                    .execute(params![offset as i64, new.topics[0].as_str(), &*new.data])
                    .expect("inserted");
            }
            let end = first + news.len() as u64;
            if !oldest_gone(first, end, keep).is_empty() {
                let mut delete = write
                    .prepare_cached("DELETE FROM records WHERE offset < ?")
                    .expect("a statement");
                delete.execute(params![end.saturating_sub(keep) as i64]).expect("deleted");
            }
        }
        write.commit().expect("committed");
    }

    fn read_topic(&mut self, topic: &str, count_max: usize) -> Vec<String> {
        let mut select = self
            .0
            .prepare_cached("SELECT data FROM records WHERE topic = ? ORDER BY offset LIMIT ?")
            .expect("a statement");
        let rows =
            select.query_map(params![topic, count_max as i64], |row| row.get(0)).expect("a query");
        rows.collect::<Result<_, _>>().expect("rows")
    }
}

/// A file that was zeroed in advance: written at its end, and synced.
pub struct PlainFile {
    file: File,
    at: u64,
    buffer: Vec<u8>,
}

impl PlainFile {
    const BYTES: u64 = 256 << 20;

    pub fn open(dir: &Path) -> Self {
        let path = dir.join("file");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path);
        let file = file.expect("the file opens");
        let zeros = vec![0; 1 << 20];
        for at in (0..Self::BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at).expect("zeroed");
        }
        file.sync_all().expect("synced");
        Self { file, at: 0, buffer: Vec::new() }
    }

    pub fn append(&mut self, news: &[NewRecord]) {
        self.buffer.clear();
        for new in news {
            self.buffer.extend_from_slice(&(new.data.len() as u64).to_le_bytes());
            self.buffer.extend_from_slice(new.topics[0].as_str().as_bytes());
            self.buffer.extend_from_slice(new.data.as_bytes());
        }
        if self.at + self.buffer.len() as u64 > Self::BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at).expect("written");
        self.file.sync_data().expect("synced");
        self.at += self.buffer.len() as u64;
    }
}

impl Store for PlainFile {
    fn commit(&mut self, _: u64, news: &[NewRecord], _: u64) {
        self.append(news);
    }

    fn read_topic(&mut self, _: &str, _: usize) -> Vec<String> {
        Vec::new()
    }
}

/// What of the offsets before `end` is no longer kept, and was when the log ended at `first`.
fn oldest_gone(first: u64, end: u64, keep: u64) -> std::ops::Range<u64> {
    first.saturating_sub(keep).max(1)..end.saturating_sub(keep).max(1)
}
