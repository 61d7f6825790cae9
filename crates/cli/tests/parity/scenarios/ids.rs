//! The last event id, in messages and in requests.
//!
//! What is known to differ:
//! - Firefox forgets the id of a block without data, where the standard commits it.
//! - An id that a header cannot carry unchanged, with spaces at its ends or control characters, the
//!   browsers send nevertheless, so that the server reads another or refuses the request. The client
//!   leaves it out and says so.

use crate::scenario::{SOON, Scenario, scenario, stream};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario("ids over reconnects")
            .stream("id:1\ndata:a\n\ndata:b\n\n")
            .stream("data:c\n\n")
            .stream("data:d\n\nid:2\ndata:e\n\n")
            .stream("data:f\n\n"),
        scenario("an id alone")
            .stream("id:1\n\ndata:a\n\n")
            .in_firefox(
                &[r#"message "message" "a" "" "{here}""#],
                &[r#"message "message" "a" "1" "{here}""#],
            )
            .in_firefox(
                &["GET {here}/events", "GET {here}/events"],
                &["GET {here}/events", r#"GET {here}/events, last-event-id "1""#],
            ),
        scenario("an id alone, then the end")
            .stream("data:a\n\nid:1\n\n")
            .stream("data:b\n\n")
            .in_firefox(
                &[r#"message "message" "b" "" "{here}""#],
                &[r#"message "message" "b" "1" "{here}""#],
            )
            .in_firefox(
                &["GET {here}/events", "GET {here}/events", "GET {here}/events"],
                &[
                    "GET {here}/events",
                    r#"GET {here}/events, last-event-id "1""#,
                    r#"GET {here}/events, last-event-id "1""#,
                ],
            ),
        scenario("an id with a type but no data")
            .stream("id:1\nevent:x\n\n")
            .stream("data:b\n\n")
            .in_firefox(
                &[r#"message "message" "b" "" "{here}""#],
                &[r#"message "message" "b" "1" "{here}""#],
            )
            .in_firefox(
                &["GET {here}/events", "GET {here}/events", "GET {here}/events"],
                &[
                    "GET {here}/events",
                    r#"GET {here}/events, last-event-id "1""#,
                    r#"GET {here}/events, last-event-id "1""#,
                ],
            ),
        scenario("an empty id resets")
            .stream("id:1\ndata:a\n\nid\ndata:b\n\n")
            .stream("data:c\n\n"),
        scenario("an empty id alone resets")
            .stream("id:1\ndata:a\n\nid:\n\n")
            .stream("data:c\n\n")
            .in_firefox(
                &[r#"message "message" "c" "1" "{here}""#],
                &[r#"message "message" "c" "" "{here}""#],
            )
            .in_firefox(
                &[
                    "GET {here}/events",
                    r#"GET {here}/events, last-event-id "1""#,
                    r#"GET {here}/events, last-event-id "1""#,
                ],
                &["GET {here}/events", "GET {here}/events", "GET {here}/events"],
            ),
        scenario("an id that no blank line follows")
            .answer(stream(&[SOON, b"id:1\ndata:a\n\nid:2\ndata:b\n"]))
            .stream("data:c\n\n"),
        scenario("the last id counts").stream("id:1\ndata:a\nid:2\n\n"),
        scenario("an id after the data").stream("data:a\nid:1\n\ndata:b\n\n"),
        // Firefox drops the event, and takes an id that is NUL alone for one, which it cannot send.
        scenario("an id with NUL is none")
            .stream("id:1\nid:2\0\ndata:a\n\nid:\0\ndata:b\n\n")
            .in_firefox(
                &[r#"message "message" "b" "\0" "{here}""#],
                &[r#"message "message" "a" "1" "{here}""#, r#"message "message" "b" "1" "{here}""#],
            )
            .in_firefox(
                &["GET {here}/events", "GET {here}/events"],
                &["GET {here}/events", r#"GET {here}/events, last-event-id "1""#],
            ),
        scenario("an id with a colon").stream("id:a:b\ndata:a\n\n"),
        scenario("an id of 128 bytes").stream(id(128)),
        scenario("an id of 129 bytes").stream(id(129)),
        scenario("an id of 1,000 bytes").stream(id(1_000)),
        scenario("an id of 8,000 bytes").stream(id(8_000)),
        scenario("an id with unsafe bytes").stream("id:{\"a\":[1]}\ndata:a\n\n"),
        scenario("an id beyond ASCII").stream("id:\u{e9}\u{20ac}\u{1f4a9}\ndata:a\n\n"),
        scenario("an id with a space in front")
            .stream("id:  1\ndata:a\n\n")
            .in_chromium(
                &["GET {here}/events", r#"GET {here}/events, last-event-id "1""#],
                &["GET {here}/events", "GET {here}/events"],
            )
            .in_firefox(
                &["GET {here}/events", r#"GET {here}/events, last-event-id " 1""#],
                &["GET {here}/events", "GET {here}/events"],
            ),
        scenario("an id with a space behind").stream("id:1 \ndata:a\n\n").in_both(
            &["GET {here}/events", r#"GET {here}/events, last-event-id "1""#],
            &["GET {here}/events", "GET {here}/events"],
        ),
        scenario("an id with a tab in front")
            .stream("id:\t1\ndata:a\n\n")
            .in_chromium(
                &["GET {here}/events", r#"GET {here}/events, last-event-id "1""#],
                &["GET {here}/events", "GET {here}/events"],
            )
            .in_firefox(
                &["GET {here}/events", r#"GET {here}/events, last-event-id "\\t1""#],
                &["GET {here}/events", "GET {here}/events"],
            ),
        scenario("an id with a tab in the middle").stream("id:1\t2\ndata:a\n\n"),
        scenario("an id of spaces").stream("id:   \ndata:a\n\n").in_both(
            &["GET {here}/events", r#"GET {here}/events, last-event-id """#],
            &["GET {here}/events", "GET {here}/events"],
        ),
        scenario("an id with a control character").stream("id:1\u{1}2\ndata:a\n\n").in_both(
            &["GET {here}/events", r#"GET {here}/events, last-event-id "1\\x012""#],
            &["GET {here}/events", "GET {here}/events"],
        ),
        scenario("an id with DEL").stream("id:1\u{7f}2\ndata:a\n\n").in_both(
            &["GET {here}/events", r#"GET {here}/events, last-event-id "1\\x7f2""#],
            &["GET {here}/events", "GET {here}/events"],
        ),
        scenario("an id with invalid UTF-8").stream(b"id:1\xff\ndata:a\n\n"),
        scenario("an id with a BOM").stream("id:\u{feff}1\ndata:a\n\n"),
    ]
}

fn id(length: usize) -> String {
    format!("id:{}\ndata:a\n\n", "1".repeat(length))
}
