//! The list of events: paused, filtered, flooded, and on a phone.

use serde_json::json;

use super::{batch, click, fill, numbers, open, rows, text, told};
use crate::{driver::Browser, hub::Hub};

/// Paused, the list stays as it is and counts; the filter looks through what is shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_view_can_be_paused_and_filtered() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    hub.publish("rooms/42?event=join", "Ann").await;
    hub.publish("rooms/43", "Bob").await;
    told(&page, "#events", "Ann").await;
    told(&page, "#events", "rooms/43").await;
    click(&page, "#pause").await;
    told(&page, "#shown", "Paused").await;
    hub.publish("rooms/42", "Cid!").await;
    hub.publish("rooms/42", "Dan!").await;
    told(&page, "#pause", "Resume (2 new)").await;
    assert_eq!(rows(&page).await, ["Ann", "Bob"]);

    // By type, by topic and by data, whatever the case.
    for (filter, found) in [("JOIN", "Ann"), ("rooms/43", "Bob"), ("bob", "Bob")] {
        fill(&page, "#filter", filter).await;
        told(&page, "#events li:only-child pre", found).await;
        told(&page, "#shown", "1 event of 2 match").await;
    }
    click(&page, "#pause").await;
    // No id has it, whose letters are of chance.
    fill(&page, "#filter", "!").await;
    told(&page, "#shown", "2 events of 4 match").await;
    assert_eq!(rows(&page).await, ["Cid!", "Dan!"]);
    fill(&page, "#filter", "").await;
    page.wait("return document.querySelectorAll('#events li').length === 4").await;
    assert_eq!(rows(&page).await, ["Ann", "Bob", "Cid!", "Dan!"]);
    page.close().await;
}

/// Ten thousand events at once: the rows are bounded, and the page answers all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_leaves_the_page_responsive() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    // How long the page was ever busy: timers come that late. And how many rows there ever were.
    let beat = "window.lates = [0]; window.most = 0; let before = performance.now();
        setInterval(() => {
            const now = performance.now(); lates.push(Math.round(now - before)); before = now;
        }, 20);
        const list = document.querySelector('#events');
        new MutationObserver(() => { most = Math.max(most, list.children.length); })
            .observe(list, { childList: true });";
    page.run(beat, json!([])).await;
    for part in 0..10 {
        let data = (part * 1_000..(part + 1) * 1_000).map(|n| format!(r#"{{"number":{n}}}"#));
        hub.publish_batch(batch("burst", data)).await;
    }
    told(&page, "#count", "10,000").await;
    page.wait("return document.querySelector('#events pre').textContent === '{\"number\":9999}'")
        .await;
    page.wait("return document.querySelectorAll('#events li').length === 500").await;
    let shown = rows(&page).await;
    let newest = (9_500..10_000).map(|n| format!(r#"{{"number":{n}}}"#));
    assert_eq!(shown, newest.collect::<Vec<_>>());
    let lates = numbers(&page.run("return lates", json!([])).await);
    let late = lates.iter().max().unwrap();
    println!("the page was busy for at most {late} ms");
    assert_eq!(page.run("return most", json!([])).await, 500);
    // Far more than it takes, as the machine may be busy with much else.
    assert!(*late < 3_000, "the page was busy for {late} ms");
    told(&page, "#rate", "peak").await;
    page.wait("return !document.querySelector('#rate').textContent.includes('peak 0')").await;
    page.close().await;
}

/// On a narrow screen nothing is wider than it, whatever comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_needs_no_horizontal_scroll_bar() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    page.narrow(360).await;
    let (long, event) = ("x".repeat(250), "x".repeat(120));
    hub.publish(&format!("{long}?event={event}&id={long}"), &long).await;
    hub.publish("rooms/42", &format!(r#"{{"text":"{long}"}}"#)).await;
    page.wait("return document.querySelectorAll('#events li').length === 2").await;
    told(&page, "#events", &event).await;
    click(&page, "#connection-title ~ form summary").await;
    click(&page, "#publish summary").await;
    for tab in ["events", "topics", "subscribers"] {
        click(&page, &format!("#tab-{tab}")).await;
        if tab == "topics" {
            told(&page, "#topics-table", &long).await;
        }
        let wide = "const page = document.documentElement;
            return page.scrollWidth - page.clientWidth";
        assert_eq!(page.run(wide, json!([])).await, 0, "{tab}");
    }
    page.close().await;
}

/// A history that is gone is told in words, and marked.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_in_words() {
    let browser = Browser::chromium().await;
    // Killed under this durability, the log begins a new epoch.
    let mut hub = Hub::start(&["--durability", "os", "--retry", "100ms"]).await;
    let page = open(&browser, &hub).await;
    hub.publish("t", "before").await;
    told(&page, "#events", "before").await;
    hub.kill_and_start_again().await;
    told(&page, "#events li.gap .words", "from another log").await;
    hub.publish("t", "after").await;
    told(&page, "#events li:first-child", "after").await;
    page.close().await;
}

/// The strip that explains stays away once it was dismissed, and comes back when asked.
#[tokio::test(flavor = "multi_thread")]
async fn the_explanation_can_be_dismissed() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    let hidden = "return document.querySelector('#intro').hidden";
    assert_eq!(page.run(hidden, json!([])).await, false);
    assert!(text(&page, "#intro").await.contains("last one it saw"));
    click(&page, "#dismiss").await;
    page.reload().await;
    page.wait("return document.querySelector('#state').textContent === 'open'").await;
    assert_eq!(page.run(hidden, json!([])).await, true);
    click(&page, "#how").await;
    assert_eq!(page.run(hidden, json!([])).await, false);
    page.close().await;
}
