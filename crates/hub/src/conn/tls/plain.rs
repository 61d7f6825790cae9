//! Plain HTTP where TLS is spoken: told so, in a way that a person sees.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::conn::wire::Wire;

const TEXT: &str = "This port speaks HTTPS: ask again with https:// in place of http://.\n";
// For the peer to read the answer, and to stop sending.
const PATIENCE: Duration = Duration::from_secs(2);
const UNREAD_BYTES_MAX: u64 = 64 << 10;

/// Answers whatever came that is not TLS, and closes.
pub(super) async fn refuse(mut wire: Wire) {
    let length = TEXT.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \
         {length}\r\nConnection: close\r\n\r\n{TEXT}"
    );
    let told = async {
        wire.write_all(answer.as_bytes()).await?;
        wire.shutdown().await?;
        // What is left unread would have the kernel take back the answer.
        tokio::io::copy(&mut wire.take(UNREAD_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // The peer was no friend, or is gone: there is nothing more to do for it.
    let _ = timeout(PATIENCE, told).await;
}
