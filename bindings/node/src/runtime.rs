//! The runtime: the thread of tokio that all JavaScript threads of the process share.

use std::{collections::HashMap, io, sync::LazyLock, thread};

use parking_lot::Mutex;
use tidings_client::{
    BuildError, client_with_roots, default_client, is_loopback, reqwest, url::Url,
};
use tokio::runtime::{Builder, Handle};

// Who has more certificates than that in turn has new connections.
const CLIENTS_MAX: usize = 16;

/// The runtime, which is started when the first source is, and never ended.
///
/// It has one thread, which reads faster than JavaScript's takes. With a second one, the two tasks of
/// a source, hyper's and its follower, would wake each other across threads for each chunk.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    let mut started = RUNTIME.lock();
    if let Some(handle) = &*started {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("tidings".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(started.insert(handle).clone())
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
