//! Why a configuration was refused.

use std::{fmt, net::SocketAddr, path::PathBuf};

use tidings_server::{log::TopicRules, matcher::PatternError};

use crate::nats::ServersError;

/// Why a configuration was refused. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A name that no option has.
    #[error("{origin} has {name}, which no option is called{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// Where it stands.
        origin: Origin,
        /// The name as it was written.
        name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// A value that breaks the rule of its option.
    #[error("{option} = {value:?} in {origin}: {rule}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The option's name in that place.
        option: String,
        /// The value as it was written.
        value: String,
        /// The rule that it breaks.
        rule: String,
    },
    /// The file could not be read.
    #[error("the configuration file {} could not be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not valid TOML: {cause}", .path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: Box<toml::de::Error>,
    },
    /// Two options that exclude each other.
    #[error(
        "--{one} and --{other} exclude each other (also as set by the environment or the configuration file); give one of them"
    )]
    Conflict {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// An option that means nothing without another.
    #[error(
        "--{given} is set, and --{missing} is not (also as set by the environment or the configuration file); give both, or neither"
    )]
    Incomplete {
        /// The one that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// What `--nats` names are no servers.
    #[error("--nats: {0}")]
    NatsServers(#[from] ServersError),
    /// A user in a URL of NATS, and a file that says another.
    #[error(
        "--nats has a user or a token in a URL, and --{other} says who the hub is, too; give one of \
         them"
    )]
    NatsUserTwice {
        /// The file's option.
        other: &'static str,
    },
    /// A durability is asked for of what others write.
    #[error(
        "--durability is of the hub's own files; with --nats the NATS servers say when an event is \
         on their disks: sync_interval in the jetstream section of their configuration"
    )]
    DurabilityOfNats,
    /// More rules for topics' history than are looked through for each new topic.
    #[error(
        "--history-of is given {count} times, and at most {} times may be",
        TopicRules::COUNT_MAX
    )]
    TooManyRules {
        /// How many there are.
        count: usize,
    },
    /// A rule's pattern is none under the hub's URL.
    #[error("--history-of {rule}: {cause}")]
    RulePattern {
        /// What the rule is for.
        rule: String,
        /// What is wrong with the pattern.
        cause: PatternError,
    },
    /// An address that others can reach, and no keys.
    #[error(
        "the address {listen} can be reached from other machines, and without keys anybody \
         there could publish and follow everything; listen on a loopback address such as \
         127.0.0.1:{}, or give --insecure-open if that is what you want",
        .listen.port()
    )]
    Exposed {
        /// The address.
        listen: SocketAddr,
    },
}

fn did_you_mean(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the environment.
    Environment,
    /// The configuration file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::File(path) => write!(f, "the configuration file {}", path.display()),
        }
    }
}
