//! How a command ends when it does not end well.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

/// What is left to say, and the exit code.
#[derive(Debug)]
pub(crate) struct CommandError {
    message: Option<String>,
    code: u8,
}

impl CommandError {
    /// The command failed.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self { message: Some(message.to_string()), code: FAILED }
    }

    /// The arguments do not go together. It is the code that clap has for its own errors.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { message: Some(message.to_string()), code: 2 }
    }

    /// It cannot be told whether what was asked for has happened.
    pub(crate) fn unknown(message: impl Display) -> Self {
        Self { message: Some(message.to_string()), code: 3 }
    }

    /// Ended by Ctrl-C, which the user knows about.
    pub(crate) const fn interrupted() -> Self {
        Self { message: None, code: INTERRUPTED }
    }

    /// Ended by Ctrl-C in the middle of something that the user should know about.
    pub(crate) fn interrupted_while(message: impl Display) -> Self {
        Self { message: Some(message.to_string()), code: INTERRUPTED }
    }

    /// Says what is left to say.
    pub(crate) fn report(self) -> ExitCode {
        if let Some(message) = self.message {
            let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
            // Nothing can be done if nobody reads this.
            let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {message}");
        }
        ExitCode::from(self.code)
    }
}

const FAILED: u8 = 1;
/// What a shell makes of SIGINT.
const INTERRUPTED: u8 = 130;
