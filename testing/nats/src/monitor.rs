//! What a server says about itself over HTTP, for which it asks nobody's name.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A server that is frozen does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The JSON of this page, if the server answers 200.
pub(crate) async fn page(address: SocketAddr, path: &str) -> Option<Value> {
    let text = async {
        let mut socket = TcpStream::connect(address).await.ok()?;
        // A server answers HTTP/1.0 without chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await.ok()?;
        Some(text)
    };
    let text = timeout(ANSWER_WITHIN, text).await.ok()??;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| serde_json::from_str(body).ok())?
}

/// Whether the server of this name leads this stream, by the page `/jsz?streams=true`.
pub(crate) fn leads(jsz: &Value, server: &str, stream: &str) -> bool {
    let accounts = jsz["account_details"].as_array().into_iter().flatten();
    let mut streams = accounts.flat_map(|account| account["stream_detail"].as_array()).flatten();
    streams.any(|detail| {
        // A server without a cluster leads whatever it has.
        let leader = detail["cluster"].get("leader");
        detail["name"] == stream && leader.is_none_or(|leader| leader == server)
    })
}

/// Whether the leader of all servers' JetStream, if this page is its, sees that many others.
pub(crate) fn sees_peers(jsz: &Value, peers: usize) -> bool {
    let seen = jsz["meta_cluster"]["replicas"].as_array().into_iter().flatten();
    let is_there = |peer: &&Value| peer["current"] == true && peer["offline"] != true;
    seen.filter(is_there).count() >= peers
}
