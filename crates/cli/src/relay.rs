//! `tidings relay`: follows an event stream and publishes it into a hub.

mod cursor_file;
mod destination;
mod hub;
mod key;
mod keys;
mod lines;
mod transfer;

use std::path::{Path, PathBuf};

use tidings_client::{EventId, EventSource, Policy, Profile};
use tidings_server::topic::Topic;

use self::cursor_file::{Cursor, CursorFile};
use self::destination::{destination, is_loop};
use self::hub::Hub;
use self::key::{Mint, Scope, usual_name};
use self::keys::{Keys, Trust};
use self::transfer::{End, OnRefused, Options, Stop, Transfer};
use crate::command_error::CommandError;
use crate::header::{self, Header};
use crate::status::say;
use crate::text::{count, missing_scheme};

/// Follow an event stream, and publish its events into a topic of a hub.
///
/// The upstream is any server of event streams, or another hub. The relay outlasts a loss of either
/// side: it resumes after the last event id, and sends what the hub may not have got again. Each
/// event carries an idempotency key, so that it is published once, also when the relay is killed and
/// started again with its cursor file. Events without an id of their own cannot be told from one
/// another: the relay says so, and rather publishes one twice than not at all.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The URL of the event stream to follow, such as http://127.0.0.1:8081/events/rooms/42.
    upstream: String,

    /// The topic to publish to. Without --hub, this may also be the URL of a topic, as publish takes
    /// it.
    #[arg(long, value_name = "TOPIC")]
    to: String,

    /// The URL of the hub to publish to. Without it, the hub is at http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    hub: Option<String>,

    /// The name of this relay in its idempotency keys. Without it, that is the URL of the upstream;
    /// give a name to go on at another URL of the same stream. Two streams must not share a name.
    #[arg(long)]
    name: Option<String>,

    /// Start after the id in this file, and keep the file at the last event that the hub has
    /// acknowledged. Without it, a relay that is started again begins at the upstream's live end.
    #[arg(long, value_name = "FILE")]
    cursor_file: Option<PathBuf>,

    /// Send this header with every request to the upstream, such as 'Authorization: Bearer …'; may
    /// be given several times. Redirects to another origin go without.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,

    /// Send this header with every request to the hub; may be given several times.
    #[arg(long, value_name = "NAME: VALUE")]
    hub_header: Vec<Header>,

    /// Publish only events of this type; may be given several times.
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,

    /// Start after the event with this id; a hub takes earliest for all there is. A cursor file that
    /// already holds an id goes before.
    #[arg(long, value_name = "ID")]
    last_event_id: Option<EventId>,

    /// Give up after this many failed attempts in a row to reach the upstream. Without it, the relay
    /// never gives up. The hub is waited for in any case.
    #[arg(long, value_name = "N")]
    retries: Option<u32>,

    /// What to do about an event that the hub refuses, as it is too large or has a type that no hub
    /// takes.
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    on_refused: OnRefused,

    /// Trust that the upstream never uses an id for two events, and sends the same events after an
    /// id whenever it is asked. Then what comes again is published once, also when the upstream
    /// repeats itself at every reconnect, or sends several events under one id. If it is not so,
    /// events may be lost.
    #[arg(long)]
    trust_ids: bool,
}

const AFTER_HELP: &str = "\
Examples:
  Publish a stream into a topic of the hub on this machine:
    tidings relay https://example.com/prices --to prices --cursor-file prices.cursor

  Copy a topic to another hub, from its oldest event on:
    tidings relay http://10.0.0.1:8080/events/rooms/42 --last-event-id earliest \\
      --to rooms/42 --hub http://10.0.0.2:8080 --cursor-file rooms.cursor

Exit codes:
  0    the upstream ended the stream for good (204), and everything is published
  1    the upstream or the hub refused, or --retries was reached
  2    the arguments are not right, or would publish into the stream that is followed
  130  stopped with Ctrl-C or SIGTERM; what had arrived is published if the hub took it within 5 s";

/// Relays until there is a reason to stop.
pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let mut transfer = set_up(args)?;
    let end = match transfer.run().await {
        Err(Stop::Told) => match transfer.publish_rest().await {
            Ok(()) => Err(interrupted(&transfer)),
            Err(stop) => Err(stopped(stop)),
        },
        Err(stop) => Err(stopped(stop)),
        Ok(End::Failed(sentence)) => Err(CommandError::failed(sentence)),
        Ok(End::ForGood) => {
            say("The stream has ended: the server asked not to reconnect (204).");
            Ok(())
        }
    };
    say(format!("Relayed {}.", count(transfer.published(), "event")));
    end
}

fn set_up(args: Args) -> Result<Transfer, CommandError> {
    let target = destination(&args.to, args.hub.as_deref()).map_err(|error| {
        let hub = args.hub.as_deref().map(missing_scheme).unwrap_or_default();
        CommandError::usage(format!("{error}{hub}"))
    })?;
    let topic = &target.topics[0];
    Topic::new(topic.as_str()).map_err(|error| {
        CommandError::usage(format!("--to does not name a topic of a hub: {error}"))
    })?;
    let (mut cursor_file, mut cursor) = open_cursor_file(args.cursor_file.as_deref())?;
    if cursor.last_event_id.is_empty() {
        cursor.last_event_id = args.last_event_id.unwrap_or_default();
    }
    let trust = match (args.trust_ids, cursor.ids_are_reused) {
        (true, _) => Trust::Vouched,
        (false, true) => Trust::Lost,
        (false, false) => Trust::Presumed,
    };

    let policy = Policy { retries_max: args.retries, ..Policy::resilient() };
    let mut builder = EventSource::builder(&args.upstream)
        .profile(Profile::Resilient)
        .reconnect(policy)
        .last_event_id(cursor.last_event_id.clone());
    for Header { name, value } in args.header {
        builder = builder.header(name, value);
    }
    let source = builder.build().map_err(|error| {
        CommandError::usage(format!("{error}{}", missing_scheme(&args.upstream)))
    })?;
    if is_loop(source.url(), &target) {
        return Err(CommandError::usage(format!(
            "this is a loop: what is published to {topic} comes back from the upstream"
        )));
    }

    let client =
        tidings_client::default_client(&target.events_url).map_err(CommandError::failed)?;
    let name = args.name.unwrap_or_else(|| usual_name(source.url()));
    let keys = Keys::new(Mint::new(&name, topic, rand::random()), trust, cursor_file.is_some());
    // What is published before the first store must be found again, and a file that cannot be
    // written is better known before anything is published.
    if let Some((file, path)) = cursor_file.as_mut().zip(args.cursor_file) {
        file.store(&cursor).map_err(|error| {
            let path = path.display();
            CommandError::failed(format!("the cursor file {path} cannot be written: {error}"))
        })?;
    }
    introduce(&cursor, trust, cursor_file.is_some());
    let hub = Hub { client, target, headers: header::map(&args.hub_header) };
    let options = Options { names: args.event, on_refused: args.on_refused };
    Ok(Transfer::new(source, keys, hub, cursor, cursor_file, options))
}

/// The file, if the relay is to have one, and where it begins.
fn open_cursor_file(path: Option<&Path>) -> Result<(Option<CursorFile>, Cursor), CommandError> {
    let new_scope = Scope::new(rand::random());
    let Some(path) = path else { return Ok((None, Cursor::new(new_scope))) };
    let (file, cursor) = CursorFile::open(path, new_scope).map_err(|error| {
        let path = path.display();
        CommandError::failed(format!("the cursor file {path} cannot be read: {error}"))
    })?;
    Ok((Some(file), cursor))
}

/// Says what a user should know before the first event.
fn introduce(cursor: &Cursor, trust: Trust, has_cursor_file: bool) {
    if trust == Trust::Lost {
        say(
            "The cursor file says that the upstream has used ids more than once: what comes again \
             is published again. If it is not so, say --trust-ids.",
        );
    }
    if !has_cursor_file {
        let start = if cursor.last_event_id.is_empty() {
            "at the upstream's live end".to_owned()
        } else {
            "after --last-event-id again".to_owned()
        };
        say(format!("There is no --cursor-file: a relay that is started again begins {start}."));
    }
}

fn interrupted(transfer: &Transfer) -> CommandError {
    let left = transfer.left() as u64;
    if left == 0 {
        return CommandError::interrupted();
    }
    let what = if transfer.has_cursor_file() {
        "the upstream is asked for them again when the relay is started again"
    } else {
        "without a --cursor-file the upstream is not asked for them again"
    };
    let events = count(left, "event");
    CommandError::interrupted_while(format!("not known to be published: {events}; {what}."))
}

fn stopped(stop: Stop) -> CommandError {
    match stop {
        Stop::Told => CommandError::interrupted(),
        Stop::CursorFile(error) => {
            CommandError::failed(format!("the cursor file cannot be written: {error}"))
        }
        Stop::Refused(sentence) => CommandError::failed(sentence),
    }
}
