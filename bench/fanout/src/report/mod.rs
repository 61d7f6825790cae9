//! The report: one file with plots and tables that loads nothing from elsewhere.

mod plot;

use std::fmt::Write;
use std::io;
use std::path::Path;

use crate::bars::{Bar, Outcome};
use crate::results::{Metric, Results};
use crate::table::{better, cell, limits, thousands};

/// What the machine and the run were.
pub struct Circumstances {
    pub machine: String,
    pub rounds: usize,
    /// What others had of the machine while it was measured.
    pub others_percent: f64,
    pub left_out: Vec<String>,
}

/// Writes the report to `file`.
pub fn write(
    file: &Path,
    results: &Results,
    bars: &[Bar],
    circumstances: &Circumstances,
) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(file, page(results, bars, circumstances))
}

fn page(results: &Results, bars: &[Bar], circumstances: &Circumstances) -> String {
    let mut body = String::new();
    for section in &SECTIONS {
        body += &section_of(section, results);
    }
    let rounds = match circumstances.rounds {
        1 => "one round".to_owned(),
        rounds => format!(
            "medians of {rounds} rounds, the whisker and the brackets from the \
                           least to the most"
        ),
    };
    let left_out: String = circumstances
        .left_out
        .iter()
        .map(|peer| format!("<p class=\"note\">{} was not measured.</p>", escaped(peer)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Servers of event streams, compared</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<header>\n<h1>Servers of event streams, compared</h1>\n\
         <p>Events of 100 bytes over HTTP/1.1 on loopback, the server on one core and the load \
         on another; {rounds}. Each event of each subscriber was compared with what was \
         published.</p>\n<p class=\"note\">{}. Other programs had {:.0} % of the machine \
         meanwhile.</p>\n{left_out}{}</header>\n{}{body}{}</main>\n\
         </body>\n</html>\n",
        escaped(&circumstances.machine),
        circumstances.others_percent,
        legend(),
        bars_of(bars),
        closing(results),
    )
}

fn legend() -> String {
    "<p class=\"legend\"><span class=\"ours\"></span>Tidings <span class=\"limit\"></span>the \
     kernel’s limit, a program that does nothing but the system calls \
     <span class=\"peer\"></span>others</p>\n"
        .to_owned()
}

fn bars_of(bars: &[Bar]) -> String {
    let count = |outcome| bars.iter().filter(|bar| bar.outcome() == outcome).count();
    let (met, missed) = (count(Outcome::Met), count(Outcome::Missed));
    let mut rows = String::new();
    for bar in bars {
        let class = match bar.outcome() {
            Outcome::Met => "met",
            Outcome::Missed => "missed",
            Outcome::Open => "open",
        };
        let value = bar.value.map_or("–".to_owned(), |value| thousands(value, 2));
        // Formatting into memory does not fail.
        let _ = writeln!(
            rows,
            "<tr><td><span class=\"badge {class}\">{}</span></td><td>{}</td>\
             <td class=\"number\">{value}</td><td>{}</td></tr>",
            bar.outcome(),
            escaped(&bar.what),
            bar.bound
        );
    }
    format!(
        "<section>\n<h2>Bars</h2>\n<p>{met} met, {missed} missed. A ratio is the median of the \
         rounds’ ratios.</p>\n<details{}><summary>All bars</summary>\n<div class=\"wide\">\
         <table>\n{rows}</table></div></details>\n</section>\n",
        if missed > 0 { " open" } else { "" }
    )
}

fn section_of(section: &Section, results: &Results) -> String {
    if section.metrics.iter().all(|metric| results.rows(*metric).is_empty()) {
        return String::new();
    }
    let (mut panels, mut tables) = (String::new(), String::new());
    for metric in section.metrics {
        let about = metric.about();
        if about.plotted {
            for size in results.sizes(*metric) {
                panels += &plot::panel(results, *metric, size);
            }
        }
        tables += &table_of(*metric, results);
    }
    format!(
        "<section>\n<h2>{}</h2>\n<p>{}</p>\n<div class=\"panels\">\n{panels}</div>\n\
         <details><summary>All figures</summary>\n{tables}</details>\n</section>\n",
        section.heading, section.text
    )
}

fn table_of(metric: Metric, results: &Results) -> String {
    let (rows, sizes, about) = (results.rows(metric), results.sizes(metric), metric.about());
    if rows.is_empty() {
        return String::new();
    }
    let heads: String = sizes
        .iter()
        .map(|size| format!("<th class=\"number\">{}</th>", about.size(*size)))
        .collect();
    let mut lines = String::new();
    for row in rows {
        let cells: String = sizes
            .iter()
            .map(|size| {
                let rounds = results.rounds(metric, *size, row);
                format!("<td class=\"number\">{}</td>", cell(rounds, about.digits))
            })
            .collect();
        let _ = writeln!(lines, "<tr><th>{row}</th>{cells}</tr>");
    }
    format!(
        "<h3>{}{}</h3>\n<div class=\"wide\"><table>\n<tr><th></th>{heads}</tr>\n{lines}</table>\
         </div>\n",
        about.title,
        better(&about)
    )
}

fn closing(results: &Results) -> String {
    let mut lost: String = results
        .lost()
        .map(|(cell, row, lost)| format!("<li>{row}: {} at {cell}</li>", thousands(lost as f64, 0)))
        .collect();
    if lost.is_empty() {
        lost = "<li>none: every subscriber got every event once and in order</li>".to_owned();
    }
    let mut limited: String =
        limits(results).iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    if limited.is_empty() {
        limited = "<li>nowhere</li>".to_owned();
    }
    format!(
        "<section>\n<h2>Missing deliveries</h2>\n<ul>{lost}</ul>\n</section>\n<section>\n\
         <h2>Where the load was the limit</h2>\n<p>There the load generator had something to do \
         for nearly all of the time, and a faster server would look no faster.</p>\n\
         <ul>{limited}</ul>\n</section>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

struct Section {
    heading: &'static str,
    text: &'static str,
    metrics: &'static [Metric],
}

const STYLE: &str = include_str!("style.css");

const SECTIONS: [Section; 7] = [
    Section {
        heading: "One event at a time",
        text: "The next event is published once every subscriber has the last one, so that \
               nothing can be sent together: what a server does beside the system call shows.",
        metrics: &[Metric::RateOne, Metric::CpuOne, Metric::LoadOne],
    },
    Section {
        heading: "Bursts",
        text: "At most 64 events are on the way to the slowest subscriber. Who sends together \
               what has come together needs a fraction of the calls.",
        metrics: &[Metric::RateBurst, Metric::CpuBurst, Metric::LoadBurst],
    },
    Section {
        heading: "Latency",
        text: "From the publisher to the subscriber, at 100 events a second. The last \
               subscriber has to wait for the calls of all before it, so that the limit is not \
               zero.",
        metrics: &[Metric::P50, Metric::P99, Metric::P999],
    },
    Section {
        heading: "Memory",
        text: "What a server's processes hold for each connection that hears nothing, and after \
               each was given one event. The kernel's own memory is the same for all: it is that \
               of the sockets, at both ends.",
        metrics: &[Metric::Idle, Metric::Given, Metric::Slope, Metric::Kernel, Metric::Stalled],
    },
    Section {
        heading: "Opening streams",
        text: "A connection, a request and the head of the answer, 128 at once.",
        metrics: &[Metric::Connects, Metric::ConnectsLoad],
    },
    Section {
        heading: "Reconnect storm",
        text: "All subscribers are cut off at once, 100 events are published meanwhile, and all \
               come back with their last event id: until each has all that it missed.",
        metrics: &[Metric::Storm, Metric::StormLoad],
    },
    Section {
        heading: "Topics",
        text: "Events for one topic after the other, 64 on the way, each topic with one \
               subscriber: what an event costs must not grow with the topics that it is not for.",
        metrics: &[Metric::TopicRate, Metric::TopicCpu, Metric::TopicLoad],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Peer;

    #[test]
    fn the_page_is_whole_and_loads_nothing() {
        let mut results = Results::default();
        for value in [1.0, 3.0, 2.0] {
            results.add(Metric::RateOne, 1_000, Peer::Tidings, value);
        }
        let circumstances = Circumstances {
            machine: "a <machine>".to_owned(),
            rounds: 3,
            others_percent: 1.0,
            left_out: vec!["nchan".to_owned()],
        };
        let page = page(&results, &crate::bars::bars(&results), &circumstances);
        assert!(page.contains("a &lt;machine&gt;") && page.contains("2 (1–3)"));
        for foreign in ["http://", "https://", "<script", "src=", "href=", "NaN", "inf"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        for element in ["section", "table", "svg", "details", "main", "div"] {
            let (opened, closed) = (format!("<{element}"), format!("</{element}>"));
            assert_eq!(page.matches(&opened).count(), page.matches(&closed).count(), "{element}");
        }
    }
}
