//! The events that are appended: numbered, so that what is read back can be checked.

use tidings_server::{record::NewRecord, topic::Topic};

pub const TOPICS: u64 = 10_000;
/// The topic that is read back: one record in a thousand is its.
pub const READ: &str = "read/back";
const DATA_BYTES: usize = 100;

pub fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a topic")
}

pub fn topic_of(n: u64) -> String {
    if n % 1_000 == 0 { READ.to_owned() } else { format!("rooms/{}", n % TOPICS) }
}

/// The topics, made once: a hub has them from the request.
pub fn topics() -> Vec<Topic> {
    (0..TOPICS).map(|n| topic(&topic_of(n))).collect()
}

pub fn data_of(n: u64) -> String {
    format!("{n:0DATA_BYTES$}")
}

pub fn record(topics: &[Topic], n: u64) -> NewRecord {
    NewRecord::new(topics[(n % TOPICS) as usize].clone(), data_of(n))
}
