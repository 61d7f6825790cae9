//! A stream that is followed for a harness, and the calls that tell it what came.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tidings_client::{Cause, EventSource, Handle, Message, NetworkError, Update, default_client};
use tokio::task::JoinHandle;
use url::Url;

use super::error::RequestError;
use super::params::CreateStream;

/// A stream. Dropping it closes its connection.
pub(crate) struct Stream {
    handle: Handle,
    heard: Arc<Heard>,
    /// The event types that are listened for besides `message`.
    types: HashSet<String>,
    task: JoinHandle<()>,
}

/// The message that a listener was told of, until the stream yields it.
///
/// The listeners decide which events are reported, as this is what the harness tests; the stream
/// waits for its reports, as listeners cannot.
#[derive(Default)]
struct Heard(Mutex<Option<Message>>);

impl Heard {
    fn put(&self, message: Option<&Message>) {
        // The lifecycle of the source comes to listeners of `open` and `error`, too.
        if let Some(message) = message {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        }
    }

    fn take(&self) -> Option<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Stream {
    /// Follows the stream from now on.
    pub(crate) fn open(params: &CreateStream) -> Result<Self, RequestError> {
        let (source, callbacks) = (params.source()?, Callbacks::new(params)?);
        let (handle, heard) = (source.handle(), Arc::new(Heard::default()));
        handle.on_message({
            let heard = Arc::clone(&heard);
            move |message| heard.put(Some(message))
        });
        let task = tokio::spawn(follow(source, Arc::clone(&heard), callbacks));
        Ok(Self { handle, heard, types: HashSet::new(), task })
    }

    /// Reports events of this type, too. Those that nobody listens for are not reported, as in a
    /// browser.
    pub(crate) fn listen(&mut self, event_type: String) -> Result<(), RequestError> {
        if self.types.contains(&event_type) {
            return Ok(());
        }
        if self.types.len() == TYPES_MAX {
            return Err(RequestError::TooManyTypes { types_max: TYPES_MAX });
        }
        let heard = Arc::clone(&self.heard);
        self.handle.add_event_listener(&event_type, move |dispatch| {
            heard.put(dispatch.message());
        });
        self.types.insert(event_type);
        Ok(())
    }

    /// Leaves the connection, and connects again at once.
    pub(crate) fn restart(&self) {
        self.handle.reconnect();
    }

    /// Closes the connection. After it, nothing is reported.
    pub(crate) async fn close(mut self) {
        self.task.abort();
        // Its only other end is that of the stream, which may have come before.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reports what happens to the source, a thing at a time: the next is read when the harness has
/// taken the last.
async fn follow(mut source: EventSource, heard: Arc<Heard>, mut callbacks: Callbacks) {
    while let Some(update) = source.next().await {
        match update {
            Ok(Update::Message(_)) => {
                if let Some(message) = heard.take() {
                    callbacks.send(event(&message)).await;
                }
            }
            Ok(Update::Comment(comment)) => {
                callbacks.send(json!({ "kind": "comment", "comment": comment })).await;
            }
            // Harnesses take the restart that they asked for as no error.
            Ok(Update::Disconnected(disconnection))
                if matches!(disconnection.cause, Cause::Asked) => {}
            Ok(Update::Disconnected(disconnection)) => {
                callbacks.send(error(&disconnection.to_string())).await;
            }
            Err(reason) => callbacks.send(error(&reason.to_string())).await,
            Ok(_) => {}
        }
    }
}

fn event(message: &Message) -> Value {
    json!({
        "kind": "event",
        "event": {
            "type": message.event_type.as_str(),
            "data": message.data,
            "id": message.last_event_id.as_str(),
        },
    })
}

fn error(sentence: &str) -> Value {
    json!({ "kind": "error", "error": sentence })
}

/// The calls to the harness, counted from 1.
struct Callbacks {
    client: Client,
    /// Without a slash at its end.
    url: String,
    /// How many there were, those that failed included, so that none takes the place of another.
    sent: u64,
    tag: String,
}

impl Callbacks {
    fn new(params: &CreateStream) -> Result<Self, RequestError> {
        let invalid = || RequestError::CallbackUrl { callback_url: params.callback_url.clone() };
        let url = Url::parse(&params.callback_url).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid());
        }
        Ok(Self {
            client: default_client(&url).map_err(RequestError::Client)?,
            url: params.callback_url.trim_end_matches('/').to_owned(),
            sent: 0,
            tag: params.tag.clone().unwrap_or_else(|| "untagged".to_owned()),
        })
    }

    /// Sends a report and waits until it is taken. One that is not is logged.
    async fn send(&mut self, report: Value) {
        self.sent += 1;
        let url = format!("{}/{}", self.url, self.sent);
        if let Err(error) = self.post(&url, report).await {
            eprintln!("{}: the callback to {url} failed: {error}", self.tag);
        }
    }

    async fn post(&self, url: &str, report: Value) -> Result<(), CallbackError> {
        let response = self
            .client
            .post(url)
            .timeout(CALLBACK_TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .body(report.to_string())
            .send()
            .await
            .map_err(NetworkError::from)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(CallbackError::Status { status }),
        }
    }
}

/// Why the harness did not take a report.
#[derive(Debug, thiserror::Error)]
enum CallbackError {
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("it was answered with {status}")]
    Status { status: StatusCode },
}

/// How long the harness may take for a callback.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(30);

/// How many event types a stream listens for at most.
const TYPES_MAX: usize = 1000;
