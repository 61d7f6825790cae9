//! What the hub does not take.

use crate::keyed_hub::{KeyedHub, PROBLEM, lines};
use crate::program::{Finished, finish};
use crate::sides::{Sides, warnings};

/// Takes batches for ever, and refuses each that has an event whose data is `bad`, by its line.
async fn refuse_bad(hub: &mut KeyedHub) -> ! {
    loop {
        let request = hub.request().await;
        let bad = lines(&request).iter().position(|line| line["data"] == "bad");
        let Some(at) = bad else {
            hub.publish(request).await;
            continue;
        };
        let line = at + 1;
        let detail = format!("line {line}: data: too bad");
        let problem = serde_json::json!({
            "detail": detail, "field": "data", "rule": "too bad", "line": line
        });
        hub.answer(request, 422, &problem.to_string()).await;
    }
}

const WITH_BAD: &str = concat!(
    "id: 1\ndata: a\n\n",
    "id: 2\ndata: b\n\n",
    "id: 3\ndata: bad\n\n",
    "id: 4\ndata: c\n\n",
    "id: 5\ndata: bad\n\n",
);

#[tokio::test]
async fn it_stops_at_an_event_that_the_hub_refuses() {
    let mut sides = Sides::new().await;
    let (child, _exchange) = sides.relay(&[], WITH_BAD).await;
    let Finished { code, stderr, .. } = tokio::select! {
        finished = finish(child) => finished,
        _ = refuse_bad(&mut sides.hub) => unreachable!(),
    };
    assert_eq!(code, 1);
    assert_eq!(
        stderr.lines().last().unwrap(),
        "error: the hub refuses the event with the id 3: the server answered with status 422: \
         data: too bad. Everything before it is published; with --on-refused skip, the relay would \
         go on after it."
    );
    assert_eq!(sides.hub.data(), ["a", "b"]);
    assert_eq!(sides.cursor()["last_event_id"], "2");
}

#[tokio::test]
async fn it_skips_what_the_hub_refuses_if_asked() {
    let mut sides = Sides::new().await;
    let (child, exchange) = sides.relay(&["--on-refused", "skip"], WITH_BAD).await;
    drop(exchange);
    let upstream = &sides.upstream;
    let ending = async {
        upstream.accept().await.answer(204, "", "").await;
        finish(child).await
    };
    let Finished { code, stderr, .. } = tokio::select! {
        finished = ending => finished,
        _ = refuse_bad(&mut sides.hub) => unreachable!(),
    };
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sides.hub.data(), ["a", "b", "c"]);
    assert_eq!(sides.cursor()["last_event_id"], "5");
    let said = warnings(&stderr);
    assert_eq!(said.len(), 2);
    assert_eq!(
        said[0],
        "the event with the id 3 is skipped, as the hub refuses it: the server answered with status \
         422: data: too bad."
    );
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_hub_goes_in_parts() {
    let mut sides = Sides::new().await;
    let stream: String = (0..9).map(|n| format!("id: {n}\ndata: {n}\n\n")).collect();
    let (child, exchange) = sides.relay(&[], &stream).await;
    while sides.hub.log.len() < 9 {
        let request = sides.hub.request().await;
        if lines(&request).len() > 2 {
            sides.hub.answer(request, 413, "{}").await;
        } else {
            sides.hub.publish(request).await;
        }
    }
    assert_eq!(sides.end(child, exchange).await.code, 0);
    assert_eq!(sides.hub.data(), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[tokio::test]
async fn an_event_too_large_for_a_batch_goes_by_itself() {
    let mut sides = Sides::new().await;
    let long = "\"".repeat(600_000);
    let stream = format!("id: 1\ndata: a\n\nid: 2\nevent: e&f\ndata: {long}\n\nid: 3\ndata: b\n\n");
    let (child, _exchange) = sides.relay(&[], &stream).await;
    sides.hub.take_until(1).await;
    let request = sides.hub.request().await;
    assert_eq!(request.line(), "POST /events/t?event=e%26f");
    let scope = sides.cursor()["scope"].as_str().unwrap().to_owned();
    let key = format!("relay-count:n:t:{scope}:1:2");
    assert_eq!(request.header("idempotency-key"), Some(key.as_str()));
    assert!(request.text() == long);
    sides.hub.answer(request, 413, "{}").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1);
    assert!(
        stderr.contains(
            "error: the hub refuses the event with the id 2: the server answered with status 413: \
             it is too large."
        ),
        "{stderr}"
    );
    assert_eq!(sides.cursor()["last_event_id"], "1");
}

#[tokio::test]
async fn a_hub_that_refuses_the_relay_ends_it() {
    let unknown =
        r#"{"detail":"there is no field \"idempotency_key\"","field":"idempotency_key","line":1}"#;
    let topic = r#"{"detail":"line 1: topic: no","field":"topic","rule":"no","line":1}"#;
    let elsewhere = "location: http://elsewhere.example/\r\n";
    for (status, head, problem, said) in [
        (401, "", "", "(--hub-header is for the hub, --header for the upstream)."),
        (302, elsewhere, "", "the URL redirects to http://elsewhere"),
        (422, PROBLEM, topic, "topic: no.\n"),
        (400, PROBLEM, unknown, "A relay needs a hub that takes idempotency keys."),
    ] {
        let mut sides = Sides::new().await;
        let (child, _exchange) = sides.relay(&[], "id: 1\ndata: a\n\n").await;
        sides.hub.request().await.answer(status, head, problem).await;
        let Finished { code, stderr, .. } = finish(child).await;
        assert_eq!(code, 1);
        assert!(stderr.contains("error: nothing can be published to "), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert!(!stderr.contains("--on-refused"), "{stderr}");
    }
}

#[tokio::test]
async fn it_stops_at_a_server_that_says_yes_to_anything() {
    let mut sides = Sides::new().await;
    let (child, _exchange) = sides.relay(&[], "id: 1\ndata: a\n\n").await;
    let request = sides.hub.request().await;
    sides.hub.answer(request, 200, "<h1>Welcome</h1>").await;
    let Finished { code, stderr, .. } = finish(child).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("success, but not as a hub does"), "{stderr}");
    assert_eq!(sides.cursor()["last_event_id"], "", "nothing is published");
}

#[tokio::test]
async fn it_sends_again_when_the_answer_is_cut_off() {
    let mut sides = Sides::new().await;
    let (child, exchange) = sides.relay(&[], "id: 1\ndata: a\n\n").await;
    let mut request = sides.hub.request().await;
    let (status, _) = sides.hub.apply(&request);
    request.send(format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"ids\":")).await;
    drop(request);
    assert_eq!(sides.hub.take().await, 1);
    let Finished { code, stderr, .. } = sides.end(child, exchange).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sides.hub.data(), ["a"]);
}
