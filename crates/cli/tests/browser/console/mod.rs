//! The console at `/`.

mod connections;
mod keyboard;
mod publishing;
mod restart;
mod tables;
mod view;

use serde_json::{Value, json};

use crate::{
    driver::{Browser, Page},
    hub::Hub,
};

/// Waits until the page lists so many events, and answers their data, oldest first.
pub(super) const ROWS: &str = r"
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
pub(crate) async fn the_page_shows_live_events_and_survives_a_killed_hub(browser: &Browser) {
    let mut hub = Hub::start(&["--retry", "200ms"]).await;
    let page = browser.open(&hub.url("/")).await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    page.run("document.querySelector('#publish [type=submit]').click()", json!([])).await;
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
pub(crate) async fn the_page_learns_event_types(browser: &Browser) {
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
pub(crate) async fn the_page_does_without_the_second_stream(browser: &Browser) {
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
pub(crate) async fn the_page_says_why_it_is_refused(browser: &Browser) {
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

/// Opens the console, and waits until it follows.
async fn open(browser: &Browser, hub: &Hub) -> Page {
    let page = browser.open(&hub.url("/")).await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    page
}

async fn click(page: &Page, selector: &str) {
    page.run("document.querySelector(arguments[0]).click()", json!([selector])).await;
}

async fn text(page: &Page, selector: &str) -> String {
    let script = "return document.querySelector(arguments[0]).textContent";
    page.run(script, json!([selector])).await.as_str().unwrap().to_owned()
}

/// Writes into a field as if it were typed.
async fn fill(page: &Page, selector: &str, value: &str) {
    let script = "const field = document.querySelector(arguments[0]); field.value = arguments[1];
        field.dispatchEvent(new Event('input', { bubbles: true }));";
    page.run(script, json!([selector, value])).await;
}

/// Waits until the element's text has the words in it.
async fn told(page: &Page, selector: &str, words: &str) {
    let script = "const [selector, words, done] = arguments;
        const look = () => document.querySelector(selector)?.textContent.includes(words)
            ? done(true) : setTimeout(look, 10);
        look();";
    page.run_async(script, json!([selector, words])).await;
}

/// The data of the rows shown, oldest first.
async fn rows(page: &Page) -> Vec<String> {
    let rows = page.run_async(ROWS, json!([0])).await;
    rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()).collect()
}

/// A batch of events of one topic, a line each.
fn batch(topic: &str, data: impl Iterator<Item = String>) -> String {
    data.map(|data| json!({ "topic": topic, "data": data }).to_string() + "\n").collect()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}
