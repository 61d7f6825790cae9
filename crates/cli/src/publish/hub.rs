//! Requests that publish, and what became of them.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidings_client::{NetworkError, Policy, retry_after};
use tidings_proto::reconnect::Reconnect;
use url::Url;

use super::target::Target;
use crate::problem::Problem;
use crate::text::{duration, public, visible};

/// What all events of this call have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) event: Option<String>,
    pub(super) id: Option<String>,
    pub(super) retry: Option<Duration>,
    pub(super) more_topics: Vec<String>,
    pub(super) private: bool,
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
    data: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    id: Option<String>,
    #[serde(default)]
    ids: Vec<String>,
}

/// Why an event or a batch is not known to be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    /// The server was not reached, so nothing was published.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: Url, reason: NetworkError },
    /// The server refused; of a batch, nothing was published.
    #[error("{}", refusal(*.status, .problem))]
    Refused { status: StatusCode, problem: Box<Problem> },
    /// It sends somewhere else. Following could hand credentials and events to another server.
    #[error("the URL redirects to {location}; publish there if that is right")]
    Redirected { location: String },
    /// The request was sent, but what came of it is not known.
    #[error("{reason}")]
    Unknown { reason: String },
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

    /// Publishes one event, and returns its id.
    pub(super) async fn event(&mut self, data: &str) -> Result<Option<String>, PublishError> {
        let mut url = self.target.topic_url.clone();
        {
            let mut query = url.query_pairs_mut();
            let common = &self.common;
            query.extend_pairs(common.event.iter().map(|event| ("event", event)));
            query.extend_pairs(common.id.iter().map(|id| ("id", id)));
            query
                .extend_pairs(common.retry.map(|retry| ("retry", milliseconds(retry).to_string())));
            query.extend_pairs(common.more_topics.iter().map(|topic| ("topic", topic)));
            if common.private {
                query.append_key_only("private");
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let request = self
            .client
            .post(url)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(data.to_owned());
        self.send(request).await.map(|answer| answer.id)
    }

    /// Publishes a batch, all of it or nothing, and returns the last id.
    pub(super) async fn batch(&mut self, body: String) -> Result<Option<String>, PublishError> {
        let request = self
            .client
            .post(self.target.events_url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body);
        self.send(request).await.map(|mut answer| answer.ids.pop())
    }

    /// The line of a batch for an event with this data.
    pub(super) fn draft(&self, data: &str) -> String {
        let draft = Draft {
            topics: &self.target.topics,
            event: self.common.event.as_deref(),
            retry: self.common.retry.map(milliseconds),
            private: self.common.private,
            data,
        };
        let mut line = serde_json::to_string(&draft).expect("strings and numbers are JSON");
        line.push('\n');
        line
    }

    /// Sends until there is an answer, waiting where the hub asks for it.
    ///
    /// What may have been published is not sent again: that could publish it twice.
    async fn send(&mut self, request: RequestBuilder) -> Result<Answer, PublishError> {
        let mut reconnect = Reconnect::new(RETRIES, rand::random());
        let request = request.timeout(ANSWER_TIMEOUT);
        loop {
            let again = request.try_clone().expect("the body is a string");
            self.in_doubt = true;
            let (outcome, wait) = match again.send().await {
                Ok(response) => {
                    self.answered = true;
                    let wait = retry_after(response.headers(), SystemTime::now());
                    (judge(response).await, wait)
                }
                Err(error) if error.is_connect() => {
                    // As it was typed, whether it goes there or to the URL for batches.
                    let url = public(&self.target.topic_url);
                    (Err(PublishError::Unreachable { url, reason: error.into() }), None)
                }
                Err(error) => (Err(lost(error)), None),
            };
            self.in_doubt = matches!(outcome, Err(PublishError::Unknown { .. }));
            let error = match outcome {
                Err(error) if error.is_retryable() && self.answered => error,
                outcome => return outcome,
            };
            let Some(delay) = reconnect.handle_failure(wait) else { return Err(error) };
            super::say(format!("Not published yet: {error}; trying again in {}.", duration(delay)));
            tokio::time::sleep(delay).await;
        }
    }
}

impl PublishError {
    /// Whether sending the same again is safe and may help.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => {
                matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Redirected { .. } | Self::Unknown { .. } => false,
        }
    }
}

/// What a response means: the one place where a status becomes an outcome.
async fn judge(response: Response) -> Result<Answer, PublishError> {
    let status = response.status();
    if status.is_redirection() {
        let location = response.headers().get(LOCATION).map_or(&b""[..], |value| value.as_bytes());
        let location = visible(&String::from_utf8_lossy(location)).into_owned();
        return Err(PublishError::Redirected { location });
    }
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().to_ascii_lowercase().starts_with(b"application/problem+json")
    });
    let body = receive(response).await;
    if status.is_success() {
        // It is published, whatever the answer looks like.
        let answer = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        return Ok(answer.unwrap_or(Answer { id: None, ids: Vec::new() }));
    }
    let problem = body
        .ok()
        .filter(|_| is_problem)
        .and_then(|body| serde_json::from_slice(&body).ok())
        .unwrap_or_default();
    let is_definite = status.is_client_error()
        || matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::SERVICE_UNAVAILABLE);
    if is_definite {
        return Err(PublishError::Refused { status, problem: Box::new(problem) });
    }
    Err(PublishError::Unknown { reason: refusal(status, &problem) })
}

/// The body, up to what an answer may need.
async fn receive(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn lost(error: reqwest::Error) -> PublishError {
    let reason = if error.is_timeout() {
        format!("there was no answer within {}", duration(ANSWER_TIMEOUT))
    } else {
        format!("the connection was lost before the answer ({})", NetworkError::from(error))
    };
    PublishError::Unknown { reason }
}

fn refusal(status: StatusCode, problem: &Problem) -> String {
    let status = status.as_u16();
    let usual = || match status {
        401 | 403 => "give credentials with --header, such as 'Authorization: Bearer …'",
        404 | 405 => "this is not the URL of a topic of a hub",
        413 => "it is too large",
        429 | 503 => "it has too much to do",
        _ => "it gave no reason",
    };
    let reason = problem.reason().unwrap_or_else(|| usual().to_owned());
    format!("the server answered with status {status}: {}", visible(&reason))
}

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
/// How long to wait for an answer: above what a hub takes to say that it does not know.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// A thousand ids of the longest kind fit.
const ANSWER_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_field_and_rule() {
        let problem = |json: &str| serde_json::from_str::<Problem>(json).unwrap();
        for (json, sentence) in [
            (r#"{"field":"id","rule":"too long","detail":"id: too long"}"#, "id: too long"),
            (r#"{"detail":"line 3: not JSON","line":3,"field":"body"}"#, "not JSON"),
            (r#"{"title":"No"}"#, "No"),
            (r#"{"detail":"a\u001b[2J"}"#, "a\\u{1b}[2J"),
            ("{}", "it gave no reason"),
        ] {
            let refusal = refusal(StatusCode::UNPROCESSABLE_ENTITY, &problem(json));
            assert_eq!(refusal, format!("the server answered with status 422: {sentence}"));
        }
    }
}
