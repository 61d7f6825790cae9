//! The runtime: the thread of tokio that all JavaScript threads of the process share.

use std::{collections::HashMap, io, sync::LazyLock, thread};

use parking_lot::Mutex;
use tidings_client::{default_client, is_loopback, reqwest, url::Url};
use tokio::runtime::{Builder, Handle};

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
