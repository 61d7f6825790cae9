//! Queries and paths: percent-decoded once, and strictly.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::problem::{Kind, Problem};

/// The parameters of a query in their order. As in forms, `+` is a space.
pub(crate) fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(&name.replace('+', " "), "query")?;
            let value = decode(&value.replace('+', " "), &name)?;
            Ok((name, value))
        })
        .collect()
}

/// `text` percent-decoded once; `field` is what a refusal names.
pub(crate) fn decode(text: &str, field: &str) -> Result<String, Problem> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            let detail = format!("{field}: '%' must be followed by two hexadecimal digits");
            return Err(Problem::new(Kind::Malformed, detail).of(field));
        }
    }
    percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| {
        Problem::new(Kind::Malformed, format!("{field}: not UTF-8 once decoded")).of(field)
    })
}

/// A switch such as `?private`: there without a value it is on.
pub(crate) fn switch(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "" | "1" | "on" | "true" => Ok(true),
        "0" | "off" | "false" => Ok(false),
        _ => Err(Problem::invalid(name, "the value must be on or off, true or false, 1 or 0")),
    }
}

/// How much a page of a list holds, unless the request says how much.
pub(crate) const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// How much a page of a list is to hold.
pub(crate) fn limit(name: &str, value: &str) -> Result<usize, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Problem::invalid(name, format!("a whole number from 1 to {LIMIT_MAX}")))
}

/// Puts the value of a parameter that may be given only once in its place.
pub(crate) fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), Problem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::invalid(name, "it may be given only once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded_once() {
        for (text, expected) in
            [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("a+b", "a+b"), ("//", "//"), ("%c3%bc", "ü")]
        {
            assert_eq!(decode(text, "topic").unwrap(), expected);
        }
        for text in ["%", "a%2", "%zz", "%+1", "%ff", "%c3"] {
            assert!(decode(text, "topic").is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_keep_their_order_and_repeat() {
        let pairs = parameters(Some("topic=a+b&topic=a%2Bb&private&=x&&")).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("topic", "a b"), ("topic", "a+b"), ("private", ""), ("", "x")]);
        assert!(parameters(None).unwrap().is_empty());
        assert!(parameters(Some("a=%ff")).is_err());
    }
}
