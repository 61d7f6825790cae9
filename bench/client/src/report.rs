//! The tables, and the bars.

use crate::contender::Contender;
use crate::measure::{CROWD, Figures, Measurement, STALL_BYTES};
use crate::workload::Workload;

/// What the rounds found of every contender.
#[derive(Default)]
pub struct Rounds {
    cells: Vec<(Measurement, Contender, Vec<Figures>)>,
}

impl Rounds {
    pub fn add(&mut self, measurement: Measurement, contender: Contender, figures: Figures) {
        let cell = self.cells.iter_mut().find(|cell| (cell.0, cell.1) == (measurement, contender));
        match cell {
            Some((.., rounds)) => rounds.push(figures),
            None => self.cells.push((measurement, contender, vec![figures])),
        }
    }

    pub fn print(&self) {
        self.table("Events a second, in thousands", is_rate, |f| f.events_per_second() / 1e3, 0);
        self.table("CPU time an event, ns", is_rate, |f| f.cpu_us_per_event() * 1e3, 0);
        self.table("Busy, % of the time", is_rate, |f| f.busy() * 1e2, 0);
        let is_crowd = |measurement| measurement == Measurement::Crowd;
        let each = |bytes: u64| bytes as f64 / 1024.0 / CROWD as f64;
        let idle = |f: &Figures| each(f.idle_growth_bytes);
        self.table("Resident memory for each of 1,000 open sources, KiB", is_crowd, idle, 1);
        let peak = |f: &Figures| each(f.peak_growth_bytes);
        self.table("The same at most, at full speed, KiB", is_crowd, peak, 1);
        let is_stall = |measurement| measurement == Measurement::Stall;
        let kib = |bytes: u64| bytes as f64 / 1024.0;
        let growth = |f: &Figures| kib(f.idle_growth_bytes);
        self.table("Growth while not read, KiB", is_stall, growth, 0);
        let peak = |f: &Figures| kib(f.peak_growth_bytes);
        self.table("The same at most, after all is read, KiB", is_stall, peak, 0);
        let title = format!("Taken by the kernel of {} MiB meanwhile, MiB", STALL_BYTES >> 20);
        self.table(&title, is_stall, |f| kib(f.offered_bytes) / 1024.0, 1);
    }

    /// Prints the bars, and whether all are met.
    pub fn print_bars(&self) -> bool {
        println!();
        let bars = self.bars();
        for bar in &bars {
            println!("{bar}");
        }
        let met = bars.iter().all(Bar::is_met);
        println!("{}", if met { "Every bar is met." } else { "A bar is missed." });
        met
    }

    /// A row a measurement and a column a contender.
    fn table(
        &self,
        title: &str,
        has_row: impl Fn(Measurement) -> bool,
        figure: impl Fn(&Figures) -> f64,
        digits: usize,
    ) {
        print!("\n| {title} |");
        Contender::ALL.iter().for_each(|contender| print!(" {} |", contender.name()));
        println!("\n| --- |{}", " ---: |".repeat(Contender::ALL.len()));
        for measurement in self.measurements().filter(|measurement| has_row(*measurement)) {
            print!("| {measurement} |");
            for contender in Contender::ALL {
                let values: Vec<f64> =
                    self.rounds(measurement, contender).iter().map(&figure).collect();
                print!(" {} |", spread(&values, digits));
            }
            println!();
        }
    }

    fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        for measurement in self.measurements().filter(|measurement| is_rate(*measurement)) {
            let ours = self.rounds(measurement, Contender::Tidings);
            for peer in Contender::ALL.into_iter().filter(|contender| contender.is_peer()) {
                bars.push(speed(measurement, ours, peer, self.rounds(measurement, peer), 1.0));
            }
            if matches!(measurement, Measurement::FullSpeed { workload: Workload::Llm, .. }) {
                for limit in [Contender::Decoder, Contender::Reqwest] {
                    let theirs = self.rounds(measurement, limit);
                    bars.push(speed(measurement, ours, limit, theirs, LIMIT_BAR));
                }
            }
        }
        let stalled = self.rounds(Measurement::Stall, Contender::Tidings);
        let growth =
            stalled.iter().map(|f| f.idle_growth_bytes as f64 / 1024.0).fold(0.0, f64::max);
        bars.push(Bar {
            what: "stall: growth while not read, KiB, at most".to_owned(),
            value: growth,
            bound: Bound::AtMost(GROWTH_KIB_MAX),
        });
        bars
    }

    /// The measurements, in the order in which they were made.
    fn measurements(&self) -> impl Iterator<Item = Measurement> {
        let ours = self.cells.iter().filter(|cell| cell.1 == Contender::Tidings);
        ours.map(|(measurement, ..)| *measurement)
    }

    fn rounds(&self, measurement: Measurement, contender: Contender) -> &[Figures] {
        let cell = self.cells.iter().find(|cell| (cell.0, cell.1) == (measurement, contender));
        cell.map_or(&[], |(.., rounds)| rounds)
    }
}

/// How fast we are beside another: by time if both were busy nearly all of it, else by CPU time.
fn speed(
    measurement: Measurement,
    ours: &[Figures],
    other: Contender,
    theirs: &[Figures],
    bar: f64,
) -> Bar {
    let busy = |figures: &[Figures]| median(figures.iter().map(Figures::busy));
    let by_time = busy(ours).min(busy(theirs)) >= BUSY;
    let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| {
        if by_time {
            ours.events_per_second() / theirs.events_per_second()
        } else {
            theirs.cpu_us_per_event() / ours.cpu_us_per_event()
        }
    });
    let by = if by_time { "events/s" } else { "CPU time an event" };
    Bar {
        what: format!("{measurement}: to {} by {by}", other.name()),
        value: median(ratios),
        bound: Bound::AtLeast(bar),
    }
}

struct Bar {
    what: String,
    value: f64,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    /// A value that is not a number, for want of rounds, meets none.
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.value >= least,
            Bound::AtMost(most) => self.value <= most,
        }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.is_met() { "met   " } else { "MISSED" };
        let (Bound::AtLeast(bound) | Bound::AtMost(bound)) = self.bound;
        write!(f, "{word} {}: {:.2}, the bar is {bound}", self.what, self.value)
    }
}

fn is_rate(measurement: Measurement) -> bool {
    measurement != Measurement::Stall
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median, and the least and the most.
fn spread(values: &[f64], digits: usize) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let median = median(values.iter().copied());
    format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
}

/// Who was busy for less than this part of the time has waited for the server or for a core.
pub const BUSY: f64 = 0.9;
/// What of the limits' speed we must have with the events of language models.
const LIMIT_BAR: f64 = 0.8;
/// What a source that is not read may take, apart from the kernel's buffers.
const GROWTH_KIB_MAX: f64 = 1024.0;
