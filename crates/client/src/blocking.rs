//! The source for programs without a runtime: an iterator.

use std::time::Duration;

use futures_core::stream::FusedStream;
use tokio::runtime::Runtime;

use crate::{BuildError, Builder, Error, Handle, ReadyState, Receipt, ResumeToken, Update};

/// An [`EventSource`](crate::EventSource) whose updates are waited for: an [`Iterator`] that ends
/// when the source is closed.
///
/// It makes progress while it is asked for the next update, and holds up the server otherwise, so a
/// connection that is not read for long may be given up by the server. Close it from another thread
/// with its [`Handle`].
///
/// It brings a small runtime of its own, which runs on the calling thread, and cannot be waited for
/// within asynchronous code: that panics.
///
/// ```no_run
/// use tidings_client::{Update, blocking};
///
/// for update in blocking::EventSource::new("https://example.com/events")? {
///     if let Update::Message(message) = update? {
///         println!("{}: {}", message.event_type, message.data);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventSource {
    source: crate::EventSource,
    /// Where the connection lives. None once the source was closed.
    runtime: Option<Runtime>,
}

impl EventSource {
    /// Follows the event stream at `url`, exactly as the standard says.
    ///
    /// # Errors
    /// [`BuildError`] if `url` is not an absolute http or https URL.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        crate::EventSource::builder(url).build_blocking()
    }

    /// The next update, waited for no longer than `timeout`: `Ok(None)` if none has come by then, or
    /// if the source is closed, which [`EventSource::ready_state`] tells apart.
    ///
    /// # Errors
    /// Why the source is closed for good.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<Update>, Error> {
        let (source, Some(runtime)) = (&mut self.source, &self.runtime) else { return Ok(None) };
        let next = async { tokio::time::timeout(timeout, source.next()).await };
        let next = runtime.block_on(next).ok().flatten();
        self.end_when_closed();
        next.transpose()
    }

    /// Whether the source is connecting, open, or closed for good.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.source.ready_state()
    }

    /// The place that has been reached. See [`EventSource::resume_token`](crate::EventSource::resume_token).
    #[must_use]
    pub fn resume_token(&self) -> ResumeToken {
        self.source.resume_token()
    }

    /// Takes a message, and all before it, for done with. See
    /// [`EventSource::acknowledge`](crate::EventSource::acknowledge).
    pub fn acknowledge(&mut self, message: impl Into<Receipt>) {
        self.source.acknowledge(message);
    }

    /// A handle to add listeners, and to close the source from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.source.handle()
    }

    /// Closes the source for good and its connection at once.
    pub fn close(&mut self) {
        self.source.close();
        self.end();
    }

    /// Nobody would run the runtime any more to close the connection.
    fn end_when_closed(&mut self) {
        if self.source.is_terminated() {
            self.end();
        }
    }

    /// Ends the runtime, and with it the connection, which lives there. It does not wait for the
    /// look-up of a name that may be under way, and so may be done within asynchronous code, too.
    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        self.end();
    }
}

impl Iterator for EventSource {
    type Item = Result<Update, Error>;

    fn next(&mut self) -> Option<Result<Update, Error>> {
        let next = self.runtime.as_ref()?.block_on(self.source.next());
        self.end_when_closed();
        next
    }
}

impl Builder {
    /// The source as an iterator. See [`EventSource`].
    ///
    /// # Errors
    /// As [`Builder::build`], and [`BuildError::Runtime`] if the runtime cannot be started, or if
    /// there is one already: use [`Builder::build`] within asynchronous code.
    pub fn build_blocking(self) -> Result<EventSource, BuildError> {
        if tokio::runtime::Handle::try_current().is_ok() {
            let reason = "it cannot be used within asynchronous code; use build instead";
            return Err(BuildError::Runtime(std::io::Error::other(reason)));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BuildError::Runtime)?;
        let source = {
            let _entered = runtime.enter();
            self.build()?
        };
        Ok(EventSource { source, runtime: Some(runtime) })
    }
}
