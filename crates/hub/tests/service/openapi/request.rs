//! Requests as the description writes them.

use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::description::Operation;

/// The request of an operation with the examples of those parameters that are wanted.
pub(super) fn request(operation: &Operation, wanted: impl Fn(&str, bool) -> bool) -> String {
    let (mut query, mut headers) = (Vec::new(), String::new());
    for parameter in &operation.parameters {
        let (name, is_required) =
            (parameter["name"].as_str().unwrap(), parameter["required"] == true);
        if !wanted(name, is_required) || parameter["in"] == "path" {
            continue;
        }
        let examples = match &parameter["example"] {
            Value::Null => vec!["on".to_owned()],
            Value::Array(all) => all.iter().map(text).collect(),
            one => vec![text(one)],
        };
        for example in examples {
            if parameter["in"] == "header" {
                headers += &format!("\n{name}: {example}");
            } else {
                let value: String = byte_serialize(example.as_bytes()).collect();
                query.push(format!("{name}={value}"));
            }
        }
    }
    format!("{} {}?{}{headers}", operation.method, operation.target(), query.join("&"))
}

/// A string as it is, and any other value as JSON.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The least that gets an answer other than a refusal, with a body.
pub(super) fn plain(operation: &Operation) -> (String, String) {
    let needs_topic = operation.path == "/events" && operation.method != "POST";
    let head = request(operation, |name, required| required || name == "topic" && needs_topic);
    let Some((media, body)) = operation.bodies.first() else { return (head, String::new()) };
    (format!("{head}\nContent-Type: {media}"), body.clone())
}
