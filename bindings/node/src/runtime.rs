//! The runtime: tokio's threads, which all JavaScript threads of the process share.

use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, OnceLock},
};

use parking_lot::Mutex;
use tidings_client::{
    BuildError, client_with_roots, default_client, is_loopback, reqwest, url::Url,
};
use tokio::runtime::{Builder, Runtime};

// More than JavaScript's one thread can take from them.
const THREADS_MAX: usize = 4;
// Who has more certificates than that in turn has new connections.
const CLIENTS_MAX: usize = 16;

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

/// The HTTP client of all sources to loopback, or of all others, that trust these certificate
/// authorities, which are PEM: it holds the connections that can be used again, and much memory.
///
/// # Errors
/// A sentence that says why there is none.
pub(crate) fn http_client(url: &Url, ca: Option<&[u8]>) -> Result<reqwest::Client, String> {
    type Clients = HashMap<(bool, Option<Vec<u8>>), reqwest::Client>;
    static CLIENTS: LazyLock<Mutex<Clients>> = LazyLock::new(Mutex::default);
    let mut clients = CLIENTS.lock();
    let key = (is_loopback(url), ca.map(<[u8]>::to_vec));
    if let Some(client) = clients.get(&key) {
        return Ok(client.clone());
    }
    let client = match ca {
        Some(ca) => client_with_roots(url, ca).map_err(|error| error.to_string())?,
        None => default_client(url).map_err(|error| BuildError::Client(error).to_string())?,
    };
    if clients.len() >= CLIENTS_MAX {
        clients.clear();
    }
    clients.insert(key, client.clone());
    Ok(client)
}
