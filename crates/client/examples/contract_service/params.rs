//! What a harness asks for, as it comes in JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use tidings_client::{EventId, EventSource, Policy, Profile};

use super::error::RequestError;

/// The stream that a harness wants followed.
///
/// Optional fields may be `null`, as harnesses write them so. Unknown ones are ignored: they are of
/// capabilities that the service does not claim.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateStream {
    stream_url: String,
    pub(crate) callback_url: String,
    /// Which test it is for.
    pub(crate) tag: Option<String>,
    initial_delay_ms: Option<u64>,
    read_timeout_ms: Option<u64>,
    last_event_id: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    method: Option<String>,
    body: Option<String>,
}

impl CreateStream {
    /// A source as the harness wants it. It connects when it is first polled.
    pub(crate) fn source(&self) -> Result<EventSource, RequestError> {
        let policy = Policy::strict();
        let delay = self.initial_delay_ms.map_or(policy.reconnection_time, Duration::from_millis);
        let mut builder = EventSource::builder(&self.stream_url)
            // The tests are of the standard: a 204 and a redirect without a Location end the source
            // for good, and none wants a new attempt after another status.
            .profile(Profile::Strict)
            .reconnect(Policy { reconnection_time: delay, ..policy })
            .idle_timeout(self.read_timeout_ms.map(Duration::from_millis))
            // The tests of POST have a request sent again with its body.
            .replay(true);
        if let Some(method) = &self.method {
            let invalid = |_| RequestError::Method { method: method.clone() };
            builder = builder.method(Method::from_bytes(method.as_bytes()).map_err(invalid)?);
        }
        if let Some(body) = &self.body {
            builder = builder.body(body.clone());
        }
        if let Some(id) = &self.last_event_id {
            let id = EventId::new(id.as_str()).map_err(RequestError::LastEventId)?;
            builder = builder.last_event_id(id);
        }
        for (name, value) in self.headers.iter().flatten() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        Ok(builder.build()?)
    }
}

/// What a harness wants of a stream.
#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(crate) enum Command {
    /// Tell of events of a type, from now on.
    Listen {
        // Releases of the harness before its second spell it like this.
        #[serde(alias = "Listen")]
        listen: Listen,
    },
    /// Leave the connection and connect again.
    Restart,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Listen {
    #[serde(rename = "type")]
    pub(crate) event_type: String,
}
