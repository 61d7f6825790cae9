//! The standard, one test a rule. Each stream is read whole, byte by byte and at every cut, and
//! the oracle must agree.

mod shared;

use shared::cuts::{cut, read_chunks};
use shared::oracle::{self, Reading, Seen};
use tidings_proto::EventId;
use tidings_proto::decode::{Decoder, Item, Limits};

// Decoding bytes to lines

#[test]
fn invalid_bytes_become_replacement_characters() {
    // The maximal parts of the Encoding standard: how many U+FFFD each sequence gives.
    for (bytes, text) in [
        (&b"\xff"[..], "\u{fffd}"),
        (b"\xc0\x80", "\u{fffd}\u{fffd}"),
        (b"\xe2\x82", "\u{fffd}"),
        (b"\xe2\x82x", "\u{fffd}x"),
        (b"\xf0\x9f\xa6", "\u{fffd}"),
        (b"\xf0\x9f\x41", "\u{fffd}A"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xe2\xe2\x82\xac", "\u{fffd}\u{20ac}"),
        (b"\x80\xbf", "\u{fffd}\u{fffd}"),
    ] {
        let stream = [b"data: ", bytes, b"\n\n"].concat();
        assert_reads(&stream, &[message(text)]);
        let stream = [b"event: ", bytes, b"\nid: ", bytes, b"\ndata\n:", bytes, b"\n\n"].concat();
        assert_reads(&stream, &[Seen::Comment(text.to_owned()), event(text, "", text)]);
    }
}

#[test]
fn an_invalid_byte_never_stalls_the_stream() {
    assert_reads(b"data: \xf0\n\ndata: b\n\n", &[message("\u{fffd}"), message("b")]);
}

#[test]
fn a_sequence_does_not_go_on_behind_a_line_end() {
    assert_reads(b"data: \xe2\ndata: \x82\xac\n\n", &[message("\u{fffd}\n\u{fffd}\u{fffd}")]);
}

#[test]
fn one_leading_bom_is_stripped() {
    assert_reads(b"\xef\xbb\xbfdata: a\n\n", &[message("a")]);
}

#[test]
fn a_bom_is_stripped_after_empty_chunks() {
    let chunks: [&[u8]; 7] = [b"", b"", b"\xef", b"", b"\xbb\xbf", b"", b"data: a\n\n"];
    let (reading, _) = read_chunks(&mut decoder(), chunks);
    assert_eq!(reading.seen, [message("a")]);
}

#[test]
fn a_second_bom_is_data_of_the_first_line() {
    assert_reads(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\ndata: b\n\n", &[message("b")]);
}

#[test]
fn a_later_bom_is_data() {
    assert_reads(b"data: \xef\xbb\xbfa\n\n", &[message("\u{feff}a")]);
    assert_reads(b"\n\xef\xbb\xbfdata: a\ndata: b\n\n", &[message("b")]);
}

#[test]
fn the_start_of_a_bom_is_not_one() {
    assert_reads(b"\xef\xbbdata: a\ndata: b\n\n", &[message("b")]);
    assert_reads(b"\xef\ndata: b\n\n", &[message("b")]);
    assert_reads(b"\xef", &[]);
}

#[test]
fn all_three_line_ends_mix_freely() {
    assert_reads(b"data: a\rdata: b\r\ndata: c\n\r\n", &[message("a\nb\nc")]);
    assert_reads(b"data: a\n\rdata: b\r\rdata: c\r\n\r\n", &["a", "b", "c"].map(message));
    assert_reads(b"data: a\r\n\ndata: b\n\r\n\r", &["a", "b"].map(message));
}

#[test]
fn nothing_else_ends_a_line() {
    let text = "a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f\0g";
    assert_reads(format!("data: {text}\n\n").as_bytes(), &[message(text)]);
}

#[test]
fn a_cr_ends_its_line_at_once() {
    let mut decoder = decoder();
    let mut chunk = &b"data: a\r\r"[..];
    assert!(matches!(decoder.poll_item(&mut chunk), Ok(Some(Item::Event(_)))));
    let mut chunk = &b"data: b\n\r"[..];
    assert!(matches!(decoder.poll_item(&mut chunk), Ok(Some(Item::Event(_)))));
}

#[test]
fn one_lf_after_a_cr_is_swallowed_in_whichever_chunk() {
    let chunks: [&[u8]; 6] = [b"data: a\r", b"", b"\n", b"data: b\r", b"\n\n", b"data: c\n\n"];
    let (reading, _) = read_chunks(&mut decoder(), chunks);
    assert_eq!(reading.seen, [message("a\nb"), message("c")]);
}

#[test]
fn an_event_is_never_held_back() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("data: a{end}{end}");
        // The LF of the last CRLF is not needed.
        let needed = stream.trim_end_matches('\n').len().max(stream.len() - end.len() + 1);
        for size in 1..=needed {
            let mut decoder = decoder();
            let mut events = 0;
            for mut chunk in stream.as_bytes()[..needed].chunks(size) {
                events += usize::from(decoder.poll_event(&mut chunk).unwrap().is_some());
            }
            assert_eq!(events, 1, "{stream:?} in chunks of {size}");
        }
    }
}

// Fields

#[test]
fn comments_are_offered_with_their_text() {
    let texts = ["", " a", "data: b", " c: d "].map(|text| Seen::Comment(text.to_owned()));
    assert_reads(b":\n: a\n:data: b\n: c: d \n", &texts);
}

#[test]
fn a_comment_within_an_event_leaves_it_whole() {
    let comment = Seen::Comment(" c".to_owned());
    assert_reads(
        b"id: 1\nevent: e\ndata: a\n: c\ndata: b\n\n",
        &[comment, event("e", "a\nb", "1")],
    );
}

#[test]
fn a_line_is_split_at_its_first_colon() {
    assert_reads(b"data: a: b:c\n\n", &[message("a: b:c")]);
    assert_reads(b"data::\n\n", &[message(":")]);
}

#[test]
fn at_most_one_space_is_dropped() {
    assert_reads(b"data:a\ndata: a\ndata:  a\ndata:\ta\n\n", &[message("a\na\n a\n\ta")]);
}

#[test]
fn a_line_without_a_colon_is_a_name() {
    assert_reads(b"data\n\n", &[message("")]);
    assert_reads(b"data\ndata\n\n", &[message("\n")]);
    assert_reads(b"event: x\nevent\nid: 1\nid\nretry\ndata: a\n\n", &[message("a")]);
}

#[test]
fn names_are_compared_exactly() {
    assert_reads(
        b"Data: a\ndata : a\n data: a\nDATA: a\ndatas: a\ndat: a\nx: a\ndata\0: a\nx\ndata: b\n\n",
        &[message("b")],
    );
}

#[test]
fn data_appends() {
    assert_reads(b"data: a\ndata: b\n\n", &[message("a\nb")]);
    assert_reads(b"data: a\ndata:\ndata:\n\n", &[message("a\n\n")]);
}

#[test]
fn data_keeps_nul() {
    assert_reads(b"data: a\0b\n\n", &[message("a\0b")]);
}

#[test]
fn the_last_event_type_wins() {
    assert_reads(b"event: a\nevent: b\ndata: x\n\n", &[event("b", "x", "")]);
}

#[test]
fn an_empty_event_type_is_message() {
    assert_reads(b"event: a\nevent:\ndata: x\n\n", &[message("x")]);
    assert_reads(b"event: \ndata: x\n\n", &[message("x")]);
}

#[test]
fn the_event_type_is_reset_at_every_blank_line() {
    assert_reads(b"event: a\n\ndata: x\n\n", &[message("x")]);
    assert_reads(b"event: a\ndata: x\n\ndata: y\n\n", &[event("a", "x", ""), message("y")]);
}

#[test]
fn the_last_id_wins() {
    assert_reads(b"id: 1\nid: 2\ndata: x\n\n", &[event("message", "x", "2")]);
}

#[test]
fn an_id_with_nul_is_ignored_whole() {
    assert_reads(b"id: 1\nid: 2\0\ndata: x\n\n", &[event("message", "x", "1")]);
    assert_reads(b"id: \0\ndata: x\n\n", &[message("x")]);
}

#[test]
fn an_empty_id_resets() {
    let one = event("message", "a", "1");
    assert_reads(b"id: 1\ndata: a\n\nid:\ndata: b\n\n", &[one.clone(), message("b")]);
    assert_reads(b"id: 1\ndata: a\n\nid\ndata: b\n\n", &[one, message("b")]);
}

#[test]
fn an_id_stays_for_the_events_after_it() {
    assert_reads(
        b"id: 1\ndata: a\n\ndata: b\n\n",
        &[event("message", "a", "1"), event("message", "b", "1")],
    );
}

#[test]
fn retry_takes_ascii_digits_only() {
    for value in ["+5", "-1", "  5", "5 ", "5a", "5.", "\u{663}", "", "0x1", "1e3", "\0"] {
        assert_reads(format!("retry: {value}\n\n").as_bytes(), &[]);
    }
    assert_reads(b"retry: 0\n", &[Seen::RetryMilliseconds(0)]);
    assert_reads(b"retry:0025\n", &[Seen::RetryMilliseconds(25)]);
}

#[test]
fn retry_saturates() {
    for digits in ["18446744073709551615", "18446744073709551616", &"9".repeat(100)] {
        let stream = format!("retry: {digits}\n");
        assert_reads(stream.as_bytes(), &[Seen::RetryMilliseconds(u64::MAX)]);
    }
}

#[test]
fn retry_takes_effect_when_its_line_is_read() {
    let mut decoder = decoder();
    assert_eq!(decoder.reconnection_time(), None);
    let mut chunk = &b"data: a\nretry: 7\nretry: x\n"[..];
    assert_eq!(decoder.poll_event(&mut chunk), Ok(None));
    assert_eq!(decoder.reconnection_time().unwrap().as_millis(), 7);
    let mut chunk = &b"\n"[..];
    assert_eq!(decoder.poll_event(&mut chunk).unwrap().unwrap().data, "a");
}

#[test]
fn the_blank_line_commits_the_id_without_data() {
    let mut decoder = decoder();
    let mut chunk = &b"id: 1\n"[..];
    assert_eq!(decoder.poll_event(&mut chunk), Ok(None));
    assert_eq!(decoder.last_event_id(), "", "not yet committed");
    let mut chunk = &b"\n"[..];
    assert_eq!(decoder.poll_event(&mut chunk), Ok(None));
    assert_eq!(decoder.last_event_id(), "1");
}

#[test]
fn an_event_without_data_is_not_dispatched() {
    assert_reads(b"\n\nevent: a\nid: 1\n\n\n", &[]);
}

#[test]
fn empty_data_is_dispatched() {
    assert_reads(b"data:\n\n", &[message("")]);
    assert_reads(b"data: \n\n", &[message("")]);
    assert_reads(b"data:\ndata:\n\n", &[message("\n")]);
}

#[test]
fn the_end_of_the_stream_discards_an_unfinished_event() {
    for unfinished in ["data: x", "data: x\n", "id: 9\n", "event: e\ndata: x\nid: 9\n", "\u{feff}"]
    {
        let mut decoder = decoder();
        let stream = format!("id: 1\ndata: a\n\n{unfinished}");
        let (reading, _) = read_chunks(&mut decoder, [stream.as_bytes()]);
        assert_eq!(reading.seen, [event("message", "a", "1")]);
        decoder.end_stream();
        let (reading, _) = read_chunks(&mut decoder, [&b"\ndata: b\n\n"[..]]);
        assert_eq!(reading.seen, [event("message", "b", "1")], "after {unfinished:?}");
    }
}

#[test]
fn the_id_stays_over_any_number_of_reconnects() {
    let mut decoder = decoder();
    read_chunks(&mut decoder, [&b"id: 1\ndata: a\n\n"[..]]);
    for _ in 0..3 {
        decoder.end_stream();
        let (reading, _) = read_chunks(&mut decoder, [&b"\xef\xbb\xbfdata: b\n\n"[..]]);
        assert_eq!(reading.seen, [event("message", "b", "1")]);
    }
}

#[test]
fn a_stream_can_start_from_an_id() {
    let mut decoder = decoder().with_last_event_id(&EventId::new("5").unwrap());
    assert_eq!(decoder.last_event_id(), "5");
    let (reading, _) = read_chunks(&mut decoder, [&b"data: a\n\nid:\ndata: b\n\n"[..]]);
    assert_eq!(reading.seen, [event("message", "a", "5"), message("b")]);
}

// What a caller can rely on besides the standard

#[test]
fn stopping_half_way_loses_nothing() {
    let stream = b"data: a\n: c\ndata: b\nretry: 5\nid: 1\n\r\n\rdata: d\n\n";
    let expected = oracle::read(stream);
    let mut decoder = decoder();
    let mut rest = &stream[..];
    let mut reading = Reading::default();
    while !rest.is_empty() {
        // One poll, and what it has left is a new chunk for the next.
        let copy = rest.to_vec();
        let mut chunk = copy.as_slice();
        if decoder.poll_item(&mut chunk).unwrap().is_some() {
            reading.seen.push(expected.seen[reading.seen.len()].clone());
        }
        rest = &rest[rest.len() - chunk.len()..];
    }
    assert_eq!(reading.seen, expected.seen);
    assert_eq!(decoder.last_event_id(), "1");
}

#[test]
fn a_line_whole_in_its_chunk_is_not_copied() {
    let stream = b"event: e\ndata: a\nid: 1\n\n";
    let mut decoder = decoder();
    let mut chunk = &stream[..];
    let Ok(Some(Item::Event(event))) = decoder.poll_item(&mut chunk) else { panic!("no event") };
    assert!(stream.as_ptr_range().contains(&event.data().as_ptr()));
    assert!(stream.as_ptr_range().contains(&event.event_type().as_ptr()));
}

#[test]
fn equal_ids_and_types_that_are_long_share_their_text() {
    let mut decoder = decoder();
    let (id, event_type) = ("1".repeat(24), "e".repeat(24));
    let stream =
        format!("id: {id}\nevent: {event_type}\ndata: a\n\nevent: {event_type}\ndata: b\n\n");
    let mut chunk = stream.as_bytes();
    let a = decoder.poll_event(&mut chunk).unwrap().unwrap();
    let b = decoder.poll_event(&mut chunk).unwrap().unwrap();
    assert_eq!(a.event_type.as_str().as_ptr(), b.event_type.as_str().as_ptr());
    assert_eq!(a.last_event_id.as_str().as_ptr(), b.last_event_id.as_str().as_ptr());
}

#[test]
fn a_borrowed_event_can_be_kept() {
    let mut decoder = decoder();
    let stream = b"id: 1\nevent: e\ndata: a\n\n";
    let mut chunk = &stream[..];
    let Ok(Some(Item::Event(event))) = decoder.poll_item(&mut chunk) else { panic!("no event") };
    let kept = event.to_event();
    assert_eq!(Ok(Some(kept)), self::decoder().poll_event(&mut &stream[..]));
}

fn assert_reads(stream: &[u8], seen: &[Seen]) {
    let expected = oracle::read(stream);
    assert_eq!(expected.seen, seen, "the oracle on {:?}", String::from_utf8_lossy(stream));
    let bytes: Vec<usize> = (0..=stream.len()).collect();
    let cuts = (0..=stream.len()).map(|position| vec![position]);
    for positions in cuts.chain([vec![], bytes]) {
        let (reading, error) = read_chunks(&mut decoder(), cut(stream, &positions));
        assert_eq!(error, None);
        assert_eq!(reading, expected, "{:?} at {positions:?}", String::from_utf8_lossy(stream));
    }
}

fn decoder() -> Decoder {
    Decoder::new(Limits::default()).with_comments()
}

fn message(data: &str) -> Seen {
    event("message", data, "")
}

fn event(event_type: &str, data: &str, last_event_id: &str) -> Seen {
    Seen::Event {
        event_type: event_type.to_owned(),
        data: data.to_owned(),
        last_event_id: last_event_id.to_owned(),
    }
}
