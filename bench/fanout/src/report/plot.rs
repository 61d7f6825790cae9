//! The plots: a bar a server, of one metric at one size.

use std::fmt::Write;

use crate::peers::Peer;
use crate::results::{Metric, Results, Row, median, spread};
use crate::table::thousands;

/// A figure with its caption. The bars begin at zero, and no scale is bent: the differences are as
/// large as they look.
pub fn panel(results: &Results, metric: Metric, size: usize) -> String {
    let about = metric.about();
    let mut rows: Vec<(Row, &[f64])> = results
        .rows(metric)
        .into_iter()
        .map(|row| (row, results.rounds(metric, size, row)))
        .filter(|(_, rounds)| !rounds.is_empty())
        .collect();
    let middle = |rounds: &[f64]| median(rounds.iter().copied());
    rows.sort_by(|(_, one), (_, other)| {
        let order = middle(one).total_cmp(&middle(other));
        if about.more { order.reverse() } else { order }
    });
    let most = rows.iter().map(|(_, rounds)| spread(rounds).1).fold(f64::MIN_POSITIVE, f64::max);
    let width_of = |value: f64| (value / most).clamp(0.0, 1.0) * BAR_WIDTH;
    let mut bars = String::new();
    for (at, (row, rounds)) in rows.iter().enumerate() {
        let top = at * ROW_HEIGHT;
        let text = top + ROW_HEIGHT / 2 + 5;
        let (least, most) = spread(rounds);
        let (from, to) = (BAR_LEFT + width_of(least), BAR_LEFT + width_of(most));
        let value = thousands(middle(rounds), about.digits);
        let class = class(*row);
        // Formatting into memory does not fail.
        let _ = writeln!(
            bars,
            "<text class=\"name {class}\" x=\"{}\" y=\"{text}\">{row}</text>\
             <rect class=\"{class}\" x=\"{BAR_LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" \
             rx=\"3\"/>",
            BAR_LEFT - 8.0,
            top + 4,
            width_of(middle(rounds)).max(1.0),
            ROW_HEIGHT - 8,
        );
        if rounds.len() > 1 {
            let y = top + ROW_HEIGHT / 2;
            let _ = writeln!(
                bars,
                "<path class=\"whisker\" d=\"M{from:.1} {y}H{to:.1}M{from:.1} {}v6M{to:.1} \
                 {}v6\"/>",
                y - 3,
                y - 3
            );
        }
        let after = width_of(middle(rounds)).max(width_of(most)) + BAR_LEFT + 6.0;
        let _ = writeln!(
            bars,
            "<text class=\"value {class}\" x=\"{after:.1}\" y=\"{text}\">{value}</text>"
        );
    }
    let height = rows.len() * ROW_HEIGHT;
    let (title, size) = (about.title, about.size(size));
    format!(
        "<figure>\n<figcaption>{title} <span>{size}</span></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}, {size}\">\n\
         {bars}</svg>\n</figure>\n"
    )
}

fn class(row: Row) -> &'static str {
    match row.peer {
        Peer::Tidings | Peer::TidingsFsync => "ours",
        Peer::Bare | Peer::BareCoalescing => "limit",
        Peer::Nchan | Peer::Axum | Peer::Node => "peer",
    }
}

const WIDTH: usize = 560;
const ROW_HEIGHT: usize = 28;
const BAR_LEFT: f64 = 172.0;
const BAR_WIDTH: f64 = 300.0;
