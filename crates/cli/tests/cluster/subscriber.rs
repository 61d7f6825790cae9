//! Follows through whichever hub answers, as a browser behind a load balancer does.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Response, StatusCode};
use tidings_proto::decode::{Decoder, Item, Limits};
use tokio::time::{sleep, timeout};

use crate::{
    checker::{Delivered, END, Follows},
    client,
};

/// How often the hubs are told to give a sign of life.
pub(crate) const HEARTBEAT: &str = "1s";
/// A stream that is silent for longer is given up.
const SILENCE_MAX: Duration = Duration::from_secs(3);

pub(crate) struct Subscriber {
    hubs: Arc<[SocketAddr]>,
    http: reqwest::Client,
    random: StdRng,
    decoder: Decoder,
    delivered: Delivered,
}

impl Subscriber {
    pub(crate) fn new(
        name: String,
        follows: Follows,
        seed: u64,
        hubs: impl Into<Arc<[SocketAddr]>>,
    ) -> Self {
        let number = name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
        Self {
            hubs: hubs.into(),
            http: client::new(),
            random: StdRng::seed_from_u64(seed ^ number),
            decoder: Decoder::new(Limits::default()),
            delivered: Delivered {
                subscriber: name,
                follows,
                events: Vec::new(),
                gaps: Vec::new(),
            },
        }
    }

    /// Follows from the beginning to the end, over as many connections as it takes.
    pub(crate) async fn run(mut self) -> Delivered {
        let mut hub = self.random.random_range(0..self.hubs.len());
        loop {
            let address = self.hubs[hub];
            if let Ok(Some(response)) = timeout(SILENCE_MAX, self.connect(address)).await
                && self.read(response).await
            {
                return self.delivered;
            }
            self.decoder.end_stream();
            hub = (hub + 1) % self.hubs.len();
            // A hub that is down refuses at once; it is not asked all the time.
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn connect(&self, hub: SocketAddr) -> Option<Response> {
        let what = match &self.delivered.follows {
            Follows::All => "pattern=*".to_owned(),
            Follows::Topic(topic) => format!("topic={topic}&topic={END}"),
        };
        let name = &self.delivered.subscriber;
        let url = format!("http://{hub}/events?{what}&last_event_id=earliest&subscriber={name}");
        let request = match self.decoder.last_event_id() {
            "" => self.http.get(url),
            id => self.http.get(url).header("last-event-id", id),
        };
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), StatusCode::OK, "a subscriber is never turned away for good");
        Some(response)
    }

    /// Reads until the stream ends or is given up; answers whether all has come.
    async fn read(&mut self, mut response: Response) -> bool {
        while let Ok(Ok(Some(bytes))) = timeout(SILENCE_MAX, response.chunk()).await {
            let mut chunk = &bytes[..];
            while let Some(item) = self.decoder.poll_item(&mut chunk).expect("it is well formed") {
                let Item::Event(event) = item else { continue };
                match event.event_type() {
                    "tidings.cursor" => {}
                    "tidings.gap" => self.delivered.gaps.push(event.data().to_owned()),
                    _ => {
                        let (id, data) = (event.last_event_id(), event.data());
                        self.delivered.events.push((id.to_owned(), data.to_owned()));
                        if data == END {
                            return true;
                        }
                    }
                }
            }
            if self.random.random_bool(0.003) {
                return false;
            }
        }
        false
    }
}
