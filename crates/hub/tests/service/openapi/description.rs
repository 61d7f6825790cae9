//! The description as the hub serves it, and what it says of an answer.

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::support::{Answer, Hub};

/// The description, with its schemas closed: what it does not name may not be there.
pub(super) struct Description(pub(super) Value);

/// One method of one path.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    /// Those of the path as well.
    pub(super) parameters: Vec<Value>,
    /// A content type and a body, for each example.
    pub(super) bodies: Vec<(String, String)>,
    /// By their status.
    pub(super) responses: Map<String, Value>,
}

impl Description {
    pub(super) async fn of(hub: &Hub) -> Self {
        let mut document = hub.get("/openapi.json").await.json();
        close(&mut document);
        Self(document)
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for method in ["get", "head", "post", "put", "patch", "delete", "options"] {
                if let Some(operation) = item.get(method) {
                    operations.push(self.operation(path, item, method, operation));
                }
            }
        }
        operations
    }

    fn operation(&self, path: &str, item: &Value, method: &str, operation: &Value) -> Operation {
        let parameters = [item, operation].map(|one| one["parameters"].as_array().cloned());
        let parameters = parameters.into_iter().flatten().flatten();
        let responses = operation["responses"].as_object().unwrap().iter();
        let mut bodies = Vec::new();
        let content = self.resolved(&operation["requestBody"])["content"].clone();
        for (media, content) in content.as_object().into_iter().flatten() {
            let media = if media == "*/*" { "text/plain" } else { media };
            for example in content["examples"].as_object().unwrap().values() {
                bodies.push((media.to_owned(), example["value"].as_str().unwrap().to_owned()));
            }
        }
        Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            parameters: parameters.map(|one| self.resolved(&one).clone()).collect(),
            bodies,
            responses: responses.map(|(s, one)| (s.clone(), self.resolved(one).clone())).collect(),
        }
    }

    /// The operation that a request is, if there is one. `head` begins with its request line.
    pub(super) fn operation_of(&self, head: &str) -> Option<Operation> {
        let mut words = head.split_whitespace();
        let (method, target) = (words.next()?, words.next()?);
        let path = target.split('?').next()?;
        self.operations().into_iter().find(|one| {
            let is_path = match one.path.split_once('{') {
                Some((prefix, _)) => path.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
                None => path == one.path,
            };
            one.method == method && is_path
        })
    }

    pub(super) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("all references are within");
        self.0.pointer(pointer).unwrap_or_else(|| panic!("there is no {reference}"))
    }

    /// What validates by this schema.
    pub(super) fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
    }

    /// What validates by the schema of this name.
    pub(super) fn schema(&self, name: &str) -> Validator {
        self.validator(&self.0["components"]["schemas"][name])
    }

    /// Checks an answer against what is said of it, and tells the problem, if it is one.
    pub(super) fn check(
        &self,
        response: &Value,
        answer: &Answer,
        is_head: bool,
    ) -> Result<Option<String>, String> {
        self.check_headers(response, answer)?;
        let Some(content) = response["content"].as_object() else {
            let bare = answer.header("content-type").is_none() && answer.body.is_empty();
            return if bare { Ok(None) } else { Err("it has content".into()) };
        };
        let media = answer.header("content-type").ok_or("it has no content type")?;
        let said = content.get(media).ok_or_else(|| format!("{media} is not described"))?;
        if is_head {
            return if answer.body.is_empty() { Ok(None) } else { Err("it has a body".into()) };
        }
        self.check_content(media, &said["schema"], &answer.body)?;
        let is_problem = media == "application/problem+json";
        Ok(is_problem.then(|| answer.json()["type"].as_str().unwrap().replace("/problems/", "")))
    }

    fn check_headers(&self, response: &Value, answer: &Answer) -> Result<(), String> {
        let none = Map::new();
        let said = response["headers"].as_object().unwrap_or(&none);
        for (name, _) in &answer.headers {
            let known = said.keys().any(|known| known.eq_ignore_ascii_case(name));
            if !known && !OF_TRANSPORT.contains(&name.as_str()) {
                return Err(format!("the header {name} is not described"));
            }
        }
        for (name, header) in said {
            let header = self.resolved(header);
            let Some(value) = answer.header(name) else {
                if header["required"] == true {
                    return Err(format!("the header {name} is missing"));
                }
                continue;
            };
            let is_number = header["schema"]["type"] == "integer";
            let instance = match value.parse::<u64>() {
                Ok(number) if is_number => number.into(),
                _ => Value::from(value),
            };
            let validator = self.validator(&header["schema"]);
            validator.validate(&instance).map_err(|error| format!("the header {name}: {error}"))?;
        }
        Ok(())
    }

    /// Checks a body, or an example of one.
    pub(super) fn check_content(
        &self,
        media: &str,
        schema: &Value,
        body: &str,
    ) -> Result<(), String> {
        let validator = self.validator(schema);
        let check = |validator: &Validator, instance: &Value| {
            validator.validate(instance).map_err(|error| format!("{error} in {instance}"))
        };
        let json = |text: &str| {
            serde_json::from_str::<Value>(text).map_err(|error| format!("{error} in {text:?}"))
        };
        if media.ends_with("ndjson") {
            let mut lines = body.lines().filter(|line| !line.is_empty());
            return lines.try_for_each(|line| check(&validator, &json(line)?));
        }
        if media.ends_with("json") {
            return check(&validator, &json(body)?);
        }
        if media == "text/event-stream" {
            for block in body.split_inclusive("\n\n").filter(|block| block.ends_with("\n\n")) {
                let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
                let name = match field("event: ") {
                    Some("tidings.cursor") => "CursorNotice",
                    Some("tidings.gap") => "GapNotice",
                    Some(other) if other.starts_with("tidings.") => {
                        return Err(format!("{other} is not described"));
                    }
                    _ => continue,
                };
                check(&self.schema(name), &json(field("data: ").unwrap_or_default())?)?;
                check(&self.schema("CursorText"), &field("id: ").unwrap_or_default().into())?;
            }
        }
        check(&validator, &body.into())
    }
}

// Of the connection or of every answer: described by HTTP, and not by an API.
const OF_TRANSPORT: [&str; 5] =
    ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// Has every schema of an object refuse members that it does not name. The description leaves them
/// open, for a client must not fail at what a later hub adds.
fn close(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            let is_schema = members.contains_key("properties")
                && (members.contains_key("type") || members.contains_key("allOf"));
            if is_schema && !members.contains_key("additionalProperties") {
                members.insert("unevaluatedProperties".into(), false.into());
            }
            members.values_mut().for_each(close);
        }
        _ => {}
    }
}
