//! The page in which a browser's source meets a scenario.

use serde_json::json;

use crate::scenario::{Close, Scenario};

/// The page of a scenario whose source is at `url`, with `wings` behind it.
pub(crate) fn html(scenario: &Scenario, url: &str, wings: &str) -> String {
    let plan = json!({
        "url": url,
        "withCredentials": scenario.with_credentials,
        "listens": scenario.listens,
        "closesAtError": scenario.closes_at_error,
        "closesAtOnce": scenario.closes == Close::AtOnce,
        "closesWhenAsked": scenario.closes == Close::WhenAsked,
        "wings": wings,
        "hasSecond": scenario.has_second,
        "listensAtError": scenario.down.ends_at_error(),
    });
    format!("<!doctype html><script>const plan = {plan};\n{SCRIPT}</script>")
}

/// Has the page hold all scenarios, each in a frame of its own origin.
pub(crate) const FRAMES: &str = r"
    for (const url of arguments[0]) {
        const frame = document.createElement('iframe');
        frame.src = url;
        document.body.append(frame);
    }
";

/// Does as `client::run` does.
const SCRIPT: &str = r"
const told = [];
let ending = false;
const signal = (what, body) =>
    fetch(plan.wings + what, { method: 'POST', mode: 'no-cors', body });
const source = new EventSource(plan.url, { withCredentials: plan.withCredentials });

// What is still to be told of the source comes before the end of another.
function end() {
    if (ending) return;
    ending = true;
    const fence = new EventSource(plan.wings + '/fence');
    fence.onerror = () => {
        fence.close();
        told.push(['state', source.readyState], ['url', source.url]);
        signal('/report', JSON.stringify(told));
    };
}
function close() {
    source.close();
    end();
}
function obey(command) {
    switch (command) {
        case 'go': signal('/go'); break;
        case 'close': close(); break;
        case 'close twice': source.close(); close(); break;
        case 'remove': source.removeEventListener('message', second); break;
        case 'add': source.addEventListener('message', added); break;
        case 'once': source.addEventListener('message', once, { once: true }); break;
        case 'handle': source.onmessage = handled; break;
        case 'handle otherwise': source.onmessage = otherwise; break;
        case 'throw': throw new Error('as asked');
    }
}
function message(event) {
    told.push(['message', event.type, event.data, event.lastEventId, event.origin]);
    obey(event.data);
}
const second = (event) => told.push(['second', event.data]);
const added = (event) => told.push(['added', event.data]);
const once = (event) => told.push(['once', event.data]);
const handled = (event) => told.push(['handled', event.data]);
const otherwise = (event) => told.push(['handled otherwise', event.data]);

let errors = 0;
source.addEventListener('open', (event) =>
    event instanceof MessageEvent ? message(event) : told.push(['open', source.readyState]));
source.addEventListener('error', (event) => {
    if (event instanceof MessageEvent) return message(event);
    told.push(['error', source.readyState]);
    errors += 1;
    if (errors === plan.listensAtError) signal('/listen');
    if (source.readyState === 2) end();
    else if (errors === plan.closesAtError) close();
});
source.addEventListener('message', message);
for (const type of plan.listens) source.addEventListener(type, message);
if (plan.hasSecond) source.addEventListener('message', second);
if (plan.closesAtOnce) close();
if (plan.closesWhenAsked) signal('/asked').then(close);
";
