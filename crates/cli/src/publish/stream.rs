//! An event stream, published as it comes: one request for as long as the input lasts.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::stream::unfold;
use indicatif::HumanCount;
use reqwest::Body;
use reqwest::header::CONTENT_TYPE;
use tidings_client::NetworkError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;

use super::hub::Hub;
use super::{conclude, say, unreadable};
use crate::attempt::{Answer, PublishError, judge};
use crate::command_error::CommandError;
use crate::interrupt::interrupted;
use crate::text::{count, duration, visible};

/// Publishes the events of the file, or of standard input without one.
pub(super) async fn publish(hub: Hub, file: Option<&Path>) -> Result<(), CommandError> {
    if file.is_none() && io::stdin().is_terminal() {
        say("The input is an event stream: lines such as 'data: hello', and an empty line after \
             each event. End with Ctrl-D.");
    }
    let input = Input::open(file).map_err(|error| unreadable(file, &error))?;
    let ended = Arc::new(watch::Sender::new(false));
    let trouble = Arc::new(OnceLock::new());
    let body = body(input, Arc::clone(&ended), Arc::clone(&trouble));
    let request = hub.topic_request().header(CONTENT_TYPE, "text/event-stream").body(body);
    let mut is_interrupted = false;
    let outcome = {
        let sending = async {
            match request.send().await {
                Ok(response) => judge(response).await,
                Err(error) if error.is_connect() => {
                    Err(PublishError::Unreachable { url: hub.url(), reason: error.into() })
                }
                Err(error) => {
                    let error = NetworkError::from(error);
                    let reason = format!("the connection was lost before the answer ({error})");
                    Err(PublishError::Unknown { reason, problem: None })
                }
            }
        };
        tokio::pin!(sending);
        let interruption = interrupted();
        tokio::pin!(interruption);
        loop {
            tokio::select! {
                outcome = &mut sending => break outcome,
                time = unanswered(&ended, is_interrupted) => {
                    let reason = format!("there was no answer within {}", duration(time));
                    break Err(PublishError::Unknown { reason, problem: None });
                }
                // It ends the stream where it is, so that the hub says how far that was.
                () = &mut interruption, if !is_interrupted => {
                    is_interrupted = true;
                    ended.send_replace(true);
                }
            }
        }
    };
    let outcome = match (outcome, trouble.get()) {
        // The request failed because the input did.
        (Err(PublishError::Unknown { .. }), Some(error)) => {
            return Err(CommandError::unknown(format!(
                "the input cannot be read: {error}. {}",
                how_many(0, None, hub.has_key())
            )));
        }
        (outcome, _) => outcome,
    };
    match outcome {
        Ok(answer) => settle(answer, is_interrupted),
        Err(error) => Err(failure(error, hub.has_key(), is_interrupted)),
    }
}

/// Ends, after a time, once the stream has ended and no answer comes.
async fn unanswered(ended: &watch::Sender<bool>, is_interrupted: bool) -> Duration {
    let _ = ended.subscribe().wait_for(|ended| *ended).await;
    let time = if is_interrupted { INTERRUPTED_TIMEOUT } else { ANSWER_TIMEOUT };
    tokio::time::sleep(time).await;
    time
}

/// Says what is published of a stream that came to its end.
fn settle(answer: Answer, is_interrupted: bool) -> Result<(), CommandError> {
    let Some(events) = answer.events else {
        return Err(CommandError::unknown(
            "the server answered with success, but not as a hub does: how many events are \
             published is not known.",
        ));
    };
    conclude(events, answer.last_id.as_deref());
    if answer.repeated > 0 {
        say(format!("Of them, {} had been published before.", HumanCount(answer.repeated)));
    }
    if events == 0 {
        say(
            "The input has no event: an event stream has lines such as `data: hello`, and an empty \
             line after each event. Without --stream, each line of the input is an event.",
        );
    } else if answer.incomplete {
        say("The input ended within an event, without an empty line after it; that event is not \
             published.");
    }
    if is_interrupted { Err(CommandError::interrupted()) } else { Ok(()) }
}

/// What is wrong, and how far the stream came.
fn failure(error: PublishError, has_key: bool, is_interrupted: bool) -> CommandError {
    let (published, last_id, event) = match &error {
        PublishError::Refused { problem, .. }
        | PublishError::Unknown { problem: Some(problem), .. } => {
            (problem.published, problem.last_id.as_deref(), problem.event)
        }
        _ => (None, None, None),
    };
    let event = event.map(|event| format!("event {}: ", HumanCount(event))).unwrap_or_default();
    let account = |is_certain: bool| match published {
        Some(published) if is_certain => so_many(published, last_id, has_key),
        published => how_many(published.unwrap_or(0), last_id, has_key),
    };
    let sentence = |is_certain| format!("{event}{error}. {}", account(is_certain));
    match &error {
        _ if is_interrupted => CommandError::interrupted_while(sentence(false)),
        PublishError::Unreachable { .. } | PublishError::Redirected { .. } => {
            CommandError::failed(format!("{error}. Nothing was published this time."))
        }
        // Refused before the first event.
        PublishError::Refused { .. } if published.is_none() => {
            CommandError::failed(format!("{error}. Nothing was published this time."))
        }
        PublishError::Refused { .. } => CommandError::failed(sentence(true)),
        _ => CommandError::unknown(sentence(false)),
    }
}

/// What is published, when that is all.
fn so_many(published: u64, last_id: Option<&str>, has_key: bool) -> String {
    let published_sentence = match (published, last_id) {
        (0, _) => "Nothing is published".to_owned(),
        (_, Some(id)) => {
            let events = first(published);
            format!("{events} published, the last id is {}", visible(id))
        }
        (_, None) => format!("{} published", first(published)),
    };
    let advice = if has_key {
        "send the whole stream again with the same key".to_owned()
    } else {
        format!("go on from event {}", HumanCount(published + 1))
    };
    format!("{published_sentence}; {advice}.")
}

/// What is published, when there may be more.
fn how_many(published: u64, last_id: Option<&str>, has_key: bool) -> String {
    let certain = match (published, last_id) {
        (0, _) => "How many events are published is not known".to_owned(),
        (_, Some(id)) => format!(
            "{} published, the last id is {}; whether more are is not known",
            first(published),
            visible(id)
        ),
        (_, None) => format!("{} published; whether more are is not known", first(published)),
    };
    let advice = if has_key {
        "send the whole stream again with the same key"
    } else {
        "look before you send it again"
    };
    format!("{certain}: {advice}.")
}

fn first(published: u64) -> String {
    let is = if published == 1 { "is" } else { "are" };
    format!("{} {is}", count(published, "event"))
}

/// The bytes of a file or of standard input, as they come.
struct Input(Receiver<io::Result<Vec<u8>>>);

impl Input {
    fn open(path: Option<&Path>) -> io::Result<Self> {
        let input: Box<dyn Read + Send> = match path {
            Some(path) => Box::new(File::open(path)?),
            None => Box::new(io::stdin()),
        };
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD_MAX);
        // A thread of its own: a read of a terminal cannot be cancelled, and must not keep the
        // program from ending.
        std::thread::spawn(move || read(input, &sender));
        Ok(Self(receiver))
    }
}

/// Reads until the end, an error, or nobody wants more.
fn read(mut input: Box<dyn Read + Send>, sender: &Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; PIECE_BYTES_MAX];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(bytes) => Ok(buffer[..bytes].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

/// The input as the body of a request, until its end or until `ended` says so.
fn body(input: Input, ended: Arc<watch::Sender<bool>>, trouble: Arc<OnceLock<String>>) -> Body {
    Body::wrap_stream(unfold((input, ended, trouble), async |(mut input, ended, trouble)| {
        let mut is_ended = ended.subscribe();
        let piece = tokio::select! {
            _ = is_ended.wait_for(|ended| *ended) => None,
            piece = input.0.recv() => piece,
        };
        match &piece {
            Some(Ok(_)) => {}
            Some(Err(error)) => trouble.set(error.to_string()).unwrap_or_default(),
            None => {
                ended.send_replace(true);
            }
        }
        piece.map(|piece| (piece, (input, ended, trouble)))
    }))
}

/// How long to wait for the answer to a stream that has ended.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same after Ctrl-C.
const INTERRUPTED_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest piece of the input that is sent at once.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// What is read ahead of the network: a quarter of a mebibyte.
const PIECES_AHEAD_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_says_where_to_go_on() {
        assert_eq!(so_many(0, None, false), "Nothing is published; go on from event 1.");
        assert_eq!(
            so_many(1, Some("#1"), false),
            "1 event is published, the last id is #1; go on from event 2."
        );
        assert_eq!(
            so_many(2_000, Some("a\u{1b}"), true),
            "2,000 events are published, the last id is a\\u{1b}; send the whole stream again with \
             the same key."
        );
        assert_eq!(
            how_many(0, None, false),
            "How many events are published is not known: look before you send it again."
        );
        assert_eq!(
            how_many(2, Some("#2"), true),
            "2 events are published, the last id is #2; whether more are is not known: send the \
             whole stream again with the same key."
        );
    }
}
