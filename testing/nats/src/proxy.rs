//! The network between a client and a server, which may fail.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy for TCP on loopback that can become a black hole.
///
/// It lives in the runtime that it was started in, and its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
}

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    is_cut: bool,
    /// How often all connections were closed: those from before are to go.
    closed: u64,
}

impl Proxy {
    /// Passes on what comes to an address of its own.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().unwrap();
        let (line, watched) = watch::channel(Line::default());
        tokio::spawn(accept(listener, target, watched));
        Self { address, line }
    }

    /// Its address as that of a NATS server, `nats://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes on nothing any more, in neither direction, and says so to nobody: connections stay,
    /// and new ones are accepted, and nothing comes of them.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.is_cut = true);
    }

    /// Closes the connections that were cut, and passes on what comes in new ones.
    pub fn heal(&self) {
        self.line.send_modify(|line| *line = Line { is_cut: false, closed: line.closed + 1 });
    }

    /// Closes all connections; new ones fare as before.
    pub fn close_all(&self) {
        self.line.send_modify(|line| line.closed += 1);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, line: watch::Receiver<Line>) {
    let mut watched = line.clone();
    let carry_all = async {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, target, line.clone()));
        }
    };
    tokio::select! {
        () = carry_all => {}
        // The proxy is gone.
        _ = watched.wait_for(|_| false) => {}
    }
}

/// Carries one connection until one side closes it or the proxy does.
async fn carry(mut client: TcpStream, target: SocketAddr, mut line: watch::Receiver<Line>) {
    let born = *line.borrow();
    let closed = async |line: &mut watch::Receiver<Line>| {
        // An error says that the proxy is gone.
        let _ = line.wait_for(|now| now.closed != born.closed).await;
    };
    if born.is_cut {
        return closed(&mut line).await;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let carried = copy_bidirectional(&mut client, &mut server);
    tokio::select! {
        _ = carried => return,
        // What was read and not yet written is lost, as what is still to come.
        _ = line.wait_for(|now| now.is_cut || now.closed != born.closed) => {}
    }
    closed(&mut line).await;
}
