use std::collections::HashSet;

use crate::support::{Hub, soon};

fn names(page: &serde_json::Value) -> Vec<&str> {
    let listed = page["subscribers"].as_array().expect("a list");
    listed.iter().map(|one| one["subscriber"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_subscriber_has_a_name_of_its_own_or_one_that_it_is_told() {
    let hub = Hub::start().await;
    let (answer, mut stream) = hub.follow("GET /events/a?subscriber=Ann's+t%C3%A9l").await;
    assert_eq!(answer.header("tidings-subscriber"), Some("Ann%27s+t%C3%A9l"));
    assert!(stream.opened().await.contains("data: {\"subscriber\":\"Ann's tél\"}\n"));
    let head = "GET /events/a?subscriber=ann\nAccept: application/x-ndjson";
    let (_, mut lines) = hub.follow(head).await;
    assert!(lines.until("\n").await.contains("\"data\":{\"subscriber\":\"ann\"}"));
    let mut given = HashSet::new();
    for _ in 0..3 {
        let (answer, _) = hub.follow("GET /events/a?cursor=off").await;
        given.insert(answer.header("tidings-subscriber").unwrap().to_owned());
    }
    assert_eq!(given.len(), 3);
    // History that begins with a gap: the notice is the opening.
    let (_, mut gap) = hub.follow("GET /events/a?subscriber=bob&last_event_id=gone").await;
    let notice = gap.until("}\n\n").await;
    assert!(notice.contains("event: tidings.gap") && notice.contains("\"subscriber\":\"bob\""));
    // Later notices do not repeat it.
    assert_eq!(notice.matches("subscriber").count(), 1);
}

#[tokio::test]
async fn who_is_there_and_who_was_is_listed() {
    let hub = Hub::start().await;
    let id = hub.post("/events/a", "top secret").await.id();
    let target = "GET /events/a?topic=b&pattern=rooms/:id&subscriber=ann&last_event_id=earliest";
    let (_, mut ann) = hub.follow(target).await;
    ann.until("data: top secret").await;
    let (_, mut bob) =
        hub.follow(&format!("GET /events/b?subscriber=bob\nLast-Event-ID: {id}")).await;
    bob.opened().await;
    let page = soon(async {
        loop {
            let page = hub.get("/subscribers").await.json();
            if page["subscribers"][0]["lag"] == 0 {
                break page;
            }
        }
    })
    .await;
    assert_eq!(names(&page), ["ann", "bob"]);
    assert!(page["next"].is_null());
    let one = &page["subscribers"][0];
    assert_eq!(one["topics"], serde_json::json!(["a", "b"]));
    assert_eq!(one["patterns"], serde_json::json!(["rooms/:id"]));
    assert_eq!((&one["state"], &one["events"]), (&"live".into(), &1.into()));
    assert_eq!((&one["cursor"], &one["resumed_after"]), (&id.clone().into(), &"earliest".into()));
    assert!(one["bytes"].as_u64().unwrap() > 50 && one["opened_ms"].as_u64().unwrap() > 0);
    assert!(one["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(one["closed_ms"].is_null());
    assert_eq!(page["subscribers"][1]["resumed_after"], id);
    assert!(!page.to_string().contains("secret"));
    drop(ann);
    let gone = soon(async {
        loop {
            let one = hub.get("/subscribers?limit=1").await.json();
            if one["subscribers"][0]["state"] == "closed" {
                break one;
            }
        }
    })
    .await;
    assert!(gone["subscribers"][0]["closed_ms"].is_u64());
    let next = gone["next"].as_str().expect("bob is to come").replace(':', "%3A");
    let rest = hub.get(&format!("/subscribers?limit=1&after={next}")).await.json();
    assert_eq!((names(&rest), &rest["next"]), (vec!["bob"], &serde_json::Value::Null));
    for (topic, expected) in
        [("a", vec!["ann"]), ("b", vec!["ann", "bob"]), ("rooms/7", vec!["ann"]), ("c", vec![])]
    {
        let page = hub.get(&format!("/subscribers?topic={topic}")).await.json();
        assert_eq!(names(&page), expected, "{topic}");
    }
}

#[tokio::test]
async fn who_hears_nothing_does_not_lag() {
    let hub = Hub::start().await;
    let (_, mut quiet) = hub.follow("GET /events/quiet?subscriber=quiet").await;
    quiet.opened().await;
    for n in 0..20 {
        hub.post("/events/other", &n.to_string()).await.id();
    }
    soon(async {
        loop {
            let page = hub.get("/subscribers").await.json();
            let one = &page["subscribers"][0];
            if one["lag"] == 0 && one["cursor"].as_str().unwrap().ends_with("-20") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn pages_go_through_many_of_one_name() {
    let hub = Hub::start().await;
    let mut streams = Vec::new();
    for n in 0..30 {
        let (_, stream) = hub.follow(&format!("GET /events/a?subscriber=n{}", n % 3)).await;
        streams.push(stream);
    }
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = hub.get(&format!("/subscribers?limit=7{next}")).await.json();
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={}", after.replace(':', "%3A"));
    }
    let expected: Vec<_> = ["n0", "n1", "n2"].iter().flat_map(|name| [*name; 10]).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn wrong_questions_name_the_field() {
    let hub = Hub::start().await;
    for (target, status, slug, field) in [
        ("/subscribers?limit=0", 422, "invalid-field", "limit"),
        ("/subscribers?limit=1001", 422, "invalid-field", "limit"),
        ("/subscribers?limit=1&limit=1", 422, "invalid-field", "limit"),
        ("/subscribers?after=x", 422, "invalid-field", "after"),
        ("/subscribers?after=1:a&after=1:a", 422, "invalid-field", "after"),
        ("/subscribers?topic=", 422, "invalid-field", "topic"),
        ("/subscribers?topic=a&topic=b", 422, "invalid-field", "topic"),
        ("/subscribers?page=2", 400, "unknown-field", "page"),
        ("/debug/delivery", 422, "invalid-field", "event"),
        ("/debug/delivery?event=&subscriber=a", 422, "invalid-field", "event"),
        ("/debug/delivery?event=x", 422, "invalid-field", "subscriber"),
        ("/debug/delivery?event=x&subscriber=", 422, "invalid-field", "subscriber"),
        ("/debug/delivery?event=x&subscriber=a%00", 422, "invalid-field", "subscriber"),
        ("/debug/delivery?event=x&event=y&subscriber=a", 422, "invalid-field", "event"),
        ("/debug/delivery?event=x&subscriber=a&subscriber=b", 422, "invalid-field", "subscriber"),
        ("/debug/delivery?event=%23&subscriber=a", 422, "invalid-field", "event"),
        ("/debug/delivery?event=%23a-x&subscriber=a", 422, "invalid-field", "event"),
        ("/debug/delivery?event=earliest&subscriber=a", 422, "invalid-field", "event"),
        ("/debug/delivery?event=a%0A&subscriber=a", 422, "invalid-field", "event"),
        ("/debug/delivery?event=%zz&subscriber=a", 400, "malformed-request", "event"),
        ("/debug/delivery?event=x&subscriber=a&data=1", 400, "unknown-field", "data"),
    ] {
        let problem = hub.get(target).await.is_problem(status, slug);
        assert_eq!(problem["field"], field, "{target}: {problem}");
    }
    for long in ["subscriber", "event"] {
        let other = if long == "event" { "subscriber" } else { "event" };
        let target = format!("/debug/delivery?{other}=a&{long}={}", "x".repeat(300));
        assert_eq!(hub.get(&target).await.is_problem(422, "invalid-field")["field"], long);
    }
    hub.post("/subscribers", "").await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn only_this_machine_is_told() {
    let hub = Hub::with(|config| config.insecure_open = true).await;
    for target in ["/subscribers", "/debug/delivery?event=x&subscriber=a"] {
        for header in ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Host: hub.example"]
        {
            let answer = hub.ask(&format!("GET {target}\n{header}"), "").await;
            let problem = answer.is_problem(403, "local-only");
            assert!(problem["detail"].as_str().unwrap().contains("loopback"));
        }
    }
    assert_eq!(hub.get("/subscribers").await.status, 200);
}
