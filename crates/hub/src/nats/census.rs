//! The census: what each hub of a stream knows of its own, asked of all of them at once.
//!
//! It goes over plain NATS, beside the stream: an answer is good for a moment only.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Client;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidings_server::topic::Topic;
use tokio::time::timeout_at;

use super::StreamName;

/// Asks the hubs of a stream, and answers those who ask.
#[derive(Debug, Clone)]
pub struct Census(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    subject: String,
    // How many hubs there were when nobody was hurried, and when that was.
    seen: Mutex<Option<(usize, Instant)>>,
}

/// What a hub says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From chance, at each start.
    pub hub: String,
    /// Where it is reached.
    pub url: String,
    /// Its version.
    pub version: String,
    /// Its open streams.
    pub subscribers: usize,
    /// Messages of the stream that it has still to take in.
    pub behind: u64,
    /// For each topic that was asked for, the streams that follow it by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
struct Question {
    topics: Vec<String>,
}

impl Census {
    // Who has not answered by then is not there, or has more to do than to be counted.
    const WAIT_MAX: Duration = Duration::from_millis(500);
    // For so long, as many answers as there were the last time are all.
    const SEEN_FOR: Duration = Duration::from_secs(5);
    const HUBS_MAX: usize = 10_000;

    pub(super) fn new(client: Client, stream: &StreamName) -> Self {
        let subject = format!("{stream}-hubs");
        Self(Arc::new(Shared { client, subject, seen: Mutex::default() }))
    }

    /// What the hubs say, this one among them, in the order of their URLs. Those that do not answer
    /// within half a second are left out, and all are while NATS is away.
    pub async fn ask(&self, topics: Vec<String>) -> Vec<Entry> {
        let Shared { client, subject, seen } = &*self.0;
        let deadline = Instant::now() + Self::WAIT_MAX;
        let expected = seen.lock().filter(|(_, at)| at.elapsed() < Self::SEEN_FOR);
        let enough = expected.map_or(Self::HUBS_MAX, |(count, _)| count);
        let mut entries: Vec<Entry> = Vec::new();
        let inbox = client.new_inbox();
        let question = serde_json::to_vec(&Question { topics }).unwrap_or_default();
        let Ok(mut answers) = client.subscribe(inbox.clone()).await else { return entries };
        if client.publish_with_reply(subject.clone(), inbox, question.into()).await.is_err() {
            return entries;
        }
        while entries.len() < enough {
            let Ok(Some(answer)) = timeout_at(deadline.into(), answers.next()).await else { break };
            match serde_json::from_slice::<Entry>(&answer.payload) {
                Ok(entry) if entries.iter().all(|other| other.hub != entry.hub) => {
                    entries.push(entry);
                }
                // Nobody answers, also not this hub: it has just started, or nothing is heard.
                _ if answer.status.is_some() => break,
                _ => {}
            }
        }
        if enough == Self::HUBS_MAX && !entries.is_empty() {
            *seen.lock() = Some((entries.len(), Instant::now()));
        }
        entries.sort_by(|a, b| (&a.url, &a.hub).cmp(&(&b.url, &b.hub)));
        entries
    }

    /// Answers whoever asks, until the task is aborted. `entry` says what there is to say, with a
    /// count for each of these topics.
    pub async fn answer(&self, entry: impl Fn(&[Option<Topic>]) -> Entry) {
        let Shared { client, subject, .. } = &*self.0;
        let Ok(mut questions) = client.subscribe(subject.clone()).await else { return };
        while let Some(question) = questions.next().await {
            let Some(reply) = question.reply else { continue };
            let Ok(Question { topics }) = serde_json::from_slice(&question.payload) else {
                continue;
            };
            let topics: Vec<_> = topics.into_iter().map(|topic| Topic::new(topic).ok()).collect();
            let answer = serde_json::to_vec(&entry(&topics)).unwrap_or_default();
            // Who asked is not there any more.
            let _ = client.publish(reply, answer.into()).await;
        }
    }
}

impl super::NatsLog {
    /// Asks the hubs of the log's stream.
    pub fn census(&self) -> Census {
        Census::new(self.shared.link.client.clone(), &self.shared.options.site.stream)
    }
}
