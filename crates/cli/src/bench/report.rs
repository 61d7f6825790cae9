//! A run as a page of its own: figures and plots, and nothing from elsewhere.

use std::fmt::Write;

use indicatif::HumanCount;

use super::figures::{bytes, micros, rate, seconds, tick};
use super::outcome::{Outcome, Quantiles, Sample};
use super::plot::{Line, histogram, over_time};
use crate::text::count;

/// The page.
pub(super) fn page(outcome: &Outcome) -> String {
    let mut html = String::new();
    let url = escaped(&outcome.url);
    let began = escaped(&outcome.began);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Load test of {url}</title><style>\n{STYLE}</style></head><body>\n\
         <header><h1>Load test of {url}</h1>\
         <p class=\"soft\">{}. Began <time datetime=\"{began}\">{}</time>.</p></header>\n",
        escaped(&outcome.asked.sentence),
        began.replace('T', " ").replace('Z', " UTC")
    );
    verdict(&mut html, outcome);
    figures(&mut html, outcome);
    plots(&mut html, outcome);
    times(&mut html, outcome);
    facts(&mut html, outcome);
    let _ = write!(
        html,
        "<section><h2>Command</h2><pre>{}</pre></section>\n\
         <footer>Made by tidings {}. Latencies are counted from the moment at which an event was \
         due to be published, so that what a server holds up is in them.</footer></body></html>\n",
        escaped(&outcome.command),
        outcome.version
    );
    html
}

fn verdict(html: &mut String, outcome: &Outcome) {
    let early = if outcome.interrupted { " It was ended early." } else { "" };
    let (class, word, text) = match (outcome.fault(), &outcome.delivered.check) {
        (Some(fault), _) => (" bad", "Not all went well.", fault),
        (None, Some(check)) if check.expected > 0 => (
            "",
            "Complete.",
            format!("All {} deliveries came, once and in order.", HumanCount(check.expected)),
        ),
        (None, Some(_)) => (" bad", "Nothing was published.", String::new()),
        (None, None) => (
            "",
            "Received.",
            "What was published is not known, so nothing is said about losses.".to_owned(),
        ),
    };
    let text = escaped(&text);
    let _ = writeln!(html, "<p class=\"verdict{class}\"><strong>{word}</strong> {text}{early}</p>");
}

fn figures(html: &mut String, outcome: &Outcome) {
    html.push_str("<dl class=\"figures\">");
    let mut figure = |name: &str, value: String, note: String, is_bad: bool| {
        let class = if is_bad { " class=\"bad\"" } else { "" };
        let _ = write!(html, "<div><dt>{name}</dt><dd{class}>{value}</dd><dd>{note}</dd></div>");
    };
    let delivered = &outcome.delivered;
    let connects = &outcome.connects;
    figure(
        "Streams",
        HumanCount(connects.connected).to_string(),
        match connects.failed.total() {
            0 => "all connected".to_owned(),
            failed => format!("{} failed", HumanCount(failed)),
        },
        connects.failed.total() > 0,
    );
    figure(
        "Events received",
        HumanCount(delivered.events).to_string(),
        format!("{} in all", bytes(delivered.bytes)),
        false,
    );
    figure("Events a second", rate(delivered.events_per_second), "by all streams".into(), false);
    if let Some(check) = &delivered.check {
        figure(
            "Lost",
            HumanCount(check.lost).to_string(),
            format!(
                "{} repeated, {} out of order",
                HumanCount(check.repeated),
                HumanCount(check.out_of_order)
            ),
            check.lost + check.repeated + check.out_of_order > 0,
        );
    }
    if let Some(latency) = outcome.latency {
        figure("Latency p50", micros(latency.p50_us), "due to received".into(), false);
        figure(
            "Latency p99",
            micros(latency.p99_us),
            format!("at most {}", micros(latency.max_us)),
            false,
        );
    }
    html.push_str("</dl>\n");
}

fn plots(html: &mut String, outcome: &Outcome) {
    if let Some(latency) = outcome.latency
        && let Some(plot) =
            histogram(&outcome.latencies, &[("p50", latency.p50_us), ("p99", latency.p99_us)])
    {
        let key = format!(
            "<span><i class=\"second\"></i>p50 {} and p99 {}</span><span>a logarithmic scale</span>",
            micros(latency.p50_us),
            micros(latency.p99_us)
        );
        section(html, "Latency: events by time from due to received", &key, &plot.html());
    }
    let streams = outcome.connects.connected as f64;
    let delivered = |sample: &Sample| Some(sample.delivered_per_second);
    let published = |sample: &Sample| Some(sample.published_per_second * streams);
    let mut lines = vec![Line { class: "first", value: &delivered }];
    let mut key = "<span><i></i>events received a second</span>".to_owned();
    if outcome.published.is_some() {
        lines.insert(0, Line { class: "second", value: &published });
        key.push_str(
            "<span><i class=\"second\"></i>events published a second, times streams</span>",
        );
    }
    if let Some(plot) = over_time(&outcome.timeline, &lines, "Events a second over time", rate) {
        section(html, "Throughput over time", &key, &plot.html());
    }
    let lines = [
        Line { class: "second", value: &|sample| sample.p99_us.map(|time| time as f64) },
        Line { class: "first", value: &|sample| sample.p50_us.map(|time| time as f64) },
    ];
    let words = |time: f64| tick(time as u64);
    if let Some(plot) = over_time(&outcome.timeline, &lines, "Latency over time", words) {
        let key = "<span><i></i>p50</span><span><i class=\"second\"></i>p99</span>";
        section(html, "Latency over time", key, &plot.html());
    }
}

fn section(html: &mut String, title: &str, key: &str, plot: &str) {
    let _ =
        writeln!(html, "<section><h2>{title}</h2><div class=\"key\">{key}</div>{plot}</section>");
}

fn times(html: &mut String, outcome: &Outcome) {
    let mut rows = vec![("due → received", outcome.latency)];
    if let Some(published) = &outcome.published {
        rows.push(("due → sent", published.sent));
        rows.push(("due → answered", published.answered));
    }
    rows.push(("connect → head", outcome.connects.head));
    html.push_str(
        "<section class=\"wide\"><h2>Times</h2><table class=\"times\"><thead><tr><th></th><th>p50</th>\
         <th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead><tbody>",
    );
    for (name, times) in rows {
        let Some(Quantiles { p50_us, p90_us, p99_us, p999_us, max_us }) = times else { continue };
        let _ = write!(html, "<tr><th>{name}</th>");
        for time in [p50_us, p90_us, p99_us, p999_us, max_us] {
            let _ = write!(html, "<td>{}</td>", micros(time));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></section>\n");
}

fn facts(html: &mut String, outcome: &Outcome) {
    let mut rows =
        vec![("Asked for", outcome.asked.sentence.clone()), ("Followed", outcome.url.clone())];
    if let Some(url) = &outcome.publish_url {
        rows.push(("Published to", url.clone()));
    }
    let connects = &outcome.connects;
    let time = seconds(std::time::Duration::from_secs_f64(connects.seconds));
    rows.push(("Connected", format!("{} in {time}", count(connects.connected, "stream"))));
    if connects.failed.total() > 0 {
        rows.push(("Not connected", connects.failed.words()));
    }
    if let Some(published) = &outcome.published {
        let events = HumanCount(published.acknowledged);
        rows.push((
            "Published",
            format!(
                "{events} of {}, {}/s, by {}",
                count(published.scheduled.into(), "event"),
                rate(published.events_per_second),
                count(published.publishers.into(), "publisher")
            ),
        ));
        if published.failed.total() > 0 {
            rows.push(("Not acknowledged", published.failed.words()));
        }
    }
    if let Some(check) = &outcome.delivered.check {
        rows.push(("Expected", format!("{} in all streams", count(check.expected, "event"))));
        if check.lost > 0 {
            let losers = count(check.subscribers_with_losses, "subscriber");
            rows.push(("Lost", format!("{} by {losers}", HumanCount(check.lost))));
        }
    }
    if outcome.delivered.others > 0 {
        rows.push(("Of others", count(outcome.delivered.others, "event")));
    }
    if outcome.delivered.gaps > 0 {
        rows.push(("Gap notices", HumanCount(outcome.delivered.gaps).to_string()));
    }
    let streams = &outcome.streams;
    rows.push((
        "Broke off",
        match streams.broken_off.total() {
            0 => "no stream".to_owned(),
            _ => format!(
                "{}; {} resumed",
                streams.broken_off.words(),
                HumanCount(streams.reconnected)
            ),
        },
    ));
    if streams.given_up.total() > 0 {
        rows.push(("Not let in again", streams.given_up.words()));
    }
    html.push_str("<section><h2>Conditions</h2><table class=\"facts\"><tbody>");
    for (name, value) in rows {
        let _ = write!(html, "<tr><th>{name}</th><td>{}</td></tr>", escaped(&value));
    }
    html.push_str("</tbody></table></section>\n");
}

/// `text` as HTML shows it.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            _ => html.push(character),
        }
    }
    html
}

const STYLE: &str = include_str!("report.css");
