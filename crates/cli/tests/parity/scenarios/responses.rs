//! Which responses open a source.

use crate::scenario::{Lines, SOON, Scenario, scenario, status, stream};

pub(super) fn all() -> Vec<Scenario> {
    let statuses = [
        ("status 200", 200),
        ("status 201", 201),
        ("status 202", 202),
        ("status 203", 203),
        ("status 204", 204),
        ("status 205", 205),
        ("status 206", 206),
        ("status 299", 299),
        ("status 300", 300),
        ("status 304", 304),
        ("status 305", 305),
        ("status 400", 400),
        ("status 401", 401),
        ("status 403", 403),
        ("status 404", 404),
        ("status 410", 410),
        ("status 429", 429),
        ("status 500", 500),
        ("status 502", 502),
        ("status 503", 503),
        ("status 504", 504),
        ("status 599", 599),
    ];
    let statuses = statuses.map(|(name, code)| {
        let mut answer = status(code).header("Content-Type: text/event-stream");
        if ![204, 205, 304].contains(&code) {
            answer = answer.body("data:a\n\n").body(SOON);
        }
        scenario(name).answer(answer)
    });
    let types: [(&str, &[&str]); 19] = [
        ("no type", &[]),
        ("an empty type", &["Content-Type:"]),
        ("text/plain", &["Content-Type: text/plain"]),
        ("text/html", &["Content-Type: text/html"]),
        ("no MIME type", &["Content-Type: event-stream"]),
        ("a longer type", &["Content-Type: text/event-streams"]),
        ("a type with a charset", &["Content-Type: text/event-stream;charset=utf-8"]),
        ("a type with another charset", &["Content-Type: text/event-stream; charset=windows-1252"]),
        ("a type with an unknown charset", &["Content-Type: text/event-stream; charset=x-none"]),
        ("a type with a parameter", &["Content-Type: text/event-stream; a=\"b;c\""]),
        ("a type with an empty parameter", &["Content-Type: text/event-stream;"]),
        ("a type in capitals", &["Content-Type: TEXT/Event-Stream"]),
        ("a type between spaces", &["Content-Type: \t text/event-stream \t ; x"]),
        ("a type with a space in it", &["Content-Type: text/event-stream x"]),
        ("the type twice", &["Content-Type: text/event-stream", "Content-Type: text/event-stream"]),
        (
            "two types, the second right",
            &["Content-Type: text/html", "Content-Type: text/event-stream"],
        ),
        (
            "two types, the first right",
            &["Content-Type: text/event-stream", "Content-Type: text/html"],
        ),
        ("a type and a wildcard", &["Content-Type: text/event-stream, */*"]),
        ("a type and no type", &["Content-Type: text/event-stream, x"]),
    ];
    let types = types.map(|(name, lines)| {
        let answer = lines.iter().fold(status(200), |answer, line| answer.header(line));
        let scenario = scenario(name).answer(answer.body("data:a\u{e9}\n\n").body(SOON));
        match name {
            // Chromium opens no stream that is said to be in anything but UTF-8; the standard
            // ignores the parameter.
            "a type with another charset" | "a type with an unknown charset" => {
                scenario.in_chromium(REFUSED, OPENED)
            }
            // Both are laxer than the standard, by which this is no MIME type.
            "a type with a space in it" => scenario.in_both(OPENED, REFUSED),
            _ => scenario,
        }
    });
    let nosniff = stream(&[b"data:a\n\n", SOON]).header("X-Content-Type-Options: nosniff");
    let disposition = stream(&[b"data:a\n\n", SOON]).header("Content-Disposition: attachment");
    [
        statuses.to_vec(),
        types.to_vec(),
        vec![
            scenario("nosniff").answer(nosniff),
            scenario("an attachment").answer(disposition),
            scenario("a 404 after a stream").stream("data:a\n\n").answer(status(404)),
            scenario("another type after a stream")
                .stream("data:a\n\n")
                .answer(status(200).header("Content-Type: text/plain").body("data:b\n\n")),
            scenario("status 503 with Retry-After").answer(status(503).header("Retry-After: 1")),
            scenario("cookies of the same origin")
                .answer(stream(&[b"data:a\n\n", SOON]).header("Set-Cookie: {jar}=1; Path=/"))
                .answer(stream(&[SOON]).header("Set-Cookie: {jar}=2; Path=/; HttpOnly"))
                .answer(stream(&[SOON]).header("Set-Cookie: {jar}=; Path=/; Max-Age=0")),
            scenario("a stream that may be cached")
                .answer(
                    stream(&[b"data:a\n\n", SOON])
                        .header("Cache-Control: max-age=600")
                        .header("ETag: \"1\""),
                )
                .answer(stream(&[b"data:b\n\n", SOON])),
            scenario("a URL with a query and a fragment")
                .url("{here}/events?a=b%20c&d#e")
                .at("{here}/events?a=b%20c&d", stream(&[b"data:a\n\n", SOON])),
            scenario("a URL to be normalised")
                .url("{here}/x/../events?\u{e9} '|")
                .at("{here}/events?%C3%A9%20%27|", stream(&[b"data:a\n\n", SOON])),
            // Chromium refuses such URLs, Firefox waits to be asked for the password, as the standard
            // says. The client sends it unasked, as programs expect.
            scenario("a URL with a password")
                .url("http://user:secret@{host}/events")
                .headers(&["authorization"])
                .at("{here}/events", stream(&[b"data:a\n\n", SOON]))
                .in_chromium(
                    &["error 2"],
                    &["open 1", r#"message "message" "a" "" "{here}""#, "error 0", "error 2"],
                )
                .in_chromium(&[], &[WITH_PASSWORD, WITH_PASSWORD])
                .in_firefox(
                    &["GET {here}/events", "GET {here}/events"],
                    &[WITH_PASSWORD, WITH_PASSWORD],
                ),
            scenario("an empty stream by its Content-Length")
                .stream("id:1\ndata:a\n\n")
                .answer(stream(&[]).header("Content-Length: 0")),
            scenario("a refusal that may be cached")
                .answer(status(404).header("Cache-Control: max-age=600")),
        ],
    ]
    .concat()
}

/// The account of a source to which the message was delivered.
const OPENED: Lines = &[
    "open 1",
    "message \"message\" \"a\u{e9}\" \"\" \"{here}\"",
    "error 0",
    "error 2",
    "state 2",
    r#"url "{here}/events""#,
    "GET {here}/events",
    "GET {here}/events",
];
/// The account of a source that was not opened.
const REFUSED: Lines = &["error 2", "state 2", r#"url "{here}/events""#, "GET {here}/events"];
const WITH_PASSWORD: &str = r#"GET {here}/events, authorization "Basic dXNlcjpzZWNyZXQ=""#;
