//! Redirects, and where they lead the next request.
//!
//! What is known to differ:
//! - Firefox connects again to where permanent redirects led, up to the first that was not: the
//!   client's `ReconnectUrl::Permanent`. The standard, Chromium and the client connect again to where
//!   all redirects led.
//! - Chromium tries again after a redirect that cannot be followed. The standard leaves that open,
//!   and Firefox and the client take it for futile.

use crate::scenario::{Lines, SOON, Scenario, redirect, scenario, status, stream};

pub(super) fn all() -> Vec<Scenario> {
    let codes = [
        ("redirect 301", 301),
        ("redirect 302", 302),
        ("redirect 303", 303),
        ("redirect 307", 307),
        ("redirect 308", 308),
    ];
    let followed = codes.map(|(name, code)| {
        let scenario = scenario(name)
            .answer(redirect(code, "/moved"))
            .at("{here}/moved", stream(&[b"id:1\ndata:a\n\n", SOON]))
            .at("{here}/moved", stream(&[b"data:b\n\n", SOON]));
        match code {
            301 | 308 => scenario,
            _ => scenario
                .in_firefox(&["error 2"], SECOND)
                .in_firefox(&[COMES_BACK], &[MOVED_BACK, MOVED_BACK]),
        }
    });
    let nowhere = [
        ("301 without Location", 301),
        ("302 without Location", 302),
        ("303 without Location", 303),
        ("307 without Location", 307),
        ("308 without Location", 308),
    ];
    let nowhere = nowhere.map(|(name, code)| {
        scenario(name)
            .answer(status(code).header("Content-Type: text/event-stream").body("data:a\n\n"))
    });
    let there = |code| redirect(code, "{there}/moved");
    let read = || stream(&[b"id:1\ndata:a\n\n", SOON]);
    [
        followed.to_vec(),
        nowhere.to_vec(),
        vec![
            scenario("a chain of redirects")
                .answer(redirect(301, "/one"))
                .at("{here}/one", redirect(302, "two"))
                .at("{here}/two", redirect(307, "{here}/three?x#y"))
                .at("{here}/three?x", read())
                .at("{here}/three?x", stream(&[b"data:b\n\n", SOON]))
                .in_firefox(&["error 2"], SECOND)
                .in_firefox(
                    &[r#"GET {here}/one, last-event-id "1""#],
                    &[
                        r#"GET {here}/three?x, last-event-id "1""#,
                        r#"GET {here}/three?x, last-event-id "1""#,
                    ],
                ),
            scenario("redirected when it comes back")
                .stream("id:1\ndata:a\n\n")
                .answer(redirect(307, "/moved"))
                .at("{here}/moved", stream(&[b"data:b\n\n", SOON]))
                .at("{here}/moved", redirect(302, "/events"))
                .in_firefox(&[MOVED_BACK, COMES_BACK], &[MOVED_BACK, MOVED_BACK, COMES_BACK]),
            scenario("a status that is no redirect has a Location").answer(
                status(300).header("Location: /moved").header("Content-Type: text/event-stream"),
            ),
            scenario("304 with a Location").answer(redirect(304, "/moved")),
            scenario("201 with a Location").answer(redirect(201, "/moved")),
            chain("twenty redirects", 20).in_firefox(
                &["GET {here}/moved", "GET {here}/events"],
                &["GET {here}/moved", "GET {here}/moved"],
            ),
            chain("twenty-one redirects", 21)
                .in_chromium(&["error 0", "error 2"], &["error 2"])
                .in_chromium(
                    &[URL, "GET {here}/events", "GET {here}/events"],
                    &[URL, "GET {here}/events"],
                ),
            scenario("a redirect to no URL")
                .answer(redirect(302, "http://"))
                .in_chromium(&["error 0", "error 2"], &["error 2"])
                .in_chromium(&["GET {here}/events", "GET {here}/events"], &["GET {here}/events"]),
            scenario("a redirect to data")
                .answer(redirect(302, "data:text/event-stream,data:a%0A%0A"))
                .in_chromium(&["error 0", "error 2"], &["error 2"])
                .in_chromium(&["GET {here}/events", "GET {here}/events"], &["GET {here}/events"]),
            // To Chromium it is no redirect. By the standard it leads to the same URL.
            scenario("an empty Location")
                .answer(redirect(302, ""))
                .in_chromium(&["GET {here}/events"], &["GET {here}/events", "GET {here}/events"]),
            scenario("a Location beyond ASCII")
                .answer(redirect(302, "/\u{e9}"))
                .at("{here}/%C3%A9", read())
                .in_firefox(&[COMES_BACK], &[r#"GET {here}/%C3%A9, last-event-id "1""#]),
            scenario("a Location with a space")
                .answer(redirect(302, "/a b"))
                .at("{here}/a%20b", read())
                .in_firefox(&[COMES_BACK], &[r#"GET {here}/a%20b, last-event-id "1""#]),
            // Chromium refuses such URLs, Firefox leaves the password out; by the standard it is
            // kept for a server that asks. The client sends it unasked, as programs expect.
            scenario("a redirect to a URL with a password")
                .answer(redirect(302, "http://user:secret@{host}/moved"))
                .headers(&["authorization"])
                .at("{here}/moved", read())
                .in_chromium(
                    &["error 2"],
                    &["open 1", r#"message "message" "a" "1" "{here}""#, "error 0", "error 2"],
                )
                .in_chromium(&[], WITH_PASSWORD)
                .in_firefox(&["GET {here}/moved", COMES_BACK], WITH_PASSWORD),
            scenario("a redirect to another origin that allows all")
                .answer(there(302))
                .at("{there}/moved", read().allows("*"))
                .at("{there}/moved", stream(&[b"data:b\n\n", SOON]).allows("*"))
                .in_firefox(&["error 2"], SECOND_THERE)
                .in_firefox(&[COMES_BACK], &[MOVED_BACK_THERE, MOVED_BACK_THERE]),
            scenario("a redirect to another origin that allows this")
                .answer(there(307))
                .at("{there}/moved", read().allows("{here}"))
                .in_firefox(&[COMES_BACK], &[MOVED_BACK_THERE]),
            scenario("a redirect to another origin that allows none")
                .answer(there(302))
                .at("{there}/moved", read()),
            scenario("a redirect to another origin with credentials")
                .with_credentials()
                .answer(there(302).header("Set-Cookie: {jar}=1; Path=/"))
                .at("{there}/moved", read().allows("{here}").allows_credentials())
                .in_firefox(
                    &[r#"GET {here}/events, last-event-id "1", cookie {jar}=1"#],
                    &[r#"GET {there}/moved, last-event-id "1", origin "{here}", cookie {jar}=1"#],
                ),
            scenario("a redirect to another origin with cookies, but no credentials")
                .answer(there(302).header("Set-Cookie: {jar}=1; Path=/"))
                .at("{there}/moved", read().allows("{here}"))
                .in_firefox(
                    &[r#"GET {here}/events, last-event-id "1", cookie {jar}=1"#],
                    &[r#"GET {there}/moved, last-event-id "1", origin "{here}""#],
                ),
            scenario("a redirect there and back")
                .answer(there(302))
                .at("{there}/moved", redirect(302, "{here}/back").allows("*"))
                .at("{here}/back", read().allows("*"))
                .in_firefox(&[COMES_BACK], &[r#"GET {here}/back, last-event-id "1""#]),
            scenario("a redirect there and back, not allowed by name")
                .answer(there(302))
                .at("{there}/moved", redirect(302, "{here}/back").allows("*"))
                .at("{here}/back", read().allows("{here}")),
            scenario("a redirect there and back, allowed to null")
                .answer(there(302))
                .at("{there}/moved", redirect(302, "{here}/back").allows("{here}"))
                .at("{here}/back", read().allows("null"))
                .in_firefox(&[COMES_BACK], &[r#"GET {here}/back, last-event-id "1""#]),
            scenario("a redirect by another origin that allows none")
                .url("{there}/events")
                .answer(redirect(302, "/moved"))
                .at("{there}/moved", read().allows("*")),
            scenario("a redirect from another origin to this")
                .url("{there}/events")
                .answer(redirect(302, "{here}/moved").allows("*"))
                .at("{here}/moved", read().allows("*"))
                .in_firefox(
                    &[r#"GET {there}/events, last-event-id "1", origin "{here}""#],
                    &[r#"GET {here}/moved, last-event-id "1""#],
                ),
        ],
    ]
    .concat()
}

/// So many redirects, and a stream.
fn chain(name: &'static str, length: usize) -> Scenario {
    let hops =
        (1..length).fold(scenario(name), |scenario, _| scenario.answer(redirect(302, "/events")));
    hops.answer(redirect(302, "/moved")).at("{here}/moved", stream(&[b"data:a\n\n", SOON]))
}

/// The second stream, to which Firefox does not find its way.
const SECOND: Lines = &["open 1", r#"message "message" "b" "1" "{here}""#, "error 0", "error 2"];
const SECOND_THERE: Lines =
    &["open 1", r#"message "message" "b" "1" "{there}""#, "error 0", "error 2"];
/// To where the source began.
const COMES_BACK: &str = r#"GET {here}/events, last-event-id "1""#;
/// To where it was led.
const MOVED_BACK: &str = r#"GET {here}/moved, last-event-id "1""#;
const MOVED_BACK_THERE: &str = r#"GET {there}/moved, last-event-id "1", origin "{here}""#;
const URL: &str = r#"url "{here}/events""#;
/// As the client sends it.
const WITH_PASSWORD: Lines = &[
    r#"GET {here}/moved, authorization "Basic dXNlcjpzZWNyZXQ=""#,
    r#"GET {here}/moved, last-event-id "1", authorization "Basic dXNlcjpzZWNyZXQ=""#,
];
