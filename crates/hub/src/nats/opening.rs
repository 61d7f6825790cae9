//! The opening: makes the state of what the stream holds.

use std::time::Duration;

use async_nats::jetstream::{
    context::PublishErrorKind,
    message::PublishMessage,
    stream::{self, RawMessageErrorKind},
};
use tidings_server::cursor::Epoch;

use super::{
    OpenError, Options,
    checkpoint::{Checkpoint, Memory, Parts},
    checkpoints::{self, newest_checkpoint},
    connect::Link,
    error::told,
    follower::{Messages, Next},
    limits::Limits,
    message::{self, Carried, Message, MessageError, Place},
    reading::{Found, find},
    state::State,
    subject::Subjects,
};

// Each is spoiled by another hub's checkpoint, of which there is one in many seconds.
const OPENINGS_MAX: u32 = 20;
// If nothing comes for so long, there may be nothing left to come.
const NEXT_WAIT: Duration = Duration::from_secs(2);

/// Makes the state of what the stream holds, and a first checkpoint if it is empty.
///
/// A log that has lost something begins a new epoch, and so does one that is told to, or that is in
/// the epoch `distrusted`.
pub(super) async fn open(
    link: &Link,
    options: &Options,
    distrusted: Option<Epoch>,
) -> Result<State, OpenError> {
    for _ in 0..OPENINGS_MAX {
        if let Some(state) = attempt(link, options, distrusted).await? {
            return Ok(state);
        }
    }
    let stream = options.site.stream.to_string();
    Err(OpenError::Stream { stream, cause: "other hubs change it all the time".to_owned() })
}

// None if another hub has written a checkpoint where this one had to.
async fn attempt(
    link: &Link,
    options: &Options,
    distrusted: Option<Epoch>,
) -> Result<Option<State>, OpenError> {
    let subjects = Subjects::of(&options.site.stream);
    let limits = Limits::of(options);
    let fail = |cause: String| OpenError::Stream { stream: options.site.stream.to_string(), cause };
    let newest = async || {
        let newest = newest_checkpoint(link, &subjects).await;
        newest.map_err(|error| fail(error.to_string()))
    };
    let mut checkpoint = loop {
        // Looked at before, for another hub may be just about to begin.
        let info = link.stream.get_info().await.map_err(|error| fail(told(&error)))?;
        match newest().await? {
            Some(checkpoint) => break checkpoint,
            None => begin(link, options, &subjects, &limits, &info.state).await?,
        }
    };
    if let Some(difference) = limits.difference(&checkpoint.limits)
        && !options.change_limits
    {
        return Err(OpenError::Limits { stream: options.site.stream.to_string(), difference });
    }
    let (mut state, lost) = loop {
        let mut lost = None;
        let mut state = match remembered(link, options, &checkpoint).await.map_err(fail)? {
            Ok(state) => state,
            Err(cause) => {
                lost = Some(cause);
                State::new(checkpoint.epoch, checkpoint.through, options)
            }
        };
        read(link, &mut state, checkpoint.through, &mut lost).await.map_err(fail)?;
        // What is missing may have been deleted meanwhile, after another checkpoint.
        match newest().await? {
            Some(newer) if lost.is_some() && newer != checkpoint => checkpoint = newer,
            _ => break (state, lost),
        }
    };
    if let Some(cause) = &lost {
        let epoch = state.epoch;
        tracing::error!(cause, %epoch, "the stream has lost messages; beginning a new epoch");
    }
    let is_distrusted = distrusted == Some(state.epoch);
    let is_changed = limits.difference(&checkpoint.limits).is_some();
    if lost.is_some() || options.new_epoch || is_distrusted || is_changed {
        let anew = lost.is_some() || options.new_epoch || is_distrusted;
        let epoch = if anew { Epoch::from_random(rand::random()) } else { state.epoch };
        let memory = checkpoints::Taken::of(&state);
        let written = checkpoints::write(link, &subjects, epoch, &limits, memory).await;
        let Some(sequence) = written.map_err(fail)? else { return Ok(None) };
        // What came meanwhile, and the checkpoint itself.
        let mut messages = Messages::from(link, state.through() + 1).await.map_err(fail)?;
        while state.through() < sequence {
            let Next { place, payload, .. } = messages.next().await.map_err(fail)?;
            fold(&mut state, place, &payload).map_err(fail)?;
        }
    }
    Ok(Some(state))
}

/// Makes the log leave the epoch, if it is in it still. It goes on trying until that is so.
pub(super) async fn leave_epoch(link: &Link, options: &Options, epoch: Epoch) {
    loop {
        // A stream that is not there will be another one.
        if link.is_gone(options.site.stream.as_str()).await == Ok(true) {
            return;
        }
        match open(link, options, Some(epoch)).await {
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, "the new epoch could not be begun yet"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

// Makes the first checkpoint of a stream that is empty, or of which somebody has deleted the
// checkpoints and left a log's messages. Another hub may be faster.
async fn begin(
    link: &Link,
    options: &Options,
    subjects: &Subjects,
    limits: &Limits,
    found: &stream::State,
) -> Result<(), OpenError> {
    let stream = options.site.stream.to_string();
    let fail = |cause: String| OpenError::Stream { stream: stream.clone(), cause };
    let mut through = found.last_sequence;
    if found.messages > 0 {
        // Others' streams may not be set up for the direct way.
        let first = match link.stream.get_raw_message(found.first_sequence).await {
            Ok(first) => first,
            // It was deleted just now: the next look shows why.
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(()),
            Err(error) => return Err(fail(told(&error))),
        };
        if matches!(Message::parse(&first.payload), Err(MessageError::Foreign)) {
            return Err(OpenError::Foreign { stream, messages: found.messages });
        }
        tracing::error!("the checkpoints of the stream are gone; beginning a new epoch");
        through = first.sequence - 1;
    }
    let epoch = Epoch::from_random(rand::random());
    let checkpoint = Checkpoint::first(epoch, through, limits.clone());
    let publish = PublishMessage::build()
        .payload(message::checkpoint(&checkpoint.to_json()))
        .expected_last_sequence(found.last_sequence);
    let publish = link.jetstream.send_publish(subjects.checkpoint.clone(), publish).await;
    let acknowledged = match publish {
        Ok(ack) => ack.await.map(|_| ()),
        Err(error) => Err(error),
    };
    match acknowledged {
        Err(error) if error.kind() != PublishErrorKind::WrongLastSequence => {
            Err(fail(told(&error)))
        }
        _ => Ok(()),
    }
}

// The state at the checkpoint, or what is missing for it.
async fn remembered(
    link: &Link,
    options: &Options,
    checkpoint: &Checkpoint,
) -> Result<Result<State, String>, String> {
    let Some(Parts { sequences, bytes, .. }) = &checkpoint.memory else {
        return Ok(Ok(State::new(checkpoint.epoch, checkpoint.through, options)));
    };
    let mut memory = Vec::with_capacity(usize::try_from(*bytes).unwrap_or(0).min(1 << 30));
    for &sequence in sequences {
        let found = find(link, sequence).await.map_err(|error| error.to_string())?;
        let part = found.and_then(|found| Message::parse(&found.payload).ok());
        let Some(Message::State(bytes)) = part else {
            return Ok(Err(format!("message {sequence} is gone, a part of the checkpoint")));
        };
        memory.extend_from_slice(&bytes);
    }
    let mut carried: Vec<(Place, Vec<Carried>)> = Vec::new();
    for &sequence in &checkpoint.carried {
        let found = find(link, sequence).await.map_err(|error| error.to_string())?;
        let Some(Found { place, payload }) = found else {
            return Ok(Err(format!("message {sequence} is gone, which carried records")));
        };
        match Message::parse(&payload) {
            Ok(Message::Carried(records)) => carried.push((place, records)),
            _ => return Ok(Err(format!("message {sequence} carries no records any longer"))),
        }
    }
    let parts = checkpoint.memory.as_ref().map(|parts| Memory::parse(&memory, parts));
    let state = parts.transpose().and_then(|memory| {
        State::remembered(checkpoint, memory.unwrap_or_default(), carried, options)
    });
    Ok(state.map_err(|error| format!("the memory of the checkpoint is unusable: {error}")))
}

// Takes up what is remembered, and folds the rest.
async fn read(
    link: &Link,
    state: &mut State,
    through: u64,
    lost: &mut Option<String>,
) -> Result<(), String> {
    let info = link.stream.get_info().await.map_err(|error| told(&error))?;
    let last = info.state.last_sequence;
    let mut lose = |cause: String| {
        lost.get_or_insert(cause);
    };
    if last < through {
        lose(format!("it ends at message {last}, and the checkpoint knows of {through}"));
    }
    let mut is_past = true;
    let mut messages = Messages::from(link, 0).await?;
    while info.state.messages > 0 && state.last.is_none_or(|seen| seen.sequence < last) {
        let Some(Next { place, payload, .. }) = next(link, &mut messages, last).await? else {
            lose(format!("message {last} is gone"));
            state.pass_over(last);
            break;
        };
        if place.sequence <= through {
            state.take_up(place, &payload);
            continue;
        }
        if is_past && !state.is_whole() {
            lose("events are missing that the checkpoint knows of".to_owned());
        }
        is_past = false;
        let expected = state.through() + 1;
        if place.sequence != expected {
            lose(format!("message {expected} is gone"));
        }
        fold(state, place, &payload)?;
    }
    if is_past && !state.is_whole() {
        lose("events are missing that the checkpoint knows of".to_owned());
    }
    Ok(())
}

// The next message; none if none comes because the last is gone.
async fn next(link: &Link, messages: &mut Messages, last: u64) -> Result<Option<Next>, String> {
    let next = messages.next();
    tokio::pin!(next);
    if let Ok(next) = tokio::time::timeout(NEXT_WAIT, &mut next).await {
        return next.map(Some);
    }
    match find(link, last).await {
        Ok(None) => Ok(None),
        Ok(Some(_)) => next.await.map(Some),
        Err(error) => Err(error.to_string()),
    }
}

fn fold(state: &mut State, place: Place, payload: &bytes::Bytes) -> Result<(), String> {
    match state.fold(place, payload) {
        Ok(folded) => {
            while state.trim() {}
            if let Some(checkpoint) = folded.checkpoint {
                state.epoch = checkpoint.epoch;
                state.clear(checkpoint.oldest);
            }
        }
        Err(error) if error.is_newer() => {
            return Err(format!("message {} is not for this hub: {error}", place.sequence));
        }
        Err(error) => {
            let sequence = place.sequence;
            tracing::warn!(sequence, %error, "a message of the stream is passed over");
        }
    }
    Ok(())
}
