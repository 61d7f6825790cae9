//! Words and numbers for people.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::HumanCount;
use url::Url;

/// A count with its noun: "1 line", "12,345 lines".
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number))
}

/// A duration as one would say it: "450 ms", "3 s", "4.2 s", "2m 5s".
pub(crate) fn duration(time: Duration) -> String {
    let milliseconds = time.as_millis();
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..10_000 if milliseconds % 1_000 >= 50 => format!("{:.1} s", time.as_secs_f64()),
        1_000..60_000 => format!("{:.0} s", time.as_secs_f64()),
        _ => humantime::format_duration(Duration::from_secs(time.as_secs())).to_string(),
    }
}

/// A duration given on the command line.
pub(crate) fn parsed_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number with a unit, such as 500ms, 15s, 5m or 12h".to_owned())
}

/// `url` without its user name and password.
pub(crate) fn public(url: &Url) -> Url {
    let mut url = url.clone();
    // Only a URL that has no host refuses, and then it has no password either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// What to say after the error of a URL that lacks its scheme, if it looks like that.
pub(crate) fn missing_scheme(url: &str) -> String {
    let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = match authority.rsplit_once(':') {
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok(),
        None => authority == "localhost" || authority.contains('.'),
    };
    let whole = format!("http://{url}");
    if is_host && Url::parse(&whole).is_ok() {
        format!("; did you mean {whole}?")
    } else {
        String::new()
    }
}

/// `text` with its control characters made visible, so that what a server sends cannot steer the
/// terminal. Tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let steers = |character: char| character.is_control() && character != '\t';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if steers(character) {
            visible.extend(character.escape_default());
        } else {
            visible.push(character);
        }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_durations_read_well() {
        assert_eq!(count(1, "event"), "1 event");
        assert_eq!(count(12_345, "event"), "12,345 events");
        for (milliseconds, words) in
            [(0, "0 ms"), (450, "450 ms"), (3_000, "3 s"), (4_230, "4.2 s"), (59_000, "59 s")]
        {
            assert_eq!(duration(Duration::from_millis(milliseconds)), words);
        }
        assert_eq!(duration(Duration::from_millis(125_900)), "2m 5s");
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = Url::parse("http://u:p@h/x?y").unwrap();
        assert_eq!(public(&url).as_str(), "http://h/x?y");
    }

    #[test]
    fn a_missing_scheme_is_proposed() {
        for url in
            ["127.0.0.1:8080/events/a", "localhost:80", "[::1]:8080/a", "localhost/a", "h.example"]
        {
            assert_eq!(missing_scheme(url), format!("; did you mean http://{url}?"));
        }
        for url in ["events", "/events/a", "ftp://h/a", "mailto:a@h.example", "", ":80", "a b:1"] {
            assert_eq!(missing_scheme(url), "", "{url}");
        }
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(visible("a\tb é"), "a\tb é");
        assert_eq!(visible("\u{1b}[2J\u{9b}\r"), "\\u{1b}[2J\\u{9b}\\r");
    }
}
