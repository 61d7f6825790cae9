//! `GET /openapi.json`: the description of this API, for programs.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header;

// Written by hand, so that it can be read and reviewed, and compared with the running hub in the
// tests, so that it stays true.
const WRITTEN: &str = include_str!("../../openapi.json");
const VERSION: &str = "{version}";

static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| WRITTEN.replacen(VERSION, env!("CARGO_PKG_VERSION"), 1));

// A media type of its own, application/openapi+json, is a draft; browsers would offer a download.
pub(super) async fn description() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, DOCUMENT.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use serde_json::Value;
    use tidings_server::{
        fanout::{
            Fanout, FanoutConfig,
            engine::{Engine, EngineConfig},
        },
        log::{MemoryLog, Retention},
        subscription::{GapReason, Phase},
    };

    use super::*;
    use crate::{
        api,
        config::Config,
        demo::Demo,
        hub::{Delivery, Hub},
        store::Opened,
    };

    // Pages and their parts, and the demos.
    const LEFT_OUT: [&str; 3] = ["/assets", "/demo", "/demos"];

    fn document() -> Value {
        serde_json::from_str(&DOCUMENT).unwrap()
    }

    #[tokio::test]
    async fn every_route_is_described_or_left_out_by_name() {
        let log = Arc::new(MemoryLog::new(Retention::default(), 1));
        let fanout = Fanout::start(log.clone(), FanoutConfig::default());
        let config = Config::default();
        let (base, address) = ("http://localhost/".parse().unwrap(), config.listen);
        let engine = Engine::start(&fanout, EngineConfig::default()).unwrap();
        let hub = Hub::new(config, Opened::from(log), Delivery { fanout, engine }, base, address);
        // The only way in which a router tells its routes.
        let debug = format!("{:?}", api::router(hub.clone(), Demo::default().routes(&hub)));
        let (routes, _) = debug.split_once("fallback_router").unwrap();
        let routes: BTreeSet<_> = routes
            .split("RouteId(")
            .filter_map(|rest| rest.split_once("): \"/")?.1.split('"').next())
            .map(|route| format!("/{route}"))
            .filter(|route| route != "/")
            .filter(|route| {
                let is = |left: &&str| *left == route || route.starts_with(&format!("{left}/"));
                !LEFT_OUT.iter().any(is)
            })
            // The path without a topic is answered as what it is: one that breaks a rule.
            .filter(|route| route != "/events/")
            .map(|route| route.replace("{*", "{").replace("{slug}", "{name}"))
            .collect();
        let document = document();
        let described = document["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(routes, described, "{debug}");
    }

    #[test]
    fn the_words_it_lists_are_those_there_are() {
        let schemas = &document()["components"]["schemas"];
        let listed = |schema: &Value| -> BTreeSet<String> {
            let words = schema.as_array().unwrap().iter();
            words.map(|word| word.get("const").unwrap_or(word).as_str().unwrap().into()).collect()
        };
        let reasons = GapReason::ALL.map(|reason| reason.as_str().to_owned());
        assert_eq!(listed(&schemas["GapReason"]["enum"]), reasons.into());
        let phases = [Phase::Resolving, Phase::Replaying, Phase::Live, Phase::Closed];
        let states = &schemas["SubscriberStream"]["properties"]["state"]["enum"];
        assert_eq!(listed(states), phases.map(|phase| phase.as_str().to_owned()).into());
        // An enum does not tell its variants, but its source does.
        let arms = include_str!("verdict.rs").lines().filter_map(|line| {
            line.trim().strip_prefix("Self::")?.split_once(" => \"")?.1.strip_suffix("\",")
        });
        let verdicts: BTreeSet<_> = arms.map(str::to_owned).collect();
        assert!(verdicts.contains("acknowledged"), "{verdicts:?}");
        assert_eq!(listed(&schemas["Verdict"]["oneOf"]), verdicts);
    }
}
