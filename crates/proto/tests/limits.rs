//! Limits: the same error at the same byte, however the stream is cut.

mod shared;

use proptest::prelude::*;
use shared::cuts::{cut, read_chunks};
use shared::oracle::Reading;
use tidings_proto::decode::{DecodeError, Decoder, Limits};

#[test]
fn a_line_may_be_as_long_as_its_limit() {
    let limits = Limits { line_bytes_max: 8, ..Limits::none() };
    let error = Some(DecodeError::LineTooLong { line_bytes_max: 8 });
    assert_reads(b"data: ab\n: 345678\nunknown8\nid: 5678\r\rdata: ab\r\n\r\n", limits, 3, None);
    for line in ["data: abc", ": 3456789", "unknown89", "id: 56789", "event: 89", "retry: 89"] {
        assert_reads(format!("data: a\n\n{line}\n\n").as_bytes(), limits, 1, error);
        assert_reads(format!("data: a\n\n{line}").as_bytes(), limits, 1, error);
    }
}

#[test]
fn data_may_be_as_long_as_its_limit() {
    let limits = Limits { event_data_bytes_max: 5, ..Limits::none() };
    let error = Some(DecodeError::EventDataTooLong { event_data_bytes_max: 5 });
    assert_reads(b"data: 12345\n\ndata: 1\ndata:345\n\ndata\ndata\ndata: 345\n\n", limits, 3, None);
    for event in [
        "data: 123456",
        "data:123456",
        "data: 1\ndata:3456",
        "data: 12345\ndata",
        "data: 12345\ndata:\n",
        "data\ndata\ndata\ndata\ndata\ndata\ndata\n",
    ] {
        assert_reads(format!("{event}\n\n").as_bytes(), limits, 0, error);
    }
}

#[test]
fn an_id_may_be_as_long_as_its_limit() {
    let limits = Limits { event_id_bytes_max: 3, ..Limits::none() };
    let error = Some(DecodeError::EventIdTooLong { event_id_bytes_max: 3 });
    assert_reads(b"id: 123\nid:123\ndata\n\n", limits, 1, None);
    assert_reads(b"data\n\nid: 1234\ndata\n\n", limits, 1, error);
    // Also when it would be ignored.
    assert_reads(b"data\n\nid: \0\0\0\0\ndata\n\n", limits, 1, error);
}

#[test]
fn an_event_type_may_be_as_long_as_its_limit() {
    let limits = Limits { event_type_bytes_max: 3, ..Limits::none() };
    let error = Some(DecodeError::EventTypeTooLong { event_type_bytes_max: 3 });
    assert_reads(b"event: 123\nevent:123\ndata\n\n", limits, 1, None);
    assert_reads(b"data\n\nevent: 1234\ndata\n\n", limits, 1, error);
}

#[test]
fn an_event_may_have_as_many_fields_as_its_limit() {
    let limits = Limits { event_fields_max: 3, ..Limits::none() };
    let error = Some(DecodeError::TooManyFields { event_fields_max: 3 });
    assert_reads(b"data\nx\nid\n\n:\n:\n:\n:\ndata\nid\n:\n\n", limits, 6 + 1, None);
    assert_reads(b"data\ndata\ndata\ndata\n\n", limits, 0, error);
    assert_reads(b"data\n\nx\nx\nx\nx\n\n", limits, 1, error);
    assert_reads(b"id\nevent\nretry\nd", limits, 0, error);
}

#[test]
fn an_idle_stream_of_comments_crosses_no_limit() {
    let stream = b":\n".repeat(2_000);
    let limits = Limits { event_fields_max: 1, buffered_bytes_max: 1, ..Limits::none() };
    let mut decoder = Decoder::new(limits);
    assert_eq!(read_chunks(&mut decoder, [&stream[..]]), (Reading::default(), None));
}

#[test]
fn what_is_held_has_a_limit_of_its_own() {
    let limits = Limits { buffered_bytes_max: 10, ..Limits::none() };
    let error = Some(DecodeError::TooMuchBuffered { buffered_bytes_max: 10 });
    assert_reads(b"id: 123\nevent: 123\ndata: 1234\n\n", limits, 1, None);
    assert_reads(b"id: 123\nevent: 123\ndata: 12\ndata:4\n\n", limits, 1, None);
    for event in [
        "id: 123\nevent: 123\ndata: 12345",
        "data: 12345\nid: 123\nevent: 123",
        "id: 123\nevent: 123\ndata: 1234\ndata",
        // The value that is being read counts besides the one that it will replace.
        "id: 123456\nid: 12345",
        "data: 12345\nretry: 123456",
        "data: 12345\n:123456",
    ] {
        assert_reads(format!("{event}\n\n").as_bytes(), limits, 0, error);
    }
    // What is only skipped is not held.
    assert_reads(b"unknown line of more than ten bytes\ndata: 123\n\n", limits, 1, None);
}

#[test]
fn millions_of_tiny_fields_do_not_pass() {
    for line in ["x\n", "data\n", "id:\n", "event\r", "retry: 1\r\n", "data:\n: comment\n"] {
        let chunk = line.repeat(1_000);
        for size in [1, 7, 64, 1_400, chunk.len()] {
            let mut decoder = Decoder::new(Limits::default());
            let pieces = || chunk.as_bytes().chunks(size);
            let endless = std::iter::repeat_with(pieces).take(2_000).flatten();
            let (reading, error) = read_chunks(&mut decoder, endless);
            let event_fields_max = Limits::default().event_fields_max;
            assert_eq!(error, Some(DecodeError::TooManyFields { event_fields_max }));
            assert!(reading.seen.len() <= event_fields_max);
        }
    }
}

#[test]
fn an_error_stays_until_the_stream_ends() {
    let limits = Limits { line_bytes_max: 8, ..Limits::none() };
    let error = DecodeError::LineTooLong { line_bytes_max: 8 };
    let mut decoder = Decoder::new(limits);
    let mut chunk = &b"id: 1\ndata\n\ndata: 123\n\ndata\n\n"[..];
    assert!(decoder.poll_event(&mut chunk).unwrap().is_some());
    assert_eq!(decoder.poll_event(&mut chunk), Err(error));
    for mut chunk in [&b"\n\n"[..], b"d", b"data\n\n"] {
        assert_eq!(decoder.poll_event(&mut chunk), Err(error));
    }
    decoder.end_stream();
    let event = decoder.poll_event(&mut &b"data: a\n\n"[..]).unwrap().unwrap();
    assert_eq!((event.data.as_str(), event.last_event_id.as_str()), ("a", "1"));
}

#[test]
fn an_error_names_its_limit_and_its_value() {
    let error = DecodeError::EventDataTooLong { event_data_bytes_max: 1_024 };
    let text = error.to_string();
    assert!(text.contains("event_data_bytes_max") && text.contains("1024"), "{text}");
    assert!(error.is_retryable());
}

#[test]
fn memory_of_a_large_event_is_given_back() {
    // Behind the interface: the next event must not depend on the size of the last.
    let mut decoder = Decoder::new(Limits::default());
    let large = ["data: ", &"x".repeat(3 << 20), "\n\ndata: a\ndata: b\n\n"].concat();
    let mut events = Vec::new();
    for mut chunk in large.as_bytes().chunks(1_000) {
        while let Some(event) = decoder.poll_event(&mut chunk).unwrap() {
            assert!(event.data.capacity() <= event.data.len() * 2 + 64, "no more than it needs");
            events.push(event.data.len());
        }
    }
    assert_eq!(events, [3 << 20, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_limits_are_crossed_at_the_same_byte_at_every_cut(
        pieces in proptest::collection::vec(prop_oneof![
            Just("data: a"), Just("data"), Just("data:"), Just("data:bcd"), Just("id: 1"),
            Just("id:23"), Just("event: e"), Just("event:fgh"), Just("retry: 12"), Just(": c"),
            Just(":defg"), Just("unknown"), Just("x: y"), Just("dat"), Just("datas"), Just(""),
            Just("\n"), Just("\n"), Just("\n"), Just("\r\n"), Just("\r"), Just("longer text"),
            Just("\u{feff}"), Just(" "),
        ], 0..16),
        limits in (0..16_usize, 0..12_usize, 0..6_usize, 0..6_usize, 0..6_usize, 0..20_usize),
        none in any::<[bool; 6]>(),
        comments in any::<bool>(),
    ) {
        let limit = |bytes: usize, none: bool| if none { usize::MAX } else { bytes };
        let limits = Limits {
            line_bytes_max: limit(limits.0, none[0]),
            event_data_bytes_max: limit(limits.1, none[1]),
            event_id_bytes_max: limit(limits.2, none[2]),
            event_type_bytes_max: limit(limits.3, none[3]),
            event_fields_max: limit(limits.4, none[4]),
            buffered_bytes_max: limit(limits.5, none[5]),
        };
        let stream = pieces.concat();
        let stream = stream.as_bytes();
        let decoder = || {
            let decoder = Decoder::new(limits);
            if comments { decoder.with_comments() } else { decoder }
        };
        let whole = read_chunks(&mut decoder(), [stream]);
        let each: Vec<usize> = (0..=stream.len()).collect();
        for positions in each.iter().map(|at| vec![*at]).chain([each.clone()]) {
            let cut = read_chunks(&mut decoder(), cut(stream, &positions));
            prop_assert_eq!(&cut, &whole, "{:?} at {:?} with {:?}",
                String::from_utf8_lossy(stream), positions, limits);
        }
    }
}

/// Reads `stream` at every cut, and expects so many items and then this error.
fn assert_reads(stream: &[u8], limits: Limits, items: usize, error: Option<DecodeError>) {
    let each: Vec<usize> = (0..=stream.len()).collect();
    let whole = read_chunks(&mut Decoder::new(limits).with_comments(), [stream]);
    let text = String::from_utf8_lossy(stream);
    for positions in each.iter().map(|at| vec![*at]).chain([each.clone()]) {
        let mut decoder = Decoder::new(limits).with_comments();
        let (reading, crossed) = read_chunks(&mut decoder, cut(stream, &positions));
        assert_eq!(crossed, error, "{text:?} at {positions:?}");
        assert_eq!(reading, whole.0, "{text:?} at {positions:?}");
    }
    assert_eq!(whole.0.seen.len(), items, "{text:?}");
}
