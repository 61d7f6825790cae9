//! `docs/guides/notifications.md`

use crate::{guide::Guide, tabs::Tabs};

const ITEMS: &str = "#list li";

#[tokio::test(flavor = "multi_thread")]
async fn all_tabs_show_every_notification_once_over_one_connection() {
    let mut guide = Guide::follow("notifications.md", &[]).await;
    guide.serve("server").await;
    let url = guide.url("8000", "/notifications.html?user=42");

    // What was published before anybody came is there.
    assert!(guide.run("curl").await.starts_with(r##"{"id":"#"##));
    let (tabs, first) = Tabs::open(&url).await;
    tabs.wait_for_text(ITEMS, "Your order is paid").await;
    tabs.wait_for_text("#unread", "1").await;
    let second = tabs.another(&url).await;
    tabs.wait_for_text("#unread", "1").await;
    assert_eq!(tabs.value("source === undefined").await, true);
    guide.run("one").await;
    tabs.wait_for_text("#unread", "2").await;
    assert_eq!(tabs.texts(ITEMS).await, ["Your order is on its way", "Your order is paid"]);
    assert!(guide.hub.text("/topics").await.contains(r#""subscribers":1"#));

    // What is read in one tab is read in the other, and remains so.
    tabs.act("document.querySelector('#read').click()").await;
    tabs.front(&first).await;
    tabs.wait_for_text("#unread", "0").await;
    tabs.reload().await;
    tabs.wait_for_count(ITEMS, 2).await;
    assert_eq!(tabs.text("#unread").await, "0");

    // The one that was reloaded gave the lock to the other, which went on after the last id. The
    // hub is away while the back end notifies all.
    tabs.front(&second).await;
    tabs.wait("source?.readyState === EventSource.OPEN").await;
    let resumed = tabs.value("new URL(source.url).searchParams.get('last_event_id')").await;
    assert!(resumed.as_str().unwrap().starts_with('#'), "{resumed}");
    guide.hub.kill();
    let notifying = guide.begin("all");
    guide.hub.start_again().await;
    guide.end(notifying).await;
    tabs.wait_for_text("#unread", "1").await;

    // The same again, as by a back end that heard no answer, changes nothing.
    guide.run("all").await;
    guide.run("one").await;

    // Without the second tab the first one follows.
    tabs.close_and_front(&first).await;
    tabs.wait("source?.readyState === EventSource.OPEN").await;
    guide.hub.publish("users/42/notifications", r#"{"text":"end"}"#).await;
    tabs.wait_for_text(ITEMS, "end").await;
    let all = ["end", "Version 2 is out", "Your order is on its way", "Your order is paid"];
    assert_eq!(tabs.texts(ITEMS).await, all);

    // Nobody looks, and what is published meanwhile is there on return.
    tabs.go(&guide.url("8000", "/notify.py")).await;
    guide.hub.publish("users/42/notifications", r#"{"text":"while away"}"#).await;
    guide.hub.publish("users/43/notifications", r#"{"text":"for another"}"#).await;
    tabs.go(&url).await;
    tabs.wait_for_text(ITEMS, "while away").await;
    assert_eq!(tabs.texts(ITEMS).await.len(), 5);
    assert_eq!(tabs.text("#note").await, "");

    // Of an id that the hub does not know it tells, and all there is comes anew.
    tabs.act("keep({ last: 'lost' }); location.reload()").await;
    tabs.wait_for_text("#note", "Older notifications are no longer kept.").await;
    tabs.wait_for_text(ITEMS, "while away").await;
    assert_eq!(tabs.texts(ITEMS).await.len(), 5);
    tabs.quit().await;
    guide.finish();
}
