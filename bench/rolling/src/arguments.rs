//! The command line.

use std::{path::PathBuf, time::Duration};

/// What was asked for.
#[derive(Debug, PartialEq)]
pub struct Arguments {
    pub subscribers: usize,
    /// Events a second.
    pub rate: u32,
    /// Between one hub's being ready again and the next one's leaving.
    pub pause: Duration,
    pub tidings: Option<PathBuf>,
    pub svg: Option<PathBuf>,
    pub hub_options: Vec<String>,
}

pub const USAGE: &str = "\
Restarts three hubs over NATS one after the other, under load, and accounts for every event.

    --subscribers COUNT  who follow, up to 10000 [default: 3000]
    --rate COUNT         events a second, up to 1000 [default: 20]
    --pause SECONDS      from one hub's being ready again to the next one's leaving [default: 0]
    --tidings PATH       the hub's program, which is else built first
    --svg FILE           write the plot of the reconnects there
    -- OPTION…           options for each hub, such as --retry-spread 30s";

impl Arguments {
    /// Reads them, or says what is wrong with them; none if help was asked for.
    pub fn parse(words: &[String]) -> Result<Option<Self>, String> {
        let mut parsed = Self {
            subscribers: 3_000,
            rate: 20,
            pause: Duration::ZERO,
            tidings: None,
            svg: None,
            hub_options: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--subscribers" => parsed.subscribers = number(word, value()?, 1, 10_000)?,
                "--rate" => parsed.rate = number(word, value()?, 1, 1_000)? as u32,
                "--pause" => {
                    parsed.pause = Duration::from_secs(number(word, value()?, 0, 600)? as u64);
                }
                "--tidings" => parsed.tidings = Some(value()?.into()),
                "--svg" => parsed.svg = Some(value()?.into()),
                "--" => parsed.hub_options = words.by_ref().cloned().collect(),
                _ => return Err(format!("{word} is not an option\n\n{USAGE}")),
            }
        }
        Ok(Some(parsed))
    }
}

fn number(option: &str, word: &str, min: usize, max: usize) -> Result<usize, String> {
    let number = word.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or(format!("{option} is a number from {min} to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Arguments>, String> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_for_is_understood_and_what_is_not_is_refused() {
        let line = "--subscribers 10 --pause 2 --svg plot.svg -- --retry 1s";
        let parsed = parse(line).expect("a right line").expect("no help");
        assert_eq!((parsed.subscribers, parsed.pause), (10, Duration::from_secs(2)));
        assert_eq!(parsed.hub_options, ["--retry", "1s"]);
        assert_eq!(parse("--help"), Ok(None));
        for wrong in ["--subscribers 0", "--rate", "--fast"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
