//! `tidings`: a hub for server-sent events, and the tools to publish and follow.
//!
//! Each command is a module with its arguments and a `run`; this file only wires them.

mod attempt;
mod bench;
mod command_error;
mod header;
mod interrupt;
mod listen;
mod problem;
mod publish;
mod relay;
mod serve;
mod status;
mod target;
mod text;
mod whole_file;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use command_error::CommandError;
use tokio::runtime::Runtime;

/// Run a hub for server-sent events, publish to it, and follow it.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Publish(publish::Args),
    Listen(listen::Args),
    Relay(relay::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Publish(args) => complete(publish::run(args)),
        Command::Listen(args) => complete(listen::run(args)),
        Command::Relay(args) => complete(relay::run(args)),
        Command::Bench(args) => complete(bench::run(args)),
    }
}

/// Runs a command to its end.
///
/// On a runtime with threads, as a command may block on its output, and Ctrl-C is to be heard then.
fn complete(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    let result = Runtime::new().map_err(CommandError::failed).and_then(|runtime| {
        let result = runtime.block_on(command);
        // What may be blocked, such as the resolving of a name, is not waited for.
        runtime.shutdown_background();
        result
    });
    result.map_or_else(CommandError::report, |()| ExitCode::SUCCESS)
}
