//! The demos in a real browser: each does what its card says.

use serde_json::{Value, json};

use crate::{
    driver::{Browser, Page},
    hub::Hub,
    proxy::Proxy,
};

const DEMOS: [&str; 8] =
    ["clock", "list", "heartbeat", "chat", "counter", "feed", "visitor", "talk"];
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
// Until the clock tells the time, the page has not come to life.
const READY: &str = "return document.querySelector('#clock .time').textContent.includes(':0') \
                     || /[0-9]:[0-9]/.test(document.querySelector('#clock .time').textContent)";

/// A page of the demos, with words for what one does there.
struct Demos(Page, #[allow(dead_code, reason = "it lives as long as its page")] Browser);

impl Demos {
    async fn open(url: &str) -> Self {
        let browser = Browser::chromium().await;
        let page = browser.open(url).await;
        page.wait(READY).await;
        Self(page, browser)
    }

    /// Clicks on a part of a demo.
    async fn click(&self, demo: &str, part: &str) {
        let script = "document.querySelector(`#${arguments[0]} [data-part=\"${arguments[1]}\"]`)\
                      .click()";
        self.0.run(script, json!([demo, part])).await;
    }

    async fn start(&self, demo: &str) {
        self.click(demo, "toggle").await;
    }

    async fn start_and_see_it_open(&self, demo: &str) {
        self.start(demo).await;
        self.until(demo, "status", "open").await;
    }

    /// Waits until the part says `text`.
    async fn until(&self, demo: &str, part: &str, text: &str) {
        self.0.wait(&format!("return {}.includes({})", text_of(demo, part), json!(text))).await;
    }

    async fn says(&self, demo: &str, part: &str) -> String {
        let said = self.0.run(&format!("return {}", text_of(demo, part)), json!([])).await;
        said.as_str().unwrap().to_owned()
    }

    /// Waits until a log on a card has so many lines, and answers them, word by word.
    async fn lines(&self, demo: &str, part: &str, count: usize) -> Value {
        let lines = format!(
            "[...document.querySelectorAll('#{demo} [data-part={part}] li')].map((line) => \
             line.children.length ? [...line.children].map((word) => word.textContent).join(' ') \
             : line.textContent)"
        );
        self.0.wait(&format!("return {lines}.length >= {count}")).await;
        self.0.run(&format!("return {lines}"), json!([])).await
    }

    /// Writes into a form of the card and sends it.
    async fn send(&self, demo: &str, field: &str, text: &str) {
        let script = "const [demo, field, text] = arguments;\
                      const input = document.querySelector(`#${demo} [data-part=${field}]`);\
                      input.value = text; input.form.requestSubmit();";
        self.0.run(script, json!([demo, field, text])).await;
    }

    /// What the browser has told of errors since it was last asked.
    async fn errors(&self) -> Vec<String> {
        let log = self.0.logged_errors().await;
        log.iter().map(|entry| entry["message"].to_string()).collect()
    }

    async fn no_errors(&self) {
        assert_eq!(self.errors().await, [""; 0]);
    }

    /// Ends the test: nothing went wrong in the page's own eyes.
    async fn close_without_errors(self) {
        self.no_errors().await;
        self.0.close().await;
    }
}

fn text_of(demo: &str, part: &str) -> String {
    format!("document.querySelector('#{demo} [data-part=\"{part}\"]').textContent")
}

async fn demos(hub: &Hub) -> Demos {
    Demos::open(&hub.url("/demos")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_ticks_by_itself_and_stops() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    let first = page.says("clock", "time").await;
    page.0.wait(&format!("return {} !== {}", text_of("clock", "time"), json!(first))).await;
    assert_eq!(page.says("clock", "status").await, "open");
    page.start("clock").await;
    assert_eq!(page.says("clock", "status").await, "stopped");
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_shown_is_the_file_that_runs() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    for demo in DEMOS {
        let file = hub.text(&format!("/assets/demos/{demo}.js")).await;
        page.until(demo, "code", "export").await;
        assert_eq!(page.says(demo, "code").await, file, "{demo}");
        assert!(file.contains("new EventSource(") && file.lines().count() < 36, "{demo}");
    }
    // What runs is what was fetched from there.
    let loaded = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
    let loaded = page.0.run(loaded, json!([])).await;
    for demo in DEMOS {
        let url = hub.url(&format!("/assets/demos/{demo}.js"));
        assert!(loaded.as_array().unwrap().contains(&json!(url)), "{demo}");
    }
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_grows() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    page.start_and_see_it_open("list").await;
    page.send("list", "text", "from the page").await;
    page.lines("list", "list", 1).await;
    hub.publish("demo/list", "from <b>elsewhere</b>").await;
    let lines = page.lines("list", "list", 2).await;
    assert_eq!(lines, json!(["from the page", "from <b>elsewhere</b>"]));
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_noticed_and_ends() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    page.start_and_see_it_open("heartbeat").await;
    page.until("heartbeat", "word", "alive").await;
    page.click("heartbeat", "pause").await;
    page.until("heartbeat", "word", "silent").await;
    assert_eq!(page.says("heartbeat", "status").await, "open", "the connection is not to blame");
    page.until("heartbeat", "word", "alive").await;
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_join_chat_and_leave_in_two_windows() {
    let hub = Hub::start(&[]).await;
    let (one, two) = (demos(&hub).await, demos(&hub).await);
    one.start("chat").await;
    // Each hears himself come in, and Ann is there first or Bob.
    one.until("chat", "Ann-log", "Anncame in").await;
    one.until("chat", "Bob-log", "Bobcame in").await;
    two.start("chat").await;
    two.until("chat", "Bob-log", "Bobcame in").await;
    two.send("chat", "Ann-text", "hello from two").await;
    one.until("chat", "Bob-log", "Annhello from two").await;
    one.send("chat", "Bob-text", "hello from one").await;
    two.until("chat", "Ann-log", "Bobhello from one").await;
    one.click("chat", "Ann-door").await;
    two.until("chat", "Bob-log", "Annleft").await;
    one.send("chat", "Ann-text", "unheard").await;
    assert!(one.says("chat", "answer").await.contains("not in the room"));
    one.click("chat", "Ann-door").await;
    one.until("chat", "Ann-log", "Anncame in").await;
    // Going away is leaving.
    one.0.run("location.href = '/'", json!([])).await;
    two.until("chat", "Ann-log", "Bobleft").await;
    assert!(!two.says("chat", "Ann-log").await.contains("unheard"));
    one.no_errors().await;
    one.0.close().await;
    two.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counter_counts_on_over_reconnects() {
    let hub = Hub::start(&[]).await;
    let proxy = Proxy::start(hub.address()).await;
    let page = Demos::open(&proxy.url("/demos")).await;
    page.start("counter").await;
    let lines = page.lines("counter", "log", 12).await;
    let expected = json!([
        "1 id 1",
        "2 id 2",
        "3 id 3",
        "bye see you in two seconds",
        "… connecting again",
        "4 id 4",
        "5 id 5",
        "6 id 6",
        "bye see you in two seconds",
        "… connecting again",
        "7 id 7",
    ]);
    assert_eq!(lines.as_array().unwrap()[..11], expected.as_array().unwrap()[..]);
    let asked = proxy.requests("/demo/counter");
    assert!(!asked[0].contains("ast-"), "{asked:?}");
    let ids: Vec<_> = asked[1..3].iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(ids, ["3", "6"], "{asked:?}");
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_stored_and_asks_for_nothing_again() {
    let hub = Hub::start(&[]).await;
    let proxy = Proxy::start(hub.address()).await;
    hub.publish("demo/news", "before").await;
    let page = Demos::open(&proxy.url("/demos")).await;
    page.start_and_see_it_open("feed").await;
    let mut last = String::new();
    for n in 1..=11 {
        last = hub.publish("demo/news", &format!("news {n}")).await;
    }
    page.lines("feed", "log", 12).await;
    assert!(page.says("feed", "report").await.contains("Restored 0"));

    // While the page is gone, one more comes.
    page.0.run("location.href = '/'", json!([])).await;
    page.0.wait("return location.pathname === '/'").await;
    hub.publish("demo/news", "meanwhile").await;
    page.0.run("location.href = '/demos'", json!([])).await;
    page.0.wait("return location.pathname === '/demos' && document.querySelector('#clock')").await;
    page.0.wait(READY).await;
    page.start_and_see_it_open("feed").await;
    let lines = page.lines("feed", "log", 13).await;
    let lines = lines.as_array().unwrap();
    assert_eq!((&lines[0], &lines[11]), (&json!("store before"), &json!("store news 11")));
    assert_eq!(lines[12], "hub meanwhile");
    page.send("feed", "text", "after").await;
    let lines = page.lines("feed", "log", 14).await;
    assert_eq!(lines[13], "hub after");
    let report = page.says("feed", "report").await;
    assert_eq!(report, "Restored 12 from the store, 0 asked again.");
    assert!(page.says("feed", "asked").await.contains(&last));

    let asked = proxy.requests("/events/demo/news?");
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("last_event_id=earliest"), "{asked:?}");
    assert!(asked[1].contains(&format!("last_event_id={}", last.replace('#', "%23"))), "{asked:?}");

    page.click("feed", "forget").await;
    page.until("feed", "report", "empty").await;
    page.start("feed").await;
    assert_eq!(page.lines("feed", "log", 14).await[0], "hub before");
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_of_a_gap_and_begins_anew() {
    let mut hub = Hub::start(&["--retry", "200ms"]).await;
    let page = demos(&hub).await;
    page.start_and_see_it_open("feed").await;
    page.send("feed", "text", "old").await;
    page.lines("feed", "log", 1).await;
    // As after a backup was restored: the ids that the browser has are of another history.
    hub.kill();
    hub.start_again_with(&["--new-epoch"]).await;
    page.until("feed", "gap", "new history").await;
    assert_eq!(page.lines("feed", "log", 1).await, json!(["hub old"]));
    page.send("feed", "text", "new").await;
    assert_eq!(page.lines("feed", "log", 2).await, json!(["hub old", "hub new"]));
    page.start("feed").await;
    page.start("feed").await;
    assert_eq!(page.lines("feed", "log", 2).await, json!(["store old", "store new"]));
    page.0.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_is_followed_with_and_without_its_cookie() {
    let hub = Hub::start(&[]).await;
    let port = hub.address().port();
    for (own, other) in [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")] {
        let page = Demos::open(&format!("http://{own}:{port}/demos")).await;
        let origin = format!("http://{other}:{port}");
        page.until("visitor", "origin", &origin).await;
        page.start_and_see_it_open("visitor").await;
        page.until("visitor", "said", "No cookie").await;
        page.click("visitor", "give").await;
        page.until("visitor", "answer", "sent its cookie").await;
        page.choose("with").await;
        page.until("visitor", "said", "Your cookie came").await;
        page.choose("without").await;
        page.until("visitor", "said", "No cookie").await;
        page.click("visitor", "take").await;
        page.until("visitor", "answer", "took its cookie back").await;
        page.choose("with").await;
        page.until("visitor", "said", "No cookie").await;
        page.no_errors().await;
        // Every origin may come there, but not with credentials: the browser says so, in its log.
        page.choose("anyone").await;
        page.until("visitor", "said", "Refused").await;
        page.until("visitor", "status", "closed for good").await;
        assert!(page.errors().await.iter().any(|error| error.contains("CORS policy")));
        page.0.close().await;
    }
}

impl Demos {
    async fn choose(&self, visit: &str) {
        let script = "document.querySelector(`#visitor input[value=${arguments[0]}]`).click()";
        self.0.run(script, json!([visit])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_without_a_second_name_says_so() {
    let hub = Hub::start_at("127.0.0.2:0", &[]).await;
    let page = demos(&hub).await;
    page.until("visitor", "why", "no second name").await;
    let disabled = "return document.querySelector('#visitor [data-part=toggle]').disabled";
    assert_eq!(page.0.run(disabled, json!([])).await, true);
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talk_ends_for_good_and_can_be_held_again() {
    let hub = Hub::start(&["--retry", "200ms"]).await;
    let proxy = Proxy::start(hub.address()).await;
    let page = Demos::open(&proxy.url("/demos")).await;
    for talk in 1..=2 {
        page.start("talk").await;
        page.until("talk", "status", "closed for good").await;
        let lines = page.lines("talk", "log", 6).await;
        let expected = json!([
            "readyState 1 The stream is open.",
            "readyState 1 “Welcome.”",
            "readyState 1 “One thing:”",
            "readyState 1 “streams can end.”",
            "readyState 0 The stream was closed. The browser will ask once more.",
            "readyState 2 The answer was 204 No Content: it never asks again.",
        ]);
        assert_eq!(lines, expected);
        let asked = proxy.requests("/events/demo/talk");
        let asked = asked.iter().filter(|line| line.starts_with("GET ")).count();
        assert_eq!(asked, 2 * talk, "it asked once more, and was told to stay away");
    }
    // Ten more reconnection times, of another stream, pass without a request.
    page.start_and_see_it_open("counter").await;
    page.lines("counter", "log", 6).await;
    let asked = proxy.requests("/events/demo/talk");
    assert_eq!(asked.iter().filter(|line| line.starts_with("GET ")).count(), 4);
    page.close_without_errors().await;
}

/// Clock, list and feed go on over a kill of the hub; of list and feed nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_hub_costs_nothing() {
    let mut hub = Hub::start(&["--retry", "200ms"]).await;
    let page = demos(&hub).await;
    for demo in ["list", "feed"] {
        page.start_and_see_it_open(demo).await;
    }
    hub.publish("demo/list", "1").await;
    hub.publish("demo/news", "1").await;
    page.lines("list", "list", 1).await;
    page.lines("feed", "log", 1).await;
    for n in 2..=4 {
        hub.kill();
        for demo in ["clock", "list", "feed"] {
            page.until(demo, "status", "reconnecting").await;
        }
        hub.start_again().await;
        hub.publish("demo/list", &n.to_string()).await;
        hub.publish("demo/news", &n.to_string()).await;
        page.lines("list", "list", n).await;
        page.lines("feed", "log", n).await;
        for demo in ["clock", "list", "feed"] {
            page.until(demo, "status", "open").await;
        }
    }
    let then = page.says("clock", "time").await;
    page.0.wait(&format!("return {} !== {}", text_of("clock", "time"), json!(then))).await;
    assert_eq!(page.lines("list", "list", 4).await, json!(["1", "2", "3", "4"]));
    assert_eq!(page.lines("feed", "log", 4).await, json!(["hub 1", "hub 2", "hub 3", "hub 4"]));
    // The browser tells of connections that were refused, and of nothing else.
    let errors = page.errors().await;
    assert!(errors.iter().all(|error| error.contains("net::ERR_")), "{errors:?}");
    page.0.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_stops_when_one_too_many_starts() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    for demo in ["list", "heartbeat", "counter"] {
        page.start_and_see_it_open(demo).await;
    }
    let count = "return document.querySelector('#state').textContent";
    assert_eq!(page.0.run(count, json!([])).await, "4 of 4 streams open");
    // Two streams: clock and list make room.
    page.start_and_see_it_open("chat").await;
    for demo in ["clock", "list"] {
        assert_eq!(page.says(demo, "status").await, "stopped");
        assert!(page.says(demo, "why").await.contains("six connections"));
    }
    assert_eq!(page.says("heartbeat", "status").await, "open");
    assert_eq!(page.0.run(count, json!([])).await, "4 of 4 streams open");
    // There is a connection left to publish with.
    page.send("chat", "Ann-text", "room for this").await;
    page.until("chat", "Bob-log", "room for this").await;
    page.close_without_errors().await;
}

/// A browser that has no connection left is silent about it; the page is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_finds_no_connection_says_so() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    let tabs = "window.others = Array.from({ length: 5 }, () => new EventSource('/events/other'))";
    page.0.run(tabs, json!([])).await;
    page.0.wait("return others.every((source) => source.readyState === 1)").await;
    page.start("list").await;
    page.until("list", "why", "six connections").await;
    assert_eq!(page.says("list", "status").await, "connecting");
    page.0.run("others[0].close()", json!([])).await;
    page.until("list", "status", "open").await;
    assert_eq!(page.says("list", "why").await, "");
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_is_enough() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    let focused = "const it = document.activeElement; \
                   return [it.closest('article')?.id, it.dataset.part]";
    let mut reached = Vec::new();
    let mut list_sent = false;
    for _ in 0..80 {
        page.0.press(TAB, false).await;
        let at = page.0.run(focused, json!([])).await;
        let outline = "return getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(page.0.run(outline, json!([])).await, "solid", "the focus is seen at {at}");
        if at == json!(["list", "text"]) && !list_sent {
            page.0.type_text("typed").await;
            page.0.press(ENTER, false).await;
            list_sent = true;
        } else if at == json!(["list", "toggle"]) {
            page.0.press(ENTER, false).await;
            page.until("list", "status", "open").await;
            page.send("list", "text", "seen").await;
            page.until("list", "list", "seen").await;
        }
        let is_last = at == json!(["talk", "toggle"]);
        reached.push(at);
        if is_last {
            break;
        }
    }
    assert!(list_sent);
    for demo in DEMOS {
        for part in ["toggle", "code"] {
            let at = reached.iter().filter(|at| **at == json!([demo, part])).count();
            let past_the_end = demo == "talk" && part == "code";
            assert!(at == 1 || past_the_end, "{demo} {part}: {at} in {reached:?}");
        }
    }
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wider_than_the_screen() {
    let hub = Hub::start(&[]).await;
    let page = demos(&hub).await;
    page.start_and_see_it_open("list").await;
    hub.publish("demo/list", &"wide".repeat(200)).await;
    page.lines("list", "list", 1).await;
    for width in [360, 768, 1280, 1600] {
        page.0.narrow(width).await;
        let overflow = "const root = document.documentElement; \
                        return root.scrollWidth - root.clientWidth";
        assert_eq!(page.0.run(overflow, json!([])).await, 0, "at {width}");
    }
    page.close_without_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn demos_that_are_off_say_how_to_switch_them_on() {
    let hub = Hub::start(&["--no-demo"]).await;
    let browser = Browser::chromium().await;
    let page = browser.open(&hub.url("/demos")).await;
    let text = page.run("return document.body.innerText", json!([])).await;
    assert!(text.as_str().unwrap().contains("--no-demo=false"), "{text}");
    assert!(page.logged_errors().await.is_empty());
    page.close().await;
}
