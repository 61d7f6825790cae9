//! What is to be done, and whether it is asked for by accident.

use std::time::Duration;

use indicatif::HumanCount;
use reqwest::header::HeaderMap;
use url::Url;

use super::figures::{bytes, rate};
use super::stamp::STAMP_BYTES;
use crate::text::{count, duration};

/// A run, as it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The stream that is followed.
    pub(super) stream: Url,
    /// Where events are published, unless the run only listens.
    pub(super) publish: Option<Url>,
    pub(super) subscribers: usize,
    /// Events a second.
    pub(super) rate: f64,
    /// Bytes of the data of an event.
    pub(super) size: usize,
    pub(super) duration: Duration,
    /// Connections a second.
    pub(super) connect_rate: u32,
    pub(super) headers: HeaderMap,
    /// The command that asked for it, as it may be shown.
    pub(super) command: String,
}

/// Why a URL is not one to load.
#[derive(Debug, thiserror::Error)]
pub(super) enum UrlError {
    #[error("this is not an absolute URL, which begins with http:// or https://: {0}")]
    Url(#[from] url::ParseError),
    #[error("the URL must be http or https, not {0}")]
    Scheme(String),
    #[error(
        "the URL has a user name or a password; give them with --header, as 'Authorization: Basic …'"
    )]
    Credentials,
}

/// The URL of something that can be loaded.
pub(super) fn parsed_url(text: &str) -> Result<Url, UrlError> {
    let mut url = Url::parse(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    url.set_fragment(None);
    Ok(url)
}

/// A rate given on the command line.
pub(super) fn parsed_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (RATE_MIN..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| {
        format!("a rate is a number from {RATE_MIN} to {}", HumanCount(RATE_MAX as u64))
    })
}

/// A size given on the command line.
pub(super) fn parsed_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (STAMP_BYTES..=SIZE_MAX).contains(size));
    size.ok_or_else(|| {
        format!(
            "a size is a number of bytes from {STAMP_BYTES}, which the stamp takes, to {}",
            HumanCount(SIZE_MAX as u64)
        )
    })
}

impl Plan {
    /// How many events are published in all: one at least.
    pub(super) fn events(&self) -> Result<u32, String> {
        let events = (self.rate * self.duration.as_secs_f64()).round().max(1.0);
        if events > EVENTS_MAX {
            return Err(format!(
                "--rate and --duration make {} events, and a run takes {} at most; lower one of them",
                HumanCount(events as u64),
                HumanCount(EVENTS_MAX as u64)
            ));
        }
        Ok(events as u32)
    }

    /// What the run would do that few mean, if it would.
    pub(super) fn overload(&self, is_loopback: bool) -> Option<String> {
        let subscribers = count(self.subscribers as u64, "subscriber");
        if !is_loopback && self.subscribers > FOREIGN_SUBSCRIBERS_MAX {
            let host = self.stream.host_str().unwrap_or_default();
            return Some(format!(
                "{subscribers} would connect to {host}, which is not this machine, and whoever runs \
                 it could take that for an attack"
            ));
        }
        if self.subscribers > SUBSCRIBERS_MAX {
            return Some(format!(
                "{subscribers} would be opened, which takes this machine and the server a file \
                 descriptor and some ten KiB of memory each"
            ));
        }
        let deliveries = self.rate * self.subscribers as f64;
        if self.publish.is_some() && deliveries > DELIVERIES_MAX {
            return Some(format!(
                "{subscribers} at {} events/s would make {} deliveries a second, which few machines \
                 can take",
                rate(self.rate),
                HumanCount(deliveries as u64)
            ));
        }
        let bytes_each_second = deliveries * self.size as f64;
        if self.publish.is_some() && bytes_each_second > DELIVERED_BYTES_MAX {
            return Some(format!(
                "{subscribers} at {} events/s of {} would make {} a second, which few networks can \
                 take",
                rate(self.rate),
                bytes(self.size as u64),
                bytes(bytes_each_second as u64)
            ));
        }
        None
    }

    /// What is done, in a line.
    pub(super) fn sentence(&self) -> String {
        let subscribers = count(self.subscribers as u64, "subscriber");
        let time = duration(self.duration);
        match self.publish {
            Some(_) => format!(
                "{subscribers}, {} events/s of {}, for {time}",
                rate(self.rate),
                bytes(self.size as u64)
            ),
            None => format!("{subscribers}, listening for {time}"),
        }
    }
}

const RATE_MIN: f64 = 0.01;
const RATE_MAX: f64 = 1_000_000.0;
/// What a hub takes, unless it is told to take more.
const SIZE_MAX: usize = 1 << 20;
/// A number of an event is kept for each that fails.
const EVENTS_MAX: f64 = 100e6;
/// More than these ask for --yes.
const SUBSCRIBERS_MAX: usize = 10_000;
const FOREIGN_SUBSCRIBERS_MAX: usize = 1_000;
const DELIVERIES_MAX: f64 = 1e6;
const DELIVERED_BYTES_MAX: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(subscribers: usize, rate: f64, size: usize) -> Plan {
        let stream: Url = "http://h.example/events/a".parse().unwrap();
        Plan {
            publish: Some(stream.clone()),
            stream,
            subscribers,
            rate,
            size,
            duration: Duration::from_secs(10),
            connect_rate: 500,
            headers: HeaderMap::new(),
            command: String::new(),
        }
    }

    #[test]
    fn what_is_asked_for_by_accident_is_found() {
        assert_eq!(plan(10_000, 100.0, 100).overload(true), None);
        assert_eq!(plan(1_000, 1.0, 100).overload(false), None);
        for (plan, is_loopback, part) in [
            (plan(10_001, 1.0, 100), true, "10,001 subscribers would be opened"),
            (plan(1_001, 1.0, 100), false, "connect to h.example, which is not this machine"),
            (plan(1_000, 1_001.0, 100), true, "1,001,000 deliveries a second"),
            (plan(1_000, 100.0, 100_000), true, "10.0 GB a second"),
        ] {
            let overload = plan.overload(is_loopback).unwrap();
            assert!(overload.contains(part), "{overload}");
            let listening = Plan { publish: None, ..plan };
            assert_eq!(
                listening.overload(is_loopback).is_some(),
                part.contains("subscribers would") || !is_loopback
            );
        }
    }

    #[test]
    fn events_are_counted_out_and_bounded() {
        assert_eq!(plan(1, 0.01, 100).events(), Ok(1));
        assert_eq!(plan(1, 12.5, 100).events(), Ok(125));
        let Err(sentence) =
            (Plan { duration: Duration::from_secs(3_600), ..plan(1, 1e6, 100) }).events()
        else {
            panic!("it is too much");
        };
        assert!(sentence.contains("3,600,000,000 events"), "{sentence}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in ["0", "-1", "NaN", "inf", "x", "1000001"] {
            assert!(parsed_rate(text).is_err(), "{text}");
        }
        assert_eq!(parsed_rate("0.5"), Ok(0.5));
        for text in ["0", "69", "1048577", "1KiB"] {
            assert!(parsed_size(text).is_err(), "{text}");
        }
        assert_eq!(parsed_size("70"), Ok(70));
    }

    #[test]
    fn urls_that_cannot_be_loaded_are_refused() {
        assert_eq!(parsed_url("http://h/a?b#c").unwrap().as_str(), "http://h/a?b");
        for url in ["events/a", "ftp://h/a", "http://u@h/a", "http://u:p@h/a"] {
            assert!(parsed_url(url).is_err(), "{url}");
        }
    }
}
