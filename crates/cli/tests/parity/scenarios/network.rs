//! How the network fails.

use crate::scenario::{Answer, Down, End, SOON, Scenario, scenario, status, stream};

pub(super) fn all() -> Vec<Scenario> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    vec![
        // Firefox asks a second time by itself, without a word to the source.
        scenario("a reset before the head")
            .answer(raw("").ends(End::Reset))
            .in_firefox(&["error 2"], &["error 0", "error 2"]),
        // Firefox asks a second time by itself, without a word to the source.
        scenario("the end before the head")
            .answer(raw(""))
            .in_firefox(&["error 2"], &["error 0", "error 2"]),
        scenario("a reset in the head")
            .answer(raw("HTTP/1.1 200 OK\r\nContent-Ty{cut}\r\n").ends(End::Reset)),
        // Browsers take half a head for a whole one, which then lacks the type. By HTTP it is
        // incomplete.
        scenario("the end in the head")
            .answer(raw("HTTP/1.1 200 OK\r\nContent-Ty{cut}\r\n"))
            .in_both(&["error 2"], &["error 0", "error 2"])
            .in_both(&["GET {here}/events"], &["GET {here}/events", "GET {here}/events"]),
        // Firefox gives up on what is no HTTP.
        scenario("no HTTP")
            .answer(raw("nonsense{cut}\r\n"))
            .in_firefox(&["error 2"], &["error 0", "error 2"])
            .in_firefox(&["GET {here}/events"], &["GET {here}/events", "GET {here}/events"]),
        scenario("a reset in the stream")
            .answer(stream(&[SOON, b"id:1\ndata:go\n\ndata:b\n"]).go().ends(End::Reset)),
        scenario("an end in the stream").stream("id:1\ndata:a\n\ndata:b\n"),
        // Firefox takes a connection that another origin refuses for a failed CORS check, and gives
        // up. Where its own origin refuses one, it tries again.
        scenario("nobody is there at first")
            .url("{there}/events")
            .down(Down::AtFirst)
            .in_firefox(&["error 2"], &["error 0", "error 2"])
            .in_firefox(&[], &[r#"GET {there}/events, origin "{here}""#]),
        // Each waits long enough between its tries for somebody to listen again.
        scenario("nobody is there after a stream")
            .down(Down::AfterFirst)
            .answer(stream(&[b"retry:1000\n\nid:1\ndata:a\n\n"])),
        // The same in Firefox.
        scenario("nobody is there at another origin after a stream")
            .url("{there}/events")
            .down(Down::AfterFirst)
            .answer(stream(&[b"retry:1000\n\nid:1\ndata:a\n\n"]).allows("*"))
            .in_firefox(&["error 2"], &["error 0", "error 2"])
            .in_firefox(&[], &[r#"GET {there}/events, last-event-id "1", origin "{here}""#]),
        scenario("fewer bytes than Content-Length says")
            .answer(stream(&[SOON, b"id:1\ndata:go\n\n"]).go().header("Content-Length: 1000")),
        scenario("as many bytes as Content-Length says")
            .answer(stream(&[b"retry:1\n\ndata:a\n\n"]).header("Content-Length: 17")),
        scenario("more bytes than Content-Length says")
            .answer(stream(&[b"retry:1\n\ndata:a\n\ndata:b\n\n"]).header("Content-Length: 17")),
        scenario("chunks").answer(
            raw(&format!("{head}Transfer-Encoding: chunked\r\n"))
                .body("9\r\nretry:1\n\n\r\n3;x=y\r\ndat\r\n5\r\na:a\n\n\r\n0\r\n\r\n"),
        ),
        scenario("chunks that break off").answer(
            raw(&format!("{head}Transfer-Encoding: chunked\r\n"))
                .body("9\r\nretry:1\n\n\r\n9\r\ndata:go\n\n\r\n20\r\nda")
                .go(),
        ),
        // Firefox gives up on what is no HTTP.
        scenario("chunks that are none")
            .answer(
                raw(&format!("{head}Transfer-Encoding: chunked\r\n"))
                    .body("9\r\nretry:1\n\n\r\n9\r\ndata:go\n\n\r\n")
                    .go()
                    .body("zz\r\n"),
            )
            .in_firefox(&[], &["error 0"])
            .in_firefox(&["GET {here}/events"], &["GET {here}/events", "GET {here}/events"]),
        // Browsers ask for it. The client asks for none, and refuses what it cannot read instead of
        // waiting for events in it for ever.
        scenario("packed by gzip, though nobody may have asked")
            .headers(&["accept-encoding"])
            .answer(stream(&[PACKED]).header("Content-Encoding: gzip"))
            .in_both(
                &["open 1", r#"message "message" "a" "" "{here}""#, "error 0", "error 2"],
                &["error 2"],
            )
            .in_both(&[ASKED_PACKED, ASKED_PACKED], &[ASKED_PLAIN]),
        scenario("an unknown Content-Encoding")
            .answer(stream(&[b"data:a\n\n", SOON]).header("Content-Encoding: x-none")),
        scenario("HTTP/1.0").answer(
            raw("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n")
                .body("data:a\n\n")
                .body(SOON),
        ),
        scenario("an answer before the answer").answer(
            raw(&format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{head}"))
                .body("data:a\n\n")
                .body(SOON),
        ),
        // Firefox asks a second time by itself.
        scenario("lost for good after two tries")
            .answer(stream(&[SOON, b"id:1\ndata:a\n\n"]))
            .answer(raw(""))
            .answer(status(404))
            .in_firefox(&["error 0", "error 2"], &["error 0", "error 0", "error 2"]),
    ]
}

fn raw(head: &str) -> Answer {
    Answer { head: head.to_owned(), body: Vec::new(), end: End::Close }
}

const ASKED_PACKED: &str = r#"GET {here}/events, accept-encoding "gzip, deflate, br, zstd""#;
const ASKED_PLAIN: &str = r#"GET {here}/events, accept-encoding "identity""#;
/// `retry:1` and a message, as gzip packs them.
const PACKED: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x4a\x2d\x29\xaa\xb4\x32\xe4\xe2\x4a\x49\x2c\
    \x49\xb4\x4a\xe4\xe2\x02\x00\x41\x51\xf1\x94\x11\x00\x00\x00";
