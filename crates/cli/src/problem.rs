//! How a server says no.

use serde::Deserialize;
use serde_json::Value;

/// A problem document (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// What kind it is: a URL that ends in its name.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    pub(crate) field: Option<String>,
    rule: Option<String>,
    /// The line of the batch, counted from 1.
    pub(crate) line: Option<u64>,
    /// The event of the stream, counted from 1.
    pub(crate) event: Option<u64>,
    /// How many events of the stream, from the first on, are published.
    pub(crate) published: Option<u64>,
    pub(crate) last_id: Option<String>,
}

impl Problem {
    /// What is wrong, as half a sentence, if the document says it.
    pub(crate) fn reason(&self) -> Option<String> {
        match self {
            Self { field: Some(field), rule: Some(rule), .. } => Some(format!("{field}: {rule}")),
            Self { detail: Some(detail), line: Some(line), .. } => {
                // The line is told in terms of the input.
                let prefix = format!("line {line}: ");
                Some(detail.strip_prefix(&prefix).unwrap_or(detail).to_owned())
            }
            Self { detail: Some(detail), event: Some(event), .. } => {
                let prefix = format!("event {event}: ");
                Some(detail.strip_prefix(&prefix).unwrap_or(detail).to_owned())
            }
            Self { detail: text @ Some(_), .. } | Self { title: text, .. } => text.clone(),
        }
    }
}

/// What the body of a refusal says is wrong, as far as it is meant for people: a problem document, the
/// message of an error in JSON as many APIs have it, or plain text; no page of HTML.
pub(crate) fn said(body: &str) -> Option<String> {
    let body = body.trim();
    let text = match serde_json::from_str::<Value>(body) {
        Ok(json) => {
            let problem = Problem::deserialize(&json).ok().and_then(|problem| problem.reason());
            let message = [&json["error"]["message"], &json["error"], &json["message"]];
            problem.or_else(|| message.iter().find_map(|text| text.as_str()).map(str::to_owned))?
        }
        Err(_) => body.to_owned(),
    };
    let is_fit = !text.is_empty() && !text.starts_with('<');
    is_fit.then(|| text.chars().take(CHARS_MAX).collect())
}

/// More is no sentence.
const CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say() {
        for (body, expected) in [
            (r#"{"type":"/problems/x","title":"No","detail":"Not so."}"#, Some("Not so.")),
            (r#"{"error":{"message":"No such model.","code":7}}"#, Some("No such model.")),
            (r#"{"error":"too many"}"#, Some("too many")),
            (r#"{"message":"closed"}"#, Some("closed")),
            ("Try later.\n", Some("Try later.")),
            (r#"{"code":7}"#, None),
            ("[]", None),
            ("<!doctype html><p>Not here", None),
            (" ", None),
        ] {
            assert_eq!(said(body).as_deref(), expected, "{body}");
        }
        assert_eq!(said(&"x".repeat(1000)).map(|text| text.len()), Some(300));
    }
}
