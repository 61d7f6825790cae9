//! `tidings`: a hub for server-sent events, and the tools to publish and follow.
//!
//! Each command is a module with its arguments and a `run`; this file only wires them.

mod command_error;
mod header;
mod interrupt;
mod listen;
mod publish;
mod serve;
mod text;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use command_error::CommandError;

/// Run a hub for server-sent events, publish to it, and follow it.
#[derive(Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Publish(publish::Args),
    Listen(listen::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Publish(args) => run(publish::run(args)),
        Command::Listen(args) => run(listen::run(args)),
    }
}

fn run(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime without threads needs only memory and an epoll handle");
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
