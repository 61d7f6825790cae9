//! Waiting for what cannot be awaited: it is asked for again and again, up to a deadline.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// Long enough for an election on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Asks until there is an answer; `None` if there was none in time.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    timeout(DEADLINE, async {
        let mut turn = interval(ASK_EVERY);
        loop {
            turn.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
    .ok()
}
