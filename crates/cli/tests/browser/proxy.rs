//! A stretch of network that can fail.

use std::net::SocketAddr;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Forwards connections until it is cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    up: watch::Sender<bool>,
    // Has a receiver for each connection that is open.
    open: watch::Sender<()>,
    _accept: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, is_up) = watch::channel(true);
        let (open, is_open) = watch::channel(());
        let mut accept = JoinSet::new();
        accept.spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (up, open) = (is_up.clone(), is_open.clone());
                tokio::spawn(forward(near, to, up, open));
            }
        });
        Self { address, up, open, _accept: accept }
    }

    /// Ends every connection and refuses new ones; returns once they are gone.
    pub(crate) async fn cut(&mut self) {
        self.up.send_replace(false);
        // One receiver stays: the accepting task's.
        while self.open.receiver_count() > 1 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets connections through again.
    pub(crate) fn mend(&mut self) {
        self.up.send_replace(true);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn forward(
    mut near: TcpStream,
    to: SocketAddr,
    mut up: watch::Receiver<bool>,
    _open: watch::Receiver<()>,
) {
    if !*up.borrow_and_update() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = up.changed() => {}
    }
}
