//! A port at which there may be nobody.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that is nobody else's, and refuses connections while neither socket listens.
pub(crate) struct Port {
    pub(crate) first: TcpSocket,
    /// Listens when the first has been closed.
    pub(crate) again: TcpSocket,
}

impl Port {
    pub(crate) fn bind() -> Self {
        let first = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let again = bound(first.local_addr().unwrap());
        Self { first, again }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.first.local_addr().unwrap())
    }
}

/// A socket beside which another may be bound to the same port, as long as neither listens.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// How many connections wait to be accepted, which is soon.
pub(crate) const BACKLOG: u32 = 64;
