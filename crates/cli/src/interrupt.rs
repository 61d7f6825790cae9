//! Ctrl-C.

use std::process::exit;

use tokio::signal::ctrl_c;
use tokio::sync::oneshot;

/// Resolves at the first Ctrl-C, for a command to end in order. The second ends the program at
/// once, as the command may be stuck writing to a pipe that nobody reads.
pub(crate) async fn interrupted() {
    let (first, heard) = oneshot::channel();
    tokio::spawn(async move {
        if ctrl_c().await.is_err() {
            // There is no way to hear it, so it keeps its usual effect.
            return std::future::pending().await;
        }
        let _ = first.send(());
        if ctrl_c().await.is_ok() {
            exit(130);
        }
    });
    if heard.await.is_err() {
        std::future::pending::<()>().await;
    }
}
