//! Streamed publishing: each event of the body is published as it arrives.
//!
//! ```text
//!  body ──► Reader ──► Batch, that gathers ──► Batch, with the log ──► Account ──► the answer
//!   ▲   bytes │   events    │                      one at a time
//!   └─ no room in the batch that gathers: nothing is read, and the sender has to wait
//! ```
//!
//! The events that are decoded while an append is under way go to the log together with the next
//! one: the order is the body's, the account is exact, and a fast sender does not wait for the disk
//! once an event.

mod batch;
mod reader;
mod share;

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use http::{header, request::Parts};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde::Serialize;
use tidings_server::record::NewRecord;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use self::{
    batch::{Batch, Committed, Event},
    reader::Reader,
    share::Share,
};
use super::{
    body,
    draft::Draft,
    json, key,
    key::StreamKey,
    publish::{parameters, under_way},
    topic_of_path,
};
use crate::{
    hub::Hub,
    problem::{Account, Kind, Problem, is_zero},
    under_way::Claim,
};

/// Publishes the events of the body, and answers how many they were.
pub(super) async fn publish(hub: &Hub, parts: Parts, mut body: Body) -> Result<Response, Problem> {
    let (answer, answered) = oneshot::channel();
    let hub = hub.clone();
    // On a task of its own: if the sender vanishes, its request goes with it, and what came whole
    // is published all the same.
    tokio::spawn(async move {
        let stream = match Stream::begin(&hub, &parts) {
            Ok(stream) => stream,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                // Who asks before sending is not told to send.
                if !parts.headers.contains_key(header::EXPECT) {
                    body::discard(body).await;
                }
                return;
            }
        };
        let outcome = stream.run(&mut body).await;
        hub.metrics.streams_ended();
        let _ = answer.send(outcome);
        // The answer goes out while the rest comes in: its sender may see it only then.
        body::discard(body).await;
    });
    let failed = |_| {
        let detail = "the stream broke off within the hub: some of its events may be published";
        Err(Problem::new(Kind::OutcomeUnknown, detail))
    };
    answered.await.unwrap_or_else(failed).map(|summary| json(&summary))
}

/// The answer to a stream that came to its end.
#[derive(Debug, Serialize)]
struct Summary {
    /// All that were published, now or before under their keys.
    events: u64,
    last_id: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    repeated: u64,
    /// Whether the body ended within an event, which is then not published.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
}

/// A stream that is being published.
struct Stream {
    hub: Hub,
    key: Option<StreamKey>,
    /// What all of its events have in common.
    common: NewRecord,
    reader: Reader,
    /// Events so far.
    events: u64,
    /// An event for which the batch that gathers had no room.
    next: Option<Event>,
    gathers: Batch,
    /// Bytes of the batch that is with the log.
    committing_bytes: usize,
    share: Share,
    account: Account,
    /// The key of the stream as a whole.
    _claim: Claim,
}

impl Stream {
    fn begin(hub: &Hub, parts: &Parts) -> Result<Self, Problem> {
        if hub.is_leaving() {
            return Err(leaving(hub));
        }
        let mut draft = Draft { topics: Vec::from_iter(topic_of_path(parts)?), ..Draft::default() };
        parameters(&parts.uri, &mut draft)?;
        if draft.id.is_some() {
            let rule = "in a stream each event has an id of its own, as a line `id:`";
            return Err(Problem::invalid("id", rule));
        }
        if draft.topics.is_empty() {
            let rule = "a stream goes to /events/{topic}, or to /events?topic=…";
            return Err(Problem::invalid("topic", rule));
        }
        let key = StreamKey::of_header(&parts.headers)?;
        let whole = key.as_ref().map(StreamKey::whole).transpose()?;
        let claim = hub.under_way.claim([whole]).map_err(|_| under_way().of(key::HEADER))?;
        draft.key = whole;
        let common = NewRecord { once: None, ..draft.check(&hub.config.limits)? };
        let share = Share::take(hub)?;
        hub.metrics.streams_begun();
        Ok(Self {
            key,
            common,
            reader: Reader::new(&hub.config.limits),
            events: 0,
            next: None,
            gathers: Batch::new(hub, 1),
            committing_bytes: 0,
            share,
            account: Account::default(),
            hub: hub.clone(),
            _claim: claim,
        })
    }

    async fn run(mut self, body: &mut Body) -> Result<Summary, Problem> {
        let mut leaving_soon = self.hub.leaving.subscribe();
        let mut committing: Option<BoxFuture<'static, Committed>> = None;
        // How it ends, once no more is read.
        let mut end = None;
        let mut deadline = None;
        loop {
            if end.is_none()
                && let Err(problem) = self.decode()
            {
                end = Some(Err(problem));
            }
            if committing.is_none() {
                // What has come already goes along, each chunk of it.
                if end.is_none()
                    && self.next.is_none()
                    && let Some(frame) = body.frame().now_or_never()
                {
                    end = self.take_in(frame, &mut deadline);
                    continue;
                }
                if !self.gathers.is_empty() {
                    let batch = Batch::new(&self.hub, self.gathers.next_number());
                    let batch = std::mem::replace(&mut self.gathers, batch);
                    self.committing_bytes = batch.bytes();
                    committing = Some(Box::pin(batch.commit(self.hub.clone())));
                    // There may be more in what was read, and room for it now.
                    continue;
                }
                if let Some(end) = end {
                    return self.conclude(end);
                }
            }
            let reads = end.is_none() && self.next.is_none();
            // The sender's time runs while the hub would take more.
            let due = *deadline.get_or_insert_with(|| Instant::now() + self.idle_max());
            tokio::select! {
                committed = finished(&mut committing) => {
                    committing = None;
                    self.committing_bytes = 0;
                    if let Err(problem) = self.settle(committed) {
                        return self.conclude(Err(problem));
                    }
                }
                frame = body.frame(), if reads => end = self.take_in(frame, &mut deadline),
                () = sleep_until(due), if reads => end = Some(Err(self.stalled())),
                _ = leaving_soon.wait_for(|leaving| *leaving), if end.is_none() => {
                    end = Some(Err(leaving(&self.hub)));
                }
            }
            if !reads {
                deadline = None;
            }
        }
    }

    /// Takes what was read, and puts the deadline off for it; says how the stream ends, if it does.
    fn take_in(
        &mut self,
        frame: Option<Result<Frame<Bytes>, axum::Error>>,
        deadline: &mut Option<Instant>,
    ) -> Option<Result<(), Problem>> {
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    *deadline = None;
                    self.reader.feed(data);
                }
                None
            }
            Some(Err(_)) => Some(Err(broken_off())),
            None => Some(Ok(())),
        }
    }

    /// Decodes what was read, as far as there is room for its events.
    fn decode(&mut self) -> Result<(), Problem> {
        loop {
            let event = match self.next.take() {
                Some(event) => event,
                None => match self.event()? {
                    Some(event) => event,
                    None => return self.share(),
                },
            };
            self.next = self.gathers.push(event)?;
            self.share()?;
            if self.next.is_some() {
                return Ok(());
            }
        }
    }

    /// The next event of what was read, if it is whole.
    fn event(&mut self) -> Result<Option<Event>, Problem> {
        let number = self.events + 1;
        let of_event = |problem: Problem| problem.on_event(number);
        let Some(said) = self.reader.next().map_err(of_event)? else { return Ok(None) };
        let record = said.check(&self.common, &self.hub.config.limits).map_err(of_event)?;
        self.events = number;
        let key = self.key.as_ref().map(|key| key.nth(number)).transpose()?;
        Ok(Some(Event::new(record, key)))
    }

    /// Takes the share of memory that the stream has now.
    fn share(&mut self) -> Result<(), Problem> {
        let next = self.next.as_ref().map_or(0, Event::bytes);
        let bytes = self.reader.bytes() + next + self.gathers.bytes() + self.committing_bytes;
        self.share.resize(&self.hub, bytes)
    }

    /// Takes down what became of a batch.
    fn settle(&mut self, committed: Committed) -> Result<(), Problem> {
        let Committed { account, problem } = committed;
        self.account.published += account.published;
        self.account.repeated += account.repeated;
        self.account.last_id = account.last_id.or(self.account.last_id.take());
        problem.map_or(Ok(()), Err)
    }

    fn conclude(self, end: Result<(), Problem>) -> Result<Summary, Problem> {
        let Account { published, last_id, repeated } = self.account;
        match end {
            Ok(()) => {
                let incomplete = self.reader.is_within_block();
                Ok(Summary { events: published, last_id, repeated, incomplete })
            }
            Err(problem) => Err(problem.after(Account { published, last_id, repeated })),
        }
    }

    fn idle_max(&self) -> Duration {
        self.hub.config.timeouts.stream_idle
    }

    fn stalled(&self) -> Problem {
        let time = humantime::format_duration(self.idle_max());
        let detail = format!(
            "no byte came for {time} (option --stream-idle-timeout); a comment line keeps a stream \
             alive"
        );
        Problem::new(Kind::BodyTimeout, detail).of("body")
    }
}

/// What became of the batch that is with the log, when it is known; never, if there is none.
async fn finished(committing: &mut Option<BoxFuture<'static, Committed>>) -> Committed {
    match committing {
        Some(committing) => committing.await,
        None => std::future::pending().await,
    }
}

fn broken_off() -> Problem {
    let detail = "the body broke off or is not framed as it must be";
    Problem::new(Kind::Malformed, detail).of("body")
}

fn leaving(hub: &Hub) -> Problem {
    let detail = "the hub is about to stop; send the rest of the stream to the next one";
    Problem::new(Kind::Leaving, detail).retry_after(hub.config.retry)
}
