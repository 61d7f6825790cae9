//! A stretch of network that can fail, and that remembers what was asked for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Forwards connections until it is cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    up: watch::Sender<bool>,
    requests: Requests,
    // Has a receiver for each connection that is open.
    open: watch::Sender<()>,
    _accept: JoinSet<()>,
}

/// The request lines that went through, each with its `Last-Event-ID`, if it has one.
type Requests = Arc<Mutex<Vec<String>>>;

impl Proxy {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, is_up) = watch::channel(true);
        let (open, is_open) = watch::channel(());
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        let mut accept = JoinSet::new();
        accept.spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (up, open) = (is_up.clone(), is_open.clone());
                tokio::spawn(forward(near, to, up, Arc::clone(&seen), open));
            }
        });
        Self { address, up, requests, open, _accept: accept }
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

    /// The requests so far whose target begins with `target`.
    pub(crate) fn requests(&self, target: &str) -> Vec<String> {
        let is_meant = |line: &&String| line.split(' ').nth(1).unwrap().starts_with(target);
        self.requests.lock().unwrap().iter().filter(is_meant).cloned().collect()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn forward(
    mut near: TcpStream,
    to: SocketAddr,
    mut up: watch::Receiver<bool>,
    requests: Requests,
    _open: watch::Receiver<()>,
) {
    if !*up.borrow_and_update() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = far.split();
    let asking = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            match from_near.read(&mut bytes).await {
                Ok(count) if count > 0 => {
                    note(&requests, &bytes[..count]);
                    to_far.write_all(&bytes[..count]).await?;
                }
                _ => return to_far.shutdown().await,
            }
        }
    };
    let answering = async {
        tokio::io::copy(&mut from_far, &mut to_near).await?;
        to_near.shutdown().await
    };
    tokio::select! {
        _ = async { tokio::join!(asking, answering) } => {}
        _ = up.changed() => {}
    }
}

// Browsers write the head of a request at once.
fn note(requests: &Requests, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut requests = requests.lock().unwrap();
    for line in text.lines() {
        let is_id = line.to_ascii_lowercase().starts_with("last-event-id:");
        if line.ends_with(" HTTP/1.1") {
            requests.push(line.to_owned());
        } else if is_id && let Some(last) = requests.last_mut() {
            last.push_str(&format!(" {line}"));
        }
    }
}
