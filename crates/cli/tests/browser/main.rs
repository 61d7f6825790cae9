//! Real browsers follow a real hub: Chromium and Firefox, through WebDriver.
//!
//! Run by `scripts/test`, which installs both; `cargo test --features browser-tests` needs
//! `chromium`, `chromedriver`, `firefox-esr` and `geckodriver` on the path.

mod demos;
mod driver;
#[path = "../hub/mod.rs"]
mod hub;
mod proxy;

use serde_json::json;

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
/// Waits until the page lists so many events, and answers their data, oldest first.
const ROWS: &str = r"
    const [count, done] = arguments;
    const rows = () => [...document.querySelectorAll('#events li pre')].map((p) => p.textContent);
    const look = () => rows().length >= count ? done(rows().reverse()) : setTimeout(look, 10);
    look();
";

/// The newest event of the page is "end", and its second stream has told of every one listed.
const DESCRIBED: &str = r"
    const rows = [...document.querySelectorAll('#events li:not(.gap)')];
    return rows[0]?.querySelector('pre').textContent === 'end'
        && rows.every((row) => row.querySelector('.topics').textContent);
";
/// Answers what the page tells of its events beside their data, oldest first.
const TYPES_AND_TOPICS: &str = r"
    return [...document.querySelectorAll('#events li')].reverse().map((row) =>
        ['.type', '.topics'].map((name) => row.querySelector(name).textContent));
";
/// From here on, what the page asks for as NDJSON is refused.
const REFUSE_THE_SECOND_STREAM: &str = r"
    const fetched = window.fetch;
    window.fetch = (url, init) => init?.headers?.Accept === 'application/x-ndjson'
        ? Promise.resolve(new Response('{}', { status: 406 })) : fetched(url, init);
";

/// The page at `/` shows what is published, by itself and by others, and goes on after the hub
/// was killed and started again, without losing or repeating an event.
async fn the_page_shows_live_events_and_survives_a_killed_hub(browser: &Browser) {
    let mut hub = Hub::start(&["--retry", "200ms"]).await;
    let page = browser.open(&hub.url("/")).await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    page.run("document.querySelector('#publish button').click()", json!([])).await;
    assert_eq!(page.run_async(ROWS, json!([1])).await, json!(["Hello!"]));
    let json = r#"{"room":42,"text":"long enough to be laid out over several lines"}"#;
    hub.publish("rooms/42", json).await;
    hub.publish("rooms/43", "two\nlines").await;
    let rows = page.run_async(ROWS, json!([3])).await;
    let laid_out = json.replace("{", "{\n  ").replace(",", ",\n  ").replace("}", "\n}");
    assert_eq!(rows, json!(["Hello!", laid_out.replace("\":", "\": "), "two\nlines"]));

    hub.kill_and_start_again().await;
    hub.publish("rooms/42", "after the kill").await;
    let rows = page.run_async(ROWS, json!([4])).await;
    assert_eq!(rows.as_array().unwrap().len(), 4, "{rows}");
    assert_eq!(rows[3], "after the kill");
    page.screenshot("page").await;
    page.close().await;
}

/// An `EventSource` hears no event of a type it does not listen for: the page learns the types from
/// a second stream, lists every event once, in order, also after a restart, and tells its topic.
async fn the_page_learns_event_types(browser: &Browser) {
    let mut hub = Hub::start(&["--retry", "200ms"]).await;
    let page = browser.open(&hub.url("/")).await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    hub.publish("rooms/42?event=join", "ann").await;
    hub.publish("user:42", "hello").await;
    hub.publish("rooms/42?event=join", "bob").await;
    // An id used twice is no reason to leave an event out, nor is the name of a DOM event.
    hub.publish("rooms/42?event=error&id=twice", "one").await;
    hub.publish("rooms/42?event=error&id=twice", "two").await;
    hub.publish("rooms/42", "end").await;
    page.wait(DESCRIBED).await;
    let live = json!(["ann", "hello", "bob", "one", "two", "end"]);
    assert_eq!(page.run_async(ROWS, json!([6])).await, live);

    hub.kill_and_start_again().await;
    hub.publish("rooms/42?event=leave", "ann").await;
    hub.publish("rooms/42?event=join", "cid").await;
    hub.publish("rooms/42", "end").await;
    page.run_async(ROWS, json!([9])).await;
    page.wait(DESCRIBED).await;
    let rows = page.run_async(ROWS, json!([9])).await;
    let all = json!(["ann", "hello", "bob", "one", "two", "end", "ann", "cid", "end"]);
    assert_eq!(rows, all);
    let told = page.run(TYPES_AND_TOPICS, json!([])).await;
    assert_eq!(told[0], json!(["join", "rooms/42"]));
    assert_eq!(told[1], json!(["message", "user:42"]));
    assert_eq!(told[6], json!(["leave", "rooms/42"]));

    // Following again, now from the oldest, starts a new list.
    page.run("document.querySelector('#earliest').click()", json!([])).await;
    page.run("document.querySelector('#follow button').click()", json!([])).await;
    page.run_async(ROWS, json!([9])).await;
    page.wait(DESCRIBED).await;
    assert_eq!(page.run_async(ROWS, json!([9])).await, all);
    page.close().await;
}

/// With the second stream refused, the page shows what its `EventSource` hears.
async fn the_page_does_without_the_second_stream(browser: &Browser) {
    let hub = Hub::start(&[]).await;
    let page = browser.open(&hub.url("/")).await;
    page.run(REFUSE_THE_SECOND_STREAM, json!([])).await;
    page.run("document.querySelector('#types').value = 'join'", json!([])).await;
    page.run("document.querySelector('#follow button').click()", json!([])).await;
    page.wait("return document.querySelector('#learning').textContent.includes('refused')").await;
    hub.publish("rooms/42?event=leave", "unheard").await;
    hub.publish("rooms/42?event=join", "ann").await;
    hub.publish("rooms/42", "hello").await;
    assert_eq!(page.run_async(ROWS, json!([2])).await, json!(["ann", "hello"]));
    page.close().await;
}

/// An `EventSource` does not tell why it was refused: the page asks, and shows it.
async fn the_page_says_why_it_is_refused(browser: &Browser) {
    let hub = Hub::start(&[]).await;
    let page = browser.open(&hub.url("/")).await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    page.run("document.querySelector('#topics').value = '(['", json!([])).await;
    page.run("document.querySelector('#follow button').click()", json!([])).await;
    page.wait("return document.querySelector('#refused').textContent !== ''").await;
    let reason = page.run("return document.querySelector('#refused').textContent", json!([])).await;
    assert!(reason.as_str().unwrap().contains("pattern"), "{reason}");
    let state = page.run("return document.querySelector('#state').textContent", json!([])).await;
    assert_eq!(state, "closed");

    page.run("document.querySelector('#topics').value = 'rooms/42'", json!([])).await;
    page.run("document.querySelector('#follow button').click()", json!([])).await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    let reason = page.run("return document.querySelector('#refused').textContent", json!([])).await;
    assert_eq!(reason, "");
    page.close().await;
}

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
