//! How a server says no.

use serde::Deserialize;

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
            Self { detail: text @ Some(_), .. } | Self { title: text, .. } => text.clone(),
        }
    }
}
