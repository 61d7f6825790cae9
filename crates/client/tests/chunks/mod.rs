//! A source of chunks that does as the test says, and tells what was done with it.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::FutureExt;
use futures_util::StreamExt;

/// What the source does when it is polled. At the end of its steps it ends.
#[derive(Debug, Clone)]
pub enum Step {
    Chunk(&'static [u8]),
    /// Has nothing yet, and wakes the reader at once.
    Pending,
    Fail,
}

pub struct Chunks {
    steps: VecDeque<Step>,
    /// Lives as long as the source.
    _alive: Arc<()>,
    ended: bool,
}

/// Whether the source still lives.
pub struct Watch(Arc<()>);

impl Watch {
    pub fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Chunks {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> (Self, Watch) {
        let alive = Arc::new(());
        let steps = steps.into_iter().collect();
        (Self { steps, _alive: Arc::clone(&alive), ended: false }, Watch(alive))
    }

    /// One chunk.
    pub fn whole(stream: &'static str) -> Self {
        Self::new([Step::Chunk(stream.as_bytes())]).0
    }

    /// How many steps are still to be done.
    pub fn steps_left(&self) -> usize {
        self.steps.len()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source failed")]
pub struct Failed;

impl Stream for Chunks {
    type Item = Result<&'static [u8], Failed>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<&'static [u8], Failed>>> {
        assert!(!self.ended, "a source that has ended is polled again");
        match self.steps.pop_front() {
            Some(Step::Chunk(chunk)) => Poll::Ready(Some(Ok(chunk))),
            Some(Step::Pending) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Fail) => {
                self.ended = true;
                Poll::Ready(Some(Err(Failed)))
            }
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
        }
    }
}

/// All items of a stream, each awaited by futures that are dropped while they wait; and that it
/// stays ended.
pub fn items<S: Stream + Unpin>(stream: &mut S) -> Vec<S::Item> {
    let mut items = Vec::new();
    let mut polls_left = 100_000;
    loop {
        match stream.next().now_or_never() {
            Some(Some(item)) => items.push(item),
            Some(None) => break,
            None => {}
        }
        polls_left -= 1;
        assert!(polls_left > 0, "the stream comes to an end");
    }
    assert!(matches!(stream.next().now_or_never(), Some(None)), "it is fused");
    items
}
