//! Questions to the log: paced, and of no interest once their line is gone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_core::future::BoxFuture;
use tidings_server::{
    fanout::{Fanout, FanoutConfig, Subscribe},
    log::{
        Batch, Log as _, MemoryLog, Page, ReadError, ReadLimits, Retention, Since,
        contract::{Fault, Faulty},
    },
    matcher::Filter,
    subscription::{Start, SubscriptionConfig},
};
use tokio::sync::Semaphore;

use crate::{
    event, eventually, exact,
    follower::wire::{Way, Wires},
};

/// Answers reads only as far as it is let.
struct Gate {
    asked: AtomicUsize,
    may: Semaphore,
}

impl Fault for Gate {
    fn read<'a>(
        &'a self,
        log: &'a MemoryLog,
        since: Since,
        filter: &'a Filter,
        limits: ReadLimits,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, SeqCst);
            // It is used up.
            self.may.acquire().await.unwrap().forget();
            log.read(since, filter, limits).await
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_asked_by_a_few_at_once_and_for_nobody_who_is_gone() {
    const READS_MAX: usize = 2;
    let gate = Arc::new(Gate { asked: AtomicUsize::new(0), may: Semaphore::new(0) });
    let memory = MemoryLog::new(Retention::default(), 1);
    let log = Arc::new(Faulty::new(memory, gate.clone()));
    log.append(Batch::new(vec![event("a", "one")])).await.unwrap();
    let config = FanoutConfig { reads_max: READS_MAX, ..FanoutConfig::default() };
    let fanout = Fanout::start(log.clone(), config);
    let wires = Wires::new(&fanout, Way::default());
    let connect = || {
        let (filter, config) = (exact("a"), SubscriptionConfig::default());
        let subscribe = Subscribe { filter, start: Start::Earliest, config };
        wires.connect_by(Way::default(), fanout.subscribe(subscribe), ())
    };
    let gone: Vec<_> = (0..200).map(|_| connect()).collect();
    eventually("all wait", || wires.engine.lines() == gone.len()).await;
    eventually("as many ask as may", || gate.asked.load(SeqCst) == READS_MAX).await;
    drop(gone);
    eventually("they are noticed to be gone", || wires.engine.lines() == 0).await;
    // Whoever comes now is the next, and not behind those: the one read that may go on is its own.
    let mut stays = connect();
    gate.may.add_permits(1);
    stays.until("data: one\n\n").await;
}
