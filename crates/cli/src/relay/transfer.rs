//! The loop between the upstream and the hub.
//!
//! ```text
//!  upstream ══▶ EventSource ──▶ Keys ──▶ Lines ──▶ a request ══▶ hub
//!                   ▲                     │ full: nothing is read     │ acknowledged
//!                   └──── held up ◀───────┘                           ▼
//!                                                                CursorFile
//! ```
//!
//! What is there goes into one request; while it is under way, the next fills up, and then the
//! upstream waits. The cursor is stored once the hub has acknowledged everything before it, so that
//! a relay that is killed reads again what may not be published, and the keys tell what is.

use std::future::{pending, ready};
use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tidings_client::{Cause, Error, EventId, EventSource, Message, Update};
use url::Url;

use super::cursor_file::{Cursor, CursorFile};
use super::hub::{self, Hub, Refusal};
use super::keys::{Doubt, Keys, Trust};
use super::lines::{Line, Lines};
use crate::attempt::PublishError;
use crate::interrupt::told_to_stop;
use crate::status::{self, Status, warn};
use crate::text::{public, visible};

/// A relay at work.
pub(super) struct Transfer {
    source: EventSource,
    status: Status,
    keys: Keys,
    lines: Lines,
    hub: Hub,
    /// The request under way.
    publishing: Option<BoxFuture<'static, Result<(), Refusal>>>,
    /// How far everything is published.
    cursor: Cursor,
    cursor_file: Option<CursorFile>,
    options: Options,
    /// The id that the client could not send last.
    unsendable: Option<EventId>,
    /// Why there is no more to come.
    ended: Option<Ended>,
    published: u64,
}

/// What is relayed, and how.
#[derive(Debug)]
pub(super) struct Options {
    /// Only events of these types; of all, if there are none.
    pub(super) names: Vec<String>,
    pub(super) on_refused: OnRefused,
}

/// What to do about an event that the hub refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OnRefused {
    /// Stop at it: a restart begins with it again.
    Stop,
    /// Say so, and go on after it.
    Skip,
}

/// Why the relay stops before the upstream has ended.
pub(super) enum Stop {
    /// By Ctrl-C or SIGTERM.
    Told,
    CursorFile(io::Error),
    /// The sentence to say.
    Refused(String),
}

/// How the stream of updates ended.
#[derive(Debug)]
enum Ended {
    Refused(Error),
    Quietly,
}

impl Ended {
    fn end(&self, upstream: &Url) -> End {
        match self {
            Self::Quietly => End::ForGood,
            Self::Refused(error) if matches!(error.cause(), Cause::Status { status: 204, .. }) => {
                End::ForGood
            }
            Self::Refused(error) => End::Failed(status::refusal(&public(upstream), error)),
        }
    }
}

/// How the upstream ended when the relay did not stop before.
pub(super) enum End {
    /// It asked not to reconnect.
    ForGood,
    /// The sentence to say.
    Failed(String),
}

impl Transfer {
    pub(super) fn new(
        source: EventSource,
        keys: Keys,
        hub: Hub,
        cursor: Cursor,
        cursor_file: Option<CursorFile>,
        options: Options,
    ) -> Self {
        Self {
            status: Status::new(&public(source.url())),
            source,
            keys,
            lines: Lines::default(),
            hub,
            publishing: None,
            cursor,
            cursor_file,
            options,
            unsendable: None,
            ended: None,
            published: 0,
        }
    }

    /// Events that the hub has acknowledged, those that it had before included.
    pub(super) const fn published(&self) -> u64 {
        self.published
    }

    /// Events that have arrived and are not known to be published.
    pub(super) fn left(&self) -> usize {
        self.lines.len()
    }

    pub(super) const fn has_cursor_file(&self) -> bool {
        self.cursor_file.is_some()
    }

    /// Relays until the upstream has ended for good and everything is published.
    pub(super) async fn run(&mut self) -> Result<End, Stop> {
        let mut told = std::pin::pin!(told_to_stop());
        loop {
            if let Some(ended) = &self.ended
                && self.lines.is_empty()
            {
                let end = ended.end(self.source.url());
                self.store()?;
                return Ok(end);
            }
            // Sending and storing come last: what is ready goes along.
            tokio::select! {
                biased;
                () = &mut told => return Err(Stop::Told),
                result = answer(&mut self.publishing) => self.settle(result)?,
                update = self.source.next(), if self.ended.is_none() && self.lines.has_room() => {
                    match update {
                        Some(Ok(update)) => self.take(update)?,
                        Some(Err(error)) => self.ended = Some(Ended::Refused(error)),
                        // As after the answer to a request that is not sent again.
                        None => self.ended = Some(Ended::Quietly),
                    }
                }
                () = ready(()), if self.publishing.is_none() && !self.lines.is_empty() => {
                    self.send();
                }
                () = ready(()), if self.lines.is_empty() && self.is_behind() => self.store()?,
            }
        }
    }

    /// Publishes what has arrived, for as long as there is time.
    pub(super) async fn publish_rest(&mut self) -> Result<(), Stop> {
        let rest = async {
            while !self.lines.is_empty() {
                if self.publishing.is_none() {
                    self.send();
                }
                let result = answer(&mut self.publishing).await;
                self.settle(result)?;
            }
            Ok(())
        };
        // What is left then is told by who knows why.
        tokio::time::timeout(REST_TIME_MAX, rest).await.unwrap_or(Ok(()))?;
        self.store()
    }

    fn take(&mut self, update: Update) -> Result<(), Stop> {
        match update {
            Update::Message(message) => self.take_event(&message)?,
            Update::Open(_) => {
                let id = self.source.last_event_id();
                self.status.open(id);
                self.keys.handle_open(id, self.unsendable.as_ref() != Some(id));
            }
            Update::Disconnected(disconnection) => self.status.disconnected(&disconnection),
            Update::UnsendableId(id) => {
                self.status.unsendable_id(&id);
                self.unsendable = Some(id);
            }
            _ => {}
        }
        let id = self.source.last_event_id();
        self.keys.handle_id(id);
        if !self.lines.reach(id) {
            self.cursor.last_event_id = id.clone();
        }
        Ok(())
    }

    fn take_event(&mut self, message: &Message) -> Result<(), Stop> {
        let id = &message.last_event_id;
        let name = message.event_type.as_str();
        if name.starts_with(RESERVED_PREFIX) {
            match name {
                CURSOR => {}
                GAP => self.status.gap(&message.data),
                other => warn(format!(
                    "an event of type {} is left out: it belongs to the upstream's hub.",
                    visible(other)
                )),
            }
            self.keys.handle_id(id);
            return Ok(());
        }
        // It has its place among the others whether or not it is published.
        if self.keys.handle_event(id) {
            warn(format!(
                "the upstream has sent the id {} again: either it repeats events, or it uses ids \
                 more than once. From now on, what comes again is published again. If it never \
                 uses an id twice, say --trust-ids.",
                visible(id.as_str())
            ));
            self.lose_trust()?;
        }
        let names = &self.options.names;
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            return Ok(());
        }
        let (key, doubt) = self.keys.key();
        let topic = &self.hub.target.topics[0];
        self.lines.push(Line::new(topic, message, key));
        match doubt {
            Some(Doubt::NoId) => warn(
                "the upstream sends events without ids. No reconnect can ask for what was missed \
                 of them, and should they come again, they are published again.",
            ),
            Some(Doubt::NoOwnId) => warn(format!(
                "the upstream sends events without an id of their own, the first after {}. Should \
                 such events come again, they are published again; with --trust-ids they are not.",
                visible(id.as_str())
            )),
            None => {}
        }
        Ok(())
    }

    /// Puts the next request under way.
    fn send(&mut self) {
        let shipment = self.lines.ship(self.keys.mint(), &self.cursor.scope);
        self.publishing =
            shipment.map(|shipment| Box::pin(self.hub.clone().publish(shipment)) as _);
    }

    /// Takes down what became of the request.
    fn settle(&mut self, result: Result<(), Refusal>) -> Result<(), Stop> {
        self.publishing = None;
        match result {
            Ok(()) => {
                let published = self.lines.published();
                self.published += published.events;
                self.cursor.scope.count_on(published.counted);
                self.reach(published.reached)
            }
            Err(Refusal::Event { line, error }) => self.settle_refused(line, &error),
            Err(Refusal::Key { line, error }) => self.settle_key(line, &error),
            Err(Refusal::Everything(error)) => Err(Stop::Refused(self.refused_all(&error))),
        }
    }

    fn settle_refused(&mut self, line: Option<usize>, error: &PublishError) -> Result<(), Stop> {
        let Some(line) = self.lines.refused(line) else { return Ok(()) };
        let event = described(&line.id);
        if self.options.on_refused == OnRefused::Stop {
            return Err(Stop::Refused(format!(
                "the hub refuses {event}: {error}. Everything before it is published; with \
                 --on-refused skip, the relay would go on after it."
            )));
        }
        warn(format!("{event} is skipped, as the hub refuses it: {error}."));
        let reached = self.lines.leave_out();
        self.reach(reached)
    }

    fn settle_key(&mut self, line: Option<usize>, error: &PublishError) -> Result<(), Stop> {
        let Some(line) = self.lines.key_refused(line) else { return Ok(()) };
        if !line.key.is_lasting() {
            // Nobody else has this key, so the hub means something else.
            return Err(Stop::Refused(format!(
                "the hub refuses the key of {}: {error}.",
                described(&line.id)
            )));
        }
        let again = "was published before with other content: the upstream has changed the event, \
                     or used its id again. It is published once more";
        let event = described(&line.id);
        line.key = self.keys.passing();
        if self.keys.trust() == Trust::Presumed {
            warn(format!(
                "{event} {again}, and from now on so is everything that comes again. If the \
                 upstream never uses an id twice, say --trust-ids."
            ));
            return self.lose_trust();
        }
        warn(format!("{event} {again}."));
        Ok(())
    }

    /// The upstream's ids may stand for several events, so what is not published yet must not be
    /// taken for what is.
    fn lose_trust(&mut self) -> Result<(), Stop> {
        self.keys.lose_trust();
        // What is under way keeps its keys, or sending it again could publish it twice.
        let (keys, lines) = (&mut self.keys, &mut self.lines);
        for line in lines.unsent_mut().filter(|line| line.key.is_lasting()) {
            line.key = keys.passing();
        }
        self.cursor.ids_are_reused = true;
        self.store()
    }

    fn refused_all(&self, error: &PublishError) -> String {
        let url = public(&self.hub.target.events_url);
        let advice = match error {
            PublishError::Refused { problem, .. } if hub::is_about_keys(problem) => {
                ". A relay needs a hub that takes idempotency keys"
            }
            PublishError::Refused { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                " (--hub-header is for the hub, --header for the upstream)"
            }
            _ => "",
        };
        format!("nothing can be published to {url}: {error}{advice}.")
    }

    /// Everything up to `id` is published or left out.
    fn reach(&mut self, id: Option<EventId>) -> Result<(), Stop> {
        if let Some(id) = id {
            self.cursor.last_event_id = id;
        }
        self.store()
    }

    fn is_behind(&self) -> bool {
        self.cursor_file.as_ref().is_some_and(|file| !file.holds(&self.cursor))
    }

    fn store(&mut self) -> Result<(), Stop> {
        match &mut self.cursor_file {
            Some(file) => file.store(&self.cursor).map_err(Stop::CursorFile),
            None => Ok(()),
        }
    }
}

/// What became of the request under way; never anything if there is none.
async fn answer(
    publishing: &mut Option<BoxFuture<'static, Result<(), Refusal>>>,
) -> Result<(), Refusal> {
    match publishing {
        Some(publishing) => publishing.await,
        None => pending().await,
    }
}

/// An event as one would speak of it.
fn described(id: &EventId) -> String {
    if id.is_empty() {
        "an event without an id".to_owned()
    } else {
        format!("the event with the id {}", visible(id.as_str()))
    }
}

/// The types that belong to a hub.
const RESERVED_PREFIX: &str = "tidings.";
/// The hub's event that moves the last event id forward.
const CURSOR: &str = "tidings.cursor";
/// The hub's event that tells of missed events.
const GAP: &str = "tidings.gap";
/// How long a relay that is told to stop goes on publishing what has arrived.
const REST_TIME_MAX: Duration = Duration::from_secs(5);
