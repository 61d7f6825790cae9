//! A source, as JavaScript holds it.

use std::{cell::Cell, sync::Arc};

use napi::bindgen_prelude::{Latin1String, Utf16String};
use napi_derive::napi;
use tidings_client::Handle;

use crate::{
    asking::Asking, batch::NUMBERS_MAX, cookie_jar::CookieJar, follower, inbox::Inbox,
    mailbox::Mailbox, options::Options, runtime,
};

/// A source that is followed until it is closed.
#[napi]
pub struct Source {
    id: u32,
    line: Arc<Line>,
    wide: Cell<Vec<u16>>,
}

// The macro takes a reference for an object of its own, unless it has a name.
type Numbers<'a> = &'a mut [u32];

/// Both ends of what goes on between a source and JavaScript.
pub(crate) struct Line {
    handle: Handle,
    inbox: Arc<Inbox>,
    asking: Arc<Asking>,
}

impl Line {
    pub(crate) fn close(&self) {
        self.inbox.close();
        self.handle.close();
    }
}

#[napi]
impl Source {
    /// Connects, and goes on until it is closed.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the options.
    #[napi(constructor)]
    pub fn new(
        mailbox: &Mailbox,
        options: Options,
        cookies: Option<&CookieJar>,
    ) -> napi::Result<Self> {
        let id = mailbox.number();
        let inbox = Inbox::new(id, mailbox.bell());
        let asking = Arc::default();
        let source = options.source(cookies, &asking, &inbox).map_err(napi::Error::from_reason)?;
        let runtime = runtime::runtime().map_err(|error| {
            napi::Error::from_reason(format!("the system gives no thread to connect with: {error}"))
        })?;
        let line = Arc::new(Line { handle: source.handle(), inbox: Arc::clone(&inbox), asking });
        mailbox.enter(id, &line);
        runtime.spawn(follower::follow(source, inbox));
        Ok(Self { id, line, wide: Cell::default() })
    }

    /// The number by which the mailbox names it.
    #[napi(getter)]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The next batch: the text of its parts that are ASCII. `numbers`, an array of as many as
    /// [`NUMBERS_MAX`], says how many entries it has, whether another batch waits, and how the texts are
    /// cut. Nothing if there is none. Unless another waits, the mailbox tells when there is one.
    ///
    /// # Errors
    /// `numbers` has another length.
    #[napi]
    pub fn take(&self, numbers: Numbers<'_>) -> napi::Result<Option<Latin1String>> {
        let numbers = numbers.as_mut_array::<NUMBERS_MAX>().ok_or_else(|| {
            napi::Error::from_reason(format!("the array must have {NUMBERS_MAX} numbers"))
        })?;
        Ok(self.line.inbox.take().map(|(batch, is_more)| {
            let (narrow, wide) = batch.unload(is_more, numbers);
            self.wide.set(wide);
            narrow.into()
        }))
    }

    /// The text of the other parts of the batch that was taken last, once.
    #[napi]
    pub fn wide(&self) -> Utf16String {
        self.wide.take().into()
    }

    /// Answers what headers the next attempt has: names and values, one after the other.
    #[napi]
    pub fn answer(&self, headers: Vec<String>) {
        self.line.asking.answer(Ok(headers));
    }

    /// Says that there are no headers for the next attempt, and why: it is not made, and they are
    /// asked for again later.
    #[napi]
    pub fn refuse(&self, reason: String) {
        self.line.asking.answer(Err(reason));
    }

    /// Ends it and its connection, and drops what was not taken.
    #[napi]
    pub fn close(&self) {
        self.line.close();
    }
}

/// Whoever forgets a source has closed it.
impl Drop for Source {
    fn drop(&mut self) {
        self.line.close();
    }
}
