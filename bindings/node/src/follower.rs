//! The follower: the task that reads a source, and puts what it says into its inbox.

use std::{future::poll_fn, panic::AssertUnwindSafe, pin::pin, sync::Arc, task::Poll};

use futures_util::FutureExt as _;
use tidings_client::{Error, EventSource, Update};
use tokio::task::yield_now;

use crate::{
    batch::{Batch, Before},
    inbox::Inbox,
};

/// Follows the source until it ends, or nobody takes what it says.
pub(crate) async fn follow(mut source: EventSource, inbox: Arc<Inbox>) {
    let followed = AssertUnwindSafe(put_all(&mut source, &inbox)).catch_unwind().await;
    if followed.is_err() {
        // Rather closed than silent for ever.
        let mut batch = Batch::default();
        batch.push_closed("the client has panicked, which it never should");
        inbox.put(&mut batch).await;
    }
}

async fn put_all(source: &mut EventSource, inbox: &Inbox) {
    let mut before = Before::default();
    let mut batch = Batch::default();
    loop {
        let is_over = fill(source, &mut batch, &mut before).await;
        if !inbox.put(&mut batch).await || is_over {
            return;
        }
    }
}

/// Fills the batch with what there is, at least one thing. True if nothing follows.
async fn fill(source: &mut EventSource, batch: &mut Batch, before: &mut Before) -> bool {
    let mut waited_at = 0;
    poll_fn(|context| {
        loop {
            // The future holds nothing: to drop it loses nothing.
            match pin!(source.next()).poll(context) {
                Poll::Ready(Some(Ok(update))) => push(batch, update, before),
                Poll::Ready(Some(Err(error))) => {
                    batch.push_closed(&told(&error));
                    return Poll::Ready(true);
                }
                Poll::Ready(None) => {
                    batch.push_closed("the response has ended");
                    return Poll::Ready(true);
                }
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                // The others had their turn, and there is no more: what is there goes at once.
                Poll::Pending if batch.entries() == waited_at => return Poll::Ready(false),
                // HTTP hands over a chunk when it is asked to, and may have read more of them. To wake
                // JavaScript for each costs more than to ask once again.
                Poll::Pending => {
                    waited_at = batch.entries();
                    let _ = pin!(yield_now()).poll(context);
                    return Poll::Pending;
                }
            }
            if batch.is_full() {
                return Poll::Ready(false);
            }
        }
    })
    .await
}

fn push(batch: &mut Batch, update: Update, before: &mut Before) {
    match update {
        Update::Message(message) => batch.push_message(message, before),
        Update::Open(response) => batch.push_open(&response.url.origin().ascii_serialization()),
        Update::Disconnected(disconnection) => {
            batch.push_disconnected(&disconnection.reason(), disconnection.delay);
        }
        // The browsers' interface knows nothing of the others.
        _ => {}
    }
}

// The whole chain of causes, as far as each says something new.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
