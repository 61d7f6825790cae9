//! The supervisor: brings a latched log back.

use std::time::Duration;

use tidings_server::log::SharedLog;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Reopens the log whenever it takes no events, until the task is aborted.
pub(crate) async fn run(log: SharedLog) {
    loop {
        let Some(cause) = log.state().latched else {
            sleep(LOOK_EVERY).await;
            continue;
        };
        tracing::error!(%cause, "the log takes no events; trying to bring it back");
        reopen(&log).await;
        tracing::info!("the log takes events again");
    }
}

/// Waits until the log is over: that of a memory or a directory never is.
pub(crate) async fn over(log: &SharedLog) {
    loop {
        if let Some(cause) = log.state().over {
            tracing::warn!(%cause, "the log is over; its subscribers are sent away, and it is opened anew");
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn reopen(log: &SharedLog) {
    let mut wait = LOOK_EVERY;
    let mut told = String::new();
    while let Err(error) = log.reopen().await {
        // The same failure again is no news.
        let text = error.to_string();
        if text != told {
            tracing::warn!(%error, "the log takes no events yet");
            told = text;
        }
        sleep(wait).await;
        wait = (wait * 2).min(BACKOFF_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    };

    use futures_core::future::BoxFuture;
    use tidings_server::log::{
        AppendError, Log as _, LogState, MemoryLog, Retention,
        contract::{Fault, Faulty},
    };

    use super::*;

    /// A latched log that needs three tries to be reopened.
    #[derive(Default)]
    struct Stubborn(AtomicU32);

    impl Fault for Stubborn {
        fn state(&self, log: &MemoryLog) -> LogState {
            let mut state = log.state();
            state.latched = (self.0.load(SeqCst) < 3).then(|| "full".into());
            state
        }

        fn reopen<'a>(&'a self, _: &'a MemoryLog) -> BoxFuture<'a, Result<(), AppendError>> {
            let done = self.0.fetch_add(1, SeqCst) + 1 == 3;
            Box::pin(async move {
                if done { Ok(()) } else { Err(AppendError::Latched { cause: "full".into() }) }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_latched_log_is_reopened_with_growing_pauses() {
        let sound = MemoryLog::new(Retention::default(), 1);
        let log = Arc::new(Faulty::new(sound, Arc::<Stubborn>::default()));
        let started = tokio::time::Instant::now();
        let supervisor = tokio::spawn(run(log.clone()));
        while log.state().latched.is_some() {
            tokio::time::advance(Duration::from_millis(100)).await;
            assert!(started.elapsed() < Duration::from_secs(60));
        }
        assert_eq!(started.elapsed().as_secs(), 3, "one second, then two");
        supervisor.abort();
    }
}
