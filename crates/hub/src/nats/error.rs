//! Why the clustered log could not be opened.

/// Why the clustered log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No server could be reached, or none took the hub in.
    #[error("NATS could not be reached")]
    Connect(#[source] async_nats::ConnectError),
    /// The stream could not be made or looked at.
    #[error("the stream {stream} could not be opened: {cause}")]
    Stream {
        /// Its name.
        stream: String,
        /// What the server says.
        cause: String,
    },
}
