//! The publisher: an event after the other, each with a key, until a hub has taken it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{Failure, subscriber::TOPIC};

/// What became of all that was published.
#[derive(Debug, Default)]
pub struct Published {
    pub events: u64,
    /// From the first attempt to the answer of the hub that took it.
    pub longest: Duration,
    /// Events that no hub took at the first attempt.
    pub again: u64,
    /// Of an event, so many attempts at most.
    pub attempts_max: u32,
    /// Why the first attempts failed, each reason once.
    pub reasons: Vec<String>,
}

/// A publisher at work.
pub struct Publisher {
    task: JoinHandle<Result<Published, String>>,
    stop: watch::Sender<bool>,
}

impl Publisher {
    pub fn start(hubs: &Arc<[SocketAddr]>, rate: u32) -> Self {
        let hubs = Arc::clone(hubs);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_secs(1) / rate);
            // What it could not publish in time, it publishes afterwards.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut published = Published::default();
            while !*stopped.borrow() {
                ticks.tick().await;
                publish(&hubs, &mut published).await?;
            }
            Ok(published)
        });
        Self { task, stop }
    }

    /// Ends it after the event that is under way.
    pub async fn stop(self) -> Result<Published, Failure> {
        self.stop.send_replace(true);
        Ok(self.task.await??)
    }
}

async fn publish(hubs: &[SocketAddr], published: &mut Published) -> Result<(), String> {
    let number = published.events;
    let begin = Instant::now();
    for attempt in 1.. {
        let turn = number as usize + attempt as usize;
        let failed = match timeout(ATTEMPT_TIME_MAX, attempt_at(hubs, turn, number)).await {
            Ok(Ok(())) => {
                published.events += 1;
                published.longest = published.longest.max(begin.elapsed());
                published.attempts_max = published.attempts_max.max(attempt);
                return Ok(());
            }
            Ok(Err(failed)) => failed,
            Err(_) => "no answer".to_owned(),
        };
        if attempt == 1 {
            published.again += 1;
        }
        if begin.elapsed() > EVENT_TIME_MAX {
            return Err(format!("event {number} could not be published: {failed}"));
        }
        if published.reasons.len() < REASONS_MAX && !published.reasons.contains(&failed) {
            published.reasons.push(failed);
        }
        sleep(AGAIN).await;
    }
    Ok(())
}

// The next hub in turn that takes the connection, as behind a proxy.
async fn attempt_at(hubs: &[SocketAddr], turn: usize, number: u64) -> Result<(), String> {
    let mut answer = Vec::new();
    for hub in hubs.iter().cycle().skip(turn % hubs.len()).take(hubs.len()) {
        let Ok(mut stream) = TcpStream::connect(hub).await else { continue };
        let data = number.to_string();
        let request = format!(
            "POST /events/{TOPIC} HTTP/1.0\r\nHost: 127.0.0.1\r\nIdempotency-Key: \"event-{data}\"\
             \r\nContent-Length: {}\r\n\r\n{data}",
            data.len()
        );
        let written = stream.write_all(request.as_bytes()).await;
        let read = stream.read_to_end(&mut answer).await;
        return match (written, read, answer.get(9..12)) {
            (_, _, Some(b"200")) => Ok(()),
            (_, _, Some(status)) => Err(format!("status {}", String::from_utf8_lossy(status))),
            (Err(error), ..) | (_, Err(error), _) => Err(error.to_string()),
            _ => Err("the connection was closed without an answer".to_owned()),
        };
    }
    Err("no hub takes connections".to_owned())
}

const AGAIN: Duration = Duration::from_millis(50);
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(10);
const EVENT_TIME_MAX: Duration = Duration::from_secs(60);
const REASONS_MAX: usize = 10;
