//! The text of an error that stands where an answer's next part should.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// What `data` says in the first member with one of these names, if it is a JSON object that has one:
/// the member's own text, that of its member `message`, or else all of it as JSON. Null and false say
/// that there is no error.
pub(crate) fn error_text(data: &str, names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(data);
    let member = json.deserialize_map(Member { names }).ok()??;
    json.end().ok()?;
    Some(match member {
        Value::String(text) => text,
        Value::Object(error) => match error.get("message") {
            Some(Value::String(message)) if !message.is_empty() => message.clone(),
            _ => Value::Object(error).to_string(),
        },
        other => other.to_string(),
    })
}

/// Keeps one member and passes over the others, as the parts of a long answer have none of it.
struct Member<'a> {
    names: &'a [String],
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<String>()? {
            if found.is_none() && self.names.contains(&name) {
                let member: Value = members.next_value()?;
                found = Some(member).filter(|it| !matches!(it, Value::Null | Value::Bool(false)));
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &str) -> Option<String> {
        error_text(data, &["fault".to_owned(), "error".to_owned()])
    }

    #[test]
    fn the_text_is_the_message_of_the_member_or_the_member() {
        for (data, expected) in [
            (r#"{"error":"Too busy."}"#, "Too busy."),
            (r#"{"id":[{"error":1}],"error":{"code":429,"message":"Too busy."}}"#, "Too busy."),
            (r#"{"error":{"message":""}}"#, r#"{"message":""}"#),
            (r#"{"error":{"message":null,"code":429}}"#, r#"{"code":429,"message":null}"#),
            (r#"{"error":429}"#, "429"),
            (r#" {"\u0065rror": true} "#, "true"),
            (r#"{"fault":null,"error":"b"}"#, "b"),
            (r#"{"fault":"a","error":"b"}"#, "a"),
        ] {
            assert_eq!(text(data).as_deref(), Some(expected), "{data}");
        }
    }

    #[test]
    fn what_is_no_object_with_the_member_is_no_error() {
        for data in [
            "",
            "error",
            r#""error""#,
            r#"["error"]"#,
            "{}",
            r#"{"error":null}"#,
            r#"{"error":false}"#,
            r#"{"Error":1}"#,
            r#"{"a":{"error":1}}"#,
            r#"{"error":1"#,
            r#"{"error":1} x"#,
        ] {
            assert_eq!(text(data), None, "{data}");
        }
        assert_eq!(error_text(r#"{"error":1}"#, &[]), None);
    }
}
