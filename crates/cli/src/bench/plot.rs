//! Plots as inline SVG that stretches to the page, with labels in HTML, which does not.

use std::fmt::Write;

use super::figures::{micros, tick};
use super::outcome::{Bar, Sample};

/// What a plot shows, ready to be put on a page.
pub(super) struct Plot {
    /// The marks within the frame: a hundred units wide and high.
    marks: String,
    /// Where along the bottom, in percent, and what stands there.
    bottom: Vec<(f64, String)>,
    side: Vec<(f64, String)>,
    /// What it shows, for those who do not see it.
    label: String,
}

/// A line of a plot over time.
pub(super) struct Line<'a> {
    pub(super) class: &'static str,
    pub(super) value: &'a dyn Fn(&Sample) -> Option<f64>,
}

/// How many latencies there are of each length, over a logarithmic scale.
pub(super) fn histogram(bars: &[Bar], marked: &[(&str, u64)]) -> Option<Plot> {
    let (first, last) = (bars.first()?, bars.last()?);
    let most = bars.iter().map(|bar| bar.events).max().filter(|most| *most > 0)?;
    let (from, to) = (first.from_us.log10(), last.to_us.log10());
    let across = |time: f64| 100.0 * (time.max(1.0).log10() - from) / (to - from);
    let steps = steps(most as f64);
    let top = steps.top;
    let mut marks = steps.lines();
    for bar in bars.iter().filter(|bar| bar.events > 0) {
        let (left, right) = (across(bar.from_us), across(bar.to_us));
        // What is there is seen, however seldom it is.
        let height = (100.0 * bar.events as f64 / top).max(0.8);
        let _ = write!(
            marks,
            "<rect class=\"bar\" x=\"{left:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\">\
             <title>{} to {}: {}</title></rect>",
            100.0 - height,
            (right - left) * 0.9,
            micros(bar.from_us as u64),
            micros(bar.to_us as u64),
            crate::text::count(bar.events, "event")
        );
    }
    for (_, time) in marked {
        let x = across(*time as f64);
        let _ = write!(marks, "<path class=\"mark\" d=\"M{x:.2} 0V100\"/>");
    }
    let words: Vec<_> =
        marked.iter().map(|(name, time)| format!("{name} {}", micros(*time))).collect();
    Some(Plot {
        marks,
        bottom: decades(first.from_us, last.to_us)
            .into_iter()
            .map(|time| (across(time), tick(time as u64)))
            .collect(),
        side: steps.labels(|number| indicatif::HumanCount(number as u64).to_string()),
        label: format!("Histogram of latencies: {}", words.join(", ")),
    })
}

/// Lines over the time of the run.
pub(super) fn over_time(
    samples: &[Sample],
    lines: &[Line<'_>],
    label: &str,
    words: impl Fn(f64) -> String,
) -> Option<Plot> {
    let end = samples.last().map(|sample| sample.seconds).filter(|_| samples.len() > 1)?;
    let values =
        lines.iter().flat_map(|line| samples.iter().filter_map(|sample| (line.value)(sample)));
    let most = values.fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let steps = steps(most);
    let mut marks = steps.lines();
    for line in lines {
        let mut path = String::new();
        let mut is_drawing = false;
        for sample in samples {
            let Some(value) = (line.value)(sample) else {
                is_drawing = false;
                continue;
            };
            let (x, y) = (100.0 * sample.seconds / end, 100.0 - 100.0 * value / steps.top);
            let step = if is_drawing { 'L' } else { 'M' };
            let _ = write!(path, "{step}{x:.2} {y:.2}");
            is_drawing = true;
        }
        let _ = write!(marks, "<path class=\"{}\" d=\"{path}\"/>", line.class);
    }
    let times = steps_of(end, 6);
    Some(Plot {
        marks,
        bottom: times
            .each()
            .filter(|time| *time <= end)
            .map(|time| (100.0 * time / end, format!("{} s", trimmed(time))))
            .collect(),
        side: steps.labels(words),
        label: label.to_owned(),
    })
}

impl Plot {
    /// The plot as HTML.
    pub(super) fn html(&self) -> String {
        let mut html = String::from("<div class=\"plot\">");
        for (at, words) in &self.side {
            let _ = write!(html, "<span class=\"side\" style=\"bottom:{at:.2}%\">{words}</span>");
        }
        let _ = write!(
            html,
            "<svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{}\">{}</svg>",
            self.label, self.marks
        );
        for (at, words) in &self.bottom {
            let _ = write!(html, "<span class=\"bottom\" style=\"left:{at:.2}%\">{words}</span>");
        }
        html.push_str("</div>");
        html
    }
}

/// Round numbers from 0 to a little above the most there is.
struct Steps {
    step: f64,
    top: f64,
}

impl Steps {
    fn each(&self) -> impl Iterator<Item = f64> {
        let step = self.step;
        (0..=(self.top / step).round() as u32).map(move |number| f64::from(number) * step)
    }

    fn lines(&self) -> String {
        let mut lines = String::new();
        for value in self.each() {
            let y = 100.0 - 100.0 * value / self.top;
            let _ = write!(lines, "<path class=\"grid\" d=\"M0 {y:.2}H100\"/>");
        }
        lines
    }

    fn labels(&self, words: impl Fn(f64) -> String) -> Vec<(f64, String)> {
        self.each().map(|value| (100.0 * value / self.top, words(value))).collect()
    }
}

fn steps(most: f64) -> Steps {
    steps_of(most, 4)
}

fn steps_of(most: f64, number: u32) -> Steps {
    let rough = most / f64::from(number);
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * decade);
    Steps { step, top: (most / step).ceil().max(1.0) * step }
}

/// Round times to stand along a logarithmic scale: few enough for a narrow page.
fn decades(from: f64, to: f64) -> Vec<f64> {
    let all = |factors: &[f64]| -> Vec<f64> {
        let times = (0..10)
            .flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)));
        times.filter(|time| (from..=to).contains(time)).collect()
    };
    let choices = [all(&[1.0, 2.0, 5.0]), all(&[1.0, 3.0])];
    let fitting = choices.into_iter().find(|times| times.len() <= LABELS_MAX);
    fitting.unwrap_or_else(|| {
        let decades = all(&[1.0]);
        let every = decades.len().div_ceil(LABELS_MAX).max(1);
        decades.into_iter().step_by(every).collect()
    })
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// More would run into each other on a telephone.
const LABELS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        for (most, step, top) in [
            (1.0, 0.5, 1.0),
            (7.0, 2.0, 8.0),
            (100.0, 50.0, 100.0),
            (1_234.0, 500.0, 1_500.0),
            (0.3, 0.1, 0.3),
        ] {
            let steps = steps(most);
            assert!((steps.step - step).abs() < 1e-9 && (steps.top - top).abs() < 1e-9, "{most}");
        }
        assert_eq!(decades(80.0, 900.0), [100.0, 200.0, 500.0]);
        assert_eq!(decades(8.0, 9e4), [10.0, 1e2, 1e3, 1e4]);
        assert_eq!(decades(8.0, 9e6), [10.0, 1e3, 1e5]);
    }

    #[test]
    fn a_plot_holds_all_that_it_is_given() {
        let bars = [
            Bar { from_us: 100.0, to_us: 112.0, events: 3 },
            Bar { from_us: 112.0, to_us: 126.0, events: 0 },
            Bar { from_us: 126.0, to_us: 141.0, events: 1_000_000 },
        ];
        let html = histogram(&bars, &[("p50", 130)]).unwrap().html();
        assert_eq!(html.matches("<rect").count(), 2);
        assert!(html.contains("<title>126 µs to 141 µs: 1,000,000 events</title>"), "{html}");
        assert!(html.contains("Histogram of latencies: p50 130 µs"));
        assert!(histogram(&[], &[]).is_none());
        assert!(over_time(&[], &[], "", |_| String::new()).is_none());
    }
}
