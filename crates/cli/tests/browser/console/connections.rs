//! A browser has six connections to a host: how the console gets by.

use serde_json::json;

use super::{click, open, rows, told};
use crate::{
    driver::{Browser, Page},
    hub::Hub,
};

/// Waits until the hub has so many streams open.
async fn streams(page: &Page, hub: &Hub, count: usize) {
    let line = format!("tidings_subscribers {count}");
    for _ in 0..3_000 {
        if hub.text("/metrics").await.lines().any(|found| found == line) {
            return;
        }
        // A turn of the page's clock, rather than none at all.
        page.run_async("setTimeout(arguments[0], 10)", json!([])).await;
    }
    panic!("there were never {count} streams");
}

/// Out of sight the page holds one stream, in sight two, and shows every event once.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_out_of_sight_leaves_its_second_stream() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    streams(&page, &hub, 2).await;
    let covered = page.cover().await;
    streams(&page, &hub, 1).await;
    hub.publish("t?event=unknown", "unseen").await;
    hub.publish("t", "seen").await;
    page.uncover(covered).await;
    streams(&page, &hub, 2).await;
    told(&page, "#count", "2").await;
    page.wait("return document.querySelectorAll('#events li').length === 2").await;
    assert_eq!(rows(&page).await, ["unseen", "seen"]);
    page.close().await;
}

/// With every connection of the browser taken, the second stream makes room; and when there is none
/// left, the page says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_a_connection_left_is_told_of() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    streams(&page, &hub, 2).await;
    let hold = "for (let n = 0; n < arguments[0]; n += 1) fetch('/events/held')";
    page.run(hold, json!([4])).await;
    streams(&page, &hub, 6).await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#answer", "Published as").await;
    told(&page, "#learning", "left its connection").await;
    assert_eq!(rows(&page).await, ["Hello!"]);

    page.run(hold, json!([1])).await;
    streams(&page, &hub, 6).await;
    click(&page, "#publish [type=submit]").await;
    told(&page, "#answer", "no connection left").await;
    page.run(hold, json!([1])).await;
    click(&page, "#follow [type=submit]").await;
    told(&page, "#story", "no connection left").await;
    page.close().await;
}
