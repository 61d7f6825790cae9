//! The client beside the browsers: the same servers, and what each source makes of them.
//!
//! ```text
//!               ┌─ stage ─┐ ◀══ EventSource of a browser, in a frame of its own ══▶ account
//!   scenario ──▶│         │                                                           ║ equal, but
//!               ├─ stage ─┤                                                           ║ for known
//!               │         │ ◀══ EventSource of tidings-client, Strict ══════════▶ account deviations
//!               └─────────┘
//! ```
//!
//! An account has a line for everything the source told its listeners (`open`, messages, `error`
//! with the ready state), and one for every request that the server saw. A scenario names where a
//! browser is known to differ; that is asserted, too, so that the day is noticed when it no longer
//! does.
//!
//! Run by `scripts/test`, as the other tests in browsers are.

mod client;
#[path = "../browser/driver.rs"]
#[allow(dead_code, reason = "the scenarios run by themselves")]
mod driver;
mod page;
mod port;
mod request;
mod scenario;
mod scenarios;
mod stage;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use driver::Browser;
use scenario::{Engine, Scenario};
use stage::{Stage, brief};

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_as_chromium() {
    compare(Engine::Chromium, &Browser::chromium().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_as_firefox() {
    compare(Engine::Firefox, &Browser::firefox().await).await;
}

async fn compare(engine: Engine, browser: &Browser) {
    let scenarios = scenarios::all();
    let blank = Stage::start(&scenario::scenario("blank")).await;
    let page = browser.open(&blank.blank()).await;
    let stages = join_all(scenarios.iter().map(Stage::start)).await;
    let urls: Vec<String> = stages.iter().map(Stage::page).collect();
    page.run(page::FRAMES, json!([urls])).await;
    let theirs = join_all(stages.iter().map(|stage| account(stage, stage.report())));
    let ours = join_all(scenarios.iter().map(async |scenario| {
        let stage = Arc::new(Stage::start(scenario).await);
        account(&stage, client::run(scenario, &stage)).await
    }));
    let (theirs, ours) = tokio::join!(theirs, ours);
    page.close().await;

    let mut wrong = Vec::new();
    for ((scenario, theirs), ours) in scenarios.iter().zip(theirs).zip(ours) {
        let expected = expected(scenario, engine, &ours);
        if expected.as_ref() != Ok(&theirs) {
            let reason = expected.err().unwrap_or_default();
            wrong.push(format!(
                "== {}{reason}\n{engine:?}:\n  {}\nthe client:\n  {}\n",
                scenario.name,
                theirs.join("\n  "),
                ours.join("\n  "),
            ));
        }
    }
    assert!(wrong.is_empty(), "{} scenarios differ:\n{}", wrong.len(), wrong.concat());
}

/// All that a source told and was seen to ask, or how far it got.
async fn account(stage: &Stage, told: impl Future<Output = Value>) -> Vec<String> {
    let mut lines = Vec::new();
    match timeout(DEADLINE, told).await {
        Ok(told) => lines.extend(told.as_array().unwrap().iter().map(|told| line(stage, told))),
        Err(_) => lines.push("not over in time".to_owned()),
    }
    if timeout(DEADLINE, stage.is_quiet()).await.is_err() {
        lines.push("connected for too long".to_owned());
    }
    lines.extend(stage.asked());
    lines
}

/// The kind of what was told, and the rest as literals.
fn line(stage: &Stage, told: &Value) -> String {
    let mut words = told.as_array().unwrap().iter();
    let kind = words.next().and_then(Value::as_str).unwrap_or_default();
    words.fold(kind.to_owned(), |line, word| match word {
        Value::String(text) => line + " " + &brief(&stage.emptied(text)),
        other => format!("{line} {other}"),
    })
}

/// The client's account with the engine's deviations in it.
fn expected(scenario: &Scenario, engine: Engine, ours: &[String]) -> Result<Vec<String>, String> {
    let mut expected = ours.to_vec();
    for deviation in scenario.deviations.iter().filter(|deviation| deviation.engine == engine) {
        let ours = deviation.ours;
        let at = expected
            .windows(ours.len())
            .position(|lines| lines == ours)
            .ok_or_else(|| format!(": the client's account has no {ours:?}"))?;
        let theirs = deviation.theirs.iter().map(|&line| line.to_owned());
        expected.splice(at..at + ours.len(), theirs);
    }
    Ok(expected)
}

const DEADLINE: Duration = Duration::from_secs(30);
