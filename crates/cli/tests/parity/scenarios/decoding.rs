//! From bytes to messages.

use crate::scenario::{End, SOON, Scenario, scenario, stream};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario("all line ends").stream(
            "data:a\n\ndata:b\r\rdata:c\r\n\r\ndata:d\n\r\n\
             data:e\r\n\ndata:f\r\n\rdata:g\n\r",
        ),
        scenario("other ends of lines are data")
            .stream("data:a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f\n\n"),
        scenario("pieces between CR and LF").pieces(&[
            b"data:a\r",
            b"\n\r",
            b"\ndata:b\r",
            b"\r",
            b"\ndata:c\n",
            b"\r",
            b"\n\n",
        ]),
        scenario("a CR ends its line at once")
            .answer(stream(&[b"data:go\r\r"]).go().body("\ndata:after\r\r").body(SOON)),
        scenario("a CR and LF, and the next piece begins with LF").answer(
            stream(&[b"data:go\r\n\r"])
                .go()
                .body("\ndata:x\n\ndata:go\r\r")
                .go()
                .body("\n\n")
                .body(SOON),
        ),
        scenario("a BOM").stream("\u{feff}data:a\n\n"),
        scenario("a BOM byte by byte").pieces(&[b"\xef", b"\xbb", b"\xbf", b"data:a\n\n"]),
        scenario("two BOMs").stream("\u{feff}\u{feff}data:a\n\ndata:b\n\n"),
        scenario("a BOM in the middle").stream("data:a\n\n\u{feff}data:b\n\ndata:\u{feff}c\n\n"),
        scenario("a BOM in the second stream").stream("data:a\n\n").stream("\u{feff}data:b\n\n"),
        scenario("part of a BOM").stream(b"\xef\xbbdata:a\n\ndata:b\n\n"),
        scenario("invalid UTF-8").stream(
            b"data:\xff|\xc0\x80|\xe2\x82|\xf0\x9f\x92|\xed\xa0\x80|\
             \xf5\x80\x80\x80|\x80\n\ndata:\xe2\n\n",
        ),
        scenario("characters cut by pieces").pieces(&[
            b"data:\xe2",
            b"\x82",
            b"\xac\xf0\x9f",
            b"\x92\xa9\n\ndata:\xe2",
            b"x\n\n",
        ]),
        scenario("an invalid byte in a field's name").stream(b"data\xff:a\ndata:b\n\n"),
        scenario("UTF-16 is not looked for").stream(
            b"\xff\xfed\0a\0t\0a\0:\0a\0\n\0\n\0\n\
             data:b\n\n",
        ),
        scenario("comments").stream(": a\n:\n::data:a\n:\r:x\rdata:b\n:in between\ndata:c\n\n"),
        scenario("empty data").stream("data:\n\ndata\n\ndata:\ndata:\n\ndata\ndata\ndata:x\n\n"),
        // Firefox forgets the id of a block without data, where the standard commits it.
        scenario("no data")
            .stream("event:a\n\nid:1\n\n\n\ndata:b\n\n")
            .listens(&["a"])
            .in_firefox(
                &[r#"message "message" "b" "" "{here}""#],
                &[r#"message "message" "b" "1" "{here}""#],
            )
            .in_firefox(
                &["GET {here}/events", "GET {here}/events"],
                &["GET {here}/events", r#"GET {here}/events, last-event-id "1""#],
            ),
        scenario("spaces and tabs").stream(
            "data: a\n\ndata:  b \n\ndata:\tc\n\n\
             data : d\n\n data:e\n\ndata:f\ndata :g\n\n",
        ),
        scenario("unknown fields").stream("dat:a\ndataa:b\nx:c\nx\ndata:d\nlast-event-id:5\n\n"),
        scenario("the case of names").stream("Data:a\nDATA:b\ndata:c\nID:1\nEvent:d\nRETRY:9\n\n"),
        scenario("colons").stream("data::a\n\ndata:b:c\n\n:data:d\n\ndata: : e\n\n"),
        // Firefox drops NUL wherever it stands, and with an id that has one the rest of its event; the
        // standard keeps NUL in data and types, and ignores such an id alone.
        scenario("NUL")
            .stream(
                "data:a\0b\n\nid:1\0\ndata:c\n\nda\0ta:d\n\n\
             event:e\0\ndata:f\n\ndata:g\n\n",
            )
            .listens(&["e\0", "e"])
            .in_firefox(
                &[r#"message "message" "ab" "" "{here}""#, r#"message "e" "f" "" "{here}""#],
                &[
                    r#"message "message" "a\0b" "" "{here}""#,
                    r#"message "message" "c" "" "{here}""#,
                    r#"message "e\0" "f" "" "{here}""#,
                ],
            ),
        scenario("types")
            .stream(
                "event:a\nevent:b\ndata:1\n\ndata:2\n\nevent:a\n\ndata:3\n\n\
             event:a\nevent:\ndata:4\n\nevent: b \ndata:5\n\nevent:  b\ndata:6\n\n",
            )
            .listens(&["a", "b", "b ", " b"]),
        scenario("events named as the source's own")
            .stream(
                "event:open\ndata:a\n\nevent:error\ndata:b\n\n\
             event:message\ndata:c\n\nevent:close\ndata:d\n\n",
            )
            .listens(&["close"]),
        scenario("an incomplete event at the end")
            .answer(stream(&[SOON, b"data:a\n\ndata:b\nid:9\n"]))
            .stream("data:c\n\n"),
        // Firefox forgets the id of a block without data.
        scenario("an incomplete line at the end")
            .answer(stream(&[SOON, b"id:1\ndata:a\n\nid:2\ndata:b\n\nid:3\n\ndata:c\nid:4"]))
            .in_firefox(
                &[r#"GET {here}/events, last-event-id "2""#],
                &[r#"GET {here}/events, last-event-id "3""#],
            ),
        scenario("retry in all ways that do not count").stream(
            "retry:+5\nretry:-1\nretry: 7\nretry:7a\nretry:\nretry\nretry:5.0\n\
             retry:99999999999999999999x\nretry:\u{663}\ndata:a\n\n",
        ),
        scenario("retry in the middle of an event")
            .stream("data:a\nretry:5\ndata:b\n\nretry:0\ndata:c\n\n"),
        scenario("retry without a blank line").answer(stream(&[b"data:a\n\nretry:1\n"])),
        scenario("retry with zeros in front")
            .answer(stream(&[b"data:a\n\nretry:00000000000000000000001\n\n"])),
        scenario("an empty stream").answer(stream(&[SOON])).stream("").stream("data:a\n\n"),
        scenario("a long line").stream(format!("data:{}\n\ndata:a\n\n", "x".repeat(300_000))),
        scenario("many lines").stream(format!("{}\ndata:a\n\n", "data:x\n".repeat(10_000))),
        scenario("a stream that stays open")
            .answer(stream(&[b"data:a\n\ndata:close\n\ndata:b\n\n"]).ends(End::Hold)),
    ]
}
