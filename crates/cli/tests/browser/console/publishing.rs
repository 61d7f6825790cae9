//! The form that publishes and ends topics.

use serde_json::json;

use super::{click, fill, open, rows, text, told};
use crate::{driver::Browser, hub::Hub};

/// What was published, and what was refused, is said in words; the code follows the form.
#[tokio::test(flavor = "multi_thread")]
async fn the_form_says_what_became_of_it() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    for (field, value) in
        [("#topic", "shop/1"), ("#type", "order"), ("#id", "order-7"), ("#data", "{}")]
    {
        fill(&page, field, value).await;
    }
    click(&page, "#new-key").await;
    told(&page, "#shell-code", "Idempotency-Key").await;
    told(&page, "#shell-code", "/events/shop/1?event=order&id=order-7").await;
    told(&page, "#page-code", "addEventListener(\"order\"").await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#answer", "Published as order-7").await;
    told(&page, "#events .type", "order").await;
    told(&page, "#events .id", "order-7").await;
    told(&page, "#lastid", "order-7").await;
    // With the key, again is once.
    click(&page, "#publish [type=submit]").await;
    fill(&page, "#key", "").await;
    fill(&page, "#id", "#7").await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#answer", "Not published: id:").await;
    fill(&page, "#id", "").await;
    fill(&page, "#data", "end").await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#events li:first-child", "end").await;
    assert_eq!(rows(&page).await, ["{}", "end"]);
    page.close().await;
}

/// Ending a topic asks first, and says what it does; who followed it alone is told that it is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_ended_after_asking() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&["--retry", "100ms"]).await);
    let page = open(&browser, &hub).await;
    fill(&page, "#topics", "rooms/42").await;
    click(&page, "#follow [type=submit]").await;
    told(&page, "#state", "open").await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#events", "Hello!").await;
    click(&page, "#end").await;
    page.wait("return document.querySelector('#ending').open").await;
    let asked = text(&page, "#ending").await;
    assert!(asked.contains("rooms/42") && asked.contains("204"), "{asked}");
    click(&page, "#ending [data-close]").await;
    page.wait("return !document.querySelector('#ending').open").await;
    assert_eq!(text(&page, "#state").await, "open");

    click(&page, "#end").await;
    click(&page, "#end-now").await;
    told(&page, "#answer", "Ended “rooms/42”").await;
    told(&page, "#state", "ended").await;
    told(&page, "#story", "nothing left to read").await;
    assert_eq!(text(&page, "#refused").await, "");
    click(&page, "#tab-topics").await;
    told(&page, "#topics-table tr.over", "ended").await;
    click(&page, "#tab-events").await;

    // A new publish opens it again, and following goes on.
    click(&page, "#publish [type=submit]").await;
    told(&page, "#answer", "Published as").await;
    click(&page, "#follow [type=submit]").await;
    told(&page, "#state", "open").await;
    page.close().await;
}

/// Ephemeral events are marked, keep their place among the others, and come once.
#[tokio::test(flavor = "multi_thread")]
async fn ephemeral_events_are_marked() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    hub.publish("rooms/42", "one").await;
    told(&page, "#events .topics", "rooms/42").await;
    let last_id = text(&page, "#lastid").await;
    click(&page, "#ephemeral").await;
    // The first of an unknown type, which the page learns from its second stream.
    for (event, data) in [("typing", "a"), ("", "a"), ("", "a"), ("typing", "b")] {
        fill(&page, "#type", event).await;
        fill(&page, "#data", data).await;
        page.run("document.querySelector('#answer').textContent = ''", json!([])).await;
        click(&page, "#publish [type=submit]").await;
        told(&page, "#answer", "not kept").await;
    }
    told(&page, "#count", "5").await;
    told(&page, "#events li:first-child", "b").await;
    page.wait(
        "return [...document.querySelectorAll('#events li')].every((row) =>
            row.querySelector('.topics').textContent)",
    )
    .await;
    assert_eq!(text(&page, "#lastid").await, last_id);
    hub.publish("rooms/42", "two").await;
    told(&page, "#events li:first-child pre", "two").await;
    told(&page, "#events li:first-child .topics", "rooms/42").await;
    assert_eq!(rows(&page).await, ["one", "a", "a", "a", "b", "two"]);
    let marked = "return [...document.querySelectorAll('#events li')].map((row) =>
        !row.querySelector('.mark').hidden).reverse()";
    let marked = page.run(marked, json!([])).await;
    assert_eq!(marked, json!([false, true, true, true, true, false]));
    page.screenshot("ephemeral").await;
    page.close().await;
}

/// In a visit that does a bit of everything, the browser has nothing to complain of.
#[tokio::test(flavor = "multi_thread")]
async fn the_browser_logs_no_error() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#events", "Hello!").await;
    for selector in
        ["#pause", "#pause", "#tab-topics", "#tab-events", "[data-copy=lastid]", "#clear"]
    {
        click(&page, selector).await;
    }
    click(&page, "#close").await;
    told(&page, "#state", "closed").await;
    click(&page, "#follow [type=submit]").await;
    told(&page, "#state", "open").await;
    assert_eq!(page.logged_errors().await, Vec::<serde_json::Value>::new());
    // It would have been seen.
    page.run("setTimeout(() => { throw new Error('seen'); })", json!([])).await;
    page.run_async("setTimeout(arguments[0], 1)", json!([])).await;
    assert_eq!(page.logged_errors().await.len(), 1);
    page.close().await;
}
