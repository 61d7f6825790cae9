//! `tidings serve`: runs an event hub.

use std::{
    io,
    pin::{Pin, pin},
    process::ExitCode,
    time::Duration,
};

use tidings_hub::{
    config::{Config, ConfigError, LogFormat, Options, Store},
    nats::Fault,
    serve::{Left, ServeError, Server},
    store::{self, OpenError, Opened},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, filter::FromEnvError};

/// Run an event hub: publish with POST, follow with EventSource.
///
/// Without options the hub listens on this machine alone and keeps its history in the directory
/// tidings-data. Every option can also be set in the environment (TIDINGS_HISTORY_AGE=1d) and in
/// a TOML file (history_age = "1d").
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
}

// A log that cannot be opened anew is tried again after this.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Why the hub did not run.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("RUST_LOG is not a list of log levels")]
    Filter(#[from] FromEnvError),
    #[error("the runtime could not be started")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs until a signal says to leave.
pub(crate) fn run(args: Args) -> ExitCode {
    let error = match start(args) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        // Some errors say what their cause says.
        if !text.contains(&inner.to_string()) {
            text = format!("{text}: {inner}");
        }
        cause = inner.source();
    }
    if let Error::Serve(ServeError::Listen { cause, .. }) = &error
        && cause.kind() == io::ErrorKind::AddrInUse
    {
        text.push_str("; is a hub running there already? --listen 127.0.0.1:0 takes a free port");
    }
    anstream::eprintln!("error: {text}");
    ExitCode::from(error.exit_code())
}

const EXITS: &str = "\
Exit codes:
  0  The hub was told to leave, and has left.
  1  It could not start for a reason that has no code of its own, such as an address that is taken
     or a directory that another hub has.
  2  The command line, the environment or the configuration file is not understood.
  3  NATS cannot be reached, or was not ready within --nats-wait. It may help to try again.
  4  NATS does not let the hub in: credentials, TLS or permissions, or their files.
  5  The NATS servers cannot do what a hub needs: too old, without JetStream, a max_payload that is
     too small, not as many servers as --nats-replicas, or no room.
  6  The stream in NATS is not as this hub needs it.";

impl Error {
    /// What the program exits with. [`EXITS`] tells it to people.
    fn exit_code(&self) -> u8 {
        match self {
            // Also what a command line that clap does not understand exits with.
            Self::Config(_) => 2,
            Self::Store(OpenError::Nats(error)) => match error.fault() {
                Fault::Unreachable => 3,
                Fault::Refused => 4,
                Fault::Server => 5,
                Fault::Stream => 6,
            },
            _ => 1,
        }
    }
}

fn start(args: Args) -> Result<(), Error> {
    let config = Config::load(args.options, std::env::vars_os())?;
    log_to_stderr(config.log_format)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Error::Runtime)?.block_on(serve(config))
}

async fn serve(mut config: Config) -> Result<(), Error> {
    // Before the ready line, so that who reads it can stop the hub at once.
    let mut leave = pin!(signals().map_err(Error::Runtime)?);
    let mut opened = store::open(&config).await?;
    loop {
        let server = bind(&config, opened).await?;
        // What was asked for is done, and the address is taken.
        config.listen = server.address();
        if let Store::Nats { new_epoch, change_limits, .. } = &mut config.store {
            (*new_epoch, *change_limits) = (false, false);
        }
        if server.run(leave.as_mut()).await == Left::Told {
            break;
        }
        match open_again(&config, leave.as_mut()).await? {
            Some(again) => opened = again,
            None => break,
        }
    }
    tracing::info!("the hub has left");
    Ok(())
}

/// Opens a log anew that is over; none if the hub is told to leave before that is done.
async fn open_again(
    config: &Config,
    mut leave: Pin<&mut impl Future<Output = ()>>,
) -> Result<Option<Opened>, Error> {
    loop {
        let opened = tokio::select! {
            () = &mut leave => return Ok(None),
            opened = store::open(config) => opened,
        };
        match opened {
            Ok(opened) => return Ok(Some(opened)),
            Err(OpenError::Nats(error)) if error.fault() == Fault::Unreachable => {
                tracing::warn!(%error, "the log could not be opened anew yet");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = &mut leave => return Ok(None),
            () = tokio::time::sleep(OPEN_AGAIN) => {}
        }
    }
}

async fn bind(config: &Config, opened: Opened) -> Result<Server, Error> {
    let history = match &config.store {
        Store::Memory => "memory".to_owned(),
        Store::Disk { dir, .. } => dir.display().to_string(),
        Store::Nats { site, .. } => site.to_string(),
    };
    let events = opened.log.state().records;
    let server = Server::bind(config.clone(), opened).await?;
    let (address, url) = (server.address(), server.url());
    tracing::info!(
        %address,
        history,
        events,
        "the hub is ready: open {url} in a browser, publish with `curl -d hello {url}events/news`, \
         follow with `curl -N {url}events/news`"
    );
    Ok(server)
}

fn log_to_stderr(format: LogFormat) -> Result<(), Error> {
    let mut filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env()?;
    // The hub tells itself what happens to its connection, once; the client tells each try.
    if !filter.to_string().contains("async_nats") {
        filter = filter.add_directive("async_nats=off".parse().expect("a directive"));
    }
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            subscriber.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init();
        }
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Ready at the first SIGTERM or SIGINT; a second one ends the process at once.
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, heard) = tokio::sync::oneshot::channel();
    let either = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::spawn(listen(either, first));
    Ok(async {
        // The sender sends before it is dropped.
        let _ = heard.await;
    })
}

async fn listen(mut signal: impl AsyncFnMut(), first: tokio::sync::oneshot::Sender<()>) {
    signal().await;
    tracing::info!("told to leave: taking no more connections; a second signal ends it at once");
    // Nobody hears it once the hub is gone.
    let _ = first.send(());
    signal().await;
    std::process::exit(1);
}

// A connection is an open file, and the limit that shells start with is 1,024.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
