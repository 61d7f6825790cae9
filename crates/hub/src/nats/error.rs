//! Why the clustered log could not be opened.

use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

use async_nats::{ConnectError, jetstream};

use super::{Options, Servers, Site, StreamName};

/// Why the clustered log could not be opened. [`fault`](Self::fault) says whose it is to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file that an option names could not be read. The operator's to mend.
    #[error("--{option} {} could not be read", path.display())]
    File {
        /// The option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// A file that an option names does not hold what it should. The operator's to mend.
    #[error("--{option} {} {lack}", path.display())]
    Content {
        /// The option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        lack: &'static str,
    },
    /// No server could be reached in time. The servers', the network's, or that of who wrote the
    /// addresses.
    #[error(
        "NATS could not be reached at {servers} within {}: {}; see that it runs there and that the \
         address is right, or wait longer with --nats-wait",
        humantime::format_duration(*wait),
        cause.as_deref().map_or_else(|| "no answer".into(), innermost)
    )]
    Unreachable {
        /// Where it was looked for.
        servers: Servers,
        /// For how long.
        wait: Duration,
        /// What the last try came to, if to anything.
        cause: Option<Box<ConnectError>>,
    },
    /// A server was reached, but JetStream was not ready in time: no leader, or no answer. Mostly
    /// it passes.
    #[error(
        "NATS at {} was reached, but JetStream was not ready within {} ({why}); see \
         `nats server report jetstream`, or wait longer with --nats-wait",
        site.servers,
        humantime::format_duration(site.wait)
    )]
    NotReady {
        /// What was to be opened.
        site: Box<Site>,
        /// What JetStream says.
        why: String,
    },
    /// NATS does not know the hub, or not by what it showed. The operator's to mend.
    #[error("NATS at {servers} refuses the hub: {}; {advice}", innermost(cause))]
    Unauthorized {
        /// The servers.
        servers: Servers,
        /// What to look at.
        advice: &'static str,
        /// What the server says.
        cause: Box<ConnectError>,
    },
    /// TLS does not come about. The operator's to mend.
    #[error("TLS with NATS at {servers} fails: {}; {advice}", innermost(cause))]
    Tls {
        /// The servers.
        servers: Servers,
        /// What to look at.
        advice: &'static str,
        /// What fails.
        cause: Box<ConnectError>,
    },
    /// The hub's user lacks a permission. The operator of NATS's to mend.
    #[error(
        "NATS does not let the hub's user do what a hub needs: {violation}; the chapter on \
         clustering lists the subjects to allow it"
    )]
    Permission {
        /// What the server says.
        violation: String,
    },
    /// The server is too old. The operator of NATS's to mend.
    #[error("the NATS server is version {version}, and a hub needs {} or later", Self::VERSION_MIN)]
    TooOld {
        /// Its version.
        version: String,
    },
    /// JetStream is off. The operator of NATS's to mend.
    #[error(
        "NATS at {servers} runs without JetStream, which a hub keeps its events in; start \
         nats-server with -js, or with jetstream {{}} in its configuration"
    )]
    NoJetStream {
        /// The servers.
        servers: Servers,
    },
    /// JetStream is off for the hub's account. The operator of NATS's to mend.
    #[error(
        "NATS at {servers} has JetStream, but not for the hub's account; switch it on there \
         (jetstream: enabled in its configuration, or `nsc edit account --js-enable 1`), or let \
         the hub be a user of another account"
    )]
    NoJetStreamForAccount {
        /// The servers.
        servers: Servers,
    },
    /// The server does not take messages as large as the hub may write. The operator's to mend.
    #[error(
        "the NATS server takes messages of at most {max_payload} bytes, and the hub may write such \
         of {needed}; start nats-server with max_payload: {needed}{}",
        fitting(*max_payload)
    )]
    MaxPayload {
        /// What the hub may write, in bytes.
        needed: usize,
        /// What the server takes, in bytes.
        max_payload: usize,
    },
    /// There are not as many servers as the stream is to be kept on. The operator's to mend.
    #[error(
        "the stream {stream} cannot be kept on {replicas} servers: {cause}{}; start more servers \
         with JetStream, or keep it on fewer with --nats-replicas 1",
        known(*servers)
    )]
    Replicas {
        /// The stream.
        stream: StreamName,
        /// On how many servers it was to be.
        replicas: usize,
        /// How many servers of the cluster can be connected to, if it is one.
        servers: Option<usize>,
        /// What JetStream says.
        cause: jetstream::Error,
    },
    /// JetStream has no room for the stream, or the account may have no more of it. The operator
    /// of NATS's to mend.
    #[error(
        "JetStream has no room for the stream {stream}: {cause}; see `nats account info`, and \
         raise max_file_store or max_memory_store, or the account's limits"
    )]
    NoRoom {
        /// The stream.
        stream: StreamName,
        /// What JetStream says.
        cause: jetstream::Error,
    },
    /// JetStream does not make the stream for another reason. The operator of NATS's to mend.
    #[error("JetStream does not make the stream {stream}: {cause}")]
    Denied {
        /// The stream.
        stream: StreamName,
        /// What JetStream says.
        cause: jetstream::Error,
    },
    /// Another stream has the subjects. The operator's to mend.
    #[error(
        "another stream has subjects of {stream}.> already ({cause}); find it with `nats stream ls \
         --subject '{stream}.>'`, and take another name with --nats-stream, or away its subjects"
    )]
    Overlap {
        /// The stream.
        stream: StreamName,
        /// What JetStream says.
        cause: jetstream::Error,
    },
    /// The stream is there, and not as a hub needs it. The operator's to mend; nothing was changed.
    #[error("the stream {stream} is not as the hub needs it: {differences}{}", .differences.mend(stream))]
    Differs {
        /// The stream.
        stream: StreamName,
        /// What is different.
        differences: Differences,
    },
    /// The stream could not be made, looked at or read. Mostly NATS's, and it passes.
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

/// Whose a failure to open is, as a program tells it by its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// NATS cannot be reached, or is not ready: it may pass.
    Unreachable,
    /// NATS does not let the hub in, or would not: credentials, TLS, permissions.
    Refused,
    /// The servers cannot do what a hub needs.
    Server,
    /// The stream is not what this hub needs.
    Stream,
}

/// How a stream differs from what a hub needs: at least one difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences(pub(super) Vec<Difference>);

/// A setting of a stream that is not as a hub needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub(super) setting: &'static str,
    pub(super) found: String,
    pub(super) needed: String,
    /// What `nats stream edit` mends it with, if it can be.
    pub(super) edit: Option<String>,
}

impl OpenError {
    /// The oldest servers that are known to do.
    pub const VERSION_MIN: &str = "2.9.10";

    /// Whose it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } | Self::NotReady { .. } | Self::Stream { .. } => {
                Fault::Unreachable
            }
            Self::File { .. }
            | Self::Content { .. }
            | Self::Unauthorized { .. }
            | Self::Tls { .. }
            | Self::Permission { .. } => Fault::Refused,
            Self::TooOld { .. }
            | Self::NoJetStream { .. }
            | Self::NoJetStreamForAccount { .. }
            | Self::MaxPayload { .. }
            | Self::Replicas { .. }
            | Self::NoRoom { .. }
            | Self::Denied { .. } => Fault::Server,
            Self::Overlap { .. }
            | Self::Differs { .. }
            | Self::Limits { .. }
            | Self::Foreign { .. } => Fault::Stream,
        }
    }
}

impl Differences {
    fn mend(&self, stream: &StreamName) -> String {
        let edits = self.0.iter().map(|difference| difference.edit.as_deref());
        match edits.collect::<Option<Vec<_>>>() {
            Some(edits) => format!(
                "; `nats stream edit {stream} {}` mends it, and --nats-stream takes another stream",
                edits.join(" ")
            ),
            None => {
                "; take another stream with --nats-stream, or delete this one if nothing in it \
                     is needed"
                    .into()
            }
        }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Difference { setting, found, needed, .. }) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}its {setting} is {found} and must be {needed}")?;
        }
        Ok(())
    }
}

fn fitting(max_payload: usize) -> String {
    match max_payload.checked_sub(Options::MESSAGE_REST_BYTES) {
        Some(bytes @ 1..) => {
            format!(", or the hub with --body-bytes-max {bytes} --data-bytes-max {bytes}")
        }
        _ => String::new(),
    }
}

/// What went wrong, without the words of those that only pass it on.
fn innermost(error: &ConnectError) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string().trim_start_matches("nats: ").to_owned()
}

fn known(servers: Option<usize>) -> String {
    servers.map_or_else(String::new, |count| {
        let them = if count == 1 {
            "server of the cluster names itself"
        } else {
            "servers of the cluster name themselves"
        };
        format!(" ({count} {them} to clients)")
    })
}

/// An error, with what caused it.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_servers_are_counted_where_they_name_themselves() {
        let cause = r#"{ "code": 400, "err_code": 10005, "description": "no suitable peers" }"#;
        let said = |servers| {
            let cause: jetstream::Error = serde_json::from_str(cause).unwrap();
            let stream = StreamName::default();
            OpenError::Replicas { stream, replicas: 3, servers, cause }.to_string()
        };
        assert!(said(Some(2)).contains("(2 servers of the cluster name themselves to clients);"));
        assert!(said(None).contains("error code 10005); start more servers"));
    }

    #[test]
    fn a_server_for_tiny_messages_alone_is_of_no_use() {
        let said = |max_payload| OpenError::MaxPayload { needed: 1 << 20, max_payload }.to_string();
        assert!(said(65_536).ends_with("with --body-bytes-max 32768 --data-bytes-max 32768"));
        assert!(said(1_024).ends_with("max_payload: 1048576"));
    }
}
