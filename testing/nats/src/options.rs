//! What a server is started with.

/// What a server is started with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Further lines of the server's configuration, such as `authorization { … }`, `tls { … }` or
    /// `max_payload: 64KB`. Default none.
    pub config: String,
    /// Whether the server has JetStream. Default yes.
    pub jetstream: bool,
}

impl Options {
    /// The defaults with further lines of configuration.
    pub fn with_config(config: &str) -> Self {
        Self { config: config.to_owned(), ..Self::default() }
    }

    /// The defaults without JetStream.
    pub fn without_jetstream() -> Self {
        Self { jetstream: false, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { config: String::new(), jetstream: true }
    }
}
