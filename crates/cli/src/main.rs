//! `tidings`: server-sent events from the terminal.
//!
//! Each command is a module with its arguments and a `run`; this file only wires them.

mod command_error;
mod header;
mod interrupt;
mod listen;
mod publish;
mod text;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use self::command_error::CommandError;

/// Publish server-sent events, and follow them.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Listen(listen::Args),
    Publish(publish::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Listen(args) => complete(listen::run(args)),
        Command::Publish(args) => complete(publish::run(args)),
    }
}

/// Runs a command to its end.
fn complete(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    let result = Runtime::new().map_err(CommandError::failed).and_then(|runtime| {
        let result = runtime.block_on(command);
        // What may be blocked, such as the resolving of a name, is not waited for.
        runtime.shutdown_background();
        result
    });
    result.map_or_else(CommandError::report, |()| ExitCode::SUCCESS)
}
