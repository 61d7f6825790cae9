//! What happens to the connection of a stream that is followed, in calm sentences on standard
//! error.

use std::fmt::Display;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::Deserialize;
use tidings_client::{Cause, Disconnection, Error, EventId};
use url::Url;

use crate::problem::said;
use crate::text::{duration, visible};

/// Tells what happens to the connection.
pub(crate) struct Status {
    url: String,
    /// Whether the connection has stood before.
    connected: bool,
}

impl Status {
    pub(crate) fn new(url: &Url) -> Self {
        Self { url: url.to_string(), connected: false }
    }

    pub(crate) fn open(&mut self, last_event_id: &EventId) {
        let again = if self.connected { "Connected again" } else { "Connected" };
        self.connected = true;
        if last_event_id.is_empty() {
            say(format!("{again} to {}.", self.url));
        } else {
            let id = visible(last_event_id.as_str());
            say(format!("{again} to {}, resuming after {id}.", self.url));
        }
    }

    pub(crate) fn disconnected(&self, disconnection: &Disconnection) {
        let delay = duration(disconnection.delay);
        let reason = visible(&disconnection.reason()).into_owned();
        if self.connected {
            say(format!("Connection lost ({reason}); reconnecting in {delay}."));
        } else {
            say(format!("Could not connect to {} ({reason}); trying again in {delay}.", self.url));
        }
    }

    pub(crate) fn unsendable_id(&self, id: &EventId) {
        let id = visible(id.as_str()).into_owned();
        warn(format!(
            "the event id {id:?} cannot be sent back to the server, so events may be missed or \
             come again after this reconnect."
        ));
    }

    pub(crate) fn gap(&self, data: &str) {
        warn(gap_sentence(data));
    }

    pub(crate) fn ended(&self) {
        say("The stream has ended: the server asked not to reconnect (204).");
    }

    pub(crate) fn answered(&self) {
        say("The answer has ended.");
    }
}

/// What a gap notice holds, as far as a person wants to know.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Gap {
    reason: String,
    requested: String,
    oldest: Option<String>,
}

fn gap_sentence(data: &str) -> String {
    let gap: Gap = serde_json::from_str(data).unwrap_or_default();
    let why = match gap.reason.as_str() {
        "trimmed" => "the server no longer keeps them (trimmed)",
        "unknown_id" => "the server does not know the id (unknown_id)",
        "other_epoch" => "the server's history was started anew (other_epoch)",
        "ahead" => "the id is ahead of the server's history (ahead)",
        "" => "the server gave no reason",
        other => other,
    };
    let after = match visible(&gap.requested) {
        id if id.is_empty() => String::new(),
        id => format!(" after {id}"),
    };
    let mut sentence = format!("events{after} were missed: {}.", visible(why));
    if let Some(oldest) = gap.oldest {
        sentence.push_str(&format!(" The oldest event there is now is {}.", visible(&oldest)));
    }
    sentence
}

/// Why the stream is not followed any more, and what to do about it.
pub(crate) fn refusal(url: &Url, error: &Error) -> String {
    if let Error::RetriesExhausted { .. } | Error::NotReplayed { .. } = error {
        return format!("{url}: {}.", visible(&error.to_string()));
    }
    if let (Cause::Status { status, .. }, Some(reason)) = (error.cause(), said(error.body())) {
        return format!("{url} answered with status {status}: {}", visible(&reason));
    }
    match error.cause() {
        Cause::Status { status: status @ (401 | 403), .. } => format!(
            "{url} refused access ({status}). Give credentials with --header, such as \
             --header 'Authorization: Bearer …'."
        ),
        Cause::Status { status: status @ (404 | 410), .. } => {
            format!("There is no event stream at {url} ({status}). Check the URL.")
        }
        Cause::Status { status: 204, .. } => {
            format!("{url} has ended its stream (204) before --count or --until was reached.")
        }
        Cause::Status { status: 407, .. } => {
            "The proxy wants credentials (407). Put them in the proxy's URL in the environment."
                .to_owned()
        }
        Cause::Status { status: status @ (429 | 500..=599), .. } => format!(
            "{url} answered with status {status}. Without --strict, the listener would try again."
        ),
        Cause::Status { status, .. } => format!(
            "{url} answered with status {status}, not with an event stream. Check the URL and the \
             headers."
        ),
        Cause::ContentType { content_type } => {
            let found = content_type.as_deref().map_or("something of no type".into(), visible);
            format!("{url} answers with {found}, not with an event stream. Check the URL.")
        }
        Cause::Limit(limit) => {
            format!("{url} sends events that are too large: {limit}. They cannot be followed.")
        }
        Cause::Cors(error) => {
            let error = error.to_string();
            format!("A page of that origin cannot follow {url}: {}.", visible(&error))
        }
        cause => format!("{url} cannot be followed: {cause}. Check the URL."),
    }
}

/// Says what is good to know and asks for nothing.
pub(crate) fn say(sentence: impl Display) {
    // Nothing can be done if nobody reads this.
    let _ = writeln!(anstream::stderr(), "{DIM}{sentence}{DIM:#}");
}

/// Says what somebody may have to act on.
pub(crate) fn warn(sentence: impl Display) {
    let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    let _ = writeln!(anstream::stderr(), "{yellow}warning:{yellow:#} {sentence}");
}

pub(crate) const DIM: Style = Style::new().dimmed();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_with_its_reason() {
        assert_eq!(
            gap_sentence(r##"{"reason":"trimmed","requested":"#a-1","oldest":"#a-9","x":1}"##),
            "events after #a-1 were missed: the server no longer keeps them (trimmed). \
             The oldest event there is now is #a-9."
        );
        assert_eq!(
            gap_sentence(r#"{"reason":"new","requested":"7","oldest":null}"#),
            "events after 7 were missed: new."
        );
        assert_eq!(gap_sentence("nonsense"), "events were missed: the server gave no reason.");
    }
}
