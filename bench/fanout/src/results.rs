//! What was found: a value a round for every metric, server and size.

use std::collections::BTreeMap;
use std::fmt;

use crate::peers::Peer;
use crate::table::thousands;

/// All figures of a run of the bench.
#[derive(Default)]
pub struct Results {
    figures: BTreeMap<Key, Vec<f64>>,
    /// Deliveries that did not come, by where.
    lost: BTreeMap<(String, Row), u64>,
}

/// What a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub metric: Metric,
    /// The size: subscribers, connections or topics.
    pub size: usize,
    pub row: Row,
}

/// A server, and how it was published to where it is measured in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub peer: Peer,
    /// Whether it is the second way, a POST an event.
    pub posts: bool,
}

impl From<Peer> for Row {
    fn from(peer: Peer) -> Self {
        Self { peer, posts: false }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.posts { " (a POST each)" } else { "" };
        f.pad(&format!("{}{way}", self.peer.name()))
    }
}

/// What is measured, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    RateOne,
    CpuOne,
    LoadOne,
    RateBurst,
    CpuBurst,
    LoadBurst,
    P50,
    P99,
    P999,
    Idle,
    Slope,
    Given,
    Kernel,
    Stalled,
    Connects,
    ConnectsLoad,
    Storm,
    StormLoad,
    TopicRate,
    TopicCpu,
    TopicLoad,
}

/// How a metric is shown.
pub struct About {
    pub title: &'static str,
    /// What the sizes count.
    pub sizes: &'static str,
    pub digits: usize,
    /// Whether more is better.
    pub more: bool,
    /// Whether it is about a server, rather than about how it was measured.
    pub plotted: bool,
}

impl Metric {
    pub const ALL: [Self; 21] = [
        Self::RateOne,
        Self::CpuOne,
        Self::LoadOne,
        Self::RateBurst,
        Self::CpuBurst,
        Self::LoadBurst,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Idle,
        Self::Slope,
        Self::Given,
        Self::Kernel,
        Self::Stalled,
        Self::Connects,
        Self::ConnectsLoad,
        Self::Storm,
        Self::StormLoad,
        Self::TopicRate,
        Self::TopicCpu,
        Self::TopicLoad,
    ];

    /// Whether it says how busy the load was.
    pub fn is_load(self) -> bool {
        matches!(
            self,
            Self::LoadOne
                | Self::LoadBurst
                | Self::ConnectsLoad
                | Self::StormLoad
                | Self::TopicLoad
        )
    }

    pub fn about(self) -> About {
        let (title, sizes, digits, more, plotted) = match self {
            Self::RateOne => ("Deliveries a second, 1 in flight", SUBSCRIBERS, 0, true, true),
            Self::CpuOne => ("Server CPU a delivery, 1 in flight, µs", SUBSCRIBERS, 2, false, true),
            Self::LoadOne => ("Load generator busy, 1 in flight, %", SUBSCRIBERS, 0, false, false),
            Self::RateBurst => ("Deliveries a second, 64 in flight", SUBSCRIBERS, 0, true, true),
            Self::CpuBurst => {
                ("Server CPU a delivery, 64 in flight, µs", SUBSCRIBERS, 2, false, true)
            }
            Self::LoadBurst => {
                ("Load generator busy, 64 in flight, %", SUBSCRIBERS, 0, false, false)
            }
            Self::P50 => ("Publish to receive, p50, ms", SUBSCRIBERS, 2, false, true),
            Self::P99 => ("Publish to receive, p99, ms", SUBSCRIBERS, 2, false, true),
            Self::P999 => ("Publish to receive, p99.9, ms", SUBSCRIBERS, 2, false, true),
            Self::Idle => ("Memory an idle subscriber, bytes", CONNECTIONS, 0, false, true),
            Self::Slope => {
                ("Memory a further idle subscriber, bytes", CONNECTIONS, 0, false, false)
            }
            Self::Given => (
                "Memory an idle subscriber that was given an event, bytes",
                CONNECTIONS,
                0,
                false,
                true,
            ),
            Self::Kernel => {
                ("Kernel memory a connection, both ends, bytes", CONNECTIONS, 0, false, false)
            }
            Self::Stalled => {
                ("Memory a stalled subscriber beyond an idle one, bytes", STALLED, 0, false, false)
            }
            Self::Connects => ("Streams opened a second", CONNECTIONS, 0, true, true),
            Self::ConnectsLoad => {
                ("Load generator busy while streams open, %", CONNECTIONS, 0, false, false)
            }
            Self::Storm => {
                ("All come back and have what they missed, ms", SUBSCRIBERS, 0, false, true)
            }
            Self::StormLoad => {
                ("Load generator busy in the storm, %", SUBSCRIBERS, 0, false, false)
            }
            Self::TopicRate => ("Deliveries a second to topics in turn", TOPICS, 0, true, true),
            Self::TopicCpu => ("Server CPU a delivery to topics, µs", TOPICS, 2, false, false),
            Self::TopicLoad => ("Load generator busy with topics, %", TOPICS, 0, false, false),
        };
        About { title, sizes, digits, more, plotted }
    }
}

impl About {
    /// A size with what it counts.
    pub fn size(&self, size: usize) -> String {
        let sizes = if size == 1 { self.sizes.trim_end_matches('s') } else { self.sizes };
        format!("{} {sizes}", thousands(size as f64, 0))
    }
}

impl Results {
    pub fn add(&mut self, metric: Metric, size: usize, row: impl Into<Row>, value: f64) {
        self.figures.entry(Key { metric, size, row: row.into() }).or_default().push(value);
    }

    pub fn lose(&mut self, cell: &str, row: impl Into<Row>, deliveries: u64) {
        if deliveries > 0 {
            *self.lost.entry((cell.to_owned(), row.into())).or_default() += deliveries;
        }
    }

    /// The rounds of a figure, none if it was not taken.
    pub fn rounds(&self, metric: Metric, size: usize, row: impl Into<Row>) -> &[f64] {
        self.figures.get(&Key { metric, size, row: row.into() }).map_or(&[], Vec::as_slice)
    }

    /// The sizes at which a metric was taken.
    pub fn sizes(&self, metric: Metric) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.keys(metric).map(|key| key.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The servers of which a metric was taken.
    pub fn rows(&self, metric: Metric) -> Vec<Row> {
        let mut rows: Vec<Row> = self.keys(metric).map(|key| key.row).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    pub fn lost(&self) -> impl Iterator<Item = (&str, Row, u64)> {
        self.lost.iter().map(|((cell, row), lost)| (cell.as_str(), *row, *lost))
    }

    fn keys(&self, metric: Metric) -> impl Iterator<Item = &Key> {
        self.figures.keys().filter(move |key| key.metric == metric)
    }
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The least and the most.
pub fn spread(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, most)
}

const SUBSCRIBERS: &str = "subscribers";
const CONNECTIONS: &str = "connections";
const STALLED: &str = "stalled";
const TOPICS: &str = "topics";
