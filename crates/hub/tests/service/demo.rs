use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Answer, Hub, soon};

/// A header of the hub's other loopback name.
fn neighbour(hub: &Hub) -> String {
    format!("http://localhost:{}", hub.address.port())
}

fn allows(answer: &Answer) -> (Option<&str>, Option<&str>) {
    let header = |name| answer.header(name);
    (header("access-control-allow-origin"), header("access-control-allow-credentials"))
}

#[tokio::test]
async fn a_neighbour_follows_the_visitors_stream_with_its_cookie() {
    let hub = Hub::start().await;
    let origin = neighbour(&hub);
    let host = hub.address;
    let (answer, mut stream) =
        hub.follow(&format!("GET /demo/visitor\nHost: {host}\nOrigin: {origin}")).await;
    assert_eq!(allows(&answer), (Some(origin.as_str()), Some("true")));
    stream.until("event: visitor\ndata: no cookie\n\n").await;

    let preflight = "OPTIONS /demo/visitor/cookie\nAccess-Control-Request-Method: DELETE";
    let preflight = hub.ask(&format!("{preflight}\nOrigin: {origin}"), "").await;
    assert_eq!(allows(&preflight), (Some(origin.as_str()), Some("true")));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("DELETE"));
    let cookie = hub.ask(&format!("POST /demo/visitor/cookie\nOrigin: {origin}"), "").await;
    assert_eq!(cookie.status, 204);
    assert_eq!(allows(&cookie), (Some(origin.as_str()), Some("true")));
    let cookie = cookie.header("set-cookie").unwrap().to_owned();
    for attribute in ["Secure", "SameSite=None", "HttpOnly", "Path=/demo/visitor"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let head = format!("GET /demo/visitor\nOrigin: {origin}\nCookie: a=b; {pair}");
    hub.follow(&head).await.1.until("data: cookie\n\n").await;

    let head = format!("GET /demo/visitor/anyone\nOrigin: {origin}\nCookie: {pair}");
    let (answer, _) = hub.follow(&head).await;
    assert_eq!(allows(&answer), (Some("*"), None));
}

#[tokio::test]
async fn nobody_else_is_let_in_and_a_neighbour_nowhere_else() {
    let hub = Hub::start().await;
    let strangers = ["http://localhost:1", "https://evil.example", "null"].map(str::to_owned);
    for origin in strangers {
        for path in ["/demo/visitor", "/demo/visitor/anyone", "/demo/visitor/cookie"] {
            let answer = hub.get(&format!("{path}\nOrigin: {origin}")).await;
            answer.is_problem(403, "foreign-origin");
            assert_eq!(allows(&answer), (None, None));
        }
    }
    let origin = neighbour(&hub);
    for path in ["/demos", "/demo", "/demo/counter", "/events/demo/list", "/topics"] {
        // The request is for another host name: to the hub its own page is of this one.
        let head = format!("GET {path}\nHost: {}\nOrigin: {origin}", hub.address);
        hub.ask(&head, "").await.is_problem(403, "foreign-origin");
    }
    let head = format!("POST /demo/heartbeat/pause\nHost: {}\nOrigin: {origin}", hub.address);
    hub.ask(&head, "").await.is_problem(403, "foreign-origin");
    let head = format!("GET /demo/visitor\nHost: evil.example\nOrigin: {origin}");
    hub.ask(&head, "").await.is_problem(403, "foreign-host");
}

#[tokio::test]
async fn the_page_may_connect_to_the_neighbour_alone() {
    let hub = Hub::start().await;
    for (own, other) in [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")] {
        let port = hub.address.port();
        let page = hub.get(&format!("/demos\nHost: {own}:{port}")).await;
        let policy = page.header("content-security-policy").unwrap();
        let connect = format!("connect-src 'self' http://{other}:{port};");
        assert!(policy.contains(&connect), "{policy}");
        let facts = hub.get(&format!("/demo\nHost: {own}:{port}")).await;
        assert_eq!(facts.json()["neighbour"], format!("http://{other}:{port}"));
    }
    let tunnel = hub.get("/demo\nHost: localhost:1").await;
    assert!(tunnel.json()["neighbour"].is_null());
}

#[tokio::test]
async fn the_counter_counts_on_from_an_id_of_its_own() {
    let hub = Hub::start().await;
    let count = async |id: &str| hub.follow(&format!("GET /demo/counter{id}")).await.1.end().await;
    let (first, next, foreign) = tokio::join!(
        count(""),
        count("\nLast-Event-ID: 3"),
        count("\nLast-Event-ID: 3<script>\u{2028}")
    );
    assert_eq!(
        first,
        "retry: 2000\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n\
         event: bye\ndata: see you in two seconds\n\n"
    );
    assert!(next.contains("id: 4\ndata: 4\n\nid: 5\ndata: 5\n\nid: 6\ndata: 6\n\nevent: bye"));
    assert_eq!(foreign, first);
}

#[tokio::test]
async fn the_clock_runs_while_somebody_follows() {
    let hub = Hub::start().await;
    let (_, mut clock) = hub.follow("GET /events/demo/clock").await;
    let text = clock.until("data: 20").await;
    assert!(text.contains('T') && text.contains('Z'), "{text}");
    let (_, mut heartbeat) = hub.follow("GET /events/demo/heartbeat").await;
    heartbeat.until("event: heartbeat\ndata: beat").await;
    drop(clock);
    // The heart beats on, and the clock, which nobody follows by its name, tells no more time.
    let (_, mut all) = hub.follow("GET /events?pattern=demo/:name").await;
    for _ in 0..3 {
        let (_, mut heartbeat) = hub.follow("GET /events/demo/heartbeat").await;
        heartbeat.until("data: beat").await;
    }
    assert_eq!(hub.log.state().records, 0, "it is told, and not kept");
    hub.post("/events/demo/list", "end").await.id();
    let told = all.until("data: end").await;
    assert!(told.matches("data: beat").count() >= 3, "{told}");
    assert!(told.matches("data: 20").count() <= 1, "{told}");
}

#[tokio::test]
async fn a_pause_of_the_heartbeat_ends() {
    let hub = Hub::start().await;
    let pause = hub.post("/demo/heartbeat/pause", "").await;
    let ms = pause.json()["pause_ms"].as_u64().unwrap();
    let asked = Instant::now();
    hub.follow("GET /events/demo/heartbeat").await.1.until("data: beat").await;
    assert!(asked.elapsed() > Duration::from_millis(ms - 500), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn streams_of_the_demos_are_limited_and_end_when_the_hub_leaves() {
    let mut hub = Hub::with(|config| config.limits.subscribers_max = 1).await;
    let (_, mut stream) = hub.follow("GET /demo/visitor").await;
    stream.until("data: no cookie").await;
    let (crowded, second) = hub.follow("GET /demo/counter").await;
    assert_eq!(crowded.status, 200, "an EventSource would give up on anything else");
    assert!(crowded.header("content-length").is_some());
    drop(second);
    hub.leave();
    stream.end().await;
    soon(hub.gone()).await;
}

#[tokio::test]
async fn without_the_demos_the_page_says_how_to_have_them() {
    let hub = Hub::with(|config| config.demo = false).await;
    let page = hub.get("/demos").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("--no-demo=false"));
    for path in ["/demo", "/demo/counter", "/demo/visitor", "/demo/heartbeat/pause"] {
        assert_eq!(hub.get(path).await.status, 404, "{path}");
    }
    let head = format!("GET /demo/visitor\nHost: {}\nOrigin: {}", hub.address, neighbour(&hub));
    hub.ask(&head, "").await.is_problem(403, "foreign-origin");
}

#[tokio::test]
async fn files_are_served_as_what_they_are() {
    let hub = Hub::start().await;
    for (file, kind) in [("demos/clock.js", "text/javascript"), ("demos.css", "text/css")] {
        let answer = hub.get(&format!("/assets/{file}")).await;
        assert!(answer.header("content-type").unwrap().starts_with(kind));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    for path in ["nothing.js", "../index.html", "page/", "page/%2e%2e/clock.js"] {
        assert_ne!(hub.get(&format!("/assets/demos/{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_clock_that_somebody_ended_goes_on() {
    let hub = Hub::start().await;
    hub.ask("DELETE /events/demo/clock", "").await.id();
    soon(async {
        while hub.get("/topics").await.json()["topics"][0]["ended"] == true {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (answer, mut stream) = hub.follow("GET /events/demo/clock").await;
    assert_eq!(answer.status, 200);
    stream.until("Z\n\n").await;
}
