//! Ctrl-C, and being told to stop.

use std::process::exit;

use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Resolves at the first Ctrl-C, for a command to end in order. The second ends the program at
/// once, as the command may be stuck writing to a pipe that nobody reads.
pub(crate) async fn interrupted() {
    let (first, is_first) = oneshot::channel();
    tokio::spawn(hear(async || ctrl_c().await.is_ok(), first));
    resolve(is_first).await;
}

/// The same for Ctrl-C and SIGTERM, by which a supervisor stops a service.
pub(crate) async fn told_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    let either = async move || {
        tokio::select! {
            heard = interrupt.recv() => heard.is_some(),
            heard = terminate.recv() => heard.is_some(),
        }
    };
    let (first, is_first) = oneshot::channel();
    tokio::spawn(hear(either, first));
    resolve(is_first).await;
}

/// Tells of the first signal, and ends the program at the second.
async fn hear(mut heard: impl AsyncFnMut() -> bool, first: oneshot::Sender<()>) {
    if !heard().await {
        // There is no way to hear it, so it keeps its usual effect.
        return std::future::pending().await;
    }
    let _ = first.send(());
    if heard().await {
        exit(130);
    }
}

async fn resolve(is_first: oneshot::Receiver<()>) {
    if is_first.await.is_err() {
        std::future::pending::<()>().await;
    }
}
