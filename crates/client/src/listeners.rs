//! Who is told of what happens, in the order in which the DOM tells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disconnection, Error, Message, Response};

/// What is dispatched to listeners: the browsers' `Event` of type `open` or `error`, or a
/// `MessageEvent`.
///
/// A server may name its events `open` and `error`, too: listeners of these types are told of both.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Dispatch<'a> {
    /// The connection stands.
    Open(&'a Response),
    /// The connection was lost or refused, and the source connects again: its ready state is
    /// [`Connecting`](crate::ReadyState::Connecting).
    Disconnected(&'a Disconnection),
    /// The source is closed for good: its ready state is [`Closed`](crate::ReadyState::Closed).
    Failed(&'a Error),
    /// The server has ended a stream that is not asked for again, such as the answer to a POST. The
    /// source is closed for good.
    Ended,
    /// An event was received.
    Message(&'a Message),
}

impl<'a> Dispatch<'a> {
    /// The type by which listeners are found: `open`, `error`, or that of the event.
    #[must_use]
    pub fn event_type(&self) -> &'a str {
        match self {
            Self::Open(_) => OPEN,
            Self::Disconnected(_) | Self::Failed(_) | Self::Ended => ERROR,
            Self::Message(message) => message.event_type.as_str(),
        }
    }

    /// The event that was received, if it is one.
    #[must_use]
    pub const fn message(&self) -> Option<&'a Message> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }
}

/// A listener that was added, by which it can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// How a listener listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ListenerOptions {
    /// Whether it is removed before it is called for the first time. Default: no.
    pub once: bool,
}

impl ListenerOptions {
    /// A listener that is called once at most.
    pub const ONCE: Self = Self { once: true };
}

/// The listeners of a source.
///
/// Standard: DOM, "inner invoke": those there are when the dispatch begins are called in the order
/// in which they were added, but for those that are removed before their turn.
#[derive(Default)]
pub(crate) struct Listeners {
    /// Whether there are any, to know it without the lock.
    exist: AtomicBool,
    /// Whether the source is gone, so that nobody would ever remove what is added.
    is_over: AtomicBool,
    next: AtomicU64,
    listeners: Mutex<Vec<Arc<Listener>>>,
}

struct Listener {
    id: ListenerId,
    event_type: Box<str>,
    kind: Kind,
    is_removed: AtomicBool,
    /// Of a handler, the one it has now. It is not locked while it is called, so that a handler may
    /// replace itself.
    callback: Mutex<Arc<Mutex<Callback>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of `add_event_listener`.
    Added { once: bool },
    /// Of `on_open`, `on_message` or `on_error`, of which there is one each.
    Handler,
}

pub(crate) type Callback = Box<dyn FnMut(Dispatch<'_>) + Send>;

impl Listeners {
    pub(crate) fn add(
        &self,
        event_type: &str,
        options: ListenerOptions,
        callback: Callback,
    ) -> ListenerId {
        let listener = self.listener(event_type, Kind::Added { once: options.once }, callback);
        let id = listener.id;
        self.push(self.locked(), listener);
        id
    }

    /// Sets or replaces the handler of this type. One that is replaced leaves its turn to the new one,
    /// also while an event is delivered.
    ///
    /// Standard: "the event handler processing algorithm" of HTML, which looks for the handler when
    /// its turn has come.
    pub(crate) fn set_handler(&self, event_type: &str, callback: Callback) {
        let listeners = self.locked();
        match listeners.iter().find(|listener| listener.is_handler_of(event_type)) {
            Some(handler) => {
                let new = Arc::new(Mutex::new(callback));
                let old = std::mem::replace(&mut *unpoisoned(&handler.callback), new);
                drop(listeners);
                // What it has captured is dropped without the locks.
                drop(old);
            }
            None => self.push(listeners, self.listener(event_type, Kind::Handler, callback)),
        }
    }

    pub(crate) fn remove_handler(&self, event_type: &str) {
        self.remove_where(|listener| listener.is_handler_of(event_type));
    }

    /// Whether there was such a listener.
    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        self.remove_where(|listener| listener.id == id)
    }

    /// Removes all, and what they have captured with them, for good: what is added later is dropped.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.remove_where(|_| true);
    }

    /// Calls those who listen for what is dispatched. A panic in one is reported and stops nothing.
    #[inline]
    pub(crate) fn dispatch(&self, dispatch: Dispatch<'_>) {
        if self.exist.load(Ordering::Relaxed) {
            self.call(dispatch);
        }
    }

    fn call(&self, dispatch: Dispatch<'_>) {
        let event_type = dispatch.event_type();
        let called: Vec<Arc<Listener>> = self
            .locked()
            .iter()
            .filter(|listener| *listener.event_type == *event_type)
            .cloned()
            .collect();
        for listener in called {
            if listener.is_removed.load(Ordering::Relaxed) {
                continue;
            }
            if listener.kind == (Kind::Added { once: true }) {
                self.remove(listener.id);
            }
            let callback = Arc::clone(&unpoisoned(&listener.callback));
            let mut callback = unpoisoned(&callback);
            if catch_unwind(AssertUnwindSafe(|| callback(dispatch))).is_err() {
                tracing::error!(event_type, "a listener panicked; the source goes on");
            }
        }
    }

    fn listener(&self, event_type: &str, kind: Kind, callback: Callback) -> Arc<Listener> {
        self.exist.store(true, Ordering::Relaxed);
        Arc::new(Listener {
            id: ListenerId(self.next.fetch_add(1, Ordering::Relaxed)),
            event_type: event_type.into(),
            kind,
            is_removed: AtomicBool::new(false),
            callback: Mutex::new(Arc::new(Mutex::new(callback))),
        })
    }

    /// Adds a listener, unless the source is gone.
    fn push(&self, mut listeners: MutexGuard<'_, Vec<Arc<Listener>>>, listener: Arc<Listener>) {
        if !self.is_over.load(Ordering::Relaxed) {
            listeners.push(Arc::clone(&listener));
        }
        // What a callback has captured is dropped without the lock, as it may ask for it.
        drop(listeners);
        drop(listener);
    }

    fn remove_where(&self, is_meant: impl Fn(&Listener) -> bool) -> bool {
        let mut listeners = self.locked();
        let removed: Vec<_> = listeners.extract_if(.., |listener| is_meant(listener)).collect();
        drop(listeners);
        for listener in &removed {
            listener.is_removed.store(true, Ordering::Relaxed);
        }
        // What a callback has captured is dropped here, without the lock.
        !removed.is_empty()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        unpoisoned(&self.listeners)
    }
}

impl Listener {
    fn is_handler_of(&self, event_type: &str) -> bool {
        self.kind == Kind::Handler && *self.event_type == *event_type
    }
}

/// A panic within the lock leaves nothing half done: the list is whole, and a callback that panicked
/// is called again, as in the DOM.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) const OPEN: &str = "open";
pub(crate) const ERROR: &str = "error";
pub(crate) const MESSAGE: &str = "message";

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_proto::EventName;

    /// Who was called, in order.
    type Calls = Arc<Mutex<Vec<&'static str>>>;

    fn message(event_type: &str) -> Message {
        Message::new(EventName::new(event_type).unwrap(), "", Default::default(), "")
    }

    fn noting(calls: &Calls, name: &'static str) -> Callback {
        let calls = Arc::clone(calls);
        Box::new(move |_| calls.lock().unwrap().push(name))
    }

    fn dispatched(listeners: &Listeners, calls: &Calls, event_type: &str) -> Vec<&'static str> {
        listeners.dispatch(Dispatch::Message(&message(event_type)));
        std::mem::take(&mut calls.lock().unwrap())
    }

    const ALWAYS: ListenerOptions = ListenerOptions { once: false };

    #[test]
    fn they_are_called_in_their_order_for_their_type() {
        let (listeners, calls) = (Listeners::default(), Calls::default());
        listeners.add("a", ALWAYS, noting(&calls, "first"));
        listeners.add("b", ALWAYS, noting(&calls, "other"));
        listeners.add("a", ALWAYS, noting(&calls, "second"));
        assert_eq!(dispatched(&listeners, &calls, "a"), ["first", "second"]);
        assert_eq!(dispatched(&listeners, &calls, "b"), ["other"]);
        assert_eq!(dispatched(&listeners, &calls, "A"), [""; 0]);
    }

    #[test]
    fn a_handler_keeps_its_turn_when_it_is_replaced_but_not_when_it_is_removed() {
        let (listeners, calls) = (Listeners::default(), Calls::default());
        listeners.set_handler(MESSAGE, noting(&calls, "handler"));
        listeners.add(MESSAGE, ALWAYS, noting(&calls, "listener"));
        listeners.set_handler(MESSAGE, noting(&calls, "replaced"));
        assert_eq!(dispatched(&listeners, &calls, MESSAGE), ["replaced", "listener"]);
        listeners.remove_handler(MESSAGE);
        assert_eq!(dispatched(&listeners, &calls, MESSAGE), ["listener"]);
        listeners.set_handler(MESSAGE, noting(&calls, "again"));
        assert_eq!(dispatched(&listeners, &calls, MESSAGE), ["listener", "again"]);
    }

    #[test]
    fn a_handler_that_is_replaced_in_a_dispatch_leaves_its_turn() {
        let (listeners, calls) = (Arc::new(Listeners::default()), Calls::default());
        let replacing = |name: &'static str| -> Callback {
            let (listeners, calls) = (Arc::clone(&listeners), Arc::clone(&calls));
            Box::new(move |_| {
                calls.lock().unwrap().push(name);
                listeners.set_handler(MESSAGE, noting(&calls, "replaced"));
            })
        };
        listeners.add(MESSAGE, ListenerOptions::ONCE, replacing("listener"));
        listeners.set_handler(MESSAGE, noting(&calls, "handler"));
        assert_eq!(dispatched(&listeners, &calls, MESSAGE), ["listener", "replaced"]);
        // A handler may replace itself.
        listeners.set_handler(MESSAGE, replacing("itself"));
        assert_eq!(dispatched(&listeners, &calls, MESSAGE), ["itself"]);
        assert_eq!(dispatched(&listeners, &calls, MESSAGE), ["replaced"]);
    }

    #[test]
    fn once_is_once_and_removal_is_removal() {
        let (listeners, calls) = (Listeners::default(), Calls::default());
        let once = listeners.add("a", ListenerOptions::ONCE, noting(&calls, "once"));
        let always = listeners.add("a", ALWAYS, noting(&calls, "always"));
        assert_eq!(dispatched(&listeners, &calls, "a"), ["once", "always"]);
        assert_eq!(dispatched(&listeners, &calls, "a"), ["always"]);
        assert!(!listeners.remove(once));
        assert!(listeners.remove(always));
        assert!(!listeners.remove(always));
        assert_eq!(dispatched(&listeners, &calls, "a"), [""; 0]);
    }

    #[test]
    fn what_is_added_in_a_dispatch_waits_and_what_is_removed_is_not_called() {
        let (listeners, calls) = (Arc::new(Listeners::default()), Calls::default());
        let removed = Arc::new(Mutex::new(None));
        listeners.add("a", ListenerOptions::ONCE, {
            let (listeners, calls, removed) =
                (Arc::clone(&listeners), Arc::clone(&calls), Arc::clone(&removed));
            Box::new(move |_| {
                listeners.add("a", ALWAYS, noting(&calls, "added"));
                listeners.remove(removed.lock().unwrap().take().unwrap());
                calls.lock().unwrap().push("first");
            })
        });
        let id = listeners.add("a", ALWAYS, noting(&calls, "removed"));
        *removed.lock().unwrap() = Some(id);
        listeners.add("a", ALWAYS, noting(&calls, "last"));
        assert_eq!(dispatched(&listeners, &calls, "a"), ["first", "last"]);
        assert_eq!(dispatched(&listeners, &calls, "a"), ["last", "added"]);
    }

    #[test]
    fn what_a_callback_has_captured_may_use_the_listeners_when_it_is_dropped() {
        struct Removes(Arc<Listeners>, Calls);
        impl Drop for Removes {
            fn drop(&mut self) {
                self.0.remove(ListenerId(u64::MAX));
                self.1.lock().unwrap().push("dropped");
            }
        }
        let (listeners, calls) = (Arc::new(Listeners::default()), Calls::default());
        let holding = || -> Callback {
            let removes = Removes(Arc::clone(&listeners), Arc::clone(&calls));
            Box::new(move |_| _ = &removes)
        };
        listeners.set_handler(MESSAGE, holding());
        listeners.set_handler(MESSAGE, holding());
        assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), ["dropped"]);
        listeners.add("a", ALWAYS, holding());
        listeners.end();
        assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), ["dropped"; 2]);
        // Nor does what comes too late stay.
        listeners.add("a", ALWAYS, holding());
        listeners.set_handler(MESSAGE, holding());
        assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), ["dropped"; 2]);
        assert_eq!(Arc::strong_count(&listeners), 1);
    }

    #[test]
    fn a_panic_stops_nobody() {
        let (listeners, calls) = (Listeners::default(), Calls::default());
        listeners.add("a", ALWAYS, Box::new(|_| panic!("on purpose")));
        listeners.add("a", ALWAYS, noting(&calls, "after"));
        assert_eq!(dispatched(&listeners, &calls, "a"), ["after"]);
        assert_eq!(dispatched(&listeners, &calls, "a"), ["after"]);
    }
}
