//! What is encoded is decoded again, and nothing else.

mod shared;

use std::time::Duration;

use proptest::prelude::*;
use shared::oracle::{self, Seen};
use tidings_proto::decode::{Decoder, Limits};
use tidings_proto::{Event, EventId, EventName, encode};

#[test]
fn no_line_end_gets_out_of_a_field() {
    for end in ["\n", "\r", "\r\n"] {
        for payload in ["id: forged", "data: forged", "event: forged", "retry: 1", ":forged", ""] {
            for text in [
                format!("a{end}{payload}"),
                format!("a{end}{end}{payload}{end}{end}"),
                format!("{end}{payload}"),
            ] {
                assert!(EventId::new(text.as_str()).is_err());
                assert!(EventName::new(text.as_str()).is_err());
                let mut out = Vec::new();
                encode::comment(&mut out, &text);
                encode::event(&mut out, None, None, None, &text);
                let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
                let mut seen: Vec<Seen> =
                    lines(&text).split('\n').map(|line| Seen::Comment(line.to_owned())).collect();
                seen.push(message(&lines(&text)));
                assert_eq!(oracle::read(&out).seen, seen);
            }
        }
    }
}

#[test]
fn a_frame_stands_anywhere_in_a_stream() {
    let mut out = b"\xef\xbb\xbf".to_vec();
    encode::retry(&mut out, Duration::from_secs(3));
    encode::event(&mut out, None, None, None, "a");
    encode::comment(&mut out, "beat");
    encode::event(&mut out, None, None, None, "b");
    let seen = [
        Seen::RetryMilliseconds(3_000),
        message("a"),
        Seen::Comment("beat".to_owned()),
        message("b"),
    ];
    assert_eq!(oracle::read(&out).seen, seen);
}

#[test]
fn encoding_appends() {
    let mut out = b"before".to_vec();
    encode::event(&mut out, None, None, None, "a");
    assert_eq!(out, b"beforedata: a\n\n");
}

proptest! {
    #[test]
    fn encoding_then_decoding_is_the_identity(
        id in proptest::option::of("[^\r\n\0]{0,12}"),
        name in proptest::option::of("[^\r\n]{1,12}"),
        retry in proptest::option::of(any::<u64>()),
        data in text(),
        comment in text(),
    ) {
        let id = id.map(|id| EventId::new(id).unwrap());
        let name = name.map(|name| EventName::new(name).unwrap());
        let mut out = Vec::new();
        encode::comment(&mut out, &comment);
        encode::event(&mut out, id.as_ref(), name.as_ref(), retry.map(Duration::from_millis), &data);

        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        let mut decoder = Decoder::new(Limits::default());
        let mut chunk = &out[..];
        let event = decoder.poll_event(&mut chunk).unwrap();
        prop_assert_eq!(event, Some(Event {
            event_type: name.unwrap_or_default(),
            data,
            last_event_id: id.unwrap_or_default(),
        }));
        prop_assert_eq!(decoder.poll_event(&mut chunk), Ok(None));
        prop_assert_eq!(decoder.reconnection_time(), retry.map(Duration::from_millis));

        let comments = oracle::read(&out).seen.into_iter().filter_map(|seen| match seen {
            Seen::Comment(text) => Some(text),
            _ => None,
        });
        let comment = comment.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(comments.collect::<Vec<_>>().join("\n"), comment);
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\r\n: a\u{feff}é\0]{0,20}", "\\PC{0,40}", "(data: |id: |\r\n|\n| ){0,8}"]
}

fn message(data: &str) -> Seen {
    Seen::Event {
        event_type: "message".to_owned(),
        data: data.to_owned(),
        last_event_id: String::new(),
    }
}
