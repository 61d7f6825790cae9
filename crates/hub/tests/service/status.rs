use crate::support::Hub;

#[tokio::test]
async fn topics_come_in_pages_with_their_counts() {
    let hub = Hub::start().await;
    for topic in ["b", "a", "c", "a"] {
        hub.post(&format!("/events/{topic}"), "x").await.id();
    }
    let (_, mut stream) = hub.follow("GET /events/a").await;
    stream.opened().await;
    let page = hub.get("/topics?limit=2").await.json();
    let first = &page["topics"][0];
    assert_eq!(
        (&first["topic"], &first["records"], &first["subscribers"]),
        (&"a".into(), &2.into(), &1.into())
    );
    assert!(first["last_id"].as_str().unwrap().ends_with("-4"));
    assert_eq!(page["next"], "b");
    let last = hub.get("/topics?after=b&limit=2").await.json();
    assert_eq!(last["topics"][0]["topic"], "c");
    assert!(last["next"].is_null());
    for target in ["/topics?limit=0", "/topics?limit=1001", "/topics?limit=x"] {
        hub.get(target).await.is_problem(422, "invalid-field");
    }
    hub.get("/topics?page=2").await.is_problem(400, "unknown-field");
}

#[tokio::test]
async fn health_metrics_and_pages_are_served() {
    let hub = Hub::start().await;
    hub.post("/events/a", "x").await.id();
    hub.post("/events/a*", "x").await.is_problem(422, "invalid-field");
    assert_eq!(hub.get("/healthz").await.body, "ok\n");
    assert_eq!(hub.get("/readyz").await.body, "ready\n");
    let metrics = hub.get("/metrics").await;
    for line in [
        "tidings_connections 1",
        "tidings_publishes_total{outcome=\"ok\"} 1",
        "tidings_publishes_total{outcome=\"invalid-field\"} 1",
        "tidings_events_appended_total 1",
        "tidings_append_seconds_count 1",
        "tidings_log_records 1",
        "tidings_gaps_total{reason=\"unknown_id\"} 0",
        "# EOF",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line} in {}", metrics.body);
    }
    for (path, kind) in [
        ("/", "text/html"),
        ("/assets/app.js", "text/javascript"),
        ("/assets/style.css", "text/css"),
    ] {
        let page = hub.get(path).await;
        assert_eq!(page.header("content-type"), Some(&*format!("{kind}; charset=utf-8")));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    }
    hub.get("/nowhere").await.is_problem(404, "not-found");
    hub.get("/favicon.ico").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn every_problem_that_is_sent_is_explained() {
    let hub = Hub::start().await;
    let problem = hub.post("/events/a*", "x").await.json();
    let page = hub.get(problem["type"].as_str().unwrap()).await;
    assert_eq!(page.status, 200);
    assert!(hub.get("/problems").await.body.contains(&page.body));
    hub.get("/problems/nothing").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let hub = Hub::with(|config| config.metrics = false).await;
    let problem = hub.get("/metrics").await.is_problem(404, "not-found");
    assert!(problem["detail"].as_str().unwrap().contains("--metrics"));
}
