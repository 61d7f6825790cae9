//! The desk: what a line needs of its shard, and what it says to it.

use std::{sync::Arc, thread, time::Instant};

use parking_lot::RwLock;
use tokio::{runtime::Handle, task::AbortHandle};

use super::{
    inbox::{Inbox, Message},
    line::LineKey,
    outgoing::Outgoing,
    wheel::{Clock, Tick},
};
use crate::{
    cursor::{Epoch, Offset},
    fanout::{Shared, answer::Answer, membership::Membership, ring::Ring},
    log::{ReadLimits, Since},
    matcher::Filter,
    record::Timestamp,
    subscription::{Delivered, Sought, TailPlace},
};

/// What is to be done next about a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it is in step.
    InStep,
    /// To look again when its shard has seen more, or at this moment.
    Look(Instant),
    /// To go on in the shard's next turn: the others want theirs.
    Again,
    /// Nothing before this moment.
    Wait(Instant),
    /// The peer has to take what was sent.
    Blocked,
    /// An answer is to come.
    Answer,
    /// It is over.
    Gone,
}

/// What a line needs of its shard.
pub(super) struct Desk<'a> {
    pub(super) ring: &'a RwLock<Ring>,
    pub(super) epoch: Epoch,
    /// What the shard has seen.
    pub(super) seen: TailPlace,
    pub(super) now: Instant,
    pub(super) tick: Tick,
    pub(super) clock: Clock,
    pub(super) out: &'a mut Outgoing,
    pub(super) tally: &'a mut Delivered,
    pub(super) runtime: &'a Handle,
    pub(super) inbox: &'a Arc<Inbox>,
}

/// What a line asks of the log.
pub(super) enum Question {
    Resolve(Sought),
    Read(Since, ReadLimits),
    Record(Offset),
}

/// A question under way, which nobody has any more once this is dropped.
#[derive(Debug)]
pub(super) struct Lookup(AbortHandle);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk<'_> {
    /// Asks the log; the answer goes to the line with this key.
    pub(super) fn ask(&self, key: LineKey, member: &Membership, question: Question) -> Lookup {
        let shared = Arc::clone(&member.shared);
        let filter = Arc::clone(&member.session.filter);
        let reply = Reply { inbox: Arc::clone(self.inbox), key };
        let task = self.runtime.spawn(async move {
            let answer = answer(&shared, &filter, key, question).await;
            // Of a shard that has ended there is no line.
            let _ = reply.inbox.put(answer);
        });
        Lookup(task.abort_handle())
    }
}

async fn answer(shared: &Shared, filter: &Filter, key: LineKey, question: Question) -> Message {
    match question {
        Question::Resolve(sought) => Message::Answer(key, Answer::resolve(shared, &sought).await),
        Question::Read(since, limits) => {
            Message::Answer(key, Answer::read(shared, filter, since, limits).await)
        }
        Question::Record(offset) => Message::Found(key, Answer::record(shared, offset).await),
    }
}

/// Where an answer goes. A line whose question brought the log down is not left waiting for it.
struct Reply {
    inbox: Arc<Inbox>,
    key: LineKey,
}

impl Drop for Reply {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.inbox.put(Message::Found(self.key, Ok(None)));
        }
    }
}

/// Counts what a connection has taken, and with that all that matches up to `reached`.
pub(super) fn report(
    member: &Membership,
    tally: &mut Delivered,
    reached: Option<Offset>,
    delivered: Delivered,
) {
    tally.events += delivered.events;
    tally.bytes += delivered.bytes;
    if delivered.gap.is_some() {
        member.shared.counters.add(Delivered { gap: delivered.gap, ..Delivered::default() });
    }
    let (session, now) = (&member.session, Timestamp::now());
    match reached {
        Some(reached) => session.hand_over(reached, delivered, now),
        None => session.take(delivered, now),
    }
}
