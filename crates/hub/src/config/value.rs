//! The values of options: how they are written, and the rule each keeps.

use std::{fmt, net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

use url::Url;

/// Why a text is no value of an option. The message is the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not a duration.
    #[error("a duration is a number with a unit, such as 500ms, 15s, 5m, 12h or 7d")]
    NotADuration,
    /// A duration outside of what makes sense.
    #[error("the duration must be from {} to {}",
        humantime::format_duration(*.min), humantime::format_duration(*.max))]
    DurationOutside {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Not a size.
    #[error("a size is a number of bytes, or a number with a unit, such as 512KiB, 64MiB or 1GB")]
    NotASize,
    /// Not a count.
    #[error("a count is a whole number in digits")]
    NotACount,
    /// A size or count outside of what makes sense.
    #[error("the number must be from {min} to {max}")]
    NumberOutside {
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// Not an address.
    #[error(
        "an address is an IP address and a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080"
    )]
    NotAnAddress,
    /// Not an origin.
    #[error(
        "an origin is a scheme and a host, with a port if it is not the usual one, such as https://example.com, or * for every origin"
    )]
    NotAnOrigin,
    /// Not a base URL.
    #[error("the URL must begin with http:// or https:// and have no user, query or fragment")]
    NotABaseUrl,
}

/// A duration such as `15s` within bounds.
pub(super) fn duration(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, ValueError> + Clone + Send + Sync + 'static {
    move |text| {
        let value = humantime::parse_duration(text.trim()).map_err(|_| ValueError::NotADuration)?;
        if bounds.contains(&value) {
            return Ok(value);
        }
        Err(ValueError::DurationOutside { min: *bounds.start(), max: *bounds.end() })
    }
}

/// A size such as `64MiB` within bounds, in bytes.
pub(super) fn size(
    bounds: RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<usize, ValueError> + Clone + Send + Sync + 'static {
    move |text| within(&bounds, parse_size(text.trim()).ok_or(ValueError::NotASize)?)
}

/// A whole number within bounds; `_` may separate its digits.
pub(super) fn count(
    bounds: RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<usize, ValueError> + Clone + Send + Sync + 'static {
    move |text| {
        let digits = text.trim().replace('_', "");
        within(&bounds, digits.parse().map_err(|_| ValueError::NotACount)?)
    }
}

fn within(bounds: &RangeInclusive<usize>, value: usize) -> Result<usize, ValueError> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(ValueError::NumberOutside { min: *bounds.start(), max: *bounds.end() })
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => &format!("127.0.0.1:{port}"),
            None => text,
        };
        numeric.parse().map(Self).map_err(|_| ValueError::NotAnAddress)
    }
}

/// An origin whose pages may use the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigin {
    /// Every origin, without credentials.
    Any,
    /// This origin, as browsers write it, with credentials.
    Exact(String),
}

impl FromStr for CorsOrigin {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let url = base_url(text).map_err(|_| ValueError::NotAnOrigin)?;
        if url.path() != "/" {
            return Err(ValueError::NotAnOrigin);
        }
        Ok(Self::Exact(url.origin().ascii_serialization()))
    }
}

/// A URL that others can be resolved against.
pub(super) fn base_url(text: &str) -> Result<Url, ValueError> {
    let mut url = Url::parse(text.trim()).map_err(|_| ValueError::NotABaseUrl)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !bare {
        return Err(ValueError::NotABaseUrl);
    }
    // Without the final slash, resolving would drop the last segment.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// How the program writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

impl fmt::Display for CorsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Exact(origin) => origin,
        })
    }
}
