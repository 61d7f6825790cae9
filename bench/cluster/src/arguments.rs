//! The command line.

use std::path::PathBuf;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Latency,
    Throughput,
    Start,
    Fanout,
    Scale,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    pub parts: Vec<Part>,
    pub quick: bool,
    pub nodes: Vec<usize>,
    pub tidings: Option<PathBuf>,
}

pub const USAGE: &str = "\
Measures hubs that share one stream of NATS JetStream, on servers that it starts.

    --latency          publish to receipt, one event at a time
    --throughput       batches, and single events
                       [default: --latency --throughput]
    --start            opening a log of 100,000 and 1,000,000 events
    --fanout           6,000 subscribers of one, two and three hubs
    --scale            100,000 subscribers of six hubs
    --quick            smaller sizes, to see that all works
    --nodes COUNT,…    on so many NATS servers, 1 or 3 [default: 1,3]
    --tidings PATH     the hub's program, for what goes by way of hubs; else this program is the hub,
                       which serves with the same library";

impl Arguments {
    /// Reads them, or says what is wrong with them.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut parsed = Self { parts: Vec::new(), quick: false, nodes: Vec::new(), tidings: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--latency" => parsed.parts.push(Part::Latency),
                "--throughput" => parsed.parts.push(Part::Throughput),
                "--start" => parsed.parts.push(Part::Start),
                "--fanout" => parsed.parts.push(Part::Fanout),
                "--scale" => parsed.parts.push(Part::Scale),
                "--quick" => parsed.quick = true,
                "--nodes" => {
                    let count =
                        |word: &str| word.parse().ok().filter(|count| [1, 3].contains(count));
                    let nodes: Option<Vec<_>> = value()?.split(',').map(count).collect();
                    parsed.nodes = nodes.ok_or("--nodes is 1, 3 or both")?;
                }
                "--tidings" => parsed.tidings = Some(value()?.into()),
                _ => return Err(format!("{word} is not an option\n\n{USAGE}")),
            }
        }
        if parsed.parts.is_empty() {
            parsed.parts = vec![Part::Latency, Part::Throughput];
        }
        if parsed.nodes.is_empty() {
            parsed.nodes = vec![1, 3];
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_for_is_understood_and_what_is_not_is_refused() {
        let parsed = parse("--quick --scale --nodes 3").expect("a right line");
        assert_eq!((&parsed.parts[..], &parsed.nodes[..]), (&[Part::Scale][..], &[3][..]));
        assert_eq!(parse("").expect("a right line").parts, [Part::Latency, Part::Throughput]);
        for wrong in ["--nodes 2", "--nodes", "--fast"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
