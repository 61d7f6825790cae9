//! Idempotency keys as publishers write them.

use std::borrow::Cow;

use http::HeaderMap;
use tidings_server::idempotency::Key;

use crate::problem::Problem;

/// The header that names the key of a single event.
pub(super) const HEADER: &str = "Idempotency-Key";
/// The member that names the key of an event in a batch.
pub(super) const MEMBER: &str = "idempotency_key";

// Keys are their publisher's own. Without tokens, nobody tells one publisher from another.
const SCOPE: &str = "";

/// The key in the header, if there is one: as it is, or in quotes as a structured field's string.
pub(super) fn of_header(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    text_of_header(headers)?.map(|text| key(&text, HEADER)).transpose()
}

/// The key of a streamed publish, and those that its events have by it.
#[derive(Debug)]
pub(super) struct StreamKey(String);

impl StreamKey {
    /// The longest, in bytes: with a slash and a number it is still a key.
    const BYTES_MAX: usize = Key::BYTES_MAX - 20;

    /// The key in the header, if there is one.
    pub(super) fn of_header(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = text_of_header(headers)? else { return Ok(None) };
        let (bytes, bytes_max) = (text.len(), Self::BYTES_MAX);
        if bytes > bytes_max {
            let rule =
                format!("the key of a stream has at most {bytes_max} bytes, this has {bytes}");
            return Err(Problem::invalid(HEADER, rule));
        }
        key(&text, HEADER)?;
        Ok(Some(Self(text)))
    }

    /// The key of the stream itself.
    pub(super) fn whole(&self) -> Result<Key, Problem> {
        key(&self.0, HEADER)
    }

    /// The key of its event of this number, counted from 1: as if it had been given with it.
    pub(super) fn nth(&self, number: u64) -> Result<Key, Problem> {
        key(&format!("{}/{number}", self.0), HEADER)
    }
}

fn text_of_header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(HEADER, "it may be given only once"));
    }
    let text = String::from_utf8_lossy(value.as_bytes());
    let Some(text) = unquoted(text.trim()) else {
        let rule = "a key that begins with a quote ends with one, and in between '\\' stands \
                    before '\"' and '\\' and nothing else";
        return Err(Problem::invalid(HEADER, rule));
    };
    Ok(Some(text.into_owned()))
}

/// The key in a member of a batch's line.
pub(super) fn of_member(text: &str) -> Result<Key, Problem> {
    key(text, MEMBER)
}

fn key(text: &str, field: &str) -> Result<Key, Problem> {
    Key::new(SCOPE, text).map_err(|error| Problem::invalid(field, error))
}

// `None` if it begins as a string of RFC 9651, and is none.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let Some(text) = text.strip_prefix('"') else { return Some(text.into()) };
    let mut string = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(string.into()),
            '\\' => string.push(characters.next().filter(|next| matches!(next, '"' | '\\'))?),
            character => string.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<Key>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        of_header(&headers).map_err(|problem| problem.detail)
    }

    #[test]
    fn quotes_are_no_part_of_the_key() {
        let key = |text| Ok(Some(Key::new(SCOPE, text).unwrap()));
        assert_eq!(read(&[]), Ok(None));
        for (value, text) in [
            (r"abc", "abc"),
            (r#""abc""#, "abc"),
            (r#"a"b\c"#, r#"a"b\c"#),
            (r#""a\"b\\c""#, r#"a"b\c"#),
        ] {
            assert_eq!(read(&[value.as_bytes()]), key(text), "{value}");
        }
        assert_eq!(of_member(r#""abc""#).map(Some).map_err(|_| String::new()), key(r#""abc""#));
    }

    #[test]
    fn a_broken_rule_names_the_header() {
        for (values, rule) in [
            (&[&b"a"[..], b"a"][..], "only once"),
            (&[b""], "must not be empty"),
            (&[br#""""#], "must not be empty"),
            (&[br#"""#], "begins with a quote"),
            (&[br#""a"#], "begins with a quote"),
            (&[br#""a";p=1"#], "begins with a quote"),
            (&[br#""a\b""#], "begins with a quote"),
            (&[br#""a\"#], "begins with a quote"),
            (&[b"a b"], "visible ASCII"),
            (&[br#""a b""#], "visible ASCII"),
            (&[b"\xff"], "visible ASCII"),
            (&["ü".as_bytes()], "visible ASCII"),
            (&[&[b'x'; 256]], "at most 255 bytes, this one has 256"),
        ] {
            let detail = read(values).unwrap_err();
            assert!(detail.starts_with("Idempotency-Key: ") && detail.contains(rule), "{detail}");
        }
    }
}
