//! A proxy for trying several hubs on one machine: each TCP connection goes to the next back end
//! that answers.
//!
//! ```text
//!                      ┌─► 127.0.0.1:8081
//!  127.0.0.1:8080 ─────┤
//!                      └─► 127.0.0.1:8082
//! ```
//!
//! `scripts/demo-cluster` starts it in front of its hubs. It is for demonstrations, and not for
//! production: it speaks no TLS, asks no back end how it is, and a back end that takes connections
//! and then says nothing keeps its share of them. `docs/proxies.md` says how a proxy for production
//! is set up.
//!
//! ```sh
//! cargo run --example round-robin -- 127.0.0.1:8080 127.0.0.1:8081 127.0.0.1:8082
//! ```

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

const USAGE: &str = "usage: round-robin LISTEN BACKEND…, each an address such as 127.0.0.1:8081";
const BACK_ENDS_MAX: usize = 100;
// Each takes two sockets and 16 KiB of memory. Who comes when there are so many waits in the
// kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);
// When the process has no more descriptors, trying faster wins nothing.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let addresses: Result<Vec<SocketAddr>, _> = words.iter().map(|word| word.parse()).collect();
    let (listen, back_ends) = match addresses.as_deref() {
        Ok([listen, back_ends @ ..]) if (1..=BACK_ENDS_MAX).contains(&back_ends.len()) => {
            (*listen, back_ends)
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: {listen} could not be listened on: {error}");
            return ExitCode::FAILURE;
        }
    };
    serve(listener, back_ends.into()).await
}

/// Takes connections for as long as the process lives.
async fn serve(listener: TcpListener, back_ends: Arc<[SocketAddr]>) -> ! {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut turn = 0;
    loop {
        let place = Arc::clone(&room).acquire_owned().await;
        let client = loop {
            match listener.accept().await {
                Ok((client, _)) => break client,
                Err(error) => {
                    eprintln!("no connection can be accepted at present: {error}");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        };
        turn = (turn + 1) % back_ends.len();
        let back_ends = Arc::clone(&back_ends);
        tokio::spawn(async move {
            // A connection that breaks is its two ends' affair, and both learn of it.
            let _ = carry(client, &back_ends, turn).await;
            drop(place);
        });
    }
}

/// Moves bytes both ways until both sides have said that they are done. A side that has is heard
/// no longer, but still told.
async fn carry(mut client: TcpStream, back_ends: &[SocketAddr], turn: usize) -> io::Result<()> {
    let mut back_end = connect(back_ends, turn).await?;
    // Events are small and are not to wait for each other.
    client.set_nodelay(true)?;
    back_end.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut back_end).await?;
    Ok(())
}

/// Connects to the back end whose turn it is, or to the first after it that answers.
///
/// If none does, the client's connection is closed without an answer: an `EventSource` comes back
/// after that, and after a 502 or 503 it would not.
async fn connect(back_ends: &[SocketAddr], turn: usize) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotConnected);
    for back_end in back_ends.iter().cycle().skip(turn).take(back_ends.len()) {
        match timeout(CONNECT_TIME_MAX, TcpStream::connect(back_end)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
