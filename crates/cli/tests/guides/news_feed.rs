//! `docs/guides/news-feed.md`

use crate::{follower::Follower, guide::Guide, tabs::Tabs};

const ITEMS: &str = "#list li";
/// How often the page has fetched the snapshot since it was loaded.
const SNAPSHOTS: &str = "performance.getEntriesByType('resource')\
                         .filter(({ name }) => name.endsWith('/snapshot')).length";

async fn post(guide: &Guide, title: &str) {
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = request.post(guide.url("8000", "/articles")).body(title.to_owned());
    assert_eq!(request.send().await.unwrap().status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_asks_for_nothing_that_is_stored_and_a_gap_for_a_snapshot() {
    // A history that is as short as it can be, so that there will be a gap.
    let mut guide = Guide::follow("news-feed.md", &["--history-events", "1"]).await;
    guide.serve("server").await;
    post(&guide, "Before anybody came").await;
    let url = guide.url("8000", "/");
    let (tabs, _) = Tabs::open(&url).await;
    tabs.wait_for_text(ITEMS, "Before anybody came").await;
    assert_eq!(tabs.value(SNAPSHOTS).await, 1);
    guide.run("publish").await;
    tabs.wait_for_text(ITEMS, "The second article").await;

    tabs.reload().await;
    post(&guide, "After the reload").await;
    tabs.wait_for_text(ITEMS, "After the reload").await;
    let all =
        ["After the reload", "The second article", "The first article", "Before anybody came"];
    assert_eq!(tabs.texts(ITEMS).await, all);
    assert_eq!(tabs.value(SNAPSHOTS).await, 0);

    // Killed at the worst moment: the hub, and then the back end before it could publish.
    guide.hub.kill();
    post(&guide, "Stored while the hub was away").await;
    guide.kill_server().await;
    guide.hub.start_again().await;
    guide.serve("server").await;
    tabs.wait_for_text(ITEMS, "Stored while the hub was away").await;
    assert_eq!(tabs.texts(ITEMS).await.len(), 5);
    assert_eq!(tabs.value(SNAPSHOTS).await, 0);

    // Nobody looks while the history is trimmed.
    tabs.go(&guide.url("8000", "/snapshot")).await;
    for number in 6..=9 {
        post(&guide, &format!("Number {number}")).await;
    }
    let mut follower = Follower::new(guide.hub.address(), "/events/feed?last_event_id=earliest");
    follower.read_until(r#"{"number": 9, "title": "Number 9"}"#).await;
    drop(follower);
    guide.hub.kill_and_start_again().await;
    tabs.go(&url).await;
    tabs.wait_for_text(ITEMS, "Number 9").await;
    assert_eq!(tabs.texts(ITEMS).await.len(), 9);
    assert_eq!(tabs.value(SNAPSHOTS).await, 1);
    post(&guide, "The last one").await;
    tabs.wait_for_text(ITEMS, "The last one").await;
    assert_eq!(tabs.texts(ITEMS).await.len(), 10);
    tabs.quit().await;
    guide.finish();
}
