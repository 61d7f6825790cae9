//! The conformance service: through it, a harness of contract tests judges the client.
//!
//! ```text
//! cargo run -p tidings-client --example contract_service -- --port 8000
//! ```
//!
//! A harness of the `sse-contract-tests` kind is then given `http://localhost:8000`:
//!
//! ```text
//!               POST / {streamUrl, callbackUrl, …}
//!  harness ═══════════════════════════════════════▶ service ──▶ EventSource
//!    ▲ ▲                                                         │    │
//!    │ └──────────────── GET streamUrl ──────────────────────────┘    │
//!    └───── POST callbackUrl/1, /2, … {kind: event, comment, error} ──┘
//! ```
//!
//! It listens on the loopback address alone, as it does whatever it is asked.

mod error;
mod params;
mod service;
mod stream;

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use tokio::net::TcpListener;

pub use service::{CAPABILITIES, serve};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let port = port(env::args().skip(1))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("port {port} cannot be listened on: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, STREAMS_MAX).await?;
    Ok(())
}

/// The port that the arguments name: 8000 if they name none, 0 for any that is free.
pub fn port(mut arguments: impl Iterator<Item = String>) -> Result<u16, String> {
    let Some(option) = arguments.next() else { return Ok(DEFAULT_PORT) };
    let (option, value) = match option.split_once('=') {
        Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
        None => (option, arguments.next()),
    };
    if option != "--port" {
        return Err(format!("there is no argument {option}; the usage is --port NUMBER"));
    }
    let value = value.ok_or("--port needs a number after it")?;
    if let Some(rest) = arguments.next() {
        return Err(format!("there is no argument {rest}; the usage is --port NUMBER"));
    }
    value.parse().map_err(|_| format!("a port is a number of up to 65535, not {value:?}"))
}

const DEFAULT_PORT: u16 = 8000;

/// How many streams there may be at a time: a harness has one to a test, and deletes it after it.
const STREAMS_MAX: usize = 1000;
