use tidings_hub::config::CorsOrigin;

use crate::support::Hub;

const EVERYWHERE: [&str; 8] = [
    "GET /",
    "GET /events/a",
    "POST /events/a",
    "POST /events",
    "GET /topics",
    "GET /healthz",
    "GET /metrics",
    "GET /nowhere",
];

#[tokio::test]
async fn a_foreign_host_gets_nothing_anywhere() {
    let hub = Hub::start().await;
    for request in EVERYWHERE {
        let answer = hub.ask(&format!("{request}\nHost: evil.example"), "x").await;
        answer.is_problem(403, "foreign-host");
    }
    let absolute = hub.ask("POST http://evil.example/events/a\nHost: evil.example", "x").await;
    absolute.is_problem(403, "foreign-host");
    hub.ask("POST http://localhost/events/a\nHost: localhost", "x").await.id();
    let mut none = hub.connect().await;
    none.raw(b"GET /healthz HTTP/1.1\r\n\r\n").await;
    assert_eq!(none.head().await.status, 400);
    assert_eq!(hub.log.state().records, 1);
}

#[tokio::test]
async fn a_foreign_origin_gets_nothing_anywhere() {
    let hub = Hub::start().await;
    for request in EVERYWHERE {
        for origin in ["http://evil.example", "null", "http://localhost:3000"] {
            let answer = hub.ask(&format!("{request}\nOrigin: {origin}"), "x").await;
            answer.is_problem(403, "foreign-origin");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let preflight = "OPTIONS /events/a\nOrigin: http://evil.example\n\
                     Access-Control-Request-Method: POST";
    let refused = hub.ask(preflight, "").await;
    refused.is_problem(403, "foreign-origin");
    assert!(refused.headers.iter().all(|(name, _)| !name.starts_with("access-control")));
    assert_eq!(hub.log.state().records, 0);
    let own = format!("POST /events/a\nHost: {0}\nOrigin: http://{0}", hub.address);
    hub.ask(&own, "x").await.id();
}

#[tokio::test]
async fn a_listed_origin_may_do_everything_with_credentials() {
    let origin = "https://app.example";
    let hub = Hub::with(|config| {
        config.cors_origins = vec![origin.parse().unwrap()];
    })
    .await;
    let check = |answer: &crate::support::Answer| {
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("vary"), Some("Origin"));
    };
    let preflight = hub
        .ask(
            &format!(
                "OPTIONS /events/a\nOrigin: {origin}\nAccess-Control-Request-Method: POST\n\
                 Access-Control-Request-Headers: last-event-id\n\
                 Access-Control-Request-Private-Network: true"
            ),
            "",
        )
        .await;
    assert_eq!(preflight.status, 204);
    check(&preflight);
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    let headers = preflight.header("access-control-allow-headers").unwrap();
    for name in ["Last-Event-ID", "Content-Type", "Idempotency-Key", "Authorization"] {
        assert!(headers.contains(name));
    }
    assert_eq!(preflight.header("access-control-max-age"), Some("600"));
    assert_eq!(preflight.header("access-control-allow-private-network"), Some("true"));
    check(&hub.ask(&format!("POST /events/a\nOrigin: {origin}"), "x").await);
    check(&hub.follow(&format!("GET /events/a\nOrigin: {origin}")).await.0);
    // A page must be able to read why it was refused.
    check(&hub.ask(&format!("POST /events/a*\nOrigin: {origin}"), "x").await);
}

#[tokio::test]
async fn every_origin_comes_without_credentials() {
    let hub = Hub::with(|config| config.cors_origins = vec![CorsOrigin::Any]).await;
    let (answer, _) = hub.follow("GET /events/a\nOrigin: https://any.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn the_public_url_is_answered_to_and_is_the_base_of_patterns() {
    let hub = Hub::with(|config| {
        config.public_url = Some("https://hub.example/".parse().unwrap());
    })
    .await;
    let own = "POST /events/https://hub.example/rooms/1\nHost: hub.example\n\
               Origin: https://hub.example";
    hub.ask(own, "one").await.id();
    let (_, mut stream) = hub.follow("GET /events?pattern=rooms/:id&last_event_id=earliest").await;
    stream.until("data: one").await;
}
