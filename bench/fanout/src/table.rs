//! The tables for terminals.

use crate::results::{About, Metric, Results, median, spread};

/// Prints every table of which there is something.
pub fn print(results: &Results) {
    for metric in Metric::ALL {
        let (sizes, rows) = (results.sizes(metric), results.rows(metric));
        if rows.is_empty() {
            continue;
        }
        let about = metric.about();
        println!("\n{}{}", about.title, better(&about));
        print!("{:<NAME$}", about.sizes);
        sizes.iter().for_each(|size| print!("{:>CELL$}", thousands(*size as f64, 0)));
        println!();
        for row in rows {
            print!("{row:<NAME$}");
            for size in &sizes {
                let rounds = results.rounds(metric, *size, row);
                print!("{:>CELL$}", cell(rounds, about.digits));
            }
            println!();
        }
    }
    println!("\nWhere the load was the limit");
    let limits = limits(results);
    if limits.is_empty() {
        println!("nowhere");
    }
    limits.iter().for_each(|line| println!("{line}"));
    println!("\nMissing deliveries");
    let mut lost = results.lost().peekable();
    if lost.peek().is_none() {
        println!("none: every subscriber got every event once and in order");
    }
    for (cell, row, lost) in lost {
        println!("{row:<NAME$} {lost} at {cell}");
    }
}

/// Says where the load generator was busy for nearly all of the time.
pub fn limits(results: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for metric in Metric::ALL.into_iter().filter(|metric| metric.is_load()) {
        let about = metric.about();
        for size in results.sizes(metric) {
            for row in results.rows(metric) {
                let busy = median(results.rounds(metric, size, row).iter().copied());
                if busy >= BUSY_PERCENT {
                    lines.push(format!("{row} at {}: {} {busy:.0}", about.size(size), about.title));
                }
            }
        }
    }
    lines
}

/// Which values are the better ones, if it is about servers.
pub fn better(about: &About) -> &'static str {
    match (about.plotted, about.more) {
        (false, _) => "",
        (true, true) => " (more is better)",
        (true, false) => " (less is better)",
    }
}

/// The median, and the least and the most.
pub fn cell(rounds: &[f64], digits: usize) -> String {
    if rounds.is_empty() {
        return "–".to_owned();
    }
    let middle = thousands(median(rounds.iter().copied()), digits);
    let (least, most) = spread(rounds);
    match rounds.len() {
        1 => middle,
        _ => format!("{middle} ({}–{})", thousands(least, digits), thousands(most, digits)),
    }
}

/// A number with commas between its thousands.
pub fn thousands(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let whole = text.find('.').unwrap_or(text.len());
    let mut grouped = String::new();
    for (at, digit) in text[..whole].char_indices() {
        if at > 0 && (whole - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{grouped}{}", &text[whole..])
}

/// A load that is busy for this part of the time may be what a figure shows.
const BUSY_PERCENT: f64 = 85.0;
const NAME: usize = 24;
const CELL: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(thousands(-123.0, 0), "-123");
    }
}
