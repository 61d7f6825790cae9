//! How events look: for a person, as JSON lines, or the data alone.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tidings_client::Message;

use super::json_text;
use crate::status::DIM;
use crate::text::visible;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For a person.
    Person,
    /// A JSON object a line.
    Json,
    /// The data and a line end, byte for byte.
    Data,
}

/// Writes what was received to standard output.
pub(super) struct View {
    form: Form,
    width: usize,
    out: Box<dyn Write>,
}

impl View {
    pub(super) fn new(form: Form) -> Self {
        // Only what we colour ourselves may be stripped of colours; data is not ours to change.
        let out: Box<dyn Write> = match form {
            Form::Person => Box::new(BufWriter::new(anstream::stdout())),
            Form::Json | Form::Data => Box::new(BufWriter::new(io::stdout())),
        };
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
        Self { form, width, out }
    }

    pub(super) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    pub(super) fn message(&mut self, message: &Message, time: SystemTime) -> io::Result<()> {
        match self.form {
            Form::Person => writeln!(self.out, "{}", for_a_person(message, time, self.width)),
            Form::Json => self.json(&Line {
                id: Some(message.last_event_id.as_str()),
                event: Some(message.event_type.as_str()),
                data: Some(&message.data),
                origin: Some(&message.origin),
                ..Line::default()
            }),
            Form::Data => writeln!(self.out, "{}", message.data),
        }
    }

    pub(super) fn comment(&mut self, text: &str) -> io::Result<()> {
        match self.form {
            Form::Person => writeln!(self.out, "{DIM}:{}{DIM:#}", visible(text)),
            Form::Json => self.json(&Line { comment: Some(text), ..Line::default() }),
            Form::Data => Ok(()),
        }
    }

    pub(super) fn retry(&mut self, time: Duration) -> io::Result<()> {
        match self.form {
            Form::Person => writeln!(self.out, "{DIM}retry: {}{DIM:#}", time.as_millis()),
            Form::Json => {
                let retry = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.json(&Line { retry: Some(retry), ..Line::default() })
            }
            Form::Data => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn json(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// A line of the JSON form. Events have the first four, comments and reconnection times their own.
#[derive(Default, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    /// In milliseconds, as in the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
}

/// Time, type, data and id on one line if they fit, else the data below in as many as it needs.
fn for_a_person(message: &Message, time: SystemTime, width: usize) -> String {
    let time = time_of_day(time);
    let name = visible(message.event_type.as_str());
    let id = visible(message.last_event_id.as_str());
    let style = name_style(&name);
    let head = format!("{DIM}{time}{DIM:#}  {style}{name}{style:#}");
    let tail = if id.is_empty() { String::new() } else { format!("  {DIM}{id}{DIM:#}") };
    let taken = time.len() + name.chars().count() + id.chars().count() + 6;
    let fits = |text: &str| taken + text.chars().count() <= width;

    let data = &message.data;
    if json_text::is_json(data) {
        let line = json_text::line(data);
        if fits(&anstream::adapter::strip_str(&line).to_string()) {
            return format!("{head}  {line}{tail}");
        }
        return format!("{head}{tail}\n  {}", json_text::block(data, 2, width));
    }
    if !data.contains('\n') && fits(data) {
        return format!("{head}  {}{tail}", visible(data));
    }
    let mut text = format!("{head}{tail}");
    for line in data.split('\n') {
        text.push_str("\n  ");
        text.push_str(&visible(line));
    }
    text
}

/// The time of day in UTC.
fn time_of_day(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split_once('T').map_or(text.clone(), |(_, time)| time.to_owned())
}

/// The same colour for the same type, every time.
fn name_style(name: &str) -> Style {
    let colour = if name == "message" {
        AnsiColor::Cyan
    } else if name.starts_with("tidings.") {
        AnsiColor::Yellow
    } else {
        let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        [AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::BrightCyan][sum % 4]
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

/// The width that is assumed when the output is not a terminal.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, id: &str, data: &str, width: usize) -> String {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(3_723);
        let painted = for_a_person(&message(name, id, data), time, width);
        anstream::adapter::strip_str(&painted).to_string()
    }

    fn message(name: &str, id: &str, data: &str) -> Message {
        Message::new(name.parse().unwrap(), data, id.parse().unwrap(), "http://a.example")
    }

    #[test]
    fn what_fits_stands_on_one_line() {
        assert_eq!(shown("message", "#1-2", "hello", 80), "01:02:03Z  message  hello  #1-2");
        assert_eq!(shown("e", "", r#"{"a":1}"#, 80), r#"01:02:03Z  e  {"a": 1}"#);
        assert_eq!(shown("e", "", "", 80), "01:02:03Z  e  ");
    }

    #[test]
    fn what_does_not_fit_goes_below() {
        assert_eq!(shown("e", "7", "a\nb\n", 80), "01:02:03Z  e  7\n  a\n  b\n  ");
        assert_eq!(
            shown("e", "7", r#"{"a":[1],"b":2}"#, 15),
            "01:02:03Z  e  7\n  {\n    \"a\": [1],\n    \"b\": 2\n  }"
        );
    }

    #[test]
    fn a_server_cannot_steer_the_terminal() {
        let shown = for_a_person(
            &message("\u{1b}[2J", "\u{7}", "\u{1b}]0;x\u{7}"),
            SystemTime::UNIX_EPOCH,
            80,
        );
        assert!(shown.contains("\\u{1b}[2J") && shown.contains("\\u{1b}]0;x"), "{shown}");
        assert!(!shown.contains('\u{7}') && !shown.contains("\u{1b}[2J"));
    }
}
