//! Leaves in order when somebody ends the bench early, so that no server and no file stays behind.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

static TOLD: AtomicBool = AtomicBool::new(false);

/// From now on, has SIGINT and SIGTERM end the measurement that is under way, and with it the bench.
pub fn listen() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        TOLD.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// Whether the bench is to end.
pub fn is_told() -> bool {
    TOLD.load(Ordering::Relaxed)
}
