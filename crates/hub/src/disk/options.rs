//! What the operator chooses of a disk log, and why it does not open.

use std::{io, path::PathBuf};

use tidings_server::log::{KeyWindow, Retention, TopicRules};

use super::storage::is_full;

/// How a disk log is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory, made if it is not there. One process opens it at a time.
    pub dir: PathBuf,
    /// How much history is kept. Default: [`Retention::default`].
    pub retention: Retention,
    /// How much of single topics is kept besides. Default: no rules.
    pub rules: TopicRules,
    /// How long idempotency keys are known, and how many. Default: [`KeyWindow::default`].
    ///
    /// A key is stored with its event, in 32 bytes: a restart finds those of the events that are
    /// still on the disk.
    pub key_window: KeyWindow,
    /// What an acknowledgement promises. Default: [`Durability::Fsync`].
    pub durability: Durability,
    /// Bytes of a segment file. Default 64 MiB, at least 4 KiB, at most 2 GiB.
    ///
    /// History is removed from the disk a segment at a time, and one more is kept ready, so the
    /// directory takes up to two segments more than the history; with rules for topics, where
    /// single records are trimmed, up to twice the history and three segments. After a start the first segment
    /// has 4 MiB, and each one after it twice as much, up to this.
    pub segment_bytes: u64,
    /// Records that wait to be written at most; more are refused as overload. Default 65,536.
    pub queue_records_max: usize,
    /// Bytes that wait to be written at most; more are refused as overload. Default 64 MiB, which
    /// is also about what the queue may take of memory.
    pub queue_bytes_max: usize,
    /// Bytes of one batch at most. Default 16 MiB, at most 1 GiB.
    pub batch_bytes_max: usize,
    /// Bytes of records kept in memory for those who follow the tail, so that they need not read
    /// from the disk what is only a moment old. Default 16 MiB.
    pub feed_bytes_max: usize,
    /// Begins a new epoch whatever the directory says. Default false.
    ///
    /// For a directory that was restored in a way that the log cannot see, such as an image of
    /// the whole disk. A restored copy of the files is noticed without it.
    pub new_epoch: bool,
}

impl Options {
    /// The defaults, for the log in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            retention: Retention::default(),
            rules: TopicRules::default(),
            key_window: KeyWindow::default(),
            durability: Durability::Fsync,
            segment_bytes: 64 << 20,
            queue_records_max: 65_536,
            queue_bytes_max: 64 << 20,
            batch_bytes_max: 16 << 20,
            feed_bytes_max: 16 << 20,
            new_epoch: false,
        }
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        let limits = [
            ("segment_bytes", self.segment_bytes, 4 << 10, 2 << 30),
            ("queue_records_max", self.queue_records_max as u64, 1, u64::MAX),
            ("queue_bytes_max", self.queue_bytes_max as u64, 1, u64::MAX),
            ("batch_bytes_max", self.batch_bytes_max as u64, 1, 1 << 30),
        ];
        for (option, value, min, max) in limits {
            if !(min..=max).contains(&value) {
                return Err(OpenError::Option { option, value, min, max });
            }
        }
        Ok(())
    }
}

/// What an acknowledged append survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// The loss of power: written and synced (`fdatasync`) before it is acknowledged or seen.
    #[value(help = "Once it is on the disk: it survives the loss of power")]
    Fsync,
    /// The crash of the process, not of the machine: handed to the operating system. After any
    /// end but a clean close the log begins a new epoch.
    #[value(help = "Once the operating system has it: it survives a crash of the hub, not of the \
                    machine")]
    Os,
}

/// Why a disk log does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory open. The operator's to mend.
    #[error(
        "{} is in use by another process, such as a hub that runs already; each needs a directory \
         of its own",
        dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// What is to be the directory is a file, or lies in one. The operator's to mend.
    #[error("{} is a file, or lies in one; the log needs a directory", dir.display())]
    NotDirectory {
        /// What was given as the directory.
        dir: PathBuf,
    },
    /// The directory was written by a later version. Start that version, or give another
    /// directory; nothing was changed.
    #[error(
        "{} has log format {found}, and this version knows no later one than {known}: \
         it was written by a newer version",
        dir.display()
    )]
    NewerFormat {
        /// The directory.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The latest format that this version knows.
        known: u32,
    },
    /// The manifest is missing or damaged. Restore it from a backup, or move the directory away
    /// to start with an empty log; nothing was changed.
    #[error("{}: {why}; restore it from a backup, or move the directory away", path.display())]
    Manifest {
        /// The manifest file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An option is out of its limits. The caller's to mend.
    #[error("{option} is {value}, but must be between {min} and {max}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// The directory could not be read or written. The environment's fault; where the disk is
    /// full the operator's to mend.
    #[error(
        "cannot {action} {}: {source}{}",
        path.display(),
        if is_full(source) { "; free space there and start again" } else { "" }
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}
