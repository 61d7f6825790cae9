//! Real browsers follow a real hub: Chromium and Firefox, through WebDriver.
//!
//! Run by `scripts/test`, which installs both; `cargo test --features browser-tests` needs
//! `chromium`, `chromedriver`, `firefox-esr` and `geckodriver` on the path.

mod console;
mod driver;
#[path = "../hub/mod.rs"]
mod hub;
mod proxy;

use serde_json::json;

use console::{
    the_page_does_without_the_second_stream, the_page_learns_event_types,
    the_page_says_why_it_is_refused, the_page_shows_live_events_and_survives_a_killed_hub,
};
use driver::Browser;
use hub::Hub;
use proxy::Proxy;

/// Starts an `EventSource` in the page, and gathers what it hears in `window.seen`.
const FOLLOW: &str = r"
    const [url, init] = arguments;
    window.seen = [];
    window.errors = [];
    window.source = new EventSource(url, init);
    source.onerror = () => errors.push(source.readyState);
    for (const type of ['message', 'tidings.cursor', 'tidings.gap'])
        source.addEventListener(type, (e) => seen.push({type, data: e.data, id: e.lastEventId}));
";
/// Waits until `window.seen` has so many messages, and answers their data.
const MESSAGES: &str = r"
    const [count, done] = arguments;
    const messages = () => seen.filter((e) => e.type === 'message').map((e) => e.data);
    const look = () => messages().length >= count ? done(messages()) : setTimeout(look, 10);
    look();
";
/// Waits until so many cursors were told, and answers them.
const CURSORS: &str = r"
    const [count, done] = arguments;
    const cursors = () => seen.filter((e) => e.type === 'tidings.cursor').map((e) => e.id);
    const look = () => cursors().length >= count ? done(cursors()) : setTimeout(look, 10);
    look();
";
/// Waits until the stream has told the id.
const REACHED: &str = r"
    const [id, done] = arguments;
    const look = () => seen.some((e) => e.id === id) ? done(true) : setTimeout(look, 10);
    look();
";
/// Waits until the source is in the state, and answers the states at its errors.
const STATE: &str = r"
    const [state, done] = arguments;
    const look = () => source.readyState === state ? done(errors) : setTimeout(look, 10);
    look();
";
/// Connect, hear nothing, be cut off, miss an event, reconnect: it comes.
async fn a_silent_stream_still_resumes(browser: &Browser) {
    let hub = Hub::start(&["--heartbeat", "1s", "--retry", "100ms"]).await;
    let mut proxy = Proxy::start(hub.address()).await;
    let page = browser.open(&proxy.url("/healthz")).await;
    page.run(FOLLOW, json!(["/events/quiet", {}])).await;
    page.run_async(CURSORS, json!([1])).await;
    proxy.cut().await;
    hub.publish("quiet", "missed").await;
    proxy.mend();
    assert_eq!(page.run_async(MESSAGES, json!([1])).await, json!(["missed"]));

    // Heartbeats take the cursor past what other topics publish.
    hub.publish("noise", "x").await;
    let id = hub.publish("noise", "y").await;
    page.run_async(REACHED, json!([id])).await;
    proxy.cut().await;
    hub.publish("quiet", "missed too").await;
    proxy.mend();
    let messages = page.run_async(MESSAGES, json!([2])).await;
    assert_eq!(messages, json!(["missed", "missed too"]));
    let gaps = page.run("return seen.filter((e) => e.type === 'tidings.gap')", json!([])).await;
    assert_eq!(gaps, json!([]));
    page.close().await;
}

/// An unknown id is told of in the stream, before anything else.
async fn a_gap_is_told_to_a_browser(browser: &Browser) {
    let hub = Hub::start(&[]).await;
    hub.publish("t", "old").await;
    let page = browser.open(&hub.url("/healthz")).await;
    page.run(FOLLOW, json!(["/events/t?last_event_id=gone", {}])).await;
    assert_eq!(page.run_async(MESSAGES, json!([1])).await, json!(["old"]));
    let first = page.run("return seen[0]", json!([])).await;
    assert_eq!(first["type"], "tidings.gap");
    let notice: serde_json::Value = serde_json::from_str(first["data"].as_str().unwrap()).unwrap();
    assert_eq!((&notice["reason"], &notice["requested"]), (&json!("unknown_id"), &json!("gone")));
    assert_eq!(notice["resumes_after"], first["id"]);
    page.close().await;
}

/// Another origin follows with credentials if it is on the list, and is refused if it is not.
async fn another_origin_needs_to_be_on_the_list(browser: &Browser) {
    let page_hub = Hub::start(&[]).await;
    let listed = Hub::start(&["--cors-origin", page_hub.url("").trim_end_matches('/')]).await;
    let unlisted = Hub::start(&[]).await;
    let page = browser.open(&page_hub.url("/healthz")).await;
    for init in [json!({}), json!({ "withCredentials": true })] {
        page.run(FOLLOW, json!([listed.url("/events/t?last_event_id=earliest"), init])).await;
        page.run_async(CURSORS, json!([1])).await;
        page.run("source.close()", json!([])).await;
    }
    page.run(FOLLOW, json!([unlisted.url("/events/t"), {}])).await;
    assert_eq!(page.run_async(STATE, json!([2])).await, json!([2]));
    page.close().await;
}

/// An overloaded hub does not end an `EventSource` for good.
async fn a_transient_refusal_does_not_end_an_event_source(browser: &Browser) {
    let hub = Hub::start(&["--subscribers-max", "1", "--retry", "100ms"]).await;
    let page = browser.open(&hub.url("/healthz")).await;
    page.run(FOLLOW, json!(["/events/t", {}])).await;
    page.run_async(CURSORS, json!([1])).await;
    page.run("window.first = source", json!([])).await;
    page.run(FOLLOW, json!(["/events/t", {}])).await;
    // Refused a few times, it is still connecting; with room it opens.
    page.wait("return errors.length >= 2").await;
    let errors = page.run("return errors", json!([])).await;
    assert!(errors.as_array().unwrap().iter().all(|state| *state == 0), "{errors}");
    page.run("first.close()", json!([])).await;
    page.run_async(CURSORS, json!([1])).await;
    page.close().await;
}

macro_rules! in_both_browsers {
    ($($scenario:ident),* $(,)?) => {
        mod chromium {
            use super::Browser;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(&Browser::chromium().await).await;
            })*
        }
        mod firefox {
            use super::Browser;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(&Browser::firefox().await).await;
            })*
        }
    };
}

in_both_browsers!(
    the_page_shows_live_events_and_survives_a_killed_hub,
    the_page_learns_event_types,
    the_page_does_without_the_second_stream,
    the_page_says_why_it_is_refused,
    a_silent_stream_still_resumes,
    a_gap_is_told_to_a_browser,
    another_origin_needs_to_be_on_the_list,
    a_transient_refusal_does_not_end_an_event_source,
);
