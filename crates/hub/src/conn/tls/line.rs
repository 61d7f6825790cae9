//! A line: a connection of TLS with a stream on it, and nothing else.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, buf::Chain};
use futures_core::Stream as _;
use tidings_server::fanout::{Subscriber, engine::Framing};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    sync::OwnedSemaphorePermit,
};

use super::Session;
use crate::conn::{Open, takeover::Stream};

/// Writes a stream to its connection, until one of the two ends. That is the future; nobody needs
/// to know how it went.
///
/// It is all that the hub keeps of an idle follower beside its session, and so it is small: hyper
/// has some 20 KiB for each connection.
pub(crate) struct Line {
    session: Session,
    subscriber: Subscriber,
    framing: Framing,
    // What of it the session has not taken yet.
    out: Chain<Chain<Bytes, Bytes>, &'static [u8]>,
    // The end of the body is in `out`, or was.
    ended: bool,
    // Bytes that its peer sent, which nobody asked for.
    unasked: usize,
    _permit: OwnedSemaphorePermit,
    _open: Open,
}

impl Line {
    // A peer that only follows sends nothing.
    const UNASKED_BYTES_MAX: usize = 64 << 10;
    const READ_BYTES: usize = 512;

    pub(in crate::conn) fn new(stream: Stream, session: Session, open: Open) -> Self {
        let Stream { head, framing, subscriber, permit } = stream;
        Self {
            session,
            subscriber,
            framing,
            out: chain(Bytes::from(head), Bytes::new(), b""),
            ended: false,
            unasked: 0,
            _permit: permit,
            _open: open,
        }
    }

    /// Reads what the peer sends, which is of no interest. Ready once it is gone, or sends too
    /// much.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut buffer = [MaybeUninit::uninit(); Self::READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            let read = ready!(Pin::new(&mut self.session).poll_read(cx, &mut buffer));
            let bytes = buffer.filled().len();
            self.unasked += bytes;
            if read.is_err() || bytes == 0 || self.unasked > Self::UNASKED_BYTES_MAX {
                return Poll::Ready(());
            }
        }
    }

    /// Writes what there is to write. Ready once the stream has ended and all of it is written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.out.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = self.out.chunks_vectored(&mut slices);
                let session = Pin::new(&mut self.session);
                let written = ready!(session.poll_write_vectored(cx, &slices[..filled]))?;
                self.out.advance(written);
            }
            if self.ended {
                // With a note that this is the end: what follows was not cut off.
                return Pin::new(&mut self.session).poll_shutdown(cx);
            }
            match Pin::new(&mut self.subscriber).poll_next(cx) {
                Poll::Ready(Some(bytes)) => {
                    let mut before = Vec::new();
                    self.framing.before(&mut before, bytes.len());
                    self.out = chain(Bytes::from(before), bytes, self.framing.after());
                }
                Poll::Ready(None) => {
                    self.out = chain(Bytes::new(), Bytes::new(), self.framing.last());
                    self.ended = true;
                }
                Poll::Pending => {
                    // It holds nothing that is sent.
                    self.out = chain(Bytes::new(), Bytes::new(), b"");
                    ready!(Pin::new(&mut self.session).poll_flush(cx))?;
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Future for Line {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_gone(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Err(error) = ready!(self.poll_write(cx)) {
            tracing::debug!(%error, "a stream over TLS broke off");
        }
        Poll::Ready(())
    }
}

fn chain(
    before: Bytes,
    bytes: Bytes,
    after: &'static [u8],
) -> Chain<Chain<Bytes, Bytes>, &'static [u8]> {
    before.chain(bytes).chain(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_little() {
        assert!(size_of::<Line>() <= 640, "{}", size_of::<Line>());
    }
}
