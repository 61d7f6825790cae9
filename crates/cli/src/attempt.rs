//! One attempt to publish, and what became of it.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tidings_client::{NetworkError, retry_after};
use url::Url;

use crate::problem::Problem;
use crate::text::{duration, visible};

/// What became of an attempt.
pub(crate) struct Attempt {
    pub(crate) outcome: Result<Answer, PublishError>,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// Whether there was an answer, be it a refusal.
    pub(crate) answered: bool,
}

/// What is published: the id of an event, those of a batch, or the account of a stream.
#[derive(Default, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) ids: Vec<Option<String>>,
    /// How many events of a stream are published.
    pub(crate) events: Option<u64>,
    pub(crate) last_id: Option<String>,
    /// How many of them were published before.
    #[serde(default)]
    pub(crate) repeated: u64,
    /// Whether the stream ended within an event.
    #[serde(default)]
    pub(crate) incomplete: bool,
    /// Whether the connection was lost before the end of the answer.
    #[serde(skip)]
    pub(crate) is_cut_off: bool,
}

/// Why an event or a batch is not known to be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The server was not reached, so nothing was published.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: Url, reason: NetworkError },
    /// The server refused; of a batch, nothing was published.
    #[error("{}", refusal(*.status, .problem))]
    Refused { status: StatusCode, problem: Box<Problem> },
    /// It sends somewhere else. Following could hand credentials and events to another server.
    #[error("the URL redirects to {location}; publish there if that is right")]
    Redirected { location: String },
    /// It says yes, but does not name the events, as a hub does.
    #[error("the server answered with success, but not as a hub does")]
    NotAHub,
    /// The request was sent, but what came of it is not known.
    #[error("{reason}")]
    Unknown { reason: String, problem: Option<Box<Problem>> },
}

/// Sends `request` once. An error calls the server by `url`.
pub(crate) async fn attempt(request: RequestBuilder, url: &Url) -> Attempt {
    match request.timeout(ANSWER_TIMEOUT).send().await {
        Ok(response) => {
            let retry_after = retry_after(response.headers(), SystemTime::now());
            Attempt { outcome: judge(response).await, retry_after, answered: true }
        }
        Err(error) => {
            let error = if error.is_connect() {
                PublishError::Unreachable { url: url.clone(), reason: error.into() }
            } else {
                lost(error)
            };
            Attempt { outcome: Err(error), retry_after: None, answered: false }
        }
    }
}

/// What a response means: the one place where a status becomes an outcome.
pub(crate) async fn judge(response: Response) -> Result<Answer, PublishError> {
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
        // It is published, as far as the status says, whatever the answer looks like.
        return Ok(match body {
            Ok(body) => serde_json::from_slice(&body).unwrap_or_default(),
            Err(_) => Answer { is_cut_off: true, ..Answer::default() },
        });
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
    let reason = refusal(status, &problem);
    Err(PublishError::Unknown { reason, problem: Some(Box::new(problem)) })
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
    PublishError::Unknown { reason, problem: None }
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
