//! A run in a few lines, for a person.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;

use super::figures::{bytes, micros, rate, seconds};
use super::outcome::{Check, Outcome, Quantiles};
use crate::status::DIM;
use crate::text::{count, visible};

/// Writes the summary.
pub(super) fn write(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    writeln!(out, "{}", visible(&outcome.url))?;
    writeln!(out, "{DIM}{}{DIM:#}", outcome.asked.sentence)?;
    writeln!(out)?;
    for (name, figure) in lines(outcome) {
        writeln!(out, "  {DIM}{name:<11}{DIM:#} {figure}")?;
    }
    Ok(())
}

fn lines(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let connects = &outcome.connects;
    let mut connected = format!(
        "{} in {}",
        count(connects.connected, "stream"),
        seconds(std::time::Duration::from_secs_f64(connects.seconds))
    );
    if connects.failed.total() > 0 {
        let failed = HumanCount(connects.failed.total());
        connected
            .push_str(&bad(&format!(", {failed} failed: {}", visible(&connects.failed.words()))));
    }
    lines.push(("connected", connected));
    if let Some(head) = connects.head {
        lines.push(("head after", quantiles(head)));
    }
    if let Some(published) = &outcome.published {
        let mut text = format!(
            "{}, {}/s, by {}",
            count(published.acknowledged, "event"),
            rate(published.events_per_second),
            count(published.publishers.into(), "publisher")
        );
        if published.failed.total() > 0 {
            let failed = HumanCount(published.failed.total());
            text.push_str(&bad(&format!(
                "; {failed} not acknowledged: {}",
                visible(&published.failed.words())
            )));
        }
        lines.push(("published", text));
        if let Some(answered) = published.answered {
            lines.push(("answered", quantiles(answered)));
        }
    }
    let delivered = &outcome.delivered;
    lines.push((
        if outcome.published.is_some() { "delivered" } else { "received" },
        format!(
            "{}, {}/s, {} in all",
            count(delivered.events, "event"),
            rate(delivered.events_per_second),
            bytes(delivered.bytes)
        ),
    ));
    match (outcome.latency, outcome.published.is_some()) {
        (Some(latency), _) => lines.push(("latency", quantiles(latency))),
        (None, false) => lines.push(("latency", dim("not known, as the events have no stamp"))),
        (None, true) => {}
    }
    lines.push((
        "checked",
        match &delivered.check {
            Some(check) => checked(check),
            None => dim("nothing, as what was published is not known"),
        },
    ));
    if delivered.others > 0 {
        let others = count(delivered.others, "event");
        lines.push(("others", format!("{others} of other publishers came as well")));
    }
    if delivered.gaps > 0 {
        let gaps = count(delivered.gaps, "notice");
        lines.push(("gaps", bad(&format!("{gaps} of the server that events are gone"))));
    }
    lines.push(("streams", streams(outcome)));
    if outcome.interrupted {
        lines
            .push(("", bad("ended early by Ctrl-C; what is called lost may have been on its way")));
    }
    lines
}

fn checked(check: &Check) -> String {
    if check.expected == 0 {
        return dim("nothing, as nothing was published");
    }
    let part = |number: u64, what: &str| match number {
        0 => format!("none {what}"),
        _ => bad(&format!("{} {what}", HumanCount(number))),
    };
    let losers = match check.subscribers_with_losses {
        0 => String::new(),
        losers => format!(" by {}", count(losers, "subscriber")),
    };
    format!(
        "{} expected: {}{losers}, {}, {}",
        HumanCount(check.expected),
        part(check.lost, "lost"),
        part(check.repeated, "repeated"),
        part(check.out_of_order, "out of order")
    )
}

fn streams(outcome: &Outcome) -> String {
    let streams = &outcome.streams;
    if streams.broken_off.total() == 0 {
        return "none broke off".to_owned();
    }
    let lost = HumanCount(streams.broken_off.total());
    let mut text = bad(&format!("{lost} broke off: {}", visible(&streams.broken_off.words())));
    text.push_str(&format!("; {} resumed", HumanCount(streams.reconnected)));
    if streams.given_up.total() > 0 {
        let given_up = HumanCount(streams.given_up.total());
        text.push_str(&bad(&format!(
            "; {given_up} were not let in again: {}",
            visible(&streams.given_up.words())
        )));
    }
    text
}

fn quantiles(times: Quantiles) -> String {
    let parts = [
        ("p50", times.p50_us),
        ("p90", times.p90_us),
        ("p99", times.p99_us),
        ("p99.9", times.p999_us),
        ("max", times.max_us),
    ];
    let parts = parts.map(|(name, time)| format!("{DIM}{name}{DIM:#} {:<8}", micros(time)));
    parts.join(" ").trim_end().to_owned()
}

fn dim(text: &str) -> String {
    format!("{DIM}{text}{DIM:#}")
}

fn bad(text: &str) -> String {
    let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into()));
    format!("{yellow}{text}{yellow:#}")
}
