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

/// Publish server-sent events, and follow them.
#[derive(Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Listen(listen::Args),
    Publish(publish::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Listen(args) => listen::run(args).await,
        Command::Publish(args) => publish::run(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
