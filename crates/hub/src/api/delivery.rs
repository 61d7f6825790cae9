//! `GET /debug/delivery`: why a subscriber got an event, or did not.

use axum::{Extension, extract::State, response::Response};
use http::request::Parts;
use serde::Serialize;
use tidings_server::{
    cursor::{Cursor, Offset},
    fanout::Follows,
    log::{Bounds, ReadError},
    matcher::Filter,
    record::{PublisherId, SharedRecord},
    subscriber_name::SubscriberName,
    subscription::GapReason,
    topic::Topic,
};

use super::{
    explanation,
    follow::subscriber_name,
    json,
    subscribers::{Stream, cursor, lag},
    verdict::{self, Judgement, Verdict, Witness},
};
use crate::{
    access::Grant,
    hub::Hub,
    local,
    problem::{Kind, Problem},
    query,
};

pub(super) async fn delivery(
    State(hub): State<Hub>,
    Extension(grant): Extension<Grant>,
    parts: Parts,
) -> Result<Response, Problem> {
    local::check(&parts, &hub.access)?;
    let (mut event, mut name) = (None, None);
    for (field, value) in query::parameters(parts.uri.query())? {
        match field.as_str() {
            "event" => query::once(&field, &mut event, value)?,
            "subscriber" => query::once(&field, &mut name, subscriber_name(value)?)?,
            _ => return Err(Problem::unknown(&field, &["event", "subscriber"])),
        }
    }
    let missing = |field, rule| Problem::invalid(field, rule);
    let event = event.filter(|id| !id.is_empty()).ok_or_else(|| {
        missing("event", "name the event by its id; the '#' of a cursor is written %23")
    })?;
    let name = name.ok_or_else(|| missing("subscriber", "name the subscriber"))?;
    let record = find(&hub, &event).await?;
    answer(&hub, grant, &record, &name).map(|answer| json(&answer))
}

/// The record with this id: a cursor, or a publisher's.
async fn find(hub: &Hub, id: &str) -> Result<SharedRecord, Problem> {
    let bounds = hub.log.bounds();
    let unknown = |reason: GapReason, why: &str| {
        let detail = format!("the log has no event {id:?}: {why}");
        Problem::new(Kind::UnknownEvent, detail).of("event").because(reason)
    };
    let never =
        || unknown(GapReason::UnknownId, "no event has this id; it never had, or it was trimmed");
    let offset = if id.starts_with(Cursor::PREFIX) {
        let rule = "a cursor is '#', an epoch, '-' and an offset, as it stands in an event's id";
        let cursor = Cursor::parse(id).ok_or_else(|| Problem::invalid("event", rule))?;
        if cursor.epoch != bounds.epoch {
            let why = format!(
                "it is of another incarnation of the log; the present one is {}",
                bounds.epoch
            );
            return Err(unknown(GapReason::OtherEpoch, &why));
        }
        if cursor.offset > bounds.last {
            let why = format!("the newest is {}", bounds.latest());
            return Err(unknown(GapReason::Ahead, &why));
        }
        cursor.offset
    } else {
        let id = PublisherId::new(id).map_err(|error| Problem::invalid("event", error))?;
        hub.log.resolve(&id).await.map_err(unreadable)?.ok_or_else(never)?
    };
    let found = hub.log.record(offset).await.map_err(unreadable)?;
    if found.as_ref().is_some_and(|record| !record.new.kind.is_event()) {
        let why = "the end of a topic stands there, which is no event";
        return Err(unknown(GapReason::UnknownId, why));
    }
    found.ok_or_else(|| {
        if offset == Offset::ZERO {
            return never();
        }
        // Its topic may keep less than the log does of others.
        let first = hub.log.bounds().first;
        let oldest = (offset < first).then(|| cursor(first, bounds));
        let oldest = oldest.map(|oldest| format!("; the oldest there is is {oldest}"));
        unknown(GapReason::Trimmed, &format!("it was trimmed{}", oldest.unwrap_or_default()))
    })
}

// The cause may name files of this machine; it is in the log, not in the answer.
fn unreadable(_: ReadError) -> Problem {
    Problem::new(Kind::LogAway, "the log could not be read").retry_after(crate::problem::RETRY)
}

fn answer(
    hub: &Hub,
    grant: Grant,
    record: &SharedRecord,
    name: &SubscriberName,
) -> Result<Answer, Problem> {
    let known = hub.fanout.sessions_of(name);
    let topics = &record.new.topics;
    let witnesses: Vec<_> = known
        .sessions
        .iter()
        .rev()
        .map(|session| {
            let follows = topics.iter().any(|topic| session.follows(topic, &hub.base).is_some());
            Witness { session: session.clone(), follows }
        })
        .collect();
    let allowed = grant.see(Filter::everything()).sees(record);
    let judged = verdict::judge(&witnesses, allowed, record.offset, known.forgotten);
    let judgement = judged.ok_or_else(|| {
        let detail = format!(
            "no subscriber {:?} is connected, or was among the last that were since the hub \
             started; GET /subscribers lists them",
            name.as_str()
        );
        Problem::new(Kind::UnknownSubscriber, detail).of("subscriber")
    })?;
    let bounds = hub.log.bounds();
    Ok(Answer {
        verdict: judgement.verdict.as_str(),
        explanation: explanation::of(&judgement, record, bounds),
        checks: Checks::of(hub, &judgement, record, allowed, bounds),
        streams: known.sessions.iter().map(|session| Stream::of(session, bounds)).collect(),
        more_streams: known.more,
    })
}

#[derive(Serialize)]
struct Answer {
    verdict: &'static str,
    explanation: String,
    checks: Checks,
    /// All that is known of the subscriber, the newest first.
    streams: Vec<Stream>,
    more_streams: bool,
}

/// Step by step, for the stream that decided. A step is null once one before it has settled the
/// matter, or where the hub does not know.
#[derive(Serialize)]
struct Checks {
    event: Event,
    matched: Matched,
    allowed: Option<bool>,
    asked: Option<Asked>,
    sent: Option<Sent>,
    acknowledged: Option<Acknowledged>,
}

#[derive(Serialize)]
struct Event {
    id: Option<String>,
    cursor: String,
    topics: Vec<String>,
    time_ms: u64,
    private: bool,
}

#[derive(Serialize)]
struct Matched {
    ok: bool,
    /// The event's topic that the stream follows.
    topic: Option<String>,
    /// The pattern by which it does, if it does not follow it by its name.
    pattern: Option<String>,
    topics: Vec<String>,
    patterns: Vec<String>,
}

#[derive(Serialize)]
struct Asked {
    /// Whether it was to get what comes after a place before the event.
    ok: bool,
    opened_ms: u64,
    resumed_after: Option<String>,
    start: Option<String>,
}

#[derive(Serialize)]
struct Sent {
    ok: bool,
    /// All that it follows up to here was handed to its connection.
    cursor: Option<String>,
    /// How many offsets that is before the event.
    behind: Option<u64>,
    lag: Option<u64>,
    /// When its connection last took bytes.
    taken_ms: Option<u64>,
    closed_ms: Option<u64>,
}

#[derive(Serialize)]
struct Acknowledged {
    ok: bool,
    /// The stream by which it came back.
    opened_ms: Option<u64>,
    resumed_after: Option<String>,
}

impl Checks {
    fn of(
        hub: &Hub,
        judgement: &Judgement,
        record: &SharedRecord,
        allowed: bool,
        bounds: Bounds,
    ) -> Self {
        use Verdict::{
            Acknowledged as Confirmed, BeforeItStarted, Claimed, NotAllowed, NotKnown, NotMatched,
            Sent as HandedOver, SentUnconfirmed, ToldAsGap,
        };
        let Judgement { verdict, session, later } = judgement;
        let offset = record.offset;
        let new = &record.new;
        let found = new.topics.iter().find_map(|topic| {
            let follows = session.follows(topic, &hub.base)?;
            let pattern = match follows {
                Follows::Pattern(pattern) => Some(pattern.to_owned()),
                _ => None,
            };
            Some((topic.to_string(), pattern))
        });
        let is_matched = found.is_some();
        let (topic, pattern) = found.unzip();
        let past_access = !matches!(verdict, NotMatched | NotAllowed);
        let unasked = matches!(verdict, BeforeItStarted)
            || matches!(verdict, Claimed | NotKnown) && later.is_none();
        let asked = past_access.then(|| Asked {
            ok: !unasked,
            opened_ms: session.opened.unix_ms,
            resumed_after: session.resumed_after.as_deref().map(str::to_owned),
            start: session.start.map(|start| cursor(start, bounds)),
        });
        let sent = (past_access && !unasked).then(|| Sent {
            ok: matches!(verdict, Confirmed | HandedOver | SentUnconfirmed),
            cursor: session.cursor.map(|at| cursor(at, bounds)),
            behind: session.cursor.map(|at| offset.0.saturating_sub(at.0)),
            lag: session.cursor.map(|at| lag(at, bounds)),
            taken_ms: session.taken.map(|taken| taken.unix_ms),
            closed_ms: session.closed.map(|closed| closed.at.unix_ms),
        });
        let settled = matches!(verdict, Confirmed | HandedOver | SentUnconfirmed | Claimed);
        let back = later.as_deref();
        let acknowledged = settled.then(|| Acknowledged {
            ok: *verdict == Confirmed,
            opened_ms: back.map(|later| later.opened.unix_ms),
            resumed_after: back.and_then(|later| later.resumed_after.as_deref()).map(str::to_owned),
        });
        let event = Event {
            id: new.id.as_ref().map(|id| id.as_str().to_owned()),
            cursor: cursor(offset, bounds),
            topics: new.topics.iter().map(Topic::to_string).collect(),
            time_ms: record.time.unix_ms,
            private: new.private,
        };
        let matched = Matched {
            ok: is_matched,
            topic,
            pattern: pattern.flatten(),
            topics: session.topics.iter().map(Topic::to_string).collect(),
            patterns: session.patterns.iter().map(|pattern| pattern.to_string()).collect(),
        };
        let allowed = is_matched.then_some(allowed);
        debug_assert!(!matches!(verdict, ToldAsGap) || sent.as_ref().is_some_and(|sent| !sent.ok));
        Self { event, matched, allowed, asked, sent, acknowledged }
    }
}
