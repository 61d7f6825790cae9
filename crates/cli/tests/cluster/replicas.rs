//! What each server holds of the stream, without a hub: who lost a message, if one is lost.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{self, stream::RawMessageErrorKind};
use serde_json::Value;
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

/// Which of these messages each server lacks, by its number. Only who leads is sure to answer for
/// itself, so each is made the leader.
pub(crate) async fn lacking(cluster: &mut Cluster, sequences: &[u64]) -> BTreeMap<usize, Vec<u64>> {
    let jetstream = connect(cluster).await;
    let mut by_server = BTreeMap::new();
    for _ in 0..TURNS_MAX {
        cluster.ready().await;
        let leader = cluster.leader(STREAM).await;
        if !by_server.contains_key(&leader) {
            by_server.insert(leader, leader_lacks(&jetstream, sequences).await);
        }
        if by_server.len() == cluster.servers.len() {
            break;
        }
        // No answer is as good: the leader is asked for anew.
        let _ = jetstream
            .request::<_, (), Value>(format!("STREAM.LEADER.STEPDOWN.{STREAM}"), &())
            .await;
    }
    by_server
}

/// Which of these messages the leader lacks.
pub(crate) async fn leader_lacks(jetstream: &jetstream::Context, sequences: &[u64]) -> Vec<u64> {
    let stream = jetstream.get_stream_no_info(STREAM).await.unwrap();
    let mut lacking = Vec::new();
    for &sequence in sequences {
        let found = async {
            loop {
                match stream.get_raw_message(sequence).await {
                    Ok(_) => return true,
                    Err(cause) if cause.kind() == RawMessageErrorKind::NoMessageFound => {
                        return false;
                    }
                    // While the leader changes, nobody answers.
                    Err(_) => {}
                }
            }
        };
        if !timeout(DEADLINE, found).await.expect("the stream answers") {
            lacking.push(sequence);
        }
    }
    lacking
}
