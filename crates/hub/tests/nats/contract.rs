//! The contract of every log, kept by the clustered log.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tidings_hub::nats::{NatsLog, Options, StreamName};
use tidings_server::log::{
    SharedLog,
    contract::{Setup, Subject},
};
use tidings_testing_nats::Server;
use tokio::{runtime::Handle, task::block_in_place};

/// Logs on one server, each in a stream of its own.
struct Nats {
    // As soon as anything is superfluous, a checkpoint is written and it is deleted.
    eager: bool,
    server: Server,
    streams: AtomicU32,
    logs: Mutex<Vec<(SharedLog, StreamName)>>,
}

impl Nats {
    fn new(eager: bool) -> Self {
        let server = block_in_place(|| {
            let options = tidings_testing_nats::Options::with_config("max_payload: 8388608");
            Handle::current().block_on(Server::start_with(&options))
        });
        Self { eager, server, streams: AtomicU32::new(0), logs: Mutex::default() }
    }

    async fn open_stream(&self, stream: StreamName, setup: Setup) -> SharedLog {
        let mut options = Options::new(self.server.url().parse().expect("a URL"));
        options.site.stream = stream;
        options.retention = setup.retention;
        options.rules = setup.rules;
        options.key_window = setup.keys;
        options.eager_upkeep = self.eager;
        if self.eager {
            options.clear_after = Duration::ZERO;
        }
        Arc::new(NatsLog::open(options).await.expect("the log opens"))
    }
}

impl Subject for Nats {
    fn open_with(&self, setup: Setup) -> SharedLog {
        let number = self.streams.fetch_add(1, Relaxed);
        let stream = StreamName::new(&format!("log-{number}")).expect("a name");
        let log =
            block_in_place(|| Handle::current().block_on(self.open_stream(stream.clone(), setup)));
        self.logs.lock().push((Arc::clone(&log), stream));
        log
    }

    fn reopen_with(
        &self,
        log: SharedLog,
        setup: Setup,
    ) -> Pin<Box<dyn Future<Output = SharedLog> + '_>> {
        Box::pin(async move {
            log.close().await;
            let epoch = log.bounds().epoch;
            let stream = {
                let mut logs = self.logs.lock();
                let at = logs.iter().position(|(kept, _)| Arc::ptr_eq(kept, &log));
                logs.swap_remove(at.expect("a log of ours")).1
            };
            let log = self.open_stream(stream.clone(), setup).await;
            assert_eq!(log.bounds().epoch, epoch, "what is whole keeps its epoch");
            self.logs.lock().push((Arc::clone(&log), stream));
            log
        })
    }
}

mod lazy {
    tidings_server::contract_tests!(super::Nats::new(false));
}

mod eager {
    tidings_server::contract_tests!(super::Nats::new(true));
}
