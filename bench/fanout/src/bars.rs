//! The bars that our own server has to meet, each beside another server in the same rounds.

use std::fmt;

use crate::peers::Peer;
use crate::results::{Metric, Results, Row, median};

/// A bar and what came of it.
pub struct Bar {
    pub what: String,
    /// Our own figure in terms of the other's, or by itself; none if one of them was not taken.
    pub value: Option<f64>,
    pub bound: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// What came of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Met,
    Missed,
    /// What it is about was left out.
    Open,
}

impl Bar {
    pub fn outcome(&self) -> Outcome {
        let met = |value: f64| match self.bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        };
        match self.value.map(met) {
            None => Outcome::Open,
            Some(true) => Outcome::Met,
            Some(false) => Outcome::Missed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Open => "left out",
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9}{}", self.outcome(), self.what)?;
        if let Some(value) = self.value {
            write!(f, ": {value:.2}")?;
        }
        write!(f, ", {}", self.bound)
    }
}

/// All bars.
pub fn bars(results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    let tidings = Row::from(Peer::Tidings);
    let mut ratio = |metric: Metric, size: usize, (ours, theirs): (Row, Row), bound: Bound| {
        let about = metric.about();
        let rounds = |row| results.rounds(metric, size, row);
        let ratios: Vec<f64> =
            rounds(ours).iter().zip(rounds(theirs)).map(|(ours, theirs)| ours / theirs).collect();
        bars.push(Bar {
            what: format!("{}, {}: {ours} to {theirs}", about.title, about.size(size)),
            value: (!ratios.is_empty()).then(|| median(ratios)),
            bound,
        });
    };
    for size in LARGE {
        ratio(Metric::RateOne, size, (tidings, Peer::Bare.into()), Bound::AtLeast(0.9));
    }
    for (size, times) in LARGE.into_iter().zip([10.0, 40.0]) {
        let coalescing = Peer::BareCoalescing.into();
        ratio(Metric::RateBurst, size, (tidings, coalescing), Bound::AtLeast(0.7));
        ratio(Metric::RateBurst, size, (tidings, Peer::Nchan.into()), Bound::AtLeast(times));
        ratio(Metric::RateBurst, size, (tidings, Peer::Axum.into()), Bound::AtLeast(2.4));
        let fsync = Peer::TidingsFsync.into();
        ratio(Metric::RateBurst, size, (fsync, tidings), Bound::AtLeast(0.9));
    }
    for size in results.sizes(Metric::P99) {
        ratio(Metric::P50, size, (tidings, Peer::Bare.into()), Bound::AtMost(1.15));
        ratio(Metric::P99, size, (tidings, Peer::Bare.into()), Bound::AtMost(1.25));
    }
    for size in results.sizes(Metric::Storm) {
        ratio(Metric::Storm, size, (tidings, Peer::Bare.into()), Bound::AtMost(2.0));
    }
    for metric in AHEAD {
        let bound = if metric.about().more { Bound::AtLeast(1.0) } else { Bound::AtMost(1.0) };
        for size in results.sizes(metric) {
            ratio(metric, size, (tidings, Peer::Nchan.into()), bound);
        }
    }
    for metric in [Metric::Idle, Metric::Given] {
        let (about, rounds) = (metric.about(), results.rounds(metric, IDLE, tidings));
        bars.push(Bar {
            what: format!("{}, {}: {tidings}", about.title, about.size(IDLE)),
            value: (!rounds.is_empty()).then(|| median(rounds.iter().copied())),
            bound: Bound::AtMost(IDLE_BYTES_MAX),
        });
    }
    let ours = results.lost().filter(|(_, row, _)| row.peer.is_tidings());
    bars.push(Bar {
        what: "Missing deliveries of tidings".to_owned(),
        value: Some(ours.map(|(.., lost)| lost).sum::<u64>() as f64),
        bound: Bound::AtMost(0.0),
    });
    bars
}

/// The sizes that bars beside the limits are about.
const LARGE: [usize; 2] = [1_000, 10_000];
/// Where we have to be ahead of Nchan at every size. How fast streams open is not among them, as the
/// load is the limit of both, nor is what one delivery in a thousand takes, which is chance.
const AHEAD: [Metric; 7] = [
    Metric::RateOne,
    Metric::RateBurst,
    Metric::P50,
    Metric::P99,
    Metric::Given,
    Metric::Storm,
    Metric::TopicRate,
];
/// Among so many, what is there once for all of them does not tell.
const IDLE: usize = 15_000;
const IDLE_BYTES_MAX: f64 = 512.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(bars: &'a [Bar], part: &str) -> &'a Bar {
        bars.iter().find(|bar| bar.what.contains(part)).expect("such a bar")
    }

    #[test]
    fn a_bar_goes_by_the_median_of_the_rounds_ratios() {
        let mut results = Results::default();
        for (ours, theirs) in [(90.0, 100.0), (95.0, 100.0), (10.0, 100.0)] {
            results.add(Metric::RateOne, 1_000, Peer::Tidings, ours);
            results.add(Metric::RateOne, 1_000, Peer::Bare, theirs);
        }
        let bars = bars(&results);
        let bar = named(&bars, "1,000 subscribers: tidings to bare");
        assert_eq!((bar.value, bar.outcome()), (Some(0.9), Outcome::Met));
        assert_eq!(named(&bars, "10,000 subscribers: tidings to bare").outcome(), Outcome::Open);
    }

    #[test]
    fn our_own_missing_deliveries_are_never_let_pass() {
        let mut results = Results::default();
        results.lose("anywhere", Peer::Nchan, 5);
        assert_eq!(named(&bars(&results), "Missing").outcome(), Outcome::Met);
        results.lose("anywhere", Peer::TidingsFsync, 1);
        assert_eq!(named(&bars(&results), "Missing").outcome(), Outcome::Missed);
    }
}
