//! How a hub reaches its stream, and what it keeps there.

use std::{fmt, path::PathBuf, time::Duration};

use async_nats::ServerAddr;
use tidings_server::log::{KeyWindow, Retention, TopicRules};

/// What the clustered log opens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The servers, of which any one leads to the others.
    pub servers: Vec<ServerAddr>,
    /// The stream, and the first token of its subjects. Default `tidings`.
    pub stream: StreamName,
    /// On how many servers the stream is kept: 1, 3 or 5. Default: 3 if the server is one of a
    /// cluster, else 1; and whatever a stream has that is there already.
    pub replicas: Option<usize>,
    /// What the servers keep it in. Default files.
    pub storage: Storage,
    /// Who the hub is to the servers, unless their URLs say so.
    pub auth: Option<Auth>,
    /// How TLS is spoken, where a URL or the server asks for it.
    pub tls: TlsFiles,
    /// How much is kept of all topics. Every hub of a stream has the same.
    pub retention: Retention,
    /// How much is kept of single topics. Every hub of a stream has the same.
    pub rules: TopicRules,
    /// For how long idempotency keys are known. Every hub of a stream has the same.
    pub key_window: KeyWindow,
    /// Whether to begin a new epoch though nothing seems lost.
    pub new_epoch: bool,
    /// Whether to change the limits that all hubs of the stream share to those that are given
    /// here, if they differ. The other hubs of the stream end then.
    pub change_limits: bool,
    /// How long an append waits for its outcome. Default 5 s.
    pub append_wait: Duration,
    /// How long messages that a checkpoint has made superfluous are left for hubs that are behind.
    /// Default 30 s.
    pub clear_after: Duration,
    /// Whether to write a checkpoint as soon as a single message is superfluous: for tests.
    #[doc(hidden)]
    pub eager_upkeep: bool,
}

/// What the servers keep a stream in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// In files: it outlives the servers.
    #[default]
    File,
    /// In memory: it is gone with a majority of the servers.
    Memory,
}

/// Who the hub is to the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A file with a JWT and the seed of its key, as `nsc` makes it.
    Credentials(PathBuf),
    /// A file with the seed of an NKEY.
    Nkey(PathBuf),
}

/// How TLS is spoken to the servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Roots to trust, in PEM, besides those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The hub's own certificate and its key, in PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The name of a stream: 1 to 32 ASCII letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName(String);

/// Why a text is no name of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream's name has 1 to {} ASCII letters, digits, '-' and '_'", StreamName::BYTES_MAX)]
pub struct StreamNameError;

impl Options {
    /// The stream `tidings` at these servers, with all the defaults.
    pub fn new(servers: Vec<ServerAddr>) -> Self {
        Self {
            servers,
            stream: StreamName::default(),
            replicas: None,
            storage: Storage::default(),
            auth: None,
            tls: TlsFiles::default(),
            retention: Retention::default(),
            rules: TopicRules::default(),
            key_window: KeyWindow::default(),
            new_epoch: false,
            change_limits: false,
            append_wait: Duration::from_secs(5),
            clear_after: Duration::from_secs(30),
            eager_upkeep: false,
        }
    }
}

impl StreamName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 32;

    /// Checks a name.
    ///
    /// # Errors
    /// [`StreamNameError`]; it is the operator's to mend.
    pub fn new(name: &str) -> Result<Self, StreamNameError> {
        let fits = (1..=Self::BYTES_MAX).contains(&name.len());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if fits && name.bytes().all(is_plain) {
            Ok(Self(name.into()))
        } else {
            Err(StreamNameError)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for StreamName {
    /// `tidings`.
    fn default() -> Self {
        Self("tidings".into())
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
