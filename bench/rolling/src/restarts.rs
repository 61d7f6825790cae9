//! The rolling restart.

use std::{path::Path, time::Duration};

use tokio::time::sleep;

use crate::{Failure, arguments::Arguments, hub::Hub, tally::Tally};

/// The restart of one hub, in times since the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Restart {
    /// It was told to leave.
    pub told: Duration,
    /// It had left.
    pub left: Duration,
    /// It was ready again.
    pub ready: Duration,
}

/// Restarts each hub when the one before it is ready again.
pub async fn roll(
    hubs: &mut [Hub],
    tidings: &Path,
    nats: &str,
    asked: &Arguments,
    tally: &Tally,
) -> Result<Vec<Restart>, Failure> {
    let mut restarts = Vec::new();
    for (number, hub) in hubs.iter_mut().enumerate() {
        if number > 0 {
            sleep(asked.pause).await;
        }
        eprintln!("Hub {} leaves.", number + 1);
        let told = tally.now();
        hub.leave().await?;
        let left = tally.now();
        let listen = hub.address().to_string();
        *hub = Hub::start(tidings, &listen, nats, &asked.hub_options).await?;
        restarts.push(Restart { told, left, ready: tally.now() });
    }
    Ok(restarts)
}
