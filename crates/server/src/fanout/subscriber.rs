//! The subscriber: the shell that does what its subscription asks for.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::{Stream, future::BoxFuture};
use tokio::time::{Instant, Sleep};

use super::{Shared, open_session::OpenSession};
use crate::{
    cursor::Offset,
    frame::Format,
    log::{Bounds, Page, ReadError},
    subscriber_name::SubscriberName,
    subscription::{Delivered, Demand, Subscription},
};

/// One subscriber's stream of bytes.
///
/// It does nothing, and holds at most one page, while nobody polls it: a slow reader costs no
/// more than a place in the log. Dropping it unsubscribes.
pub struct Subscriber {
    shared: Arc<Shared>,
    id: u64,
    session: Arc<OpenSession>,
    machine: Subscription,
    format: Format,
    lookup: Option<BoxFuture<'static, Answer>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

enum Answer {
    Resolved(Result<Option<Offset>, ReadError>, Bounds),
    Read(Result<Page, ReadError>, Bounds),
}

impl Subscriber {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: u64,
        session: Arc<OpenSession>,
        machine: Subscription,
        format: Format,
    ) -> Self {
        Self { shared, id, session, machine, format, lookup: None, sleep: None }
    }

    /// The subscriber's name.
    pub fn name(&self) -> &SubscriberName {
        &self.session.id.name
    }

    /// How the stream is written.
    pub fn format(&self) -> Format {
        self.format
    }

    fn poll_lookup(&mut self, cx: &mut Context<'_>) {
        let Some(lookup) = &mut self.lookup else { return };
        if let Poll::Ready(answer) = lookup.as_mut().poll(cx) {
            self.lookup = None;
            let now = Instant::now().into_std();
            match answer {
                Answer::Resolved(found, bounds) => self.machine.handle_resolved(found, bounds, now),
                Answer::Read(read, bounds) => self.machine.handle_read(read, bounds, now),
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.session.bell.listen(cx.waker());
        loop {
            self.poll_lookup(cx);
            // The mark first: whatever is in the tail by then has already rung.
            let rung_through = self.shared.rung_through.load(Ordering::Acquire);
            if let Some(quiet) = self.session.bell.take() {
                self.machine.handle_quiet(quiet);
                self.machine.handle_wake();
                if let Some(closing) = self.session.bell.take_closing() {
                    self.machine.handle_close(closing.retry, closing.at);
                }
            } else {
                self.machine.handle_quiet(Offset(rung_through));
            }
            match self.machine.poll(Instant::now().into_std()) {
                Demand::Send(bytes) => return Poll::Ready(Some(bytes)),
                Demand::Tail(place) => {
                    let read =
                        self.shared.ring.read().read(place, &self.session.filter, self.format);
                    self.machine.handle_tail(read);
                }
                Demand::Ended => {
                    self.machine.handle_ended(self.shared.log.ended(&self.session.filter));
                }
                Demand::Resolve(id) => {
                    let shared = Arc::clone(&self.shared);
                    self.lookup = Some(Box::pin(async move {
                        let found = shared.log.resolve(&id).await;
                        Answer::Resolved(found, shared.log.bounds())
                    }));
                }
                Demand::Read(since, limits) => {
                    self.shared.counters.log_read();
                    let (shared, session) = (Arc::clone(&self.shared), Arc::clone(&self.session));
                    self.lookup = Some(Box::pin(async move {
                        // Never closed, so the permit is always granted; held for the read alone.
                        let _permit = shared.reads.acquire().await;
                        let read = shared.log.read(since, &session.filter, limits).await;
                        Answer::Read(read, shared.log.bounds())
                    }));
                }
                Demand::Wait(until) => ready!(self.poll_sleep(Instant::from_std(until), cx)),
                Demand::End => return Poll::Ready(None),
            }
        }
    }

    // A timer that is early is left to ring: resetting it for every event would cost more.
    fn poll_sleep(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() > until || sleep.is_elapsed() {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}

impl Stream for Subscriber {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Whoever asks for more has taken what was given before. Its last bytes are only counted
        // then, so that what a connection never took is not called handed over.
        self.report();
        self.session.look();
        let bytes = self.poll_bytes(cx);
        if let Some(start) = self.machine.start() {
            self.session.place(start);
        }
        self.session.rest(self.machine.phase(), bytes.is_pending());
        if let Poll::Ready(None) = bytes {
            // Nobody will ask again.
            self.report();
        }
        bytes
    }
}

impl Subscriber {
    fn report(&mut self) {
        let Some(reached) = self.machine.sent_through() else { return };
        let delivered = self.machine.take_delivered();
        // Most looks of a quiet stream find nothing, and the counters are everybody's.
        if delivered != Delivered::default() {
            self.shared.counters.add(delivered);
        }
        self.session.hand_over(reached, delivered);
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let session = &self.session;
        // The mark first: nobody rings for what comes once it is removed.
        let mark = self.shared.rung_through();
        self.shared.interest.lock().remove(self.id, &session.filter);
        self.shared.leave(session, mark);
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", self.name())
            .field("filter", &self.session.filter)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
