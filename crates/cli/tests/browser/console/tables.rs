//! The tables of topics and of subscribers.

use serde_json::json;

use super::{batch, click, fill, open, rows, text, told};
use crate::{driver::Browser, hub::Hub};

/// Many topics come page by page, fresh every two seconds, and are followed by a press.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_topics_come_page_by_page() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    for part in 0..2 {
        let lines =
            (0..600).map(|n| batch(&format!("t/{part}{n:03}"), ["x".to_owned()].into_iter()));
        hub.publish_batch(lines.collect()).await;
    }
    let page = open(&browser, &hub).await;
    click(&page, "#tab-topics").await;
    told(&page, "#topics-table [role=status]", "Page 1").await;
    let names = "return [...document.querySelectorAll('#topics-table td:first-child')]
        .map((cell) => cell.textContent)";
    let first = page.run(names, json!([])).await;
    assert_eq!((first.as_array().unwrap().len(), &first[0]), (50, &json!("t/0000")));
    let [back, forth] = ["button:first-child", "button:last-child"]
        .map(|button| format!("#topics-table .buttons {button}"));
    click(&page, &forth).await;
    told(&page, "#topics-table [role=status]", "Page 2").await;
    assert_eq!(page.run(names, json!([])).await[0], "t/0050");
    click(&page, &back).await;
    told(&page, "#topics-table [role=status]", "Page 1").await;

    // What is new comes by itself.
    hub.publish("t/0003", "y").await;
    told(&page, "#topics-table tr:nth-child(4) td:nth-child(2)", "2").await;
    page.run("document.querySelectorAll('#topics-table .link')[3].click()", json!([])).await;
    told(&page, "#count", "2").await;
    assert_eq!(rows(&page).await, ["x", "y"]);
    assert_eq!(
        page.run("return document.querySelector('#topics').value", json!([])).await,
        "t/0003"
    );
    page.close().await;
}

/// A topic whose name looks like a pattern is followed as a topic when it is pressed.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_looks_like_a_pattern_is_followed() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    hub.publish("a(b/:c", "x").await;
    let page = open(&browser, &hub).await;
    click(&page, "#tab-topics").await;
    told(&page, "#topics-table .link", "a(b/:c").await;
    click(&page, "#topics-table .link").await;
    told(&page, "#events pre", "x").await;
    assert!(text(&page, "#url").await.contains("topic=a%28b"));
    page.close().await;
}

/// From here on the hub's answers about subscribers are these.
const ANSWERS: &str = r##"
    const fetched = window.fetch;
    const json = (body) => Promise.resolve(new Response(JSON.stringify(body)));
    const ann = {
        subscriber: "ann-phone", topics: ["rooms/42"], patterns: ["sensors/*"], state: "replaying",
        cursor: "#e-1", lag: 1234, events: 5, bytes: 2048,
        opened_ms: Date.now() - 60000, closed_ms: null, resumed_after: null, peer: null,
    };
    const bob = {
        ...ann, subscriber: "bob", topics: ["<b>x</b>"], state: "closed", closed_ms: Date.now(),
    };
    window.fetch = (url, init) => {
        if (url.startsWith?.("/subscribers")) return json({ subscribers: [ann, bob], next: null });
        if (!url.startsWith?.("/debug/delivery")) return fetched(url, init);
        return json({ verdict: "not_matched", explanation: url, checks: { matched: null } });
    };
"##;

/// The table of subscribers, and the question why, with the answers that a hub gives.
#[tokio::test(flavor = "multi_thread")]
async fn subscribers_and_the_question_why() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    let id = hub.publish("rooms/42", "x").await;
    told(&page, "#events pre", "x").await;
    page.run(ANSWERS, json!([])).await;
    click(&page, "#tab-subscribers").await;
    told(&page, "#subscribers-table tbody tr:first-child", "1,234").await;
    let row = text(&page, "#subscribers-table tbody tr:first-child").await;
    for part in ["ann-phone", "replaying history", "2.0 KiB", "for 60 s", "rooms/42, sensors/*"] {
        assert!(row.contains(part), "{part} in {row}");
    }
    assert!(text(&page, "#subscribers-table tbody").await.contains("<b>x</b>"));
    click(&page, "#tab-events").await;
    click(&page, "#events .why").await;
    fill(&page, "#why-who", "ann phone").await;
    click(&page, "#why-form [type=submit]").await;
    told(&page, "#why-answer .verdict", "not matched").await;
    let asked = text(&page, "#why-answer").await;
    assert!(asked.contains("subscriber=ann+phone"), "{asked}");
    assert!(asked.contains(&id.replace('#', "%23")), "{asked}");
    page.close().await;
}

/// The hub's own answers: this page is among the subscribers, and did get the event.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_finds_itself_among_the_subscribers() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    hub.publish("rooms/42", "x").await;
    told(&page, "#events pre", "x").await;
    click(&page, "#tab-subscribers").await;
    told(&page, "#subscribers-table tbody tr:first-child", "(this page)").await;
    told(&page, "#subscribers-table tbody tr:first-child", "live").await;
    click(&page, "#tab-events").await;
    click(&page, "#events .why").await;
    click(&page, "#why-form [type=submit]").await;
    told(&page, "#why-answer .verdict", "sent").await;
    assert_eq!(page.logged_errors().await, Vec::<serde_json::Value>::new());
    page.screenshot("why").await;
    page.close().await;
}
