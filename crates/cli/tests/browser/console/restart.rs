//! The console while the hub is killed and comes back.

use std::collections::HashSet;

use serde_json::json;

use super::{open, rows, told};
use crate::{driver::Browser, hub::Hub};

/// Killed in the midst of a stream of events: the page says so, goes on by itself, and shows every
/// event once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_mid_stream_loses_and_doubles_nothing() {
    let browser = Browser::chromium().await;
    let mut hub = Hub::start(&["--retry", "200ms"]).await;
    let page = open(&browser, &hub).await;
    // The words that the state goes through.
    let note = "const state = document.querySelector('#state'); window.states = [];
        new MutationObserver(() => states.push(state.textContent))
            .observe(state, { childList: true, characterData: true, subtree: true });";
    page.run(note, json!([])).await;
    let mut taken = HashSet::new();
    for n in 0..300 {
        if n == 100 || n == 200 {
            // Or the second time might find it still reconnecting, and count once.
            told(&page, "#state", "open").await;
            hub.kill();
        }
        let data = format!("number {n}");
        // Types that the page must learn come in between.
        let topic = if n % 7 == 3 { format!("t?event=type{}", n % 5) } else { "t".to_owned() };
        if hub.try_publish(&topic, &data).await.is_some() {
            taken.insert(data);
        } else {
            told(&page, "#state", "reconnecting").await;
            hub.start_again().await;
        }
    }
    assert!(taken.len() > 200, "{} were taken", taken.len());
    hub.publish("t", "end").await;
    told(&page, "#events li:first-child", "end").await;
    let described = "return [...document.querySelectorAll('#events li')]
        .every((row) => row.querySelector('.topics').textContent)";
    page.wait(described).await;
    let shown = rows(&page).await;
    let once: HashSet<_> = shown.iter().cloned().collect();
    assert_eq!(once.len(), shown.len(), "some came twice: {shown:?}");
    let lost: Vec<_> = taken.difference(&once).collect();
    assert!(lost.is_empty(), "{lost:?} of {shown:?}");
    let in_order: Vec<u32> =
        shown.iter().filter_map(|data| data.strip_prefix("number ")?.parse().ok()).collect();
    assert!(in_order.is_sorted(), "{in_order:?}");
    told(&page, "#state", "open").await;
    told(&page, "#reconnects", "2").await;
    let states = page.run("return states", json!([])).await;
    assert!(states.as_array().unwrap().contains(&json!("reconnecting")), "{states}");
    page.screenshot("restarted").await;
    page.close().await;
}
