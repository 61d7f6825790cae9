//! Accept: in which form a follower wants its events.

use http::{HeaderMap, header};
use tidings_server::frame::Format;

use crate::problem::{Kind, Problem};

/// The form that suits the `Accept` header best; an event stream if it has no opinion.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let values = headers.get_all(header::ACCEPT).iter();
    let text: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    let text = text.join(",");
    if text.trim().is_empty() {
        return Ok(Format::EventStream);
    }
    let event_stream = quality(&text, "text", "event-stream");
    let json_lines = quality(&text, "application", "x-ndjson");
    if event_stream == 0.0 && json_lines == 0.0 {
        let detail = "events are sent as text/event-stream or application/x-ndjson";
        return Err(Problem::new(Kind::NotAcceptable, detail).of("Accept"));
    }
    Ok(if json_lines > event_stream { Format::JsonLines } else { Format::EventStream })
}

/// How much `accept` wants the type: the weight of the most specific range that covers it, and
/// a hair more for one that names it, so that `application/x-ndjson, */*` means what it says.
fn quality(accept: &str, kind: &str, subtype: &str) -> f32 {
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some((range_kind, range_subtype)) = parts.next().and_then(|r| r.split_once('/')) else {
            continue;
        };
        let specificity = match (range_kind, range_subtype) {
            ("*", "*") => 1,
            (k, "*") if k.eq_ignore_ascii_case(kind) => 2,
            (k, s) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => 3,
            _ => continue,
        };
        let weight = parts
            .find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")))
            .map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0));
        if specificity > best.0 {
            best = (specificity, weight);
        }
    }
    match best {
        (_, 0.0) => 0.0,
        (3, weight) => weight + 0.000_1,
        (_, weight) => weight,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_follows_the_header() {
        let asked = |accept: &'static str| {
            let headers = [(header::ACCEPT, HeaderValue::from_static(accept))];
            format(&HeaderMap::from_iter(headers)).ok()
        };
        for accept in [
            "",
            "*/*",
            "text/event-stream",
            "TEXT/Event-Stream; q=0.5, application/json",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/*",
            "text/event-stream, application/x-ndjson",
        ] {
            assert_eq!(asked(accept), Some(Format::EventStream), "{accept}");
        }
        for accept in [
            "application/x-ndjson",
            "application/x-ndjson, */*",
            "text/event-stream;q=0.1, application/x-ndjson;q=0.2",
            "application/*",
        ] {
            assert_eq!(asked(accept), Some(Format::JsonLines), "{accept}");
        }
        for accept in ["application/json", "text/event-stream;q=0", "nonsense"] {
            assert_eq!(asked(accept), None, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()).ok(), Some(Format::EventStream));
    }
}
