//! `tidings publish`: one event, one for each line of the input, or those of an event stream.

mod hub;
mod lines;
mod progress;
mod stream;

use std::fmt::Display;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::HumanCount;
use reqwest::header::HeaderValue;

use self::hub::{Common, Hub};
use self::lines::{InputError, Line, Lines};
use self::progress::Progress;
use crate::attempt::PublishError;
use crate::command_error::CommandError;
use crate::header::{self, Header};
use crate::interrupt::interrupted;
use crate::target::Target;
use crate::text::{count, missing_scheme, parsed_duration, visible};

/// Publish an event, one for each line of the input, or an event stream.
///
/// With DATA it publishes one event. Without, each line of standard input (or of --file) is an
/// event, in order and as soon as it is read; lines that are there together are sent together. An
/// empty line is an event with empty data.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The URL of the topic, such as http://127.0.0.1:8080/events/rooms/42.
    url: String,

    /// The data of the event.
    #[arg(conflicts_with_all = ["file", "whole", "stream"])]
    data: Option<String>,

    /// Read the events from this file instead of standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Publish the whole input as one event rather than a line an event.
    #[arg(long)]
    whole: bool,

    /// Read the input as an event stream (text/event-stream), such as another server's answer, and
    /// publish each of its events as it arrives, with the type, id and reconnection time that it
    /// has there. It is one request for as long as the input lasts.
    #[arg(long, conflicts_with_all = ["whole", "id"])]
    stream: bool,

    /// An idempotency key, for DATA, --whole or --stream: what is published again with the same key
    /// is published once. The n-th event of a stream has the key KEY/n, so that a stream that broke
    /// off is sent again from its beginning, and goes on where it stopped.
    #[arg(long, value_name = "KEY", value_parser = parsed_key)]
    key: Option<HeaderValue>,

    /// The event type; with --stream, of the events that name none. Without one it is message, which
    /// a browser's onmessage receives.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// The id of the event, for DATA or --whole. Without one the hub chooses it.
    #[arg(long)]
    id: Option<String>,

    /// Set the reconnection time of the subscribers, such as 5s or 500ms. A hub takes 100ms and
    /// more.
    #[arg(long, value_name = "TIME", value_parser = parsed_duration)]
    retry: Option<Duration>,

    /// Publish under this topic as well; may be given several times.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,

    /// Show it only to subscribers that are authorised for one of its topics. A hub has no access tokens
    /// yet, and shows it to nobody.
    #[arg(long)]
    private: bool,

    /// Pass it on to those who follow now, and keep it nowhere: it has no id, and nobody gets it
    /// later.
    #[arg(long, conflicts_with_all = ["id", "key"])]
    ephemeral: bool,

    /// Send this header with every request, such as 'Authorization: Bearer …'; may be given several
    /// times.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,
}

const AFTER_HELP: &str = "\
Examples:
  Publish one event:
    tidings publish http://127.0.0.1:8080/events/rooms/42 'Hello!'

  Publish JSON from a file under an event type of its own:
    tidings publish --event price --whole --file price.json http://127.0.0.1:8080/events/prices

  Publish each line of a log as it is written:
    tail -f app.log | tidings publish http://127.0.0.1:8080/events/logs/app

  Publish the answer of a language model as it is written:
    curl -N https://… | tidings publish --stream --key answer-7 \
      http://127.0.0.1:8080/events/answers/7

What is published exactly once, and what is not:
  A refusal (429, 503) is tried again for about a minute, and so is a server that has answered
  before and cannot be reached any more; one that cannot be reached at the very first attempt is an
  error at once. When the connection is lost after an event was sent, nobody knows whether it was
  published, so it is not sent again: the message says which lines are published, and where to go
  on. With --key, a single event is sent again even then. A stream is sent once, as its input can be
  read only once: the message says how many of its events are published.

Exit codes:
  0    everything is published
  1    the server refused or cannot be reached; the message says which lines are published
  2    the arguments are not right
  3    it is not known whether the last event or the last lines are published
  130  interrupted with Ctrl-C";

/// Publishes what the arguments and the input say.
pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let is_one = args.data.is_some() || args.whole;
    if args.id.is_some() && !is_one {
        return Err(CommandError::usage(
            "--id goes with a single event: give DATA or --whole, as two events need two ids",
        ));
    }
    if args.key.is_some() && !is_one && !args.stream {
        return Err(CommandError::usage(
            "--key goes with a single event or a stream: give DATA, --whole or --stream",
        ));
    }
    let target = Target::new(&args.url, &args.topic)
        .map_err(|error| CommandError::usage(format!("{error}{}", missing_scheme(&args.url))))?;
    let client = tidings_client::default_client(&target.topic_url).map_err(CommandError::failed)?;
    let common = Common {
        event: args.event,
        id: args.id,
        retry: args.retry,
        more_topics: args.topic,
        private: args.private,
        ephemeral: args.ephemeral,
        key: args.key,
    };
    let hub = Hub::new(client, target, header::map(&args.header), common);
    let file = args.file.as_deref();
    match args.data {
        Some(data) => publish_one(hub, &data).await,
        None if args.whole => publish_one(hub, &read_whole(file)?).await,
        None if args.stream => stream::publish(hub, file).await,
        None => publish_lines(hub, file).await,
    }
}

async fn publish_one(mut hub: Hub, data: &str) -> Result<(), CommandError> {
    let published = tokio::select! {
        biased;
        () = interrupted() => None,
        published = hub.event(data) => Some(published),
    };
    let Some(published) = published else {
        return Err(if hub.is_in_doubt() {
            CommandError::interrupted_while("whether the event is published is not known.")
        } else {
            CommandError::interrupted()
        });
    };
    match published {
        Ok(id) => {
            conclude(1, id.as_deref());
            Ok(())
        }
        Err(error) if hub.is_in_doubt() => {
            let advice = if hub.has_key() {
                "publish it again with the same key"
            } else {
                "look before you publish it again"
            };
            Err(CommandError::unknown(format!(
                "{error}. Whether the event is published is not known: {advice}."
            )))
        }
        Err(error) => Err(CommandError::failed(format!("{error}."))),
    }
}

async fn publish_lines(hub: Hub, file: Option<&Path>) -> Result<(), CommandError> {
    let is_typed = file.is_none() && io::stdin().is_terminal();
    if is_typed {
        say("Each line is an event. End with Ctrl-D.");
    }
    let lines = Lines::open(file).map_err(|error| unreadable(file, &error))?;
    let progress = Progress::new(lines.input_bytes, !is_typed);
    let mut run = Run { hub, lines, progress, carried: None, tally: Tally::default() };
    let outcome = tokio::select! {
        biased;
        () = interrupted() => None,
        outcome = run.publish() => Some(outcome),
    };
    run.progress.finish();
    let tally = &mut run.tally;
    if !run.hub.is_in_doubt() {
        tally.sending = 0;
    }
    match outcome {
        Some(Ok(())) => {
            conclude(tally.published, tally.last_id.as_deref());
            Ok(())
        }
        Some(Err(error)) if tally.sending > 0 => {
            Err(CommandError::unknown(format!("{error}. {}", tally.position())))
        }
        Some(Err(error)) => Err(CommandError::failed(format!("{error}. {}", tally.position()))),
        None if tally.sending == 0 && tally.published == 0 => Err(CommandError::interrupted()),
        None => Err(CommandError::interrupted_while(format!("interrupted. {}", tally.position()))),
    }
}

/// The publishing of lines.
struct Run {
    hub: Hub,
    lines: Lines,
    progress: Progress,
    /// A line that was read and found no room in the batch before.
    carried: Option<Line>,
    tally: Tally,
}

/// How far the publishing of lines has come.
#[derive(Debug, Default)]
struct Tally {
    /// Lines that are published: all of the first.
    published: u64,
    /// Bytes of the input in them.
    input_bytes: u64,
    /// Lines after those that are being sent, or were, without an answer.
    sending: u64,
    last_id: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum LinesError {
    #[error("{0}")]
    Input(#[from] InputError),
    #[error("{0}")]
    Publish(PublishError),
    /// The hub refused one line of a batch.
    #[error("line {line}: {error}")]
    Line { line: String, error: PublishError },
}

impl Run {
    /// Publishes batch after batch until the input ends.
    async fn publish(&mut self) -> Result<(), LinesError> {
        loop {
            let first = match self.carried.take() {
                Some(line) => line,
                None => match self.lines.next().await {
                    Some(line) => line?,
                    None => return Ok(()),
                },
            };
            let mut unread = None;
            let mut body = self.hub.draft(&first.text);
            let mut count = 1;
            let mut input_bytes = first.input_bytes;
            // Only what is there already joins the batch: a line that trickles in does not wait.
            while count < BATCH_EVENTS_MAX {
                match self.lines.next_ready() {
                    Some(Ok(line)) => {
                        let draft = self.hub.draft(&line.text);
                        if body.len() + draft.len() > BATCH_BYTES_MAX {
                            self.carried = Some(line);
                            break;
                        }
                        body.push_str(&draft);
                        count += 1;
                        input_bytes += line.input_bytes;
                    }
                    Some(Err(error)) => {
                        unread = Some(error);
                        break;
                    }
                    None => break,
                }
            }
            self.tally.sending = count;
            let published = if body.len() > BATCH_BYTES_MAX {
                // It can still be an event of its own, whose data is not written as JSON.
                self.hub.event(&first.text).await
            } else {
                self.hub.batch(body).await
            };
            self.settle(published, count, input_bytes)?;
            if let Some(error) = unread {
                return Err(error.into());
            }
        }
    }

    /// Takes down what became of a batch.
    fn settle(
        &mut self,
        published: Result<Option<String>, PublishError>,
        count: u64,
        input_bytes: u64,
    ) -> Result<(), LinesError> {
        let tally = &mut self.tally;
        match published {
            Ok(id) => {
                tally.sending = 0;
                tally.published += count;
                tally.input_bytes += input_bytes;
                tally.last_id = id.or(tally.last_id.take());
                self.progress.update(tally.published, tally.input_bytes);
                Ok(())
            }
            Err(error) => Err(match &error {
                PublishError::Refused { problem, .. } if let Some(line) = problem.line => {
                    let line = HumanCount(tally.published + line).to_string();
                    LinesError::Line { line, error }
                }
                _ => LinesError::Publish(error),
            }),
        }
    }
}

impl Tally {
    /// Which lines are published and where to go on, in sentences.
    fn position(&self) -> String {
        let next = self.published + 1;
        let published = match self.published {
            0 => "Nothing is published".to_owned(),
            1 => "Line 1 is published".to_owned(),
            last => format!("Lines 1 to {} are published", HumanCount(last)),
        };
        let sent = self.published + self.sending;
        let doubt = match self.sending {
            0 => return format!("{published}; go on from line {}.", HumanCount(next)),
            1 => format!("Line {}", HumanCount(next)),
            _ => format!("Lines {} to {}", HumanCount(next), HumanCount(sent)),
        };
        let published = if self.published == 0 { String::new() } else { format!("{published}. ") };
        let (was, it) = if self.sending == 1 { ("was", "it is") } else { ("were", "they are") };
        format!(
            "{published}{doubt} {was} sent, and whether {it} published is not known: look before \
             you go on from line {} or line {}.",
            HumanCount(next),
            HumanCount(sent + 1)
        )
    }
}

fn parsed_key(text: &str) -> Result<HeaderValue, &'static str> {
    let is_key = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let key = HeaderValue::from_str(text).ok().filter(|_| is_key && !text.starts_with('"'));
    key.ok_or("a key has visible ASCII characters, and does not begin with a quote")
}

fn read_whole(file: Option<&Path>) -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    let input: io::Result<Box<dyn Read>> = match file {
        Some(path) => std::fs::File::open(path).map(|file| Box::new(file) as _),
        None => Ok(Box::new(io::stdin())),
    };
    input
        .and_then(|input| input.take(WHOLE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(file, &error))?;
    if bytes.len() as u64 > WHOLE_BYTES_MAX {
        return Err(CommandError::failed(format!(
            "the input is longer than {WHOLE_BYTES_MAX} bytes, too long for one event."
        )));
    }
    String::from_utf8(bytes).map_err(|_| CommandError::failed("the input is not UTF-8."))
}

fn unreadable(file: Option<&Path>, error: &io::Error) -> CommandError {
    let input = file.map_or("standard input".into(), |path| path.display().to_string());
    CommandError::failed(format!("{input} cannot be read: {error}"))
}

/// The last line of a publish that went well.
fn conclude(events: u64, last_id: Option<&str>) {
    let events = count(events, "event");
    let sentence = match last_id {
        Some(id) => format!("Published {events}; the last id is {}.", visible(id)),
        None => format!("Published {events}."),
    };
    // The events are published whether or not somebody reads this.
    let _ = writeln!(anstream::stdout(), "{sentence}");
}

/// Says something that is not the result.
fn say(sentence: impl Display) {
    let _ = writeln!(anstream::stderr(), "{sentence}");
}

/// Events in a batch, at most: what a hub takes.
const BATCH_EVENTS_MAX: u64 = 1_000;
/// Bytes in a batch, at most: what a hub takes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// The longest input for one event: 64 MiB, far above what a hub takes.
const WHOLE_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn position(published: u64, sending: u64) -> String {
        Tally { published, sending, ..Tally::default() }.position()
    }

    #[test]
    fn the_position_says_where_to_go_on() {
        assert_eq!(position(0, 0), "Nothing is published; go on from line 1.");
        assert_eq!(position(1, 0), "Line 1 is published; go on from line 2.");
        assert_eq!(position(1_000, 0), "Lines 1 to 1,000 are published; go on from line 1,001.");
        assert_eq!(
            position(0, 1),
            "Line 1 was sent, and whether it is published is not known: look before you go on from \
             line 1 or line 2."
        );
        assert_eq!(
            position(1_000, 500),
            "Lines 1 to 1,000 are published. Lines 1,001 to 1,500 were sent, and whether they are \
             published is not known: look before you go on from line 1,001 or line 1,501."
        );
    }
}
