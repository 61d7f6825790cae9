//! What each server holds of the stream, without a hub: who lost a message, if one is lost.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use async_nats::jetstream::{self, stream::RawMessageErrorKind};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tidings_testing_nats::Cluster;
use tokio::time::timeout;

use crate::fault::STREAM;

const DEADLINE: Duration = Duration::from_secs(60);
/// How often another server is made the leader, for all of them to have a turn.
const TURNS_MAX: usize = 20;

/// A connection that goes on at another server when one is gone.
pub(crate) async fn connect(cluster: &Cluster) -> jetstream::Context {
    jetstream::new(async_nats::connect(cluster.urls()).await.unwrap())
}

/// What a server holds at one sequence: the message's bytes, or nothing.
type Held = Option<Bytes>;

/// What each server holds of the stream, from its first message on.
pub(crate) struct Replicas {
    by_server: BTreeMap<usize, Vec<Held>>,
}

impl Replicas {
    /// Asks each server. Only who leads is sure to answer for itself, so each is made the leader.
    pub(crate) async fn read(cluster: &mut Cluster) -> Self {
        let client = async_nats::connect(cluster.urls()).await.unwrap();
        let jetstream = jetstream::new(client.clone());
        let mut by_server = BTreeMap::new();
        let step_down = format!("$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}");
        for _ in 0..TURNS_MAX {
            cluster.ready().await;
            let leader = cluster.leader(STREAM).await;
            if let Entry::Vacant(entry) = by_server.entry(leader) {
                entry.insert(held_by_leader(&jetstream).await);
            }
            if by_server.len() == cluster.servers.len() {
                break;
            }
            // An answer says nothing: who leads then is asked anew.
            let _ = client.request(step_down.clone(), Bytes::new()).await;
        }
        Self { by_server }
    }

    /// How many servers were asked, and of how many messages.
    pub(crate) fn asked(&self) -> (usize, usize) {
        (self.by_server.len(), self.by_server.values().map(Vec::len).max().unwrap_or(0))
    }

    /// The sequences at which the servers do not all hold the same, with what each of them holds.
    pub(crate) fn differences(&self) -> Vec<String> {
        let at = |server: &Vec<Held>, index: usize| server.get(index).cloned().flatten();
        let differs = |&index: &usize| {
            let mut held = self.by_server.values().map(|server| at(server, index));
            let first = held.next();
            held.any(|other| Some(&other) != first.as_ref())
        };
        let tell = |index| {
            let held = self.by_server.iter().map(|(number, server)| match at(server, index) {
                Some(bytes) => format!("n{number}: {:?}", bytes.slice(..bytes.len().min(60))),
                None => format!("n{number}: nothing"),
            });
            format!("{}: {}", index + 1, held.collect::<Vec<_>>().join(", "))
        };
        (0..self.asked().1).filter(differs).map(tell).collect()
    }

    /// How many servers hold this at this sequence.
    pub(crate) fn with(&self, sequence: u64, data: &str) -> usize {
        let index = usize::try_from(sequence - 1).expect("it was counted");
        let held =
            |server: &&Vec<Held>| matches!(server.get(index), Some(Some(held)) if held == data);
        self.by_server.values().filter(held).count()
    }
}

async fn held_by_leader(jetstream: &jetstream::Context) -> Vec<Held> {
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let ask = async |sequence| loop {
        match stream.get_raw_message(sequence).await {
            Ok(message) => return Some(message.payload),
            Err(cause) if cause.kind() == RawMessageErrorKind::NoMessageFound => return None,
            // While the leader changes, nobody answers.
            Err(_) => {}
        }
    };
    let held = futures_util::stream::iter((1..=last).map(ask)).buffered(32).collect();
    timeout(DEADLINE, held).await.expect("the stream answers")
}
