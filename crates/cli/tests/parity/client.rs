//! The client's source in a scenario.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tidings_client::{Dispatch, EventSource, Handle, ListenerId, ListenerOptions, ReadyState};
use tokio::sync::mpsc;

use crate::{
    scenario::{Close, Scenario},
    stage::Stage,
};

/// What the source has told, in the words of the page's script.
pub(crate) async fn run(scenario: &Scenario, stage: &Arc<Stage>) -> Value {
    let source = EventSource::builder(stage.filled(scenario.url))
        .origin(stage.filled("{here}"))
        .with_credentials(scenario.with_credentials)
        .cookies(Arc::new(reqwest::cookie::Jar::default()))
        .build()
        .unwrap();
    let handle = source.handle();
    let (tell, mut told) = mpsc::unbounded_channel();
    let teller = Teller { handle: handle.clone(), stage: Arc::clone(stage), tell };
    teller.listen(scenario);
    match scenario.closes {
        Close::Never => {}
        Close::AtOnce => handle.close(),
        Close::WhenAsked => {
            let (stage, handle) = (Arc::clone(stage), handle.clone());
            tokio::spawn(async move {
                stage.is_asked().await;
                handle.close();
            });
        }
    }
    let url = source.url().to_string();
    // How it ended is told by its listeners.
    let _ = source.run().await;
    teller.tell(json!(["state", handle.ready_state() as u8]));
    teller.tell(json!(["url", url]));
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

/// Tells what happens, and obeys the messages that are commands.
#[derive(Clone)]
struct Teller {
    handle: Handle,
    stage: Arc<Stage>,
    tell: mpsc::UnboundedSender<Value>,
}

impl Teller {
    fn listen(&self, scenario: &Scenario) {
        let second = Arc::new(std::sync::Mutex::new(None));
        let errors = Arc::new(AtomicUsize::new(0));
        let closes_at_error = scenario.closes_at_error;
        let listens_at_error = scenario.down.ends_at_error();
        let types = ["open", "error", "message"].iter().chain(scenario.listens);
        for event_type in types {
            let (this, second, errors) = (self.clone(), Arc::clone(&second), Arc::clone(&errors));
            let listener = move |dispatch: Dispatch<'_>| match dispatch {
                Dispatch::Message(message) => {
                    this.tell(json!([
                        "message",
                        message.event_type.as_str(),
                        message.data,
                        message.last_event_id.as_str(),
                        message.origin.as_str(),
                    ]));
                    this.obey(&message.data, &second);
                }
                Dispatch::Open(_) => {
                    this.tell(json!(["open", this.handle.ready_state() as u8]));
                }
                _ => {
                    let ready_state = this.handle.ready_state();
                    this.tell(json!(["error", ready_state as u8]));
                    let errors = errors.fetch_add(1, Ordering::Relaxed) + 1;
                    if Some(errors) == listens_at_error {
                        this.stage.listen_again();
                    }
                    if ready_state != ReadyState::Closed && Some(errors) == closes_at_error {
                        this.handle.close();
                    }
                }
            };
            self.handle.add_event_listener(event_type, listener);
        }
        if scenario.has_second {
            *second.lock().unwrap() = Some(self.add("second", ListenerOptions::default()));
        }
    }

    fn obey(&self, command: &str, second: &std::sync::Mutex<Option<ListenerId>>) {
        let handle = &self.handle;
        match command {
            "go" => self.stage.go(),
            "close" => handle.close(),
            "close twice" => {
                handle.close();
                handle.close();
            }
            "remove" => {
                let second = second.lock().unwrap().take();
                second.map(|second| handle.remove_event_listener(second));
            }
            "add" => {
                self.add("added", ListenerOptions::default());
            }
            "once" => {
                self.add("once", ListenerOptions::ONCE);
            }
            "handle" => self.handle_messages("handled"),
            "handle otherwise" => self.handle_messages("handled otherwise"),
            "throw" => panic!("as asked"),
            _ => {}
        }
    }

    fn add(&self, name: &'static str, options: ListenerOptions) -> ListenerId {
        let this = self.clone();
        self.handle.add_event_listener_with("message", options, move |dispatch| {
            this.tell(json!([name, dispatch.message().map(|message| &message.data)]));
        })
    }

    fn handle_messages(&self, name: &'static str) {
        let this = self.clone();
        self.handle.on_message(move |message| this.tell(json!([name, message.data])));
    }

    fn tell(&self, what: Value) {
        // The scenario may be over.
        let _ = self.tell.send(what);
    }
}
