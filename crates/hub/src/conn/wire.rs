//! A connection's socket, whose writes give up on a peer that takes nothing.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

/// A TCP stream whose writes fail once the peer took no byte for a time.
///
/// The time runs only while a write is waiting: an idle connection is never cut.
pub(super) struct Wire {
    stream: TcpStream,
    timeout: Duration,
    // Made by the first write that waits, and used again: most connections never need it.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: Arc<AtomicBool>,
}

impl Wire {
    // Unsent bytes in the kernel: enough to keep a fast peer busy, little for a stalled one.
    const NOT_SENT_BYTES_MAX: u32 = 64 << 10;

    pub(super) fn new(stream: TcpStream, timeout: Duration) -> Self {
        let socket = SockRef::from(&stream);
        // None of these is needed for correctness: an old kernel without them serves as well.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_notsent_lowat(Self::NOT_SENT_BYTES_MAX);
        // A peer that vanished without a word is noticed by the heartbeats it does not confirm.
        let _ = socket.set_tcp_user_timeout(Some(timeout));
        Self { stream, timeout, deadline: None, waiting: Arc::default() }
    }

    /// Whether a write waits for the peer: it has not taken all that it was to get.
    pub(super) fn waiting(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.waiting)
    }

    /// The socket below.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The socket itself.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn or_give_up<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting.store(false, Relaxed);
            return written;
        }
        let until = Instant::now() + self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if !self.waiting.swap(true, Relaxed) {
            deadline.as_mut().reset(until);
        }
        ready!(deadline.as_mut().poll(cx));
        // Closing in peace would leave what is unsent with the kernel, for a peer that is not
        // there.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_give_up(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.or_give_up(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
