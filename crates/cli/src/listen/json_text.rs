//! JSON as it was written, with colours and room to breathe.
//!
//! The text is not parsed into values and printed again: numbers and the order of members stay
//! exactly as they were sent.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::de::IgnoredAny;

use crate::text::visible;

/// Whether `text` is a JSON object or array.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// `json` on one line, or, with `indent`, on as many as it has members.
pub(super) fn paint(json: &str, indent: Option<usize>) -> String {
    let mut painter =
        Painter { out: String::with_capacity(json.len() * 2), indent, open: Vec::new() };
    let mut rest = json.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_bytes(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest
                .find(|c: char| c.is_whitespace() || ",:{}[]\"".contains(c))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        painter.token(token, rest);
    }
    painter.out
}

struct Painter {
    out: String,
    indent: Option<usize>,
    /// The brackets that are open.
    open: Vec<char>,
}

impl Painter {
    fn token(&mut self, token: &str, rest: &str) {
        match token {
            "{" | "[" => {
                self.out.push_str(token);
                self.open.extend(token.chars());
                if !rest.starts_with(['}', ']']) {
                    self.new_line();
                }
            }
            "}" | "]" => {
                self.open.pop();
                if !self.out.ends_with(['{', '[']) {
                    self.new_line();
                }
                self.out.push_str(token);
            }
            "," => {
                self.out.push(',');
                match self.indent {
                    Some(_) => self.new_line(),
                    None => self.out.push(' '),
                }
            }
            ":" => self.out.push_str(": "),
            text => {
                let style = style(text, rest.starts_with(':'));
                // Writing to a string does not fail.
                let _ = write!(self.out, "{style}{}{style:#}", visible(text));
            }
        }
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent + 2 * self.open.len()));
        }
    }
}

fn style(token: &str, is_key: bool) -> Style {
    let colour = match token.chars().next() {
        _ if is_key => AnsiColor::Blue,
        Some('"') => AnsiColor::Green,
        Some('t' | 'f' | 'n') => AnsiColor::Magenta,
        _ => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// The length of the string that `text` starts with, its quotes included.
fn string_bytes(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str, indent: Option<usize>) -> String {
        assert!(is_json(json));
        anstream::adapter::strip_str(&paint(json, indent)).to_string()
    }

    #[test]
    fn a_line_has_spaces_where_they_help() {
        let json = r#"{"b":1.0,"a":[ 1,  -2e9 ], "s":"x\",:{ y","o":{},"n":null, "e":[ ]}"#;
        let line = r#"{"b": 1.0, "a": [1, -2e9], "s": "x\",:{ y", "o": {}, "n": null, "e": []}"#;
        assert_eq!(plain(json, None), line);
        assert_eq!(plain(line, None), line);
    }

    #[test]
    fn members_get_a_line_each() {
        assert_eq!(
            plain(r#"{"a":[1,{"b":"c"}],"d":{}}"#, Some(2)),
            "{\n    \"a\": [\n      1,\n      {\n        \"b\": \"c\"\n      }\n    ],\n    \"d\": {}\n  }"
        );
    }

    #[test]
    fn what_is_not_an_object_or_array_is_left_alone() {
        for text in ["", "1", "\"a\"", "{", "{a:1}", "[1,]", "[1] 2", "hello"] {
            assert!(!is_json(text), "{text:?}");
        }
    }

    #[test]
    fn control_characters_stay_visible() {
        assert_eq!(plain("[\"\u{9b}\"]", None), "[\"\\u{9b}\"]");
    }
}
