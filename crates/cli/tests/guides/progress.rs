//! `docs/guides/progress.md`

use crate::{
    guide::Guide,
    tabs::{Tab, Tabs},
};

const STEPS: &str = "#steps li";
const DONE: &str = "document.querySelector('#state').textContent === 'done: the work is done'";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_with_the_link_shows_each_step_once_and_stops_at_the_end() {
    let mut guide = Guide::follow("progress.md", &[]).await;
    guide.serve("server").await;
    let (tabs, first) = Tabs::open(&guide.url("8000", "/")).await;
    tabs.act("document.querySelector('#start').click()").await;
    tabs.wait_for_count(STEPS, 3).await;
    let link: String = serde_json::from_value(tabs.value("location.href").await).unwrap();

    // In mid-stream the hub is killed, and then the page reloaded.
    guide.hub.kill_and_start_again().await;
    let second = tabs.another(&link).await;
    tabs.wait_for_count(STEPS, 4).await;
    tabs.reload().await;
    tabs.wait_for_count(STEPS, 5).await;

    let all: Vec<_> = (1..=20).map(|step| format!("step {step}")).collect();
    let shows_all = async |tab: &Tab| {
        tabs.front(tab).await;
        tabs.wait(DONE).await;
        tabs.wait("source.readyState === EventSource.CLOSED").await;
        assert_eq!(tabs.texts(STEPS).await, all);
    };
    shows_all(&first).await;
    shows_all(&second).await;
    // Who comes after the end gets all of it, and is then sent away as well.
    let late = tabs.another(&link).await;
    shows_all(&late).await;
    assert!(guide.hub.text("/topics").await.contains(r#""subscribers":0"#));
    tabs.quit().await;
    guide.finish();
}

/// With no more history than the last event, as the guide's limits have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_page_may_be_given_the_last_state_alone() {
    let mut guide =
        Guide::follow("progress.md", &["--history-of", "pattern=jobs/* events=1"]).await;
    guide.serve("server").await;
    let (tabs, first) = Tabs::open(&guide.url("8000", "/")).await;
    tabs.act("document.querySelector('#start').click()").await;
    tabs.wait_for_count(STEPS, 2).await;
    let link: String = serde_json::from_value(tabs.value("location.href").await).unwrap();
    guide.hub.kill_and_start_again().await;
    tabs.wait(DONE).await;
    tabs.wait("source.readyState === EventSource.CLOSED").await;
    tabs.another(&link).await;
    tabs.wait(DONE).await;
    tabs.wait("source.readyState === EventSource.CLOSED").await;
    assert_eq!(tabs.texts(STEPS).await, <[&str; 0]>::default());
    tabs.close_and_front(&first).await;
    tabs.quit().await;
    guide.finish();
}
