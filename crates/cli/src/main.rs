//! The `tidings` program.

mod serve;

use std::process::ExitCode;

use clap::Parser;

/// Server-sent events, whole: a hub, and tools to publish and follow.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    Serve(serve::Args),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Serve(args) => serve::run(args),
    }
}
