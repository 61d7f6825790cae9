//! The runtime: tokio's threads, which all JavaScript threads of the process share.

use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, OnceLock},
};

use parking_lot::Mutex;
use tidings_client::{default_client, is_loopback, reqwest, url::Url};
use tokio::runtime::{Builder, Runtime};

// More than JavaScript's one thread can take from them.
const THREADS_MAX: usize = 4;

/// The runtime, which is started when the first source is, and never ended.
///
/// # Errors
/// The system gives no threads.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores.min(THREADS_MAX))
        .thread_name("tidings")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// The HTTP client of all sources to loopback, or of all others: it holds the connections that can be
/// used again, and much memory.
pub(crate) fn http_client(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    static CLIENTS: LazyLock<Mutex<HashMap<bool, reqwest::Client>>> = LazyLock::new(Mutex::default);
    let mut clients = CLIENTS.lock();
    if let Some(client) = clients.get(&is_loopback(url)) {
        return Ok(client.clone());
    }
    let client = default_client(url)?;
    clients.insert(is_loopback(url), client.clone());
    Ok(client)
}
