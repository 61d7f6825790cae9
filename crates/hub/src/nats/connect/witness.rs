//! The witness: hears what happens to the connection, and tells it once.

use std::sync::Arc;

use async_nats::{ClientError, Event, ServerError};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::super::OpenError;

/// Hears what happens to the connection, and tells it once.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    heard: Arc<Mutex<Heard>>,
    violation: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
struct Heard {
    is_lost: bool,
    // What was told last since the connection was made or lost: a server that refuses each try
    // would fill the log.
    told: Option<String>,
}

impl Default for Witness {
    fn default() -> Self {
        Self { heard: Arc::default(), violation: watch::Sender::new(None) }
    }
}

impl Witness {
    pub(super) fn hear(&self, event: Event) {
        match event {
            Event::Connected => {
                let mut heard = self.heard.lock();
                heard.told = None;
                if std::mem::take(&mut heard.is_lost) {
                    tracing::info!("connected to NATS again");
                }
            }
            Event::Disconnected => {
                let mut heard = self.heard.lock();
                heard.told = None;
                if !std::mem::replace(&mut heard.is_lost, true) {
                    tracing::warn!(
                        "the connection to NATS is lost; until it is back, publishes are refused \
                         and subscribers wait"
                    );
                }
            }
            Event::LameDuckMode => {
                tracing::info!("the NATS server is about to stop; the hub goes to another");
            }
            Event::ServerError(ServerError::Other(text)) => self.told_by_server(text),
            Event::ServerError(error) => self.told_by_server(error.to_string()),
            Event::ClientError(ClientError::Other(text)) if is_plain(&text) => {
                tracing::debug!("a try to reconnect to NATS failed: {text}");
            }
            Event::ClientError(error) => {
                self.tell_once(format!("no connection to NATS: {}", bare(&error.to_string())));
            }
            Event::Draining | Event::Closed | Event::SlowConsumer(_) => {
                tracing::debug!("NATS: {event}");
            }
        }
    }

    fn told_by_server(&self, text: String) {
        // Who opens the log waits for it, and tells it with what to do.
        let is_awaited = self.violation.receiver_count() > 0;
        if is_awaited && text.to_ascii_lowercase().contains("permissions violation") {
            self.violation.send_replace(Some(text));
        } else {
            self.tell_once(format!("NATS says: {}", bare(&text)));
        }
    }

    fn tell_once(&self, text: String) {
        let mut heard = self.heard.lock();
        if heard.told.as_ref() != Some(&text) {
            tracing::warn!("{text}");
            heard.told = Some(text);
        }
    }

    /// What comes of an attempt, unless the server forbids a part of it.
    pub(super) async fn permitted<T, E>(
        &self,
        attempt: impl Future<Output = Result<T, E>>,
        forbidden: impl FnOnce(OpenError) -> E,
    ) -> Result<T, E> {
        let mut violation = self.violation.subscribe();
        let violated = async {
            let text = violation.wait_for(Option::is_some).await.map(|text| text.clone());
            // The sender is this witness's own.
            text.ok().flatten().unwrap_or_default()
        };
        tokio::select! {
            biased;
            result = attempt => result,
            violation = violated => Err(forbidden(OpenError::Permission { violation })),
        }
    }
}

// What is only to be expected while servers are away.
fn is_plain(text: &str) -> bool {
    ["IO error", "timed out", "DNS error"].contains(&text)
}

fn bare(text: &str) -> &str {
    text.trim_start_matches("nats: ")
}
