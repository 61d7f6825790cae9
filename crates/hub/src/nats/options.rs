//! How a hub reaches its stream, and what it keeps there.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use tidings_server::log::{KeyWindow, Retention, TopicRules};

use super::{Secret, Servers, ServersError};

/// What the clustered log opens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The stream, and the way to it.
    pub site: Site,
    /// The largest message that the hub writes, in bytes: the largest request or event, and what
    /// is stored with it. A server that takes less is refused. Default 1 MiB, which is what
    /// servers take by default.
    pub message_bytes_max: usize,
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

/// The stream of a hub, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// The servers, of which any one leads to the others.
    pub servers: Servers,
    /// The stream, and the first token of its subjects. Default `tidings`.
    pub stream: StreamName,
    /// On how many servers the stream is kept. Default: 3 if the server is one of a cluster, else
    /// 1; and whatever a stream has that is there already.
    pub replicas: Option<Replicas>,
    /// What the servers keep it in. Default files.
    pub storage: Storage,
    /// Who the hub is to the servers. Default nobody.
    pub auth: Option<Auth>,
    /// How TLS is spoken. With any of the files it must be.
    pub tls: TlsFiles,
    /// How long a start waits for servers that cannot be reached, or are not ready. Default 10 s.
    pub wait: Duration,
}

/// On how many servers a stream is kept: 1, 3 or 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas(usize);

/// Why a text is no number of replicas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream is kept on 1, 3 or 5 servers")]
pub struct ReplicasError;

/// What the servers keep a stream in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Storage {
    /// In files: it outlives the servers.
    #[default]
    #[value(help = "In files: it outlives the servers")]
    File,
    /// In memory: it is gone with a majority of the servers.
    #[value(help = "In memory: it is gone once a majority of the servers was stopped")]
    Memory,
}

/// Who the hub is to the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A user with a password.
    User {
        /// The user.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token, which all share who have it.
    Token(Secret),
    /// A file with a JWT and the seed of its key, as `nsc` makes it.
    Credentials(PathBuf),
    /// A file with the seed of an NKEY.
    Nkey(PathBuf),
}

/// How TLS is spoken to the servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Roots to trust, in PEM. Default those that the system trusts.
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
    /// What a message has besides the data of its events at most, as a rule.
    pub const MESSAGE_REST_BYTES: usize = 32 << 10;

    /// The stream at this site, with all the defaults.
    pub fn new(site: Site) -> Self {
        Self {
            site,
            message_bytes_max: 1 << 20,
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

impl Site {
    /// The stream `tidings` at these servers, with all the defaults.
    pub fn new(servers: Servers) -> Self {
        Self {
            servers,
            stream: StreamName::default(),
            replicas: None,
            storage: Storage::default(),
            auth: None,
            tls: TlsFiles::default(),
            wait: Self::WAIT_DEFAULT,
        }
    }

    const WAIT_DEFAULT: Duration = Duration::from_secs(10);
}

impl FromStr for Site {
    type Err = ServersError;

    /// Reads URLs with commas between them, and who the hub is, if one says so.
    fn from_str(text: &str) -> Result<Self, ServersError> {
        let urls: Vec<_> = text.split(',').map(Secret::from).collect();
        let (servers, auth) = Servers::parse(&urls)?;
        Ok(Self { auth, ..Self::new(servers) })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stream {}", self.servers, self.stream)
    }
}

impl Replicas {
    /// The number.
    pub fn count(self) -> usize {
        self.0
    }
}

impl FromStr for Replicas {
    type Err = ReplicasError;

    fn from_str(text: &str) -> Result<Self, ReplicasError> {
        match text.trim().parse() {
            Ok(count @ (1 | 3 | 5)) => Ok(Self(count)),
            _ => Err(ReplicasError),
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

impl FromStr for StreamName {
    type Err = StreamNameError;

    fn from_str(name: &str) -> Result<Self, StreamNameError> {
        Self::new(name.trim())
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
