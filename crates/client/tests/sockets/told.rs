//! What listeners were told, to be compared.

#![allow(unreachable_pub, reason = "the tests share it")]

use std::sync::{Arc, Mutex};

use tidings_client::{Dispatch, Handle, ListenerId};

/// What listeners were told, in order.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    /// Notes who was told what, and the state it found.
    pub fn note(&self, who: &str, handle: &Handle, dispatch: Dispatch<'_>) {
        let what = match dispatch {
            Dispatch::Open(response) => format!("open {}", response.status.as_u16()),
            Dispatch::Disconnected(disconnection) => format!("lost: {}", disconnection.reason()),
            Dispatch::Failed(error) => format!("failed: {error}"),
            Dispatch::Ended => "ended".into(),
            Dispatch::Message(message) => format!("{}={}", message.event_type, message.data),
            dispatch => panic!("{dispatch:?} is new"),
        };
        let line = format!("{who} {:?} {what}", handle.ready_state());
        self.add(line);
    }

    pub fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub fn listen(&self, handle: &Handle, who: &'static str, event_type: &str) -> ListenerId {
        let (told, on) = (self.clone(), handle.clone());
        handle.add_event_listener(event_type, move |dispatch| {
            told.note(who, &on, dispatch);
        })
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
