//! The conformance service against a harness of our own, which tests what the public ones do.

#[allow(dead_code, unreachable_pub, reason = "its main is not run here")]
#[path = "../examples/contract_service/main.rs"]
mod contract_service;
#[allow(unreachable_pub, reason = "a module of this test alone")]
mod harness;
mod peer;

use contract_service::{CAPABILITIES, port};
use harness::{Connection, Harness};
use peer::soon;
use reqwest::Method;
use serde_json::{Value, json};

/// An event: its type, data and id.
type Expected<'a> = (&'a str, &'a str, &'a str);

/// Sends the pieces as a stream, and checks that these events are reported and no others.
async fn check(harness: &Harness, pieces: &[&[u8]], expected: &[Expected<'_>]) {
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    for (event_type, _, _) in expected {
        followed.listen(event_type).await;
    }
    for piece in pieces {
        connection.send(piece).await;
    }
    for (event_type, data, id) in expected {
        followed.expect_event(event_type, data, id).await;
    }
    connection.send(":that is all\n").await;
    followed.expect_comment("that is all").await;
    assert_eq!(followed.delete().await.status, 204);
}

#[tokio::test]
async fn it_says_what_may_be_tested() {
    let harness = Harness::start().await;
    let answer = harness.ask(Method::GET, "/", "").await;
    assert_eq!(answer.status, 200);
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(status, json!({ "capabilities": CAPABILITIES }));
}

#[tokio::test]
async fn fields_are_parsed() {
    let harness = Harness::start().await;
    let cases: &[(&str, &[Expected<'_>])] = &[
        ("data: Hello\n\n", &[("message", "Hello", "")]),
        ("data: a\n\ndata: b\n\n", &[("message", "a", ""), ("message", "b", "")]),
        ("data: a\ndata:b\n\n", &[("message", "a\nb", "")]),
        ("data:\n\n", &[("message", "", "")]),
        ("data\n\ndata\ndata\n\n", &[("message", "", ""), ("message", "\n", "")]),
        ("event: greeting\nid: abc\ndata: a\n\n", &[("greeting", "a", "abc")]),
        ("data: a\nid: abc\nevent: greeting\n\n", &[("greeting", "a", "abc")]),
        ("event:greeting\ncolor: blue\ndata:a\n\n", &[("greeting", "a", "")]),
        ("event:  greeting\ndata:  a\n\n", &[(" greeting", " a", "")]),
        ("id: a\0bc\ndata: a\n\n", &[("message", "a", "")]),
        (
            "id: abc\ndata: a\n\ndata: b\n\nid: \ndata: c\n\n",
            &[("message", "a", "abc"), ("message", "b", "abc"), ("message", "c", "")],
        ),
        ("data: €豆腐\n\n", &[("message", "€豆腐", "")]),
    ];
    for (stream, expected) in cases {
        check(&harness, &[stream.as_bytes()], expected).await;
        let single: Vec<_> = stream.as_bytes().chunks(1).collect();
        check(&harness, &single, expected).await;
    }
}

#[tokio::test]
async fn lines_end_with_lf_cr_or_crlf_however_the_stream_is_cut() {
    let harness = Harness::start().await;
    let lines = [
        "data: event 1\n\n",
        "data: event 1\n\ndata: event 2 line 1\ndata: event 2 line 2\n\n",
        "data:\ndata: line 2\ndata: line 3\n\n",
        "data: line 1\ndata:\ndata: line 3\n\n",
        "data: event 1\n\n\ndata: event 2\n\n",
        "data: event 1\n\n\n\ndata: event 2\n\n",
    ];
    let data: [&[&str]; 6] = [
        &["event 1"],
        &["event 1", "event 2 line 1\nevent 2 line 2"],
        &["\nline 2\nline 3"],
        &["line 1\n\nline 3"],
        &["event 1", "event 2"],
        &["event 1", "event 2"],
    ];
    for (lines, data) in lines.iter().zip(data) {
        let expected: Vec<_> = data.iter().map(|data| ("message", *data, "")).collect();
        for line_end in ["\n", "\r\n", "\r"] {
            let stream = lines.replace('\n', line_end);
            for piece_bytes in [1, 2, stream.len()] {
                let pieces: Vec<_> = stream.as_bytes().chunks(piece_bytes).collect();
                check(&harness, &pieces, &expected).await;
            }
        }
    }
    let pieces: [&[u8]; 6] =
        [b"data: Hello\r", b"\ndata: World\r", b"\n\r\ndata: OK\r", b"\n", b"\r", b"\n"];
    check(&harness, &pieces, &[("message", "Hello\nWorld", ""), ("message", "OK", "")]).await;
}

#[tokio::test]
async fn an_event_is_reported_at_the_cr_that_ends_it() {
    let harness = Harness::start().await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    connection.send("data: a\r\n\r").await;
    followed.expect_message("a").await;
    connection.send("\ndata: b\r\r").await;
    followed.expect_message("b").await;
}

#[tokio::test]
async fn one_bom_at_the_start_is_stripped() {
    let harness = Harness::start().await;
    let a = ("message", "a", "");
    check(&harness, &["\u{feff}data: a\n\n".as_bytes()], &[a]).await;
    check(&harness, &[b"\xef\xbb", b"\xbfdata: a\n\n"], &[a]).await;
    check(&harness, &[b"\xef", b"\xbb", b"\xbf", b"data: a\n\n"], &[a]).await;
    check(
        &harness,
        &["\u{feff}event: greeting\nid: 1\ndata: \u{feff}a\n\n".as_bytes()],
        &[("greeting", "\u{feff}a", "1")],
    )
    .await;
    check(
        &harness,
        &[b"data: a\n\n", "data: \u{feff}b\n\n".as_bytes()],
        &[a, ("message", "\u{feff}b", "")],
    )
    .await;
    // The second belongs to the name of a field, which is then none.
    check(
        &harness,
        &["\u{feff}\u{feff}data: a\n\ndata: b\n\n".as_bytes()],
        &[("message", "b", "")],
    )
    .await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    connection.send("\u{feff}:comment\ndata: a\n\n").await;
    followed.expect_comment("comment").await;
    followed.expect_message("a").await;
}

#[tokio::test]
async fn characters_may_be_cut() {
    let harness = Harness::start().await;
    let pieces: [&[u8]; 4] = [b"data: \xe2\x82", b"\xac\xf0\x9f", b"\x98", b"\x80\n\n"];
    check(&harness, &pieces, &[("message", "€😀", "")]).await;
    let pieces: [&[u8]; 2] = [b"data: \xe2\x82", b"\n\n"];
    check(&harness, &pieces, &[("message", "\u{fffd}", "")]).await;
}

#[tokio::test]
async fn comments_are_reported_where_they_stand() {
    let harness = Harness::start().await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    connection.send(":Hello\n").await;
    followed.expect_comment("Hello").await;
    connection.send(":\ndata: a\n: inside\n\n:after\n").await;
    followed.expect_comment("").await;
    followed.expect_comment(" inside").await;
    followed.expect_message("a").await;
    followed.expect_comment("after").await;
}

#[tokio::test]
async fn large_events_arrive_whole_and_many_in_order() {
    let harness = Harness::start().await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    for bytes in [1, 1023, 1024, 1025, 4096, 8192, 8195, 65_536, 1 << 20, 10_000_000] {
        let data = "x".repeat(bytes);
        connection.send(format!("data: {data}\n\n")).await;
        let report = followed.report().await;
        assert!(report["event"]["data"] == data, "{bytes} bytes arrive as they are");
    }
    let many: String = (0..100).map(|number| format!("data: message {number}\n\n")).collect();
    connection.send(many).await;
    for number in 0..100 {
        followed.expect_message(&format!("message {number}")).await;
    }
}

#[tokio::test]
async fn events_of_a_type_are_reported_once_somebody_listens_for_it() {
    let harness = Harness::start().await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    connection.send("event: a\ndata: unheard\n\ndata: 1\n\n").await;
    followed.expect_message("1").await;
    followed.listen("a").await;
    // Twice is as good as once, and a type of an EventSource's own is like any other.
    followed.listen("a").await;
    followed.listen("error").await;
    connection.send("event: a\ndata: 2\n\nevent: A\ndata: unheard\n\n").await;
    connection.send("event: error\ndata: 3\n\nevent: open\ndata: unheard\n\ndata: 4\n\n").await;
    followed.expect_event("a", "2", "").await;
    followed.expect_event("error", "3", "").await;
    followed.expect_message("4").await;
    // The lifecycle of the source is no event of theirs.
    connection.reset();
    followed.expect_error().await;
    harness.accept().await.send("data: 5\n\n").await;
    followed.expect_message("5").await;
}

#[tokio::test]
async fn the_request_is_as_the_standard_says() {
    let harness = Harness::start().await;
    let (_followed, connection) = harness.follow(json!({})).await;
    let request = connection.request;
    assert_eq!(request.line(), "GET /stream/1");
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("cache-control"), Some("no-cache"));
    assert_eq!(request.header("last-event-id"), None);
}

#[tokio::test]
async fn headers_are_sent_each_time() {
    let harness = Harness::start().await;
    let headers = json!({ "header-name-1": "value-1", "header-name-2": "value-2" });
    let params = json!({ "headers": headers, "initialDelayMs": 0 });
    let (mut followed, connection) = harness.follow(params).await;
    let expect = |connection: &Connection| {
        assert_eq!(connection.request.header("header-name-1"), Some("value-1"));
        assert_eq!(connection.request.header("header-name-2"), Some("value-2"));
    };
    expect(&connection);
    connection.end().await;
    followed.expect_error().await;
    expect(&harness.accept().await);
}

#[tokio::test]
async fn a_request_with_a_body_is_sent_again_as_it_was() {
    let harness = Harness::start().await;
    for method in ["POST", "REPORT"] {
        let (mut followed, connection) = harness
            .follow(json!({
                "method": method,
                "body": r#"{"hello": "world"}"#,
                "headers": { "content-type": "application/json; charset=utf-8" },
                "initialDelayMs": 0,
            }))
            .await;
        let expect = |connection: &Connection| {
            let request = &connection.request;
            assert_eq!(request.line().split_once(' ').unwrap().0, method);
            assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
            assert_eq!(request.text(), r#"{"hello": "world"}"#);
        };
        expect(&connection);
        connection.reset();
        followed.expect_error().await;
        let connection = harness.accept().await;
        expect(&connection);
        connection.end().await;
        followed.expect_error().await;
        let mut connection = harness.accept().await;
        expect(&connection);
        connection.send("data: a\n\n").await;
        followed.expect_message("a").await;
        assert_eq!(followed.delete().await.status, 204);
    }
}

#[tokio::test]
async fn the_last_event_id_resumes() {
    let harness = Harness::start().await;
    let params = json!({ "lastEventId": "abc", "initialDelayMs": 0 });
    let (mut followed, mut connection) = harness.follow(params).await;
    assert_eq!(connection.request.header("last-event-id"), Some("abc"));
    connection.send("data: a\n\nid: def\ndata: b\n\ndata: c\n\n").await;
    for (data, id) in [("a", "abc"), ("b", "def"), ("c", "def")] {
        followed.expect_event("message", data, id).await;
    }
    // What is not whole is discarded, its id too.
    connection.send("id: ghi\ndata: d").await;
    connection.reset();
    followed.expect_error().await;
    let mut connection = harness.accept().await;
    assert_eq!(connection.request.header("last-event-id"), Some("def"));
    connection.send("data: e\n\nid:\ndata: f\n\n").await;
    followed.expect_event("message", "e", "def").await;
    followed.expect_event("message", "f", "").await;
    connection.end().await;
    let sentence = followed.expect_error().await;
    assert!(sentence.starts_with("the stream ended; connecting again"), "{sentence}");
    let connection = harness.accept().await;
    assert_eq!(connection.request.header("last-event-id"), None);
}

#[tokio::test]
async fn a_restart_is_at_once_and_no_error() {
    let harness = Harness::start().await;
    // An hour, so that only a restart without delay comes in time.
    let params = json!({ "initialDelayMs": 3_600_000 });
    let (mut followed, mut connection) = harness.follow(params).await;
    connection.send("id: 1\ndata: Hello\n\n").await;
    followed.expect_event("message", "Hello", "1").await;
    followed.restart().await;
    connection.closed().await;
    let mut connection = harness.accept().await;
    assert_eq!(connection.request.header("last-event-id"), Some("1"));
    connection.send("data: Thanks\n\n").await;
    followed.expect_event("message", "Thanks", "1").await;
    // While it waits to connect again, too.
    connection.reset();
    followed.expect_error().await;
    followed.restart().await;
    harness.accept().await.send("data: Again\n\n").await;
    followed.expect_event("message", "Again", "1").await;
}

#[tokio::test]
async fn silence_past_the_read_timeout_is_an_error_and_a_new_connection() {
    let harness = Harness::start().await;
    let params = json!({ "readTimeoutMs": 1000, "initialDelayMs": 0 });
    let (mut followed, mut connection) = harness.follow(params).await;
    connection.send("id: 1\ndata: Hello\n\n").await;
    followed.expect_event("message", "Hello", "1").await;
    let sentence = followed.expect_error().await;
    assert!(sentence.starts_with("nothing came for 1s; connecting again"), "{sentence}");
    connection.closed().await;
    assert_eq!(harness.accept().await.request.header("last-event-id"), Some("1"));
}

#[tokio::test]
async fn retry_sets_the_time_to_wait() {
    let harness = Harness::start().await;
    let params = json!({ "initialDelayMs": 3_600_000 });
    let (mut followed, mut connection) = harness.follow(params).await;
    connection.send("retry: 5a\nretry: 120\n").await;
    connection.end().await;
    let sentence = followed.expect_error().await;
    assert_eq!(sentence, "the stream ended; connecting again in 0.1 s");
    harness.accept().await;
}

#[tokio::test]
async fn a_refusal_ends_the_stream_for_good() {
    let harness = Harness::start().await;
    for status in [204, 404, 500, 503] {
        let mut refused = harness.create(json!({ "initialDelayMs": 0 })).await;
        let mut request = harness.streams.accept().await;
        request.answer(status, "", "").await;
        let sentence = refused.expect_error().await;
        assert!(sentence.ends_with("this is final"), "{sentence}");
        // Had it the mind to connect again, it would do so before this one does the third time.
        let (mut other, connection) = harness.follow(json!({ "initialDelayMs": 0 })).await;
        let path = connection.path().to_owned();
        connection.end().await;
        for _ in 0..2 {
            other.expect_error().await;
            let connection = harness.accept().await;
            assert_eq!(connection.path(), path);
            connection.end().await;
        }
        refused.restart().await;
        assert_eq!(refused.delete().await.status, 204);
        assert_eq!(other.delete().await.status, 204);
    }
}

#[tokio::test]
async fn redirects_are_followed() {
    let harness = Harness::start().await;
    for status in [301, 307] {
        let mut followed = harness.create(json!({})).await;
        let mut request = harness.streams.accept().await;
        request.answer(status, "location: /moved\r\n", "").await;
        let request = harness.streams.after(request).await;
        let mut connection = Connection::open(request).await;
        assert_eq!(connection.path(), "/moved");
        connection.send("data: hello\n\n").await;
        followed.expect_message("hello").await;
        assert_eq!(followed.delete().await.status, 204);
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_an_error() {
    let harness = Harness::start().await;
    for (status, location) in
        [(301, ""), (307, ""), (301, "location: \r\n"), (307, "location: \r\n")]
    {
        let mut followed = harness.create(json!({})).await;
        let answering = async {
            let mut request = harness.streams.accept().await;
            loop {
                request.answer(status, location, "").await;
                request = harness.streams.after(request).await;
            }
        };
        let sentence = tokio::select! {
            sentence = followed.expect_error() => sentence,
            () = answering => unreachable!("it answers for ever"),
        };
        assert!(sentence.ends_with("this is final"), "{sentence}");
        assert_eq!(followed.delete().await.status, 204);
    }
}

#[tokio::test]
async fn delete_closes_the_connection() {
    let harness = Harness::start().await;
    let (followed, mut connection) = harness.follow(json!({})).await;
    assert_eq!(followed.delete().await.status, 204);
    connection.closed().await;
    let answer = followed.delete().await;
    assert_eq!((answer.status, &*answer.body), (404, "there is no such stream"));
    assert_eq!(followed.command(json!({ "command": "restart" })).await.status, 404);
    for location in ["/streams/99", "/streams/x"] {
        assert_eq!(harness.ask(Method::DELETE, location, "").await.status, 404);
    }
}

#[tokio::test]
async fn the_service_ends_when_it_is_told_to_and_closes_its_streams() {
    let harness = Harness::start().await;
    let (_first, mut connection) = harness.follow(json!({})).await;
    let (_second, mut other) = harness.follow(json!({})).await;
    assert_eq!(harness.ask(Method::DELETE, "/", "").await.status, 204);
    connection.closed().await;
    other.closed().await;
    soon(harness.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn reports_are_awaited_one_at_a_time_and_hold_up_the_stream() {
    let harness = Harness::start().await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    connection.send("data: first\n\ndata: second\n\n").await;
    let first = followed.call().await;
    // Nobody reads on while the first is not taken.
    // One chunk of HTTP's that takes whatever there is.
    connection.request.send("40000000\r\n").await;
    connection.request.fill(&[b'x'; 64 << 10]).await;
    assert!(!harness.is_called().await);
    assert_eq!(followed.answer(first, 202).await["event"]["data"], "first");
    followed.expect_message("second").await;
}

#[tokio::test]
async fn a_report_that_is_not_taken_stops_nothing() {
    let harness = Harness::start().await;
    let (mut followed, mut connection) = harness.follow(json!({})).await;
    connection.send("data: a\n\ndata: b\n\ndata: c\n\n").await;
    let first = followed.call().await;
    followed.answer(first, 500).await;
    followed.call().await.reset();
    followed.expect_message("c").await;
}

#[tokio::test]
async fn wrong_requests_are_refused_with_a_sentence() {
    let harness = Harness::start().await;
    let good = json!({ "streamUrl": "http://127.0.0.1:1/", "callbackUrl": "http://127.0.0.1:1/" });
    let cases = [
        (json!({ "streamUrl": null }), "the body is not what it should be"),
        (
            json!({ "streamUrl": "/x" }),
            "the stream cannot be followed: this is not an absolute URL",
        ),
        (json!({ "streamUrl": "ftp://x/" }), "the URL must be http or https, not ftp"),
        (json!({ "callbackUrl": "x" }), "callbackUrl must be an absolute http or https URL"),
        (json!({ "callbackUrl": "data:," }), "callbackUrl must be an absolute http or https URL"),
        (json!({ "initialDelayMs": -1 }), "the body is not what it should be"),
        (json!({ "readTimeoutMs": 0 }), "the idle timeout is zero"),
        (json!({ "readTimeoutMs": "1" }), "the body is not what it should be"),
        (json!({ "method": "GE T" }), "method \"GE T\" is not one that HTTP allows"),
        (json!({ "lastEventId": "a\nb" }), "lastEventId cannot be sent"),
        (json!({ "headers": { "a b": "c" } }), "a header name is not one"),
        (json!({ "headers": { "a": "b\n" } }), "the value of a has a character"),
        (json!({ "headers": ["a"] }), "the body is not what it should be"),
    ];
    for (wrong, sentence) in cases {
        let mut params = good.clone();
        params.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let answer = harness.ask(Method::POST, "/", &params).await;
        assert_eq!(answer.status, 400, "{params}: {}", answer.body);
        assert!(answer.body.contains(sentence), "{params}: {}", answer.body);
    }
    assert_eq!(harness.ask(Method::POST, "/", "{").await.status, 400);
    let (followed, _connection) = harness.follow(json!({})).await;
    for command in [
        json!({ "command": "dance" }),
        json!({ "command": "listen" }),
        json!({ "command": "listen", "listen": {} }),
        json!(1),
    ] {
        let answer = followed.command(command).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.starts_with("the body is not what it should be: "), "{}", answer.body);
    }
}

#[tokio::test]
async fn streams_and_event_types_have_a_bound() {
    let harness = Harness::with_streams_max(2).await;
    let (first, _connection) = harness.follow(json!({})).await;
    let (_second, _other) = harness.follow(json!({})).await;
    let params =
        json!({ "streamUrl": "http://127.0.0.1:1/", "callbackUrl": "http://127.0.0.1:1/" });
    let answer = harness.ask(Method::POST, "/", &params).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "there are 2 streams already; delete one first");
    assert_eq!(first.delete().await.status, 204);
    let (third, _connection) = harness.follow(json!({})).await;
    for number in 0..1000 {
        third.listen(&number.to_string()).await;
    }
    let listen = json!({ "command": "listen", "listen": { "type": "one more" } });
    assert_eq!(third.command(listen).await.status, 400);
}

#[test]
fn the_port_is_an_argument() {
    let port = |arguments: &str| port(arguments.split_whitespace().map(str::to_owned));
    assert_eq!(port(""), Ok(8000));
    assert_eq!(port("--port 0"), Ok(0));
    assert_eq!(port("--port=9000"), Ok(9000));
    for wrong in ["--port", "--port x", "--port 65536", "--prot 1", "--port 1 2"] {
        assert!(port(wrong).is_err(), "{wrong}");
    }
}
