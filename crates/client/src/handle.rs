//! A source as the rest of a program sees it: listeners and other tasks.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::task::AtomicWaker;
use tidings_proto::source::ReadyState;
use url::Url;

use crate::listeners::{ERROR, Listeners, MESSAGE, OPEN};
use crate::transport::public;
use crate::{Dispatch, ListenerId, ListenerOptions, Message, Receipt};

/// A handle on an [`EventSource`](crate::EventSource), for listeners and for other tasks: it closes
/// the source, looks at its state, and adds and removes listeners. It is cheap to clone, and keeps
/// nothing open by itself.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What a source and its handles share.
pub(crate) struct Shared {
    url: Url,
    with_credentials: bool,
    ready_state: AtomicU8,
    wishes: Wishes,
    pub(crate) listeners: Listeners,
}

/// What handles want of the source.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Whether there is anything new.
    are_new: AtomicBool,
    close: AtomicBool,
    reconnect: AtomicBool,
    acknowledged: Mutex<Option<Receipt>>,
    /// The task that polls the source.
    waker: AtomicWaker,
}

impl Shared {
    pub(crate) fn new(url: Url, with_credentials: bool) -> Arc<Self> {
        Arc::new(Self {
            url,
            with_credentials,
            ready_state: AtomicU8::new(ReadyState::Connecting as u8),
            wishes: Wishes::default(),
            listeners: Listeners::default(),
        })
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) const fn with_credentials(&self) -> bool {
        self.with_credentials
    }

    pub(crate) const fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    pub(crate) fn ready_state(&self) -> ReadyState {
        match self.ready_state.load(Ordering::Relaxed) {
            _ if self.wishes.is_closed() => ReadyState::Closed,
            OPENED => ReadyState::Open,
            CONNECTING => ReadyState::Connecting,
            _ => ReadyState::Closed,
        }
    }

    pub(crate) fn set_ready_state(&self, ready_state: ReadyState) {
        self.ready_state.store(ready_state as u8, Ordering::Relaxed);
    }
}

const CONNECTING: u8 = ReadyState::Connecting as u8;
const OPENED: u8 = ReadyState::Open as u8;

impl Wishes {
    pub(crate) fn is_closed(&self) -> bool {
        self.close.load(Ordering::Acquire)
    }

    /// Whether there is anything that was not taken yet.
    pub(crate) fn are_new(&self) -> bool {
        self.are_new.load(Ordering::Acquire)
    }

    /// Whether there is anything new since this was last asked.
    pub(crate) fn take_new(&self) -> bool {
        self.are_new.load(Ordering::Relaxed) && self.are_new.swap(false, Ordering::Acquire)
    }

    pub(crate) fn take_reconnect(&self) -> bool {
        self.reconnect.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn take_acknowledged(&self) -> Option<Receipt> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the task woken that polls the source when something is wished. Look for wishes after it.
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    fn tell(&self) {
        // Not a store, which would hide what another has told before from who takes it.
        self.are_new.swap(true, Ordering::AcqRel);
        self.waker.wake();
    }
}

impl Handle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The URL that the source was created with. Redirects do not change it.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.shared.url()
    }

    /// Whether cookies and the credentials of URLs go to other origins, too.
    #[must_use]
    pub fn with_credentials(&self) -> bool {
        self.shared.with_credentials()
    }

    /// Whether the source is connecting, open, or closed for good.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.ready_state()
    }

    /// Closes the source for good, from any task or listener. Nothing is delivered after it, not even
    /// what has already been received; a listener that closes the source still lets the event in
    /// hand reach the remaining listeners. The connection is closed as soon as the task that polls
    /// the source runs. Closing twice does nothing.
    pub fn close(&self) {
        self.shared.wishes.close.store(true, Ordering::Release);
        self.shared.wishes.tell();
    }

    /// Leaves the connection, if there is one, and connects again without waiting: of use when the
    /// network has changed. See [`EventSource::reconnect`](crate::EventSource::reconnect).
    pub fn reconnect(&self) {
        self.shared.wishes.reconnect.store(true, Ordering::Relaxed);
        self.shared.wishes.tell();
    }

    /// Takes a message, and all before it, for done with: given as itself, as a typed event, or as its
    /// [`Receipt`]. See [`Commit::Acknowledged`](crate::Commit::Acknowledged). It counts as soon as
    /// the source is polled.
    pub fn acknowledge(&self, message: impl Into<Receipt>) {
        let receipt = message.into();
        let wishes = &self.shared.wishes;
        {
            let mut acknowledged =
                wishes.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
            if acknowledged.as_ref().is_none_or(|earlier| earlier.number < receipt.number) {
                *acknowledged = Some(receipt);
            }
        }
        wishes.tell();
    }

    /// Has `callback` called when a connection stands. It replaces the one before.
    pub fn on_open(&self, callback: impl FnMut(Dispatch<'_>) + Send + 'static) {
        self.shared.listeners.set_handler(OPEN, Box::new(callback));
    }

    /// Has `callback` called for every event without a type of its own. It replaces the one before.
    pub fn on_message(&self, mut callback: impl FnMut(&Message) + Send + 'static) {
        let callback = move |dispatch: Dispatch<'_>| {
            if let Some(message) = dispatch.message() {
                callback(message);
            }
        };
        self.shared.listeners.set_handler(MESSAGE, Box::new(callback));
    }

    /// Has `callback` called when a connection is lost or refused. It replaces the one before.
    pub fn on_error(&self, callback: impl FnMut(Dispatch<'_>) + Send + 'static) {
        self.shared.listeners.set_handler(ERROR, Box::new(callback));
    }

    /// Removes what [`Handle::on_open`] has set.
    pub fn remove_on_open(&self) {
        self.shared.listeners.remove_handler(OPEN);
    }

    /// Removes what [`Handle::on_message`] has set.
    pub fn remove_on_message(&self) {
        self.shared.listeners.remove_handler(MESSAGE);
    }

    /// Removes what [`Handle::on_error`] has set.
    pub fn remove_on_error(&self) {
        self.shared.listeners.remove_handler(ERROR);
    }

    /// Has `callback` called for everything of this type: `open`, `error`, `message`, or a name that
    /// the server gives its events. Case counts. Once the source is dropped, so is what is added.
    pub fn add_event_listener(
        &self,
        event_type: impl AsRef<str>,
        callback: impl FnMut(Dispatch<'_>) + Send + 'static,
    ) -> ListenerId {
        self.add_event_listener_with(event_type, ListenerOptions::default(), callback)
    }

    /// As [`Handle::add_event_listener`], with options.
    pub fn add_event_listener_with(
        &self,
        event_type: impl AsRef<str>,
        options: ListenerOptions,
        callback: impl FnMut(Dispatch<'_>) + Send + 'static,
    ) -> ListenerId {
        self.shared.listeners.add(event_type.as_ref(), options, Box::new(callback))
    }

    /// Removes a listener, and says whether it was there.
    pub fn remove_event_listener(&self, listener: ListenerId) -> bool {
        self.shared.listeners.remove(listener)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("url", &public(self.url()))
            .field("ready_state", &self.ready_state())
            .finish_non_exhaustive()
    }
}
