//! The description of the API, compared with the hub that serves it.

mod answers;
mod description;
mod request;

use std::collections::{BTreeMap, BTreeSet};

use roas::{
    v3_1::spec::Spec,
    validation::{Options, Validate as _},
};
use serde_json::Value;

use self::description::{Description, Operation};
use crate::support::Hub;

#[tokio::test]
async fn it_is_a_valid_description_of_this_version() {
    let hub = Hub::start().await;
    let answer = hub.get("/openapi.json").await;
    let document = answer.json();
    let spec: Spec = serde_json::from_str(&answer.body).unwrap();
    // An answer of every path, and thus of none.
    let validated = spec.validate(Options::IgnoreUnusedResponses.into(), None);
    assert!(validated.is_ok(), "{}", validated.unwrap_err());
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["openapi"].as_str().unwrap().split('.').nth(1), Some("1"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
}

#[tokio::test]
async fn its_examples_are_what_it_says() {
    let hub = Hub::start().await;
    let description = Description::of(&hub).await;
    let components = &description.0["components"];
    for (name, parameter) in components["parameters"].as_object().unwrap() {
        let Some(example) = parameter.get("example") else { continue };
        let valid = description.validator(&parameter["schema"]).validate(example);
        assert!(valid.is_ok(), "{name}: {valid:?}");
    }
    let mut examples = 0;
    for of in ["responses", "requestBodies"] {
        for (name, one) in components[of].as_object().unwrap() {
            for (media, content) in one["content"].as_object().into_iter().flatten() {
                let named = content["examples"].as_object().into_iter().flat_map(|m| m.values());
                let named = named.map(|example| &example["value"]);
                for example in named.chain(content.get("example")) {
                    let body = match example {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    let checked = description.check_content(media, &content["schema"], &body);
                    assert_eq!(checked, Ok(()), "{name}, {media}");
                    examples += 1;
                }
            }
        }
    }
    assert!(examples > 40, "{examples}");
}

#[tokio::test]
async fn every_path_has_the_methods_that_it_says() {
    let hub = Hub::start().await;
    let description = Description::of(&hub).await;
    let mut paths: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for operation in description.operations() {
        paths.entry(operation.path).or_default().insert(operation.method);
    }
    for (path, methods) in paths {
        let target = path.replace("{topic}", "rooms/42").replace("{name}", "not-found");
        let options = hub.ask(&format!("OPTIONS {target}"), "").await;
        assert_eq!(options.status, 204, "{path}");
        let allowed = options.header("allow").unwrap().split(',').map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
        let answer = hub.ask(&format!("PUT {target}"), "").await;
        assert_eq!(answer.status, 405);
        let said = &description.0["components"]["responses"]["MethodNotAllowed"];
        let slug = description.check(said, &answer, false);
        assert_eq!(slug, Ok(Some("method-not-allowed".to_owned())));
    }
    let answer = hub.get("/nowhere").await;
    let said = &description.0["components"]["responses"]["NotFound"];
    assert_eq!(description.check(said, &answer, false), Ok(Some("not-found".to_owned())));
}

#[tokio::test]
async fn it_has_all_problems_and_no_other() {
    let hub = Hub::start().await;
    let description = Description::of(&hub).await;
    let mut described = BTreeSet::new();
    for (name, response) in description.0["components"]["responses"].as_object().unwrap() {
        let content = &response["content"]["application/problem+json"];
        let Some(schema) = content.get("schema") else { continue };
        let status = &schema["properties"]["status"]["const"];
        let mut slugs = BTreeSet::new();
        for kind in schema["properties"]["type"]["enum"].as_array().unwrap() {
            let slug = kind.as_str().unwrap().strip_prefix("/problems/").unwrap();
            described.insert(format!("{slug} ({status})"));
            slugs.insert(slug);
        }
        let examples: BTreeSet<_> =
            content["examples"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(examples, slugs, "{name} has an example of each");
    }
    let pages = hub.get("/problems").await.body;
    let heads = pages.lines().filter(|line| !line.contains(". ") && line.ends_with(')'));
    let offered: BTreeSet<_> =
        heads.filter(|head| head.split(' ').count() == 2).map(str::to_owned).collect();
    assert!(offered.len() >= 20, "{offered:?}");
    assert_eq!(described, offered);
}

#[tokio::test]
async fn it_has_all_parameters_that_the_hub_knows_and_no_other() {
    let hub = Hub::start().await;
    let description = Description::of(&hub).await;
    let mut refused = 0;
    for operation in description.operations() {
        let described = operation.query();
        // Of a HEAD the hub tells no rule; what it takes is what a GET does.
        if operation.method == "HEAD" {
            let get = description.operation_of(&format!("GET {}", operation.target())).unwrap();
            assert_eq!(described, get.query(), "{}", operation.id);
            continue;
        }
        let media =
            if operation.method == "POST" { "\nContent-Type: text/event-stream" } else { "" };
        let head = format!("{} {}?nonsense=1{media}", operation.method, operation.target());
        let (answer, _) = hub.follow(&head).await;
        if answer.status != 400 {
            assert_eq!(described, BTreeSet::new(), "{}: it reads none", operation.id);
            continue;
        }
        let problem = hub.ask(&head, "").await.is_problem(400, "unknown-field");
        let known = problem["rule"].as_str().unwrap().strip_prefix("known here are ").unwrap();
        let known = if known.starts_with("none: ") { "" } else { known };
        let known = known.split(", ").filter(|name| !name.is_empty()).map(str::to_owned);
        assert_eq!(described, known.collect(), "{}", operation.id);
        refused += 1;
    }
    assert!(refused >= 7, "{refused}");
}

#[tokio::test]
async fn a_line_of_a_batch_is_taken_if_the_description_says_so() {
    let hub = Hub::start().await;
    let description = Description::of(&hub).await;
    let validator = description.schema("BatchLine");
    let long = "x".repeat(300);
    for (line, taken) in [
        (r#"{"topic":"a","data":""}"#, true),
        (r#"{"topics":["a","b"],"data":{"n":[1,null]},"event":"e","id":"7","retry":100}"#, true),
        (r#"{"topic":"a","data":null,"private":true,"idempotency_key":"k"}"#, true),
        (r#"{"topic":"a","data":1,"ephemeral":true,"retry":86400000}"#, true),
        (r#"{"topic":"a","data":1,"ephemeral":false,"id":"x y"}"#, true),
        (r#"[]"#, false),
        (r#"{"topic":"a"}"#, false),
        (r#"{"data":""}"#, false),
        (r#"{"topic":"a","topics":["b"],"data":""}"#, false),
        (r#"{"topics":[],"data":""}"#, false),
        (r#"{"topic":"","data":""}"#, false),
        (r#"{"topic":"a*","data":""}"#, false),
        (r#"{"topic":"a\u0000","data":""}"#, false),
        (&format!(r#"{{"topic":"{long}{long}","data":""}}"#), false),
        (r#"{"topic":"a","data":"","even":"e"}"#, false),
        (r#"{"topic":"a","data":"","event":""}"#, false),
        (r#"{"topic":"a","data":"","event":"a\tb"}"#, false),
        (r#"{"topic":"a","data":"","event":"tidings.gap"}"#, false),
        (r##"{"topic":"a","data":"","id":"#7"}"##, false),
        (r#"{"topic":"a","data":"","id":"earliest"}"#, false),
        (r#"{"topic":"a","data":"","id":" x"}"#, false),
        (r#"{"topic":"a","data":"","id":"x "}"#, false),
        (r#"{"topic":"a","data":"","id":7}"#, false),
        (&format!(r#"{{"topic":"a","data":"","id":"{long}"}}"#), false),
        (r#"{"topic":"a","data":"","retry":99}"#, false),
        (r#"{"topic":"a","data":"","retry":86400001}"#, false),
        (r#"{"topic":"a","data":"","private":1}"#, false),
        (r#"{"topic":"a","data":"","idempotency_key":"a b"}"#, false),
        (&format!(r#"{{"topic":"a","data":"","idempotency_key":"{long}"}}"#), false),
        (r#"{"topic":"a","data":"","ephemeral":true,"id":"7"}"#, false),
        (r#"{"topic":"a","data":"","ephemeral":true,"idempotency_key":"k"}"#, false),
    ] {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(validator.is_valid(&value), taken, "described: {line}");
        assert_eq!(hub.batch(line).await.status == 200, taken, "by the hub: {line}");
    }
}

impl Operation {
    /// The names of its query parameters.
    fn query(&self) -> BTreeSet<String> {
        let query = self.parameters.iter().filter(|parameter| parameter["in"] == "query");
        query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Its path, with the examples in it.
    fn target(&self) -> String {
        let mut target = self.path.clone();
        for parameter in self.parameters.iter().filter(|parameter| parameter["in"] == "path") {
            let place = format!("{{{}}}", parameter["name"].as_str().unwrap());
            target = target.replace(&place, parameter["example"].as_str().unwrap());
        }
        assert!(!target.contains('{'), "{target}");
        target
    }
}
