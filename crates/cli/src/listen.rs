//! `tidings listen`: follows a stream, reconnects and resumes.

mod ask;
mod cursor_file;
mod json_text;
mod reader;
mod view;

use std::future::ready;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use tidings_client::{Cause, Error, EventId, EventSource, Message, Policy, Profile, Update};

use self::ask::Ask;
use self::cursor_file::CursorFile;
use self::view::{Form, View};
use crate::command_error::CommandError;
use crate::interrupt::interrupted;
use crate::status::{self, Status};
use crate::text::{missing_scheme, public};

/// Follow an event stream, and reconnect when it breaks off.
///
/// Events go to standard output, and what happens to the connection to standard error. When the
/// connection is lost, the listener reconnects and resumes after the last event id, with growing
/// pauses while the server stays away. The events by which a hub moves the last event id forward
/// (tidings.cursor) are not shown; a notice that events were missed (tidings.gap) is shown as a
/// warning.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The URL of the event stream, such as http://127.0.0.1:8080/events/rooms/42.
    url: String,

    /// Print each event as a JSON object on a line of its own, with the members id, event, data and
    /// origin.
    #[arg(long, conflicts_with = "data")]
    json: bool,

    /// Print the data of each event and nothing else.
    #[arg(long)]
    data: bool,

    /// Show only events of this type; may be given several times.
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,

    /// Exit with code 0 after this many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Exit with code 0 at the event with this data, the end mark of the stream, which is not
    /// printed. If the stream ends for good before, the exit code is 1.
    #[arg(long, value_name = "DATA")]
    until: Option<String>,

    #[command(flatten)]
    ask: Ask,

    /// Start after the event with this id. A cursor file that already holds an id goes before.
    #[arg(long, value_name = "ID")]
    last_event_id: Option<EventId>,

    /// Start after the id in this file, and keep the file at the last event that was printed, so
    /// that a listener that is started again goes on where this one stopped. What is printed into a
    /// pipe counts, though its reader may not have got to it when both are killed.
    #[arg(long, value_name = "FILE")]
    cursor_file: Option<PathBuf>,

    /// Show everything: comments, reconnection times and the hub's own events, too.
    #[arg(long)]
    all: bool,

    /// Give up after this many failed attempts in a row. Without it, the listener never gives up.
    #[arg(long, value_name = "N")]
    retries: Option<u32>,

    /// Behave exactly as a browser's EventSource: no growing pauses, and every status but 200 is
    /// final, 429 and 5xx included.
    #[arg(long)]
    strict: bool,
}

const AFTER_HELP: &str = "\
Examples:
  Follow a topic of a hub on this machine:
    tidings listen http://127.0.0.1:8080/events/rooms/42

  Wait for one event, and take its data apart:
    tidings listen --data --count 1 --event deployed https://example.com/events | jq .version

  Ask a language model, and print the answer as it is made:
    tidings listen --body @question.json --header \"Authorization: Bearer $KEY\" \\
        --data --until '[DONE]' https://example.com/v1/chat/completions

  See whether a page of another origin may follow:
    tidings listen --strict --origin https://example.com https://example.org/events

  Keep a file of all events, and go on after a restart where it stopped:
    tidings listen --json --cursor-file orders.cursor https://example.com/events/orders >> orders

Exit codes:
  0    --count or --until was reached, the reader of the output went away, or the server ended the
       stream for good (204, or the end of an answer to POST) and neither was given
  1    the server refused, or --retries was reached
  2    the arguments are not right
  130  interrupted with Ctrl-C";

/// Follows until there is a reason to stop.
pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let mut listener = Listener::new(args)?;
    match listener.follow().await {
        Err(Stop::Interrupted) => match listener.settle() {
            Err(stop @ Stop::CursorFile(_)) => Err(stop.into_error()),
            // Ctrl-C ends the reader at the other end of a pipe, too.
            _ => Err(CommandError::interrupted()),
        },
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(stop) => Err(stop.into_error()),
        Ok(()) => listener.settle().map_err(Stop::into_error),
    }
}

struct Listener {
    source: EventSource,
    view: View,
    status: Status,
    cursor_file: Option<CursorFile>,
    names: Vec<String>,
    all: bool,
    /// How many events are still to come, if that was given.
    left: Option<u64>,
    /// The data of the event to stop at.
    until: Option<String>,
    /// Whether what was waited for has come.
    is_done: bool,
    /// Whether anything was received since the output and the cursor file were last settled.
    unsettled: bool,
}

/// Why the listener stops other than at its count.
enum Stop {
    Interrupted,
    Output(io::Error),
    CursorFile(io::Error),
    /// The sentence to say.
    Refused(String),
}

impl Stop {
    fn into_error(self) -> CommandError {
        match self {
            Self::Interrupted => CommandError::interrupted(),
            Self::Output(error) => {
                CommandError::failed(format!("the output cannot be written: {error}"))
            }
            Self::CursorFile(error) => {
                CommandError::failed(format!("the cursor file cannot be written: {error}"))
            }
            Self::Refused(sentence) => CommandError::failed(sentence),
        }
    }
}

impl Listener {
    fn new(args: Args) -> Result<Self, CommandError> {
        let cursor_file = args
            .cursor_file
            .map(|path| {
                CursorFile::open(&path).map_err(|error| {
                    let path = path.display();
                    CommandError::failed(format!("the cursor file {path} cannot be read: {error}"))
                })
            })
            .transpose()?;
        let stored = cursor_file.as_ref().map(|file| file.id().clone());
        let id = stored.filter(|id| !id.is_empty()).or(args.last_event_id).unwrap_or_default();
        let (profile, policy) = if args.strict {
            (Profile::Strict, Policy::strict())
        } else {
            (Profile::Resilient, Policy::resilient())
        };
        let mut builder = EventSource::builder(&args.url)
            .profile(profile)
            .reconnect(Policy { retries_max: args.retries, ..policy })
            .last_event_id(id);
        builder = args.ask.apply(builder)?;
        let source = builder.build().map_err(|error| {
            CommandError::usage(format!("{error}{}", missing_scheme(&args.url)))
        })?;
        let form = match (args.json, args.data) {
            (true, _) => Form::Json,
            (_, true) => Form::Data,
            _ => Form::Person,
        };
        Ok(Self {
            status: Status::new(&public(source.url())),
            source,
            view: View::new(form),
            cursor_file,
            names: args.event,
            all: args.all,
            left: args.count,
            until: args.until,
            is_done: false,
            unsettled: false,
        })
    }

    /// Follows until the count is reached or the server ends the stream for good.
    async fn follow(&mut self) -> Result<(), Stop> {
        let mut interrupt = std::pin::pin!(interrupted());
        let mut reader_gone = std::pin::pin!(reader::gone());
        loop {
            // While more is ready the output is not flushed, and the cursor file not written: a
            // burst costs one of each.
            let update = tokio::select! {
                biased;
                _ = &mut interrupt => return Err(Stop::Interrupted),
                update = self.source.next() => update,
                () = ready(()), if self.unsettled => {
                    self.settle()?;
                    continue;
                }
                // Last, as it counts only once what was received is written.
                () = &mut reader_gone => {
                    return Err(Stop::Output(io::ErrorKind::BrokenPipe.into()));
                }
            };
            self.unsettled = true;
            match update {
                Some(Ok(update)) => {
                    self.show(update)?;
                    if self.is_done {
                        return Ok(());
                    }
                }
                Some(Err(error)) => return self.refused(&error),
                None => return self.answered(),
            }
        }
    }

    fn show(&mut self, update: Update) -> Result<(), Stop> {
        if !matches!(update, Update::Message(_) | Update::Comment(_) | Update::Retry(_)) {
            // On a terminal, what is said about the connection comes after what it brought.
            self.view.flush().map_err(Stop::Output)?;
        }
        let shown = match update {
            Update::Message(message) => return self.message(&message),
            Update::Comment(text) if self.all => self.view.comment(&text),
            Update::Retry(time) if self.all => self.view.retry(time),
            Update::Open(_) => {
                self.status.open(self.source.last_event_id());
                Ok(())
            }
            Update::Disconnected(disconnection) => {
                self.status.disconnected(&disconnection);
                Ok(())
            }
            Update::UnsendableId(id) => {
                self.status.unsendable_id(&id);
                Ok(())
            }
            _ => Ok(()),
        };
        shown.map_err(Stop::Output)
    }

    fn message(&mut self, message: &Message) -> Result<(), Stop> {
        let name = message.event_type.as_str();
        let is_gap = name == GAP;
        if is_gap {
            self.view.flush().map_err(Stop::Output)?;
            self.status.gap(&message.data);
        }
        let is_named = self.names.iter().any(|wanted| wanted == name);
        if self.until.as_ref() == Some(&message.data) {
            self.is_done = true;
            return Ok(());
        }
        let is_wanted = self.names.is_empty() || is_named;
        if name == CURSOR && !self.all && !is_named {
            return Ok(());
        }
        // The warning tells a person; a program is told where it reads.
        let is_notice = is_gap && !self.all && !is_named;
        if is_notice && !self.view.is_json() || !is_wanted && !is_gap {
            return Ok(());
        }
        self.view.message(message, SystemTime::now()).map_err(Stop::Output)?;
        if !is_notice && let Some(left) = &mut self.left {
            *left -= 1;
            self.is_done = *left == 0;
        }
        Ok(())
    }

    /// Brings the output and then the cursor file up to date: an event is never taken for printed
    /// before it was.
    fn settle(&mut self) -> Result<(), Stop> {
        self.unsettled = false;
        self.view.flush().map_err(Stop::Output)?;
        if let Some(file) = &mut self.cursor_file {
            file.store(self.source.last_event_id()).map_err(Stop::CursorFile)?;
        }
        Ok(())
    }

    /// The answer to a request that is not sent again has ended.
    fn answered(&mut self) -> Result<(), Stop> {
        self.settle()?;
        if !self.waits() {
            self.status.answered();
            return Ok(());
        }
        let url = public(self.source.url());
        Err(Stop::Refused(format!(
            "{url} has ended its answer before --count or --until was reached."
        )))
    }

    /// Whether there is something that has not come yet.
    const fn waits(&self) -> bool {
        self.left.is_some() || self.until.is_some()
    }

    fn refused(&mut self, error: &Error) -> Result<(), Stop> {
        self.settle()?;
        if matches!(error.cause(), Cause::Status { status: 204, .. }) && !self.waits() {
            self.status.ended();
            return Ok(());
        }
        Err(Stop::Refused(status::refusal(&public(self.source.url()), error)))
    }
}

/// The hub's event that moves the last event id forward.
const CURSOR: &str = "tidings.cursor";
/// The hub's event that tells of missed events.
const GAP: &str = "tidings.gap";
