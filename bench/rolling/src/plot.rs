//! The plots of the reconnects: as text, a line a second, and as SVG, a bar for each 100 ms.

use std::{fmt::Write as _, time::Duration};

use crate::{restarts::Restart, tally::Tallied};

/// How many fall into each step of time from zero to the end.
fn by_step(times: &[Duration], step: Duration, end: Duration) -> Vec<usize> {
    let at = |time: Duration| (time.as_secs_f64() / step.as_secs_f64()) as usize;
    let mut counts = vec![0; at(end) + 1];
    for time in times {
        if let Some(count) = counts.get_mut(at(*time)) {
            *count += 1;
        }
    }
    counts
}

/// A line a second, with what happened in it.
pub fn text(tallied: &Tallied, restarts: &[Restart]) -> String {
    let second = Duration::from_secs(1);
    let counts = by_step(&tallied.reconnects, second, tallied.end);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut text = "Reconnects in each second\n\n".to_owned();
    for (at, count) in counts.into_iter().enumerate() {
        let bar = "█".repeat((count * TEXT_WIDTH).div_ceil(most));
        let is_now = |time: Duration| time.as_secs() == at as u64;
        let mut notes = String::new();
        for (number, restart) in restarts.iter().enumerate() {
            for (time, what) in [(restart.told, "leaves"), (restart.ready, "is back")] {
                if is_now(time) {
                    // Formatting into memory does not fail.
                    let _ = write!(notes, "  hub {} {what}", number + 1);
                }
            }
        }
        let _ = writeln!(text, "{at:>4} s {count:>6}  {bar}{notes}");
    }
    text
}

/// A drawing that stands by itself.
pub fn svg(tallied: &Tallied, restarts: &[Restart]) -> String {
    let counts = by_step(&tallied.reconnects, STEP, tallied.end);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let seconds = tallied.end.as_secs_f64();
    let x = |seconds_in: f64| LEFT + seconds_in / seconds * (WIDTH - LEFT - RIGHT);
    let y = |count: f64| BOTTOM - count / most as f64 * (BOTTOM - TOP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Reconnects during a rolling restart\">\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"26\">Reconnects during a rolling restart, \
         in each 100 ms</text>\n"
    );
    for (number, Restart { told, ready, .. }) in restarts.iter().enumerate() {
        let (from, to) = (x(told.as_secs_f64()), x(ready.as_secs_f64()));
        // The names stand on three lines, as one hub may be back before the next name has ended.
        let line = 44.0 + 14.0 * (number % 3) as f64;
        let _ = writeln!(
            out,
            "<rect class=\"away\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"/>\
             <text x=\"{from:.1}\" y=\"{line}\">hub {} restarts</text>",
            (to - from).max(1.0),
            BOTTOM - TOP,
            number + 1,
        );
    }
    for part in 0..=GRID {
        let count = most as f64 * f64::from(part) / f64::from(GRID);
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {:.1}H{}\"/>\
             <text class=\"value\" x=\"{}\" y=\"{:.1}\">{count:.0}</text>",
            y(count),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(count) + 4.0,
        );
    }
    let width = x(STEP.as_secs_f64()) - x(0.0);
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let top = y(*count as f64);
        let _ = writeln!(
            out,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.2}\" height=\"{:.1}\"/>",
            x(at as f64 * STEP.as_secs_f64()),
            (width * 0.85).max(0.5),
            BOTTOM - top,
        );
    }
    for at in (0..=seconds as u64).step_by(if seconds > 60.0 { 10 } else { 5 }) {
        let _ = writeln!(
            out,
            "<text class=\"time\" x=\"{:.1}\" y=\"{}\">{at} s</text>",
            x(at as f64),
            BOTTOM + 18.0
        );
    }
    out + "</svg>\n"
}

const TEXT_WIDTH: usize = 50;
const STEP: Duration = Duration::from_millis(100);
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 326.0;
const GRID: u32 = 4;
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #5f6b7a; } \
.title { font-size: 15px; font-weight: 600; fill: #1d2430; } \
.paper { fill: #fbfaf7; } .bar { fill: #0f766e; } .away { fill: #b3261e; fill-opacity: 0.13; } \
.grid { stroke: #e2e0da; } .value { text-anchor: end; } .time { text-anchor: middle; }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reconnect_is_in_one_step() {
        let times = [0, 99, 100, 101, 250].map(Duration::from_millis);
        assert_eq!(by_step(&times, STEP, Duration::from_millis(260)), [2, 2, 1]);
    }
}
