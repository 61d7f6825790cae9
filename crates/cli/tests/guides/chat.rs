//! `docs/guides/chat.md`

use crate::{guide::Guide, tabs::Tabs};

const LINES: &str = "#lines li";
const NEWEST: &str = "#lines li:last-child";

async fn says(tabs: &Tabs, text: &str) {
    let typed = format!("document.querySelector('#text').value = {text:?};");
    tabs.act(&format!("{typed} document.querySelector('#say').requestSubmit()")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_the_same_lines_and_who_is_here() {
    let mut guide = Guide::follow("chat.md", &[]).await;
    guide.serve("server").await;
    let of = |name: &str| guide.url("8000", &format!("/?name={name}"));
    let (ann_url, bob_url, cid_url) = (of("ann"), of("bob"), of("cid"));
    let (tabs, ann) = Tabs::open(&ann_url).await;
    tabs.wait_for_text("#here", "ann").await;
    let bob = tabs.another(&bob_url).await;
    tabs.wait_for_text("#here", "ann, bob").await;
    let bob_again = tabs.another(&bob_url).await;
    tabs.wait("stays.size === 3").await;

    // Typing is for those who are there, and is over when the message comes.
    guide.run("typing").await;
    tabs.wait_for_text("#typing", "cid is typing …").await;
    tabs.front(&ann).await;
    tabs.wait_for_text("#typing", "cid is typing …").await;
    guide.run("message").await;
    tabs.wait_for_text("#typing", "").await;
    tabs.wait_for_text(NEWEST, "cid: Hello from the terminal").await;
    tabs.act("const text = document.querySelector('#text'); text.value = 'x'; text.oninput()")
        .await;
    tabs.front(&bob).await;
    tabs.wait_for_text("#typing", "ann is typing …").await;

    // Two messages while the hub is away come once, and in their order.
    guide.hub.kill();
    says(&tabs, "one").await;
    says(&tabs, "two").await;
    guide.hub.start_again().await;
    tabs.wait_for_text(NEWEST, "bob: two").await;

    // A name is here until its last tab goes.
    tabs.front(&bob_again).await;
    tabs.close_and_front(&bob).await;
    tabs.wait("stays.size === 2").await;
    tabs.wait_for_text("#here", "ann, bob").await;
    tabs.go(&guide.url("8000", "/nowhere")).await;
    tabs.close_and_front(&ann).await;
    tabs.wait_for_text("#here", "ann").await;
    let lines = [
        "ann joined",
        "bob joined",
        "cid: Hello from the terminal",
        "bob: one",
        "bob: two",
        "bob left",
    ];
    assert_eq!(tabs.texts(LINES).await, lines);

    // Who comes later reads all of it but who was typing.
    let cid = tabs.another(&cid_url).await;
    tabs.wait_for_text("#here", "ann, cid").await;
    assert_eq!(tabs.texts(LINES).await, [&lines[..], &["cid joined"]].concat());
    assert_eq!(tabs.text("#typing").await, "");
    assert_eq!(tabs.value("typing.size").await, 0);

    // Both miss a tab that crashed: they say so at once, and it is said once. Who is missed and is
    // there all the same joins again.
    guide.hub.publish("rooms/lobby?event=join", r#"{"name":"dan","tab":"d"}"#).await;
    for tab in [&ann, &cid] {
        tabs.front(tab).await;
        tabs.wait_for_text("#here", "ann, cid, dan").await;
    }
    for tab in [&ann, &cid] {
        tabs.front(tab).await;
        tabs.act("for (const stay of stays.values()) if (stay.name === 'dan') stay.heardAt = 0")
            .await;
        tabs.act("look()").await;
    }
    tabs.wait_for_text(NEWEST, "dan left").await;
    let left =
        "stays.forEach((stay, tab) => { if (stay.name === 'ann') leave({ name: 'ann', tab }) })";
    tabs.act(left).await;
    tabs.wait_for_text(NEWEST, "ann joined").await;
    tabs.wait_for_text("#here", "ann, cid").await;
    let after: Vec<_> = tabs.texts(LINES).await.split_off(lines.len());
    assert_eq!(after, ["cid joined", "dan joined", "dan left", "ann left", "ann joined"]);

    // Of an id that the hub does not know it tells, and all there is comes anew.
    let all = tabs.texts(LINES).await;
    tabs.act("source.close(); follow('lost', false)").await;
    tabs.wait_for_text(LINES, "(Older messages are no longer kept.)").await;
    tabs.wait_for_text(NEWEST, "ann joined").await;
    tabs.wait(&format!("document.querySelectorAll({LINES:?}).length > {}", all.len())).await;
    assert_eq!(tabs.texts(LINES).await[1..], all);
    tabs.quit().await;
    guide.finish();
}
