//! Follows a hub over HTTP as a browser does, from cut to cut.

use std::{net::SocketAddr, time::Duration};

use tidings_proto::decode::{Decoder, Item, Limits};
use tokio::time::timeout;

/// How long anything may take: long enough for a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A follower of one URL.
pub(crate) struct Follower {
    http: reqwest::Client,
    url: String,
    decoder: Decoder,
    response: Option<reqwest::Response>,
    /// Id and data of every event, the hub's own notices left out.
    pub(crate) events: Vec<(String, String)>,
    /// The data of every gap notice.
    pub(crate) gaps: Vec<String>,
}

impl Follower {
    pub(crate) fn new(hub: SocketAddr, path: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: format!("http://{hub}{path}"),
            decoder: Decoder::new(Limits::default()),
            response: None,
            events: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Reads what comes next, connecting for as long as it takes; loses the connection when the
    /// hub does. Answers how many bytes came.
    pub(crate) async fn read(&mut self) -> usize {
        timeout(DEADLINE, async {
            let response = loop {
                match &mut self.response {
                    Some(response) => break response,
                    None => {
                        let request = self.http.get(&self.url);
                        let request = match self.decoder.last_event_id() {
                            "" => request,
                            id => request.header("last-event-id", id),
                        };
                        // Nobody listens while the hub starts again.
                        let Ok(response) = request.send().await else { continue };
                        assert_eq!(response.status(), 200);
                        self.response = Some(response);
                    }
                }
            };
            let Ok(Some(bytes)) = response.chunk().await else {
                self.cut();
                return 0;
            };
            let mut chunk = &bytes[..];
            while let Some(item) = self.decoder.poll_item(&mut chunk).unwrap() {
                let Item::Event(event) = item else { continue };
                match event.event_type() {
                    "tidings.cursor" => {}
                    "tidings.gap" => self.gaps.push(event.data().to_owned()),
                    _ => {
                        let (id, data) = (event.last_event_id(), event.data());
                        self.events.push((id.to_owned(), data.to_owned()));
                    }
                }
            }
            bytes.len()
        })
        .await
        .expect("something comes in time")
    }

    /// Reads until this is the data of the last event.
    #[allow(dead_code, reason = "each test takes what it needs")]
    pub(crate) async fn read_until(&mut self, data: &str) {
        while self.events.last().is_none_or(|event| event.1 != data) {
            self.read().await;
        }
    }

    /// Reads until this is the data of an event.
    #[allow(dead_code, reason = "each test takes what it needs")]
    pub(crate) async fn read_until_seen(&mut self, data: &str) {
        while !self.events.iter().any(|event| event.1 == data) {
            self.read().await;
        }
    }

    /// Loses the connection.
    pub(crate) fn cut(&mut self) {
        self.response = None;
        self.decoder.end_stream();
    }
}
