//! Several tabs of one browser, as one person has them.

use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};

use crate::driver::{Browser, Page};

/// A browser with tabs, one of which is in front.
pub(crate) struct Tabs {
    page: Page,
    _browser: Browser,
}

/// A tab.
#[derive(Debug, Clone)]
pub(crate) struct Tab(WindowHandle);

impl Tabs {
    /// Opens a browser with a tab in front.
    pub(crate) async fn open(url: &str) -> (Self, Tab) {
        let browser = Browser::chromium().await;
        let page = browser.open(url).await;
        let first = Tab(page.client.window().await.unwrap());
        (Self { page, _browser: browser }, first)
    }

    /// Opens one more tab, in front.
    pub(crate) async fn another(&self, url: &str) -> Tab {
        let handle = self.page.client.new_window(true).await.unwrap().handle;
        let tab = Tab(handle);
        self.front(&tab).await;
        self.go(url).await;
        tab
    }

    /// Brings a tab to the front.
    pub(crate) async fn front(&self, tab: &Tab) {
        self.page.client.switch_to_window(tab.0.clone()).await.unwrap();
    }

    /// Closes the tab in front, and brings another there.
    pub(crate) async fn close_and_front(&self, tab: &Tab) {
        self.page.client.close_window().await.unwrap();
        self.front(tab).await;
    }

    /// Goes to another page in the tab in front.
    pub(crate) async fn go(&self, url: &str) {
        self.page.client.goto(url).await.unwrap();
    }

    /// Reloads the tab in front.
    pub(crate) async fn reload(&self) {
        self.page.client.refresh().await.unwrap();
    }

    /// The value of an expression in the tab in front.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.page.run(&format!("return {expression}"), json!([])).await
    }

    /// Runs a statement in the tab in front.
    pub(crate) async fn act(&self, statement: &str) {
        self.page.run(statement, json!([])).await;
    }

    /// Waits until an expression is true in the tab in front.
    pub(crate) async fn wait(&self, expression: &str) {
        self.page.wait(&format!("return {expression}")).await;
    }

    /// The texts of what the selector finds in the tab in front.
    pub(crate) async fn texts(&self, selector: &str) -> Vec<String> {
        let texts = format!(
            "[...document.querySelectorAll({selector:?})].map((found) => found.textContent)"
        );
        serde_json::from_value(self.value(&texts).await).unwrap()
    }

    /// The text of what the selector finds first in the tab in front.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let text = format!("document.querySelector({selector:?}).textContent");
        serde_json::from_value(self.value(&text).await).unwrap()
    }

    /// Waits until this is the text of what the selector finds first.
    pub(crate) async fn wait_for_text(&self, selector: &str, text: &str) {
        self.wait(&format!("document.querySelector({selector:?})?.textContent === {text:?}")).await;
    }

    /// Waits until the selector finds so many.
    pub(crate) async fn wait_for_count(&self, selector: &str, count: usize) {
        self.wait(&format!("document.querySelectorAll({selector:?}).length >= {count}")).await;
    }

    pub(crate) async fn quit(self) {
        self.page.close().await;
    }
}
