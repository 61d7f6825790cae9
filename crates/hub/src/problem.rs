//! Problems: how the hub says no, in the form of RFC 9457.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use rand::RngExt as _;
use serde::Serialize;
use tidings_server::{log::AppendError, subscription::GapReason};

/// What kind of problem it is. Each has a page of its own at `/problems/{slug}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    UnknownField,
    InvalidField,
    KeyReused,
    KeyUnderWay,
    BodyTooLarge,
    BodyTimeout,
    ContentType,
    NotAcceptable,
    NotFound,
    UnknownEvent,
    UnknownSubscriber,
    MethodNotAllowed,
    ForeignHost,
    ForeignOrigin,
    LocalOnly,
    Crowded,
    LogAway,
    Leaving,
    OutcomeUnknown,
}

struct Entry {
    slug: &'static str,
    status: StatusCode,
    title: &'static str,
    explanation: &'static str,
}

impl Kind {
    pub(crate) const ALL: [Self; 20] = [
        Self::Malformed,
        Self::UnknownField,
        Self::InvalidField,
        Self::KeyReused,
        Self::KeyUnderWay,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::ContentType,
        Self::NotAcceptable,
        Self::NotFound,
        Self::UnknownEvent,
        Self::UnknownSubscriber,
        Self::MethodNotAllowed,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::LocalOnly,
        Self::Crowded,
        Self::LogAway,
        Self::Leaving,
        Self::OutcomeUnknown,
    ];

    fn entry(self) -> Entry {
        let (slug, status, title, explanation) = match self {
            Self::Malformed => (
                "malformed-request",
                StatusCode::BAD_REQUEST,
                "The request cannot be read",
                "A part of the request is not written as it must be: a percent sign without two \
                 hexadecimal digits, text that is not UTF-8, a line that is not a JSON object, a \
                 Host header that is missing or is no host. Nothing was changed.",
            ),
            Self::UnknownField => (
                "unknown-field",
                StatusCode::BAD_REQUEST,
                "The request has a field that is not known here",
                "A query parameter or a key of a JSON object is not one that this request has; \
                 usually its name is misspelt. Nothing was changed.",
            ),
            Self::InvalidField => (
                "invalid-field",
                StatusCode::UNPROCESSABLE_ENTITY,
                "A field of the request breaks a rule",
                "`field` names it and `rule` says what holds for it. In a batch, `line` is the \
                 line of the body, counted from 1. Nothing was changed: of a batch, no event was \
                 published.",
            ),
            Self::KeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key was used for another event",
                "An idempotency key stands for one event: with it, only the same data, topics, \
                 event type, id, reconnection time and privacy may be sent again. Give every \
                 event a key of its own. In a batch, `line` is the line of the body, counted from \
                 1. Nothing was changed: of a batch, no event was published.",
            ),
            Self::KeyUnderWay => (
                "idempotency-key-under-way",
                StatusCode::CONFLICT,
                "A publish with this idempotency key is under way",
                "The hub is still handling a request with the same idempotency key. Nothing was \
                 changed by this one; send it again after the time in Retry-After to learn what \
                 became of the event. In a batch, `line` is the line of the body, counted from 1.",
            ),
            Self::BodyTooLarge => (
                "body-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "The body of the request is larger than the hub takes (option \
                 --body-bytes-max), or the batch larger than its log takes at once. Nothing was \
                 changed.",
            ),
            Self::BodyTimeout => (
                "body-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body took too long to arrive",
                "The whole body must arrive within the time that option --body-timeout sets. \
                 Nothing was changed.",
            ),
            Self::ContentType => (
                "content-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The content type does not go with this request",
                "A batch goes to /events as application/x-ndjson. A single event goes to \
                 /events/{topic} with any content type but application/x-ndjson and \
                 text/event-stream, which are reserved. Nothing was changed.",
            ),
            Self::NotAcceptable => (
                "not-acceptable",
                StatusCode::NOT_ACCEPTABLE,
                "The events are not offered in the form that was asked for",
                "Events are sent as text/event-stream or application/x-ndjson; the Accept header \
                 must allow one of them.",
            ),
            Self::NotFound => (
                "not-found",
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "Events are published to and followed at /events/{topic}.",
            ),
            Self::UnknownEvent => (
                "unknown-event",
                StatusCode::NOT_FOUND,
                "The log has no event with this id",
                "`reason` says why: `trimmed` (the history's limits removed it), `other_epoch` \
                 (the id is of another incarnation of the log), `ahead` (no event has come so \
                 far), or `unknown_id` (no event has the id: it never had, or was trimmed). The \
                 id of an event is what its publisher was answered, and what subscribers see. \
                 Ephemeral events have none.",
            ),
            Self::UnknownSubscriber => (
                "unknown-subscriber",
                StatusCode::NOT_FOUND,
                "No subscriber of this name is known",
                "A subscriber names itself with ?subscriber=NAME when it follows, and is given a \
                 name otherwise; the opening of its stream and the header Tidings-Subscriber \
                 tell it, and GET /subscribers lists all that are known: those that are \
                 connected, and the last 1,000 connections that ended since the hub started, of \
                 one name the last four.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The method is not offered here",
                "The Allow header names the methods that are.",
            ),
            Self::ForeignHost => (
                "foreign-host",
                StatusCode::FORBIDDEN,
                "The hub does not answer to this host name",
                "A hub without keys answers only to loopback names in the Host header \
                 (localhost, 127.0.0.0/8, [::1]) and to the host of its --public-url, so that no \
                 web page can reach it by pointing a name of its own at this machine (DNS \
                 rebinding). Nothing was changed.",
            ),
            Self::ForeignOrigin => (
                "foreign-origin",
                StatusCode::FORBIDDEN,
                "Pages of this origin may not use the hub",
                "The request comes from a web page of another origin, and that origin was not \
                 given with --cors-origin. Nothing was changed.",
            ),
            Self::LocalOnly => (
                "local-only",
                StatusCode::FORBIDDEN,
                "This is told on the hub's own machine only",
                "Who is subscribed, and what was delivered to whom, is for the operator. Ask from \
                 the machine that the hub runs on, at a loopback address such as 127.0.0.1 and \
                 not through a proxy: for instance `ssh HOST curl http://127.0.0.1:8080/…`.",
            ),
            Self::Crowded => (
                "crowded",
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub has too much to do",
                "A limit that holds for all clients together is reached. Nothing was changed; \
                 try again after the time in Retry-After. An event stream gets 200 with `retry:` \
                 instead, because an EventSource gives up on any other status.",
            ),
            Self::LogAway => (
                "log-away",
                StatusCode::SERVICE_UNAVAILABLE,
                "The log takes no events at present",
                "A write to the log failed, and it takes no more until it was reopened, which \
                 the hub tries by itself. Nothing was changed; try again after the time in \
                 Retry-After.",
            ),
            Self::Leaving => (
                "leaving",
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub is about to stop",
                "Nothing was changed; try again after the time in Retry-After.",
            ),
            Self::OutcomeUnknown => (
                "outcome-unknown",
                StatusCode::GATEWAY_TIMEOUT,
                "It is not known whether the events were published",
                "The log did not say in time whether it took the events. They may be published, \
                 now or later, all of them or none. Publishing them again may publish them \
                 twice, unless they have idempotency keys: then it is safe.",
            ),
        };
        Entry { slug, status, title, explanation }
    }

    pub(crate) fn slug(self) -> &'static str {
        self.entry().slug
    }

    /// The problem's page, for people.
    pub(crate) fn page(self) -> String {
        let Entry { slug, status, title, explanation } = self.entry();
        format!("{slug} ({})\n{title}.\n\n{explanation}\n", status.as_u16())
    }
}

/// A refusal, with what the client needs to do better.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    field: Option<String>,
    rule: Option<String>,
    line: Option<usize>,
    reason: Option<GapReason>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, detail, field: None, rule: None, line: None, reason: None, retry_after: None }
    }

    /// A field that breaks a rule. The field and the rule make up the detail.
    pub(crate) fn invalid(field: &str, rule: impl ToString) -> Self {
        let rule = rule.to_string();
        let mut problem = Self::new(Kind::InvalidField, format!("{field}: {rule}"));
        problem.field = Some(field.to_owned());
        problem.rule = Some(rule);
        problem
    }

    /// A field that this request does not have.
    pub(crate) fn unknown(field: &str, known: &[&str]) -> Self {
        let rule = format!("known here are {}", known.join(", "));
        let detail = format!("there is no field {field:?}; {rule}");
        Self { rule: Some(rule), ..Self::new(Kind::UnknownField, detail).of(field) }
    }

    #[must_use]
    pub(crate) fn of(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, reason: GapReason) -> Self {
        self.reason = Some(reason);
        self
    }

    #[must_use]
    pub(crate) fn on_line(mut self, line: usize) -> Self {
        self.detail = format!("line {line}: {}", self.detail);
        self.line = Some(line);
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, retry: Duration) -> Self {
        self.retry_after = Some(retry);
        self
    }
}

/// The only place where an error of the log becomes a status.
impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let (kind, retry) = match error {
            AppendError::Overloaded => (Kind::Crowded, Some(RETRY)),
            AppendError::Latched { .. } => (Kind::LogAway, Some(RETRY)),
            AppendError::Closed => (Kind::Leaving, Some(RETRY)),
            AppendError::TooLarge { .. } => (Kind::BodyTooLarge, None),
            AppendError::KeyReused { .. } => (Kind::KeyReused, None),
            // An outcome of a kind that this version does not know is not known either.
            _ => (Kind::OutcomeUnknown, None),
        };
        // The cause may name files of this machine; it is in the log, not in the answer.
        let detail = match &error {
            AppendError::Latched { .. } => "the log stopped taking events after a failed write",
            AppendError::Unknown { .. } => "the log did not say in time whether it took the events",
            other => &other.to_string(),
        };
        let problem = Self::new(kind, detail);
        Self { retry_after: retry, ..problem }
    }
}

pub(crate) const RETRY: Duration = Duration::from_secs(2);

/// `time`, lengthened by chance to up to its double, so that many who wait do not come at once.
pub(crate) fn jittered(time: Duration) -> Duration {
    time.mul_f64(1.0 + rand::rng().random::<f64>())
}

/// A problem as it is sent.
#[derive(Serialize)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Entry { slug, status, title, .. } = self.kind.entry();
        let body = Body {
            kind: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            field: self.field,
            rule: self.rule,
            line: self.line,
            reason: self.reason.map(GapReason::as_str),
        };
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response =
            (status, headers, serde_json::to_string(&body).unwrap_or_default()).into_response();
        if let Some(retry) = self.retry_after {
            let seconds = jittered(retry).as_secs_f64().ceil() as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use super::*;

    #[test]
    fn every_kind_has_a_page_of_its_own() {
        let slugs: HashSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            let status = kind.entry().status;
            assert!(kind.page().contains(status.as_str()) && !status.is_success());
        }
    }

    #[test]
    fn an_error_of_the_log_becomes_a_status_without_its_cause() {
        let cause: Arc<str> = "/var/secret: no space".into();
        for (error, status, retry) in [
            (AppendError::Overloaded, 503, true),
            (AppendError::Latched { cause: cause.clone() }, 503, true),
            (AppendError::Closed, 503, true),
            (AppendError::Unknown { cause }, 504, false),
            (AppendError::TooLarge { bytes: 2, bytes_max: 1 }, 413, false),
            (AppendError::KeyReused { record: 0 }, 422, false),
        ] {
            let problem = Problem::from(error);
            assert!(!problem.detail.contains("secret"));
            let response = problem.into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry);
        }
    }
}
