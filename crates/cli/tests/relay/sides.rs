//! Both sides of a relay, and the relay between them.

use serde_json::Value;
use tokio::process::Child;

use crate::keyed_hub::KeyedHub;
use crate::peer::{Exchange, Peer, soon};
use crate::program::{Finished, finish, start};

/// A scripted upstream and a scripted hub.
pub(crate) struct Sides {
    pub(crate) upstream: Peer,
    pub(crate) hub: KeyedHub,
    directory: tempfile::TempDir,
}

impl Sides {
    pub(crate) async fn new() -> Self {
        let (upstream, hub) = (Peer::start().await, KeyedHub::start().await);
        Self { upstream, hub, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn cursor_path(&self) -> String {
        self.directory.path().join("cursor").to_str().unwrap().to_owned()
    }

    /// What is in the cursor file.
    pub(crate) fn cursor(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.cursor_path()).unwrap()).unwrap()
    }

    /// Starts a relay of the name n into the topic t, with a cursor file.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let (upstream, file) = (self.upstream.url("/feed"), self.cursor_path());
        let fixed = ["relay", &upstream, "--to", "t", "--hub", self.hub.origin(), "--name", "n"];
        start(&[&fixed[..], &["--cursor-file", &file], args].concat())
    }

    /// The relay's next connection, open, with short pauses before others.
    pub(crate) async fn open(&self) -> Exchange {
        let mut exchange = self.upstream.accept().await;
        assert_eq!(exchange.line(), "GET /feed");
        exchange.open().await;
        exchange.send("retry: 0\n\n").await;
        exchange
    }

    /// Has the hub take the next request, and kills the relay before the answer.
    pub(crate) async fn kill_unanswered(&mut self, child: Child) {
        let request = self.hub.request().await;
        assert_eq!(self.hub.apply(&request).0, 200);
        kill(child).await;
    }

    /// Starts a relay whose upstream sends this.
    pub(crate) async fn relay(&self, args: &[&str], stream: &str) -> (Child, Exchange) {
        let child = self.start(args);
        let mut exchange = self.open().await;
        exchange.send(stream).await;
        (child, exchange)
    }

    /// Ends the upstream for good, and waits for the relay to end.
    pub(crate) async fn end(&self, child: Child, exchange: Exchange) -> Finished {
        drop(exchange);
        self.upstream.accept().await.answer(204, "", "").await;
        finish(child).await
    }
}

/// What the relay has warned of.
pub(crate) fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).collect()
}

/// Tells the relay to stop, as a supervisor does.
pub(crate) fn terminate(child: &Child) {
    let id = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
}

/// Tells the relay to stop, and waits for it to end.
pub(crate) async fn stop(child: Child) -> Finished {
    terminate(&child);
    let finished = finish(child).await;
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    finished
}

/// Ends the relay without a word.
pub(crate) async fn kill(mut child: Child) {
    soon(child.kill()).await.unwrap();
}
