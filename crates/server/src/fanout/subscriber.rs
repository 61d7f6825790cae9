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

use super::{answer::Answer, interest::Bell, membership::Membership};
use crate::{
    cursor::Offset,
    frame::Format,
    record::Timestamp,
    subscriber_name::SubscriberName,
    subscription::{Delivered, Demand, Subscription},
};

/// One subscriber's stream of bytes.
///
/// It does nothing, and holds at most one page, while nobody polls it: a slow reader costs no
/// more than a place in the log. Dropping it unsubscribes.
pub struct Subscriber {
    pub(super) member: Membership,
    pub(super) machine: Subscription,
    // None until it is polled: before that its place in the log is all there is to it.
    bell: Option<Arc<Bell>>,
    lookup: Option<BoxFuture<'static, Answer>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Subscriber {
    pub(super) fn new(member: Membership, machine: Subscription) -> Self {
        Self { member, machine, bell: None, lookup: None, sleep: None }
    }

    /// The subscriber's name.
    pub fn name(&self) -> &SubscriberName {
        &self.member.session.id.name
    }

    /// How the stream is written.
    pub fn format(&self) -> Format {
        self.machine.config().format
    }

    /// Whether it was polled.
    #[cfg(feature = "engine")]
    pub(super) fn is_polled(&self) -> bool {
        self.bell.is_some()
    }

    fn poll_lookup(&mut self, cx: &mut Context<'_>) {
        let Some(lookup) = &mut self.lookup else { return };
        if let Poll::Ready(answer) = lookup.as_mut().poll(cx) {
            self.lookup = None;
            answer.give(&mut self.machine, Instant::now().into_std());
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let bell = Arc::clone(self.bell.get_or_insert_with(|| self.member.listen()));
        bell.listen(cx.waker());
        loop {
            self.poll_lookup(cx);
            let Membership { shared, session, .. } = &self.member;
            // The mark first: whatever is in the tail by then has already rung.
            let rung_through = shared.rung_through.load(Ordering::Acquire);
            if let Some(quiet) = bell.take() {
                self.machine.handle_quiet(quiet);
                self.machine.handle_wake();
                if let Some(closing) = bell.take_closing() {
                    self.machine.handle_close(closing.retry, closing.at);
                }
            } else {
                self.machine.handle_quiet(Offset(rung_through));
            }
            match self.machine.poll(Instant::now().into_std()) {
                Demand::Send(piece) => return Poll::Ready(Some(piece.bytes)),
                Demand::Tail(place) => {
                    let format = self.machine.config().format;
                    let ring = shared.ring.read();
                    self.machine.handle_tail(ring.read(place, ring.end(), &session.filter, format));
                }
                Demand::Ended => {
                    self.machine.handle_ended(shared.log.ended(&session.filter));
                }
                Demand::Resolve(sought) => {
                    let shared = Arc::clone(shared);
                    self.lookup =
                        Some(Box::pin(async move { Answer::resolve(&shared, &sought).await }));
                }
                Demand::Read(since, limits) => {
                    let (shared, filter) = (Arc::clone(shared), Arc::clone(&session.filter));
                    self.lookup = Some(Box::pin(async move {
                        Answer::read(&shared, &filter, since, limits).await
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
        self.member.session.look();
        let bytes = self.poll_bytes(cx);
        let session = &self.member.session;
        if let Some(start) = self.machine.start() {
            session.place(start);
        }
        session.rest(self.machine.phase(), bytes.is_pending());
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
            self.member.shared.counters.add(delivered);
        }
        self.member.session.hand_over(reached, delivered, Timestamp::now());
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", self.name())
            .field("filter", &self.member.session.filter)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
