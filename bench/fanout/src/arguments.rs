//! The command line.

use std::path::PathBuf;

use crate::cells::Cell;
use crate::peers::Peer;

/// What was asked for.
#[derive(Debug, PartialEq)]
pub struct Arguments {
    pub rounds: usize,
    pub quick: bool,
    pub install: bool,
    pub cells: Vec<Cell>,
    pub peers: Vec<Peer>,
    pub tidings: Option<PathBuf>,
    pub report: PathBuf,
}

pub const USAGE: &str = "\
Compares servers of event streams on loopback, and writes a report with plots.

    --quick            one round of smaller sizes, in about a minute
    --rounds COUNT     rounds of each figure [default: 5, with --quick 1]
    --only CELL,…      throughput, latency, memory, stalled, connect, storm, topics
    --servers NAME,…   bare, bare-coalescing, tidings, tidings-fsync, nchan, axum, node
    --tidings PATH     the hub's program, which is else built first
    --install          install nginx and its Nchan module with apt-get
    --report FILE      where the report goes [default: target/fanout.html]";

impl Arguments {
    /// Reads them, or says what is wrong with them.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut parsed = Self {
            rounds: 0,
            quick: false,
            install: false,
            cells: Cell::ALL.to_vec(),
            peers: Peer::ALL.to_vec(),
            tidings: None,
            report: concat!(env!("CARGO_MANIFEST_DIR"), "/../target/fanout.html").into(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => parsed.quick = true,
                "--install" => parsed.install = true,
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|rounds| (1..=100).contains(rounds));
                    parsed.rounds = rounds.ok_or("--rounds is a number from 1 to 100")?;
                }
                "--only" => parsed.cells = list(value()?, Cell::named)?,
                "--servers" => parsed.peers = list(value()?, Peer::named)?,
                "--tidings" => parsed.tidings = Some(value()?.into()),
                "--report" => parsed.report = value()?.into(),
                _ => return Err(format!("{word} is not an option\n\n{USAGE}")),
            }
        }
        if parsed.rounds == 0 {
            parsed.rounds = if parsed.quick { 1 } else { 5 };
        }
        Ok(parsed)
    }
}

fn list<T>(names: &str, named: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let one = |name| named(name).ok_or_else(|| format!("there is no {name}\n\n{USAGE}"));
    names.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_for_is_understood_and_what_is_not_is_refused() {
        let parsed = parse("--quick --only storm,topics --servers bare").expect("a right line");
        assert_eq!((parsed.rounds, &parsed.cells[..]), (1, &[Cell::Storm, Cell::Topics][..]));
        assert_eq!(parsed.peers, [Peer::Bare]);
        for wrong in ["--only weather", "--rounds 0", "--rounds", "--fast"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
