//! The explanation: a verdict in sentences, for people.

use std::time::{Duration, UNIX_EPOCH};

use tidings_server::{
    fanout::{Fate, Session},
    log::Bounds,
    record::{Record, Timestamp},
    subscription::Phase,
};

use super::{
    subscribers::{cursor, lag},
    verdict::{Judgement, Verdict},
};

/// Says what the judgement rests on.
pub(super) fn of(judgement: &Judgement, record: &Record, bounds: Bounds) -> String {
    let Judgement { verdict, session, later } = judgement;
    let name = &session.id.name;
    let published = moment(record.time);
    let opened = moment(session.opened);
    let ended = session.closed.map(|closed| moment(closed.at)).unwrap_or_default();
    let later_opened = later.as_ref().map(|later| moment(later.opened)).unwrap_or_default();
    let later_id = later.as_ref().and_then(|later| later.resumed_after.as_deref());
    let later_id = later_id.unwrap_or_default();
    let handed = || {
        // Not before it was there, and not after the last bytes.
        let from = moment(record.time.max(session.opened));
        let to = session.taken.map(moment).unwrap_or_default();
        format!(
            "The event was handed to the connection that {name} opened at {opened}, between \
             {from} and {to}"
        )
    };
    match verdict {
        Verdict::Acknowledged => format!(
            "{}. {name} came back at {later_opened} with the last event id {later_id}, which is \
             at or after the event: by the standard it had dispatched the event by then.",
            handed()
        ),
        Verdict::Sent => format!(
            "{}, and that connection is open. Whether it arrived is not known: it may still be \
             in a buffer between, and {name} confirms nothing before it comes back.",
            handed()
        ),
        Verdict::SentUnconfirmed if later.is_some() => format!(
            "{}. That connection ended at {ended}, and {name} came back at {later_opened} \
             without an id that would tell whether the event had arrived.",
            handed()
        ),
        Verdict::SentUnconfirmed => format!(
            "{}. That connection ended at {ended}, and {name} has not come back since, so that \
             it is not known whether the event had arrived. If it had not, {name} gets it again \
             when it comes back with its last event id.",
            handed()
        ),
        Verdict::Waiting => waiting(session, bounds),
        Verdict::CutOff => format!(
            "The event was published at {published} and {name} was connected, but its connection \
             ended at {ended} before the event was handed to it. {name} has not come back since; \
             with its last event id it gets the event."
        ),
        Verdict::NotConnected => format!(
            "The last connection of {name} ended at {ended}, and the event was published after \
             that, at {published}. {name} has not come back since; with its last event id it \
             gets the event."
        ),
        Verdict::NotAskedFor => format!(
            "A connection of {name} ended at {ended} without the event, and the one that it \
             opened at {later_opened} did not ask for what had been missed: it came without a \
             last event id. A page that makes a new EventSource must give the id that it kept as \
             ?last_event_id=."
        ),
        Verdict::BeforeItStarted => format!(
            "The event was published at {published}, before {name} opened its connection at \
             {opened}, and that connection asked for new events only."
        ),
        Verdict::Claimed if later.is_some() => format!(
            "No known connection of {name} was handed the event, but it came back at \
             {later_opened} with the last event id {later_id}, which is at or after the event: \
             so it says that it had got so far."
        ),
        Verdict::Claimed => format!(
            "No known connection of {name} was handed the event, but the first that is known, \
             opened at {opened}, asked to resume after {}, which is at or after the event: so it \
             says that it had got so far.",
            session.resumed_after.as_deref().unwrap_or_default()
        ),
        Verdict::ToldAsGap => {
            let reason = match session.fate(record.offset) {
                Fate::ToldAsGap(reason) => reason.as_str(),
                _ => "gap",
            };
            format!(
                "{name} was told by a tidings.gap notice ({reason}) on the connection that it \
                 opened at {opened} that the stream goes on after a place that is not before the \
                 event, so that the event is one of those that it was told it would miss."
            )
        }
        Verdict::NotMatched => {
            let followed: Vec<_> = session.topics.iter().map(|topic| topic.as_str()).collect();
            let patterns: Vec<_> = session.patterns.iter().map(|pattern| &**pattern).collect();
            let topics: Vec<_> = record.new.topics.iter().map(|topic| topic.as_str()).collect();
            format!(
                "The event was published to {}. {name} follows {} and {}, and none of them \
                 matches.",
                list("the topics", &topics),
                list("the topics", &followed),
                list("the patterns", &patterns)
            )
        }
        Verdict::NotAllowed => "The event is private, and as there are no tokens yet nobody may \
                                see it."
            .to_owned(),
        Verdict::NotKnown if session.fate(record.offset) == Fate::BeforeStart => format!(
            "The first connection of {name} that is known was opened at {opened}, after the event \
             was published at {published}, and asked for new events only. Whether an earlier \
             connection got the event is not known: only those since the hub started are, and \
             of those that ended the last ones."
        ),
        Verdict::NotKnown => format!(
            "{name} was told of so many gaps on the connection that it opened at {opened} that it \
             is no longer known whether the event was in one of them."
        ),
    }
}

fn waiting(session: &Session, bounds: Bounds) -> String {
    let name = &session.id.name;
    let taken = match session.taken {
        Some(taken) => format!("its connection last took bytes at {}", moment(taken)),
        None => "its connection has taken nothing yet".to_owned(),
    };
    let place = match session.cursor {
        Some(at) => {
            format!("it stands at {}, {} behind the log's end", cursor(at, bounds), lag(at, bounds))
        }
        None => "its place in the log is not settled yet".to_owned(),
    };
    let doing = match session.phase {
        Phase::Resolving => "; the place of its last event id is being looked up",
        Phase::Replaying => "; it reads history from the log",
        Phase::Live | Phase::Closed => "",
    };
    format!(
        "{name} is connected and is to get the event, but it was not handed to its connection \
         yet: {place}, and {taken}{doing}."
    )
}

fn list(what: &str, texts: &[&str]) -> String {
    // All of them are among the checks.
    const SHOWN_MAX: usize = 10;
    let mut shown: Vec<_> = texts.iter().take(SHOWN_MAX).map(|text| format!("{text:?}")).collect();
    match texts.len() {
        0 => return format!("none of {what}"),
        all if all > SHOWN_MAX => shown.push(format!("{} more", all - SHOWN_MAX)),
        _ => {}
    }
    format!("{what} {}", shown.join(", "))
}

fn moment(time: Timestamp) -> String {
    // The last moment that the format has a year for.
    let unix_ms = time.unix_ms.min(253_402_300_799_999);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_short_and_moments_can_be_read() {
        assert_eq!(list("the topics", &[]), "none of the topics");
        assert_eq!(list("the topics", &["a", "b"]), "the topics \"a\", \"b\"");
        assert!(list("x", &["a"; 12]).ends_with(", 2 more"));
        assert_eq!(moment(Timestamp { unix_ms: 1_500 }), "1970-01-01T00:00:01.500Z");
        assert!(moment(Timestamp { unix_ms: u64::MAX }).starts_with("9999-12-31"));
    }
}
