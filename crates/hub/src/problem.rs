//! Problems: how the hub says no, in the form of RFC 9457.

mod kind;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use rand::RngExt as _;
use serde::Serialize;
use tidings_server::{log::AppendError, subscription::GapReason};

use self::kind::Entry;
pub(crate) use self::kind::Kind;

/// A refusal, with what the client needs to do better.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    field: Option<String>,
    rule: Option<String>,
    line: Option<usize>,
    reason: Option<GapReason>,
    /// Boxed, as most problems are not of a stream.
    streamed: Option<Box<Streamed>>,
    retry_after: Option<Duration>,
}

/// What a problem says of the stream that it ends.
#[derive(Debug, Clone, Default, Serialize)]
struct Streamed {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<u64>,
    #[serde(flatten)]
    account: Option<Account>,
}

/// What a streamed publish has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    /// How many of its events, from the first on, are certain to be published.
    pub(crate) published: u64,
    /// The id of the last of them.
    pub(crate) last_id: Option<String>,
    /// How many of them were published before, under their idempotency keys.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) repeated: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            kind,
            detail,
            field: None,
            rule: None,
            line: None,
            reason: None,
            streamed: None,
            retry_after: None,
        }
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

    /// The event of a stream that it is about, counted from 1.
    #[must_use]
    pub(crate) fn on_event(mut self, number: u64) -> Self {
        self.detail = format!("event {number}: {}", self.detail);
        self.streamed.get_or_insert_default().event = Some(number);
        self
    }

    /// What was published of a stream before the problem ended it.
    #[must_use]
    pub(crate) fn after(mut self, account: Account) -> Self {
        self.streamed.get_or_insert_default().account = Some(account);
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
            AppendError::Latched { .. } => {
                "the log takes no events: a write failed, or NATS is away"
            }
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
    #[serde(flatten)]
    streamed: Option<Box<Streamed>>,
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
            streamed: self.streamed,
        };
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response =
            (status, headers, serde_json::to_string(&body).unwrap_or_default() + "\n")
                .into_response();
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
