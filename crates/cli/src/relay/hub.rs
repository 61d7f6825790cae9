//! The hub that a relay publishes to: asked until it answers.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode};
use tidings_client::Policy;
use tidings_proto::reconnect::Reconnect;

use super::lines::Shipment;
use crate::attempt::{Answer, PublishError, attempt};
use crate::problem::Problem;
use crate::status::say;
use crate::target::Target;
use crate::text::{duration, public};

/// Publishes to one topic of a hub.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    pub(super) client: Client,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
}

/// What no patience changes. Of the request, nothing was published.
#[derive(Debug)]
pub(super) enum Refusal {
    /// One of the events, the one at this line (from 0) if the hub says so.
    Event { line: Option<usize>, error: PublishError },
    /// The key of one of them, which an event with other content had before.
    Key { line: Option<usize>, error: PublishError },
    /// All that the relay could send.
    Everything(PublishError),
}

impl Hub {
    /// Sends until it is published or refused, with growing pauses.
    ///
    /// All of it has keys, so it may be sent again when nobody knows what became of it.
    pub(super) async fn publish(self, shipment: Shipment) -> Result<(), Refusal> {
        let events = shipment.events();
        let request = self.request(shipment);
        let url = public(&self.target.events_url);
        let mut reconnect = Reconnect::new(PATIENCE, rand::random());
        loop {
            let again = request.try_clone().expect("the body is a string");
            let attempt = attempt(again, &url).await;
            let error = match attempt.outcome.and_then(|answer| confirmed(&answer, events)) {
                Ok(()) => break,
                Err(error) if is_worth_waiting(&error) => error,
                Err(error) => return Err(judge(error)),
            };
            let delay = reconnect.handle_failure(attempt.retry_after).unwrap_or(PATIENCE.delay_max);
            say(format!("Not published yet: {error}; trying again in {}.", duration(delay)));
            tokio::time::sleep(delay).await;
        }
        if reconnect.failures() > 0 {
            say("The hub takes events again.");
        }
        Ok(())
    }

    fn request(&self, shipment: Shipment) -> RequestBuilder {
        let request = match shipment {
            Shipment::Batch(body) => self
                .client
                .post(self.target.events_url.clone())
                .header(CONTENT_TYPE, "application/x-ndjson")
                .body(body),
            Shipment::Event { event, data, key } => {
                let mut url = self.target.topic_url.clone();
                if let Some(event) = event {
                    url.query_pairs_mut().append_pair("event", &event);
                }
                self.client
                    .post(url)
                    .header(CONTENT_TYPE, "text/plain; charset=utf-8")
                    .header("idempotency-key", key)
                    .body(data)
            }
        };
        request.headers(self.headers.clone())
    }
}

/// Whether the answer names so many events. A page that a proxy or another server shows with a 200
/// is not one that a cursor may move for.
fn confirmed(answer: &Answer, events: usize) -> Result<(), PublishError> {
    if answer.is_cut_off {
        let reason = "the connection was lost during the answer".to_owned();
        return Err(PublishError::Unknown { reason, problem: None });
    }
    if answer.ids.len().max(usize::from(answer.id.is_some())) == events {
        Ok(())
    } else {
        Err(PublishError::NotAHub)
    }
}

/// Whether sending the same again may help. Its keys make it safe.
fn is_worth_waiting(error: &PublishError) -> bool {
    match error {
        PublishError::Unreachable { .. } | PublishError::Unknown { .. } => true,
        // 408: the body was slow to arrive; 409: the same was sent before, and is still under way.
        PublishError::Refused { status, .. } => matches!(
            *status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
        ),
        PublishError::Redirected { .. } | PublishError::NotAHub => false,
    }
}

/// What a refusal is about.
fn judge(error: PublishError) -> Refusal {
    let PublishError::Refused { status, problem } = &error else {
        return Refusal::Everything(error);
    };
    if !matches!(*status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY) {
        return Refusal::Everything(error);
    }
    let line = problem.line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
    if is_about_topic(problem) {
        Refusal::Everything(error)
    } else if is_about_keys(problem) {
        Refusal::Key { line, error }
    } else {
        Refusal::Event { line, error }
    }
}

/// Whether the problem is the topic, which all events share.
fn is_about_topic(problem: &Problem) -> bool {
    matches!(problem.field.as_deref(), Some("topic" | "topics"))
}

/// Whether the problem is an idempotency key, in a line or a header.
pub(super) fn is_about_keys(problem: &Problem) -> bool {
    let names_it = |text: &Option<String>| {
        text.as_ref().is_some_and(|text| text.to_ascii_lowercase().contains("idempotency"))
    };
    names_it(&problem.field) || names_it(&problem.kind)
}

/// As patient as it takes, and at least every 20 seconds or so.
const PATIENCE: Policy = Policy {
    reconnection_time: Duration::from_millis(500),
    backoff_max: Duration::from_secs(15),
    delay_max: Duration::from_secs(300),
    retries_max: None,
    ..Policy::strict()
};

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, problem: &str) -> PublishError {
        PublishError::Refused {
            status: StatusCode::from_u16(status).unwrap(),
            problem: Box::new(serde_json::from_str(problem).unwrap()),
        }
    }

    #[test]
    fn a_refusal_is_of_an_event_of_its_key_or_of_everything() {
        for status in [408, 409, 429, 503] {
            assert!(is_worth_waiting(&refused(status, "{}")));
        }
        for status in [400, 401, 403, 404, 405, 413, 415, 422, 501] {
            assert!(!is_worth_waiting(&refused(status, "{}")));
        }
        for status in [400, 401, 403, 404, 405, 415, 501] {
            let refusal = judge(refused(status, r#"{"field":"idempotency_key","line":1}"#));
            assert!(matches!(refusal, Refusal::Everything(_)), "{status}");
        }
        let refusal = judge(refused(422, r#"{"field":"topic","line":3}"#));
        assert!(matches!(refusal, Refusal::Everything(_)));
        for (status, problem, line) in [
            (422, r#"{"field":"data","line":3}"#, Some(2)),
            (413, r#"{"type":"/problems/body-too-large"}"#, None),
            (422, r#"{"line":0}"#, None),
        ] {
            let Refusal::Event { line: judged, .. } = judge(refused(status, problem)) else {
                panic!("{problem}");
            };
            assert_eq!(judged, line);
        }
        for problem in [
            r#"{"field":"idempotency_key","line":1}"#,
            r#"{"field":"Idempotency-Key","line":1}"#,
            r#"{"type":"/problems/idempotency-key-reused","line":1}"#,
        ] {
            let refusal = judge(refused(422, problem));
            assert!(matches!(refusal, Refusal::Key { line: Some(0), .. }), "{problem}");
        }
    }
}
