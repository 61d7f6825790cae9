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
    /// The stream's hubs keep something else than this one was told to. The operator's to mend.
    #[error(
        "the hubs of the stream {stream} share other limits: {difference}; start with what is \
             there, or change it for all hubs: stop them, and start the first one with \
             --nats-change-limits"
    )]
    Limits {
        /// Its name.
        stream: String,
        /// What differs.
        difference: String,
    },
    /// The stream has messages that no hub wrote. The operator's to mend.
    #[error(
        "the stream {stream} has {messages} messages, and no hub wrote them; choose another \
             with --nats-stream, or empty it"
    )]
    Foreign {
        /// Its name.
        stream: String,
        /// How many messages it has.
        messages: u64,
    },
}
