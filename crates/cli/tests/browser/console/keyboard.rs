//! The console without a mouse.

use fantoccini::key::Key;
use serde_json::json;

use super::{open, told};
use crate::{
    driver::{Browser, Page},
    hub::Hub,
};

/// Presses Tab until the element has the focus.
async fn tab_to(page: &Page, id: &str) {
    let mut passed = Vec::new();
    for _ in 0..40 {
        page.press(Key::Tab.into(), false).await;
        let focus = "const a = document.activeElement; return a.id || a.textContent.trim()";
        let focus = page.run(focus, json!([])).await.as_str().unwrap().to_owned();
        if focus == id {
            return;
        }
        passed.push(focus);
    }
    panic!("Tab does not come to {id}, but to {passed:?}");
}

/// Tab to the form, write, publish with Ctrl+Enter; tabs and rows with the arrows.
#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_with_the_keyboard() {
    let (browser, hub) = (Browser::chromium().await, Hub::start(&[]).await);
    let page = open(&browser, &hub).await;
    tab_to(&page, "type").await;
    page.type_text("join").await;
    tab_to(&page, "data").await;
    page.press(Key::End.into(), false).await;
    page.type_text(" Ann").await;
    page.press(Key::Enter.into(), true).await;
    told(&page, "#events pre", "Hello! Ann").await;
    told(&page, "#events .type", "join").await;
    page.press(Key::Enter.into(), true).await;
    page.wait("return document.querySelectorAll('#events li').length === 2").await;

    // Into the list, down a row, and on to its button, which opens a dialog that Escape closes.
    tab_to(&page, "clear").await;
    page.press(Key::Tab.into(), false).await;
    let at = "return [...document.querySelectorAll('#events li')].indexOf(document.activeElement)";
    assert_eq!(page.run(at, json!([])).await, 0);
    page.press(Key::Down.into(), false).await;
    assert_eq!(page.run(at, json!([])).await, 1);
    page.press(Key::Tab.into(), false).await;
    page.press(Key::Enter.into(), false).await;
    page.wait("return document.querySelector('#why').open").await;
    page.press(Key::Escape.into(), false).await;
    page.wait("return !document.querySelector('#why').open").await;

    // To the topics, and follow one.
    page.run("document.querySelector('#data').focus()", json!([])).await;
    tab_to(&page, "tab-events").await;
    page.press(Key::Right.into(), false).await;
    told(&page, "#topics-table", "rooms/42").await;
    tab_to(&page, "rooms/42").await;
    page.press(Key::Enter.into(), false).await;
    page.wait("return document.querySelector('#topics').value === 'rooms/42'").await;
    told(&page, "#count", "2").await;
    page.close().await;
}
