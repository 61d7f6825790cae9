//! Requests that publish.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Serialize;
use tidings_client::Policy;
use tidings_proto::reconnect::Reconnect;
use url::Url;

use crate::attempt::{Answer, PublishError, attempt};
use crate::target::Target;
use crate::text::{duration, public};

/// What all events of this call have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) event: Option<String>,
    pub(super) id: Option<String>,
    pub(super) retry: Option<Duration>,
    pub(super) more_topics: Vec<String>,
    pub(super) private: bool,
    pub(super) ephemeral: bool,
    /// The idempotency key of the one event or of the stream.
    pub(super) key: Option<HeaderValue>,
}

/// Publishes to a hub.
pub(super) struct Hub {
    client: Client,
    target: Target,
    headers: HeaderMap,
    common: Common,
    /// Whether it has answered before, so that it is worth waiting for when it is gone.
    answered: bool,
    /// Whether a request is out there, or was, whose outcome is not known.
    in_doubt: bool,
}

/// An event as a line of a batch.
#[derive(Serialize)]
struct Draft<'a> {
    topics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    private: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
    data: &'a str,
}

impl Hub {
    pub(super) fn new(client: Client, target: Target, headers: HeaderMap, common: Common) -> Self {
        Self { client, target, headers, common, answered: false, in_doubt: false }
    }

    /// Whether the last event or batch may be published, without an answer that says so. It is
    /// right at every await, so that an interrupt can report it.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Whether what is published has an idempotency key.
    pub(super) const fn has_key(&self) -> bool {
        self.common.key.is_some()
    }

    /// Publishes one event, and returns its id.
    pub(super) async fn event(&mut self, data: &str) -> Result<Option<String>, PublishError> {
        let request = self
            .topic_request()
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(data.to_owned());
        self.send(request).await.map(|answer| answer.id)
    }

    /// A request to publish to the topic, which has yet to be told what.
    pub(super) fn topic_request(&self) -> RequestBuilder {
        let mut url = self.target.topic_url.clone();
        let common = &self.common;
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(common.event.iter().map(|event| ("event", event)));
            query.extend_pairs(common.id.iter().map(|id| ("id", id)));
            query
                .extend_pairs(common.retry.map(|retry| ("retry", milliseconds(retry).to_string())));
            query.extend_pairs(common.more_topics.iter().map(|topic| ("topic", topic)));
            if common.private {
                query.append_key_only("private");
            }
            if common.ephemeral {
                query.append_key_only("ephemeral");
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let request = self.client.post(url).headers(self.headers.clone());
        match &common.key {
            Some(key) => request.header(IDEMPOTENCY_KEY, key.clone()),
            None => request,
        }
    }

    /// The URL that was given, for people.
    pub(super) fn url(&self) -> Url {
        public(&self.target.topic_url)
    }

    /// Publishes a batch, all of it or nothing, and returns the last id.
    pub(super) async fn batch(&mut self, body: String) -> Result<Option<String>, PublishError> {
        let request = self
            .client
            .post(self.target.events_url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body);
        self.send(request).await.map(|mut answer| answer.ids.pop().flatten())
    }

    /// The line of a batch for an event with this data.
    pub(super) fn draft(&self, data: &str) -> String {
        let draft = Draft {
            topics: &self.target.topics,
            event: self.common.event.as_deref(),
            retry: self.common.retry.map(milliseconds),
            private: self.common.private,
            ephemeral: self.common.ephemeral,
            data,
        };
        let mut line = serde_json::to_string(&draft).expect("strings and numbers are JSON");
        line.push('\n');
        line
    }

    /// Sends until there is an answer, waiting where the hub asks for it.
    ///
    /// What may have been published is not sent again, as that could publish it twice; unless it
    /// has an idempotency key.
    async fn send(&mut self, request: RequestBuilder) -> Result<Answer, PublishError> {
        let mut reconnect = Reconnect::new(RETRIES, rand::random());
        // As it was typed, whether it goes there or to the URL for batches.
        let url = self.url();
        let has_key = self.common.key.is_some();
        // Whether an attempt that came to nothing may have published it.
        let mut is_lost = false;
        loop {
            let again = request.try_clone().expect("the body is a string");
            self.in_doubt = true;
            let attempt = attempt(again, &url).await;
            self.answered |= attempt.answered;
            is_lost |= matches!(attempt.outcome, Err(PublishError::Unknown { .. }));
            self.in_doubt = is_lost && attempt.outcome.is_err();
            let error = match attempt.outcome {
                Err(error) if is_retryable(&error, has_key) && (self.answered || self.in_doubt) => {
                    error
                }
                outcome => return outcome,
            };
            let Some(delay) = reconnect.handle_failure(attempt.retry_after) else {
                return Err(error);
            };
            let so_far =
                if self.in_doubt { "Not known to be published" } else { "Not published yet" };
            super::say(format!("{so_far}: {error}; trying again in {}.", duration(delay)));
            tokio::time::sleep(delay).await;
        }
    }
}

/// Whether sending the same again is safe and may help.
fn is_retryable(error: &PublishError, has_key: bool) -> bool {
    match error {
        PublishError::Unreachable { .. } => true,
        PublishError::Refused { status, .. } => match *status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
            // An earlier try with its key is under way.
            StatusCode::CONFLICT => has_key,
            _ => false,
        },
        PublishError::Redirected { .. } | PublishError::NotAHub => false,
        PublishError::Unknown { .. } => has_key,
    }
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How often and how patiently a publish is tried: eight more times, over a minute or so.
const RETRIES: Policy = Policy {
    reconnection_time: Duration::from_millis(500),
    backoff_max: Duration::from_secs(15),
    delay_max: Duration::from_secs(300),
    retries_max: Some(8),
    ..Policy::strict()
};
