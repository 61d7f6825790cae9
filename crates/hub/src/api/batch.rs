//! A batch: JSON lines, an event each.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tidings_server::record::NewRecord;

use super::{draft::Draft, key};
use crate::{
    config::Limits,
    problem::{Kind, Problem},
};

const KEYS: [&str; 9] =
    ["topic", "topics", "event", "data", "id", "retry", "private", "ephemeral", key::MEMBER];

/// The events of a batch.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) records: Vec<NewRecord>,
    /// The number of each record's line, counted from 1.
    pub(super) numbers: Vec<usize>,
}

/// Reads a batch. Lines with nothing but white space are passed over.
pub(super) fn lines(body: &str, limits: &Limits) -> Result<Lines, Problem> {
    let lines = body.split('\n').enumerate().map(|(at, line)| (at + 1, line.trim_ascii()));
    let mut read = Lines::default();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        if read.records.len() == limits.batch_events_max {
            let most = limits.batch_events_max;
            let rule = format!("a batch has at most {most} events (option --batch-events-max)");
            return Err(Problem::invalid("body", rule).on_line(number));
        }
        let record = draft(line).and_then(|draft| draft.check(limits));
        read.records.push(record.map_err(|problem| problem.on_line(number))?);
        read.numbers.push(number);
    }
    if read.records.is_empty() {
        return Err(Problem::invalid("body", "a batch has at least one event"));
    }
    Ok(read)
}

fn draft(line: &str) -> Result<Draft, Problem> {
    let members: Members<'_> = serde_json::from_str(line).map_err(|error| {
        let detail = format!("not a JSON object: {}, column {}", reason(&error), error.column());
        Problem::new(Kind::Malformed, detail).of("body")
    })?;
    let mut draft = Draft::default();
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in &members.0 {
        let Some(&known) = KEYS.iter().find(|known| *known == key) else {
            return Err(Problem::unknown(key, &KEYS));
        };
        if seen.contains(&known) {
            return Err(Problem::invalid(known, "it may be given only once"));
        }
        seen.push(known);
        match known {
            "topic" => draft.topics = vec![read(known, value, "a string")?],
            "topics" => draft.topics = read(known, value, "a list of strings")?,
            "event" => draft.event = Some(read(known, value, "a string")?),
            "data" => draft.data = data(value)?,
            "id" => draft.id = Some(read(known, value, "a string")?),
            "retry" => {
                draft.retry_ms = Some(read(known, value, "a whole number of milliseconds")?);
            }
            key::MEMBER => {
                draft.key = Some(key::of_member(&read::<String>(known, value, "a string")?)?);
            }
            "ephemeral" => draft.ephemeral = read(known, value, "true or false")?,
            _ => draft.private = read(known, value, "true or false")?,
        }
    }
    if seen.contains(&"topic") && seen.contains(&"topics") {
        return Err(Problem::invalid("topics", "give either topic or topics"));
    }
    if !seen.contains(&"data") {
        return Err(Problem::invalid("data", "an event needs data, which may be empty"));
    }
    Ok(draft)
}

/// A string is the data; any other JSON value is published as it is written in the line.
fn data(value: &RawValue) -> Result<String, Problem> {
    if value.get().starts_with('"') {
        return read("data", value, "a string");
    }
    Ok(value.get().to_owned())
}

fn read<T: DeserializeOwned>(key: &str, value: &RawValue, rule: &str) -> Result<T, Problem> {
    serde_json::from_str(value.get())
        .map_err(|_| Problem::invalid(key, format!("the value must be {rule}")))
}

// serde_json ends its messages with a place that is counted within the line.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

/// An object's members in their order, so that unknown and repeated keys can be named.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Vec<NewRecord>, String> {
        lines(body, &Limits::default()).map(|lines| lines.records).map_err(|problem| problem.detail)
    }

    #[test]
    fn a_line_is_an_event() {
        let records = parse(concat!(
            r#"{"topic":"a","data":"one\ntwo","event":"e","id":"7","retry":500,"private":true}"#,
            "\r\n\n",
            r#"{"topics":["a","b"],"data":{"z": 1, "a":[ ]}}"#,
            "\n",
            r#"{"topic":"a","data":null}"#,
        ))
        .unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(&*records[0].data, "one\ntwo");
        assert!(records[0].private && records[0].id.is_some());
        assert_eq!(&*records[1].data, r#"{"z": 1, "a":[ ]}"#, "as it was written");
        assert_eq!(records[1].topics.len(), 2);
        assert_eq!(&*records[2].data, "null");
    }

    #[test]
    fn a_bad_line_is_named_with_its_field_and_rule() {
        let ok = r#"{"topic":"a","data":""}"#;
        for (line, expected) in [
            ("[]", "not a JSON object: invalid type: sequence, expected an object, column"),
            ("{", "not a JSON object: EOF while parsing an object, column 1"),
            (r#"{"topic":"a","data":"","dta":1}"#, r#"there is no field "dta""#),
            (r#"{"topic":"a","topic":"b","data":""}"#, "topic: it may be given only once"),
            (r#"{"topic":"a","topics":["b"],"data":""}"#, "topics: give either"),
            (r#"{"data":""}"#, "topic: an event needs"),
            (r#"{"topics":[],"data":""}"#, "topic: an event needs"),
            (r#"{"topic":"a"}"#, "data: an event needs data"),
            (r#"{"topic":"a","data":"","retry":-1}"#, "retry: the value must be a whole number"),
            (r#"{"topic":"a","data":"","retry":99}"#, "retry: from 100 milliseconds to 86400000"),
            (r#"{"topic":"a","data":"","private":1}"#, "private: the value must be true or false"),
            (r#"{"topic":"a","data":"","id":7}"#, "id: the value must be a string"),
            (
                r#"{"topic":"a","data":"","idempotency_key":7}"#,
                "idempotency_key: the value must be",
            ),
            (
                r#"{"topic":"a","data":"","idempotency_key":"a b"}"#,
                "idempotency_key: an idempotency key has only visible ASCII",
            ),
            (r#"{"topic":"a*","data":""}"#, "topic: a topic must not contain '*'"),
        ] {
            let detail = parse(&format!("{ok}\n\n{line}\n{ok}")).unwrap_err();
            assert!(detail.starts_with(&format!("line 3: {expected}")), "{detail}");
        }
        assert!(parse("\n\n").unwrap_err().contains("at least one"));
        let many = parse(&format!("{ok}\n").repeat(1_001)).unwrap_err();
        assert!(many.starts_with("line 1001: body: a batch has at most 1000"), "{many}");
        assert!(many.contains("--batch-events-max"), "{many}");
    }
}
