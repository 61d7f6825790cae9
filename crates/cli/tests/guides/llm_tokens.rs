//! `docs/guides/llm-tokens.md`

use serde_json::Value;

use crate::{follower::Follower, guide::Guide, tabs::Tabs};

const STATE: &str = "document.querySelector('#state').textContent";
/// More of the answer is shown than so many characters.
fn longer_than(length: usize) -> String {
    format!("document.querySelector('#text').textContent.length > {length}")
}

/// What the model answers, from the program that stands in for it.
fn answer(guide: &Guide) -> String {
    let literals = guide.file("model.py").split("ANSWER = (").nth(1).unwrap();
    let literals = literals.split("\n)").next().unwrap();
    literals.split('"').skip(1).step_by(2).chain([" "]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tab_shows_the_whole_answer_through_reload_and_kill() {
    let mut guide = Guide::follow("llm-tokens.md", &[]).await;
    guide.serve("model").await;
    guide.serve("server").await;
    let whole = answer(&guide);
    assert!(whole.starts_with("Server-sent events") && whole.ends_with("is lost. "), "{whole}");

    let (tabs, first) = Tabs::open(&guide.url("8000", "/")).await;
    tabs.act("document.querySelector('#ask button').click()").await;
    tabs.wait(&longer_than(20)).await;
    let link: String = serde_json::from_value(tabs.value("location.href").await).unwrap();
    guide.hub.kill_and_start_again().await;
    let second = tabs.another(&link).await;
    tabs.wait(&longer_than(40)).await;
    tabs.reload().await;
    for tab in [&first, &second] {
        tabs.front(tab).await;
        tabs.wait(&format!("{STATE} === 'done'")).await;
        tabs.wait("source.readyState === EventSource.CLOSED").await;
        assert_eq!(tabs.text("#text").await, whole);
    }
    tabs.another(&link).await;
    tabs.wait("source.readyState === EventSource.CLOSED").await;
    assert_eq!(tabs.text("#text").await, whole);

    assert_eq!(tabs.text("#asked").await, "What are server-sent events?");

    // What is stopped in one tab is stopped in all, and is shorter.
    tabs.front(&first).await;
    tabs.act("document.querySelector('#ask button').click()").await;
    tabs.wait(&format!("{STATE} === 'answering' && {}", longer_than(20))).await;
    let link: String = serde_json::from_value(tabs.value("location.href").await).unwrap();
    tabs.another(&link).await;
    tabs.wait(&longer_than(20)).await;
    tabs.act("document.querySelector('#stop').click()").await;
    tabs.wait(&format!("{STATE} === 'stopped'")).await;
    tabs.front(&first).await;
    tabs.wait(&format!("{STATE} === 'stopped'")).await;
    let stopped = tabs.text("#text").await;
    assert!(whole.starts_with(&stopped) && stopped.len() < whole.len(), "{stopped}");

    // An answer whose beginning is gone does not look like a whole one.
    guide.hub.publish("answers/9", r#""the rest""#).await;
    tabs.act("location.hash = '9'").await;
    tabs.wait_for_text("#text", "[the beginning is no longer kept] the rest").await;
    tabs.act("source.close(); location.hash = ''").await;
    tabs.quit().await;

    // The model's own stream, as it is.
    let printed = guide.run("pipe").await;
    let mut answers = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let account = answers.next().unwrap().unwrap();
    assert_eq!(account["events"], whole.split(' ').count(), "{account}");
    let mut follower =
        Follower::new(guide.hub.address(), "/events/answers/7?last_event_id=earliest");
    follower.read_until("[DONE]").await;
    assert_eq!(follower.events.last().unwrap().0, account["last_id"].as_str().unwrap());
    assert_eq!(account["events"], follower.events.len());
    guide.finish();
}
