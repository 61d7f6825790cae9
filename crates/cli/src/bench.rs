//! `tidings bench`: loads an event stream, and checks what it delivers.

mod endpoint;
mod failure;
mod figures;
mod head;
mod ledger;
mod machine;
mod outcome;
mod plan;
mod plot;
mod progress;
mod publisher;
mod report;
mod run;
mod stamp;
mod subscriber;
mod summary;
mod tally;
mod timeline;
mod transfer;
mod watcher;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use self::endpoint::Endpoint;
use self::outcome::Outcome;
use self::plan::{Plan, UrlError, parsed_rate, parsed_size, parsed_url};
use self::publisher::Schedule;
use crate::command_error::CommandError;
use crate::header::{self, Header};
use crate::status::say;
use crate::text::{missing_scheme, parsed_duration, public};
use crate::whole_file::WholeFile;

/// Load an event stream with subscribers and events, and check that each gets every event, once and
/// in order.
///
/// It opens as many streams as it is told, publishes events at a steady rate, and measures how long
/// each takes from the moment at which it was due to be published until each subscriber has it.
/// Every event says which it is, so that what is lost, repeated or out of order is found by what the
/// events hold. Any server of event streams can be loaded: one that does not take a POST at the URL
/// of its stream is given --publish or --no-publish.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The URL of the event stream, such as http://127.0.0.1:8080/events/bench.
    url: String,

    /// How many streams to open.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    subscribers: u32,

    /// How many events to publish each second, all together; 0.5 is one every two seconds.
    #[arg(long, value_name = "N", default_value = "10", value_parser = parsed_rate)]
    rate: f64,

    /// How long the data of an event is, in bytes.
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = parsed_size)]
    size: usize,

    /// How long to publish, or with --no-publish to listen, once all streams are open.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parsed_time)]
    duration: Duration,

    /// Publish by POST to this URL instead of that of the stream. The body is the data of the event.
    #[arg(long, value_name = "URL")]
    publish: Option<String>,

    /// Publish nothing, and count what comes. What is lost cannot be told then, and latency only of
    /// events that another tidings bench publishes on this machine.
    #[arg(long, conflicts_with_all = ["publish", "rate", "size"])]
    no_publish: bool,

    /// How many streams to open each second.
    #[arg(long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connect_rate: u32,

    /// Write a report with plots to this file: one page that needs nothing else. It shows the URLs
    /// with their queries, and of the headers the names alone.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Print everything as one JSON object instead of the summary. Times whose names end in _us are
    /// microseconds.
    #[arg(long)]
    json: bool,

    /// Send this header with every request, publishes included, such as 'Authorization: Bearer …';
    /// may be given several times.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,

    /// Do it, however much it is. Without it, more than 10,000 subscribers, more than 1,000 of them
    /// to another machine, and more than 1,000,000 deliveries or 1 GB a second are refused.
    #[arg(long)]
    yes: bool,
}

const AFTER_HELP: &str = "\
Examples:
  Load a hub on this machine, and look at the plots:
    tidings bench http://127.0.0.1:8080/events/bench --html report.html

  Ten thousand subscribers, and an event a second that is kept nowhere:
    tidings bench http://127.0.0.1:8080/events/bench --subscribers 10000 --rate 1 \\
      --publish 'http://127.0.0.1:8080/events/bench?ephemeral'

  Count what comes from any server of event streams:
    tidings bench https://example.com/events --subscribers 20 --no-publish --duration 1m

  Let a build fail when the slowest hundredth takes more than 50 ms:
    tidings bench --json http://127.0.0.1:8080/events/bench | jq -e '.latency.p99_us < 50000'

What is measured:
  Publishing does not wait for the server: when each event is due is fixed beforehand, and its
  latency is counted from then, even when a slow answer delays its being sent. Several publishers
  share the rate (one for each 50 events a second, 64 at most); each publishes after the answer to
  its event before, so that its events have an order, in which all subscribers should get them.
  After the last event, the rest is waited for until nothing has come for 3 s, or as long as a
  stream is being opened again, and 30 s at most.
  A stream that breaks off is opened again with its last event id, as an EventSource does.
  A hub keeps the events as any others, so give them a topic of their own, or publish them with
  ?ephemeral as above.

  Where server and benchmark share a machine they share its processors, and what is measured is
  both. Proxies of the environment are not used for the streams. Each stream takes a file
  descriptor here and one at the server: the limit is raised as far as is allowed, and if that is
  not enough the error says what to do.

Exit codes:
  0    every subscriber got every event, once and in order; with --no-publish, all streams were open
  1    events were lost, repeated, out of order or refused, or streams could not be opened
  2    the arguments are not right, or ask for more than is allowed without --yes
  130  interrupted with Ctrl-C; the summary is of what there was";

/// Loads what the arguments say, and reports.
pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let plan = plan(&args)?;
    let is_allowed = |is_loopback| match plan.overload(is_loopback) {
        Some(overload) if !args.yes => Err(CommandError::usage(format!(
            "{overload}. If the server is yours to load, and this is what you mean, say --yes."
        ))),
        _ => Ok(()),
    };
    // What is too much for any server is told without asking where it is.
    is_allowed(true)?;
    let publishers = if plan.publish.is_some() { Schedule::publishers(plan.rate) } else { 0 };
    machine::make_room(plan.subscribers + usize::from(publishers)).map_err(CommandError::failed)?;
    let endpoint =
        Endpoint::resolve(&plan.stream, &plan.headers).await.map_err(CommandError::failed)?;
    is_allowed(endpoint.is_loopback())?;
    if let Some(path) = &args.html {
        // A file that cannot be written is better known before the run than after it.
        write_report(path, "")?;
    }

    let outcome = run::run(&plan, endpoint).await?;
    if let Some(path) = &args.html {
        write_report(path, &report::page(&outcome))?;
    }
    show(&outcome, args.json)
        .map_err(|error| CommandError::failed(format!("the output cannot be written: {error}")))?;
    if let Some(path) = &args.html {
        say(format!("The report is in {}.", path.display()));
    }
    match outcome.fault() {
        Some(fault) => Err(CommandError::failed(fault)),
        None if outcome.interrupted => Err(CommandError::interrupted()),
        None => Ok(()),
    }
}

fn plan(args: &Args) -> Result<Plan, CommandError> {
    let url = |text: &str| -> Result<Url, CommandError> {
        parsed_url(text).map_err(|error| {
            let hint = match error {
                UrlError::Url(_) | UrlError::Scheme(_) => missing_scheme(text),
                UrlError::Credentials => String::new(),
            };
            CommandError::usage(format!("{error}{hint}"))
        })
    };
    let stream = url(&args.url)?;
    let publish = match &args.publish {
        _ if args.no_publish => None,
        Some(other) => Some(url(other)?),
        None => Some(stream.clone()),
    };
    let plan = Plan {
        command: command(args, &stream, publish.as_ref()),
        stream,
        publish,
        subscribers: args.subscribers as usize,
        rate: args.rate,
        size: args.size,
        duration: args.duration,
        connect_rate: args.connect_rate,
        headers: header::map(&args.header),
    };
    plan.events().map_err(CommandError::usage)?;
    Ok(plan)
}

/// The command as a report may show it: without what may be a secret.
fn command(args: &Args, stream: &Url, publish: Option<&Url>) -> String {
    let mut command =
        format!("tidings bench '{}' --subscribers {}", public(stream), args.subscribers);
    let duration = humantime::format_duration(args.duration).to_string().replace(' ', "");
    match publish {
        Some(_) => {
            let _ = write!(command, " --rate {} --size {}", args.rate, args.size);
        }
        None => command.push_str(" --no-publish"),
    }
    let _ = write!(command, " --duration {duration}");
    if let Some(url) = publish.filter(|_| args.publish.is_some()) {
        let _ = write!(command, " --publish '{}'", public(url));
    }
    let _ = write!(command, " --connect-rate {}", args.connect_rate);
    for Header { name, .. } in &args.header {
        let _ = write!(command, " --header '{name}: …'");
    }
    command
}

fn show(outcome: &Outcome, is_json: bool) -> io::Result<()> {
    if is_json {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, outcome)?;
        writeln!(out)
    } else {
        let mut out = anstream::stdout().lock();
        summary::write(&mut out, outcome)
    }
}

fn write_report(path: &std::path::Path, page: &str) -> Result<(), CommandError> {
    WholeFile::new(path).replace(page).map_err(|error| {
        let path = path.display();
        CommandError::failed(format!("the report {path} cannot be written: {error}"))
    })
}

fn parsed_time(text: &str) -> Result<Duration, String> {
    let time = parsed_duration(text)?;
    if (TIME_MIN..=TIME_MAX).contains(&time) {
        Ok(time)
    } else {
        Err("the duration is from 100ms to 1d".to_owned())
    }
}

const TIME_MIN: Duration = Duration::from_millis(100);
const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);
