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

/// `json` on one line.
pub(super) fn line(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    for token in &tokens(json) {
        write_token(&mut out, token);
    }
    out
}

/// `json` with a line for each member, but with objects and arrays that fit into `width` on one.
/// The lines after the first are indented by `indent`, where the first is taken to begin.
pub(super) fn block(json: &str, indent: usize, width: usize) -> String {
    let tokens = tokens(json);
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut column = indent;
    let mut rest = &tokens[..];
    while let Some(token) = rest.first() {
        let whole = &rest[..container_tokens(rest)];
        let chars = whole.iter().map(Token::chars).sum::<usize>();
        // The comma after it has to fit, too.
        let fits = column + chars < width;
        let (taken, breaks) = match token.text {
            "{" | "[" if fits || whole.len() == 2 => (whole, false),
            "{" | "[" => {
                depth += 1;
                (&whole[..1], true)
            }
            "," => (whole, true),
            _ => (whole, false),
        };
        for token in taken {
            write_token(&mut out, token);
        }
        column += chars;
        rest = &rest[taken.len()..];
        let closes = rest.first().is_some_and(Token::closes);
        if closes {
            depth -= 1;
        }
        if breaks || closes {
            out.truncate(out.trim_end().len());
            column = indent + 2 * depth;
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', column));
        }
    }
    out
}

/// A bracket, a comma, a colon, a string or another scalar.
struct Token<'a> {
    text: &'a str,
    is_key: bool,
}

impl Token<'_> {
    fn closes(&self) -> bool {
        matches!(self.text, "}" | "]")
    }

    /// The characters that it takes, the space after it included.
    fn chars(&self) -> usize {
        match self.text {
            "," | ":" => 2,
            text => text.chars().count(),
        }
    }
}

fn tokens(json: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = json.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_bytes(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest
                .find(|c: char| c.is_whitespace() || ",:{}[]\"".contains(c))
                .unwrap_or(rest.len()),
        };
        let (text, after) = rest.split_at(length);
        rest = after.trim_start();
        tokens.push(Token { text, is_key: rest.starts_with(':') });
    }
    tokens
}

/// How many of the tokens the first one and what it opens are.
fn container_tokens(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "[" => depth += 1,
            "}" | "]" => depth -= 1,
            _ => {}
        }
        if depth <= 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn write_token(out: &mut String, token: &Token<'_>) {
    match token.text {
        text @ ("{" | "}" | "[" | "]") => out.push_str(text),
        "," => out.push_str(", "),
        ":" => out.push_str(": "),
        text => {
            let style = style(text, token.is_key);
            // Writing to a string does not fail.
            let _ = write!(out, "{style}{}{style:#}", visible(text));
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

    fn plain(painted: &str) -> String {
        anstream::adapter::strip_str(painted).to_string()
    }

    #[test]
    fn a_line_has_spaces_where_they_help() {
        let json = r#"{"b":1.0,"a":[ 1,  -2e9 ], "s":"x\",:{ y","o":{},"n":null, "e":[ ]}"#;
        let spaced = r#"{"b": 1.0, "a": [1, -2e9], "s": "x\",:{ y", "o": {}, "n": null, "e": []}"#;
        assert_eq!(plain(&line(json)), spaced);
        assert_eq!(plain(&line(spaced)), spaced);
    }

    #[test]
    fn what_fits_stays_on_one_line() {
        let json = r#"{"a":[1,{"b":"c"}],"d":{},"e":[[1,2,3,4],5]}"#;
        assert_eq!(
            plain(&block(json, 2, 22)),
            r#"{
    "a": [
      1,
      {"b": "c"}
    ],
    "d": {},
    "e": [
      [1, 2, 3, 4],
      5
    ]
  }"#
        );
        assert_eq!(plain(&block(json, 2, 100)), plain(&line(json)));
    }

    #[test]
    fn spreading_changes_nothing_but_space() {
        let json = r#"[{"a":{"b":[[],{}, [ "x, y" ]]}},[[1]],"",null]"#;
        let squeezed = |text: &str| text.replace([' ', '\n'], "");
        for width in 0..60 {
            let block = plain(&block(json, 0, width));
            assert!(is_json(&block), "{block}");
            assert_eq!(squeezed(&block), squeezed(json));
        }
    }

    #[test]
    fn what_is_not_an_object_or_array_is_left_alone() {
        for text in ["", "1", "\"a\"", "{", "{a:1}", "[1,]", "[1] 2", "hello"] {
            assert!(!is_json(text), "{text:?}");
        }
    }

    #[test]
    fn control_characters_stay_visible() {
        assert_eq!(plain(&line("[\"\u{9b}\"]")), "[\"\\u{9b}\"]");
    }
}
