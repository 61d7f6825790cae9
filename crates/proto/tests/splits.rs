//! The decoder reads the same as the oracle, however the stream is cut.

mod shared;

use proptest::prelude::*;
use shared::cuts::{cut, read_chunks, read_events, read_owned_items};
use shared::oracle::{self, Seen};
use shared::{fixtures, fixtures::Random};
use tidings_proto::decode::{Decoder, Limits};

#[test]
fn corpora_are_read_the_same_at_every_cut() {
    for corpus in fixtures::all(3_000) {
        let name = corpus.name;
        assert_eq!(oracle::read(&corpus.stream).seen, corpus.seen, "the oracle on {name}");
        // The corpora of long lines are long: every position near their line ends, and some of
        // those between.
        let stream = &corpus.stream;
        let step = if stream.len() > 10_000 { 977 } else { 1 };
        let ends = [0..stream.len().min(80), stream.len().saturating_sub(80)..stream.len() + 1];
        let positions = (0..=stream.len()).step_by(step).chain(ends.into_iter().flatten());
        for position in positions {
            check(stream, &[position]);
        }
        check(stream, &(0..=stream.len()).collect::<Vec<_>>());
        for size in [2, 3, 63, 64, 65, 1_400] {
            check(stream, &(0..stream.len()).step_by(size).collect::<Vec<_>>());
        }
    }
}

#[test]
fn corpora_are_read_the_same_at_random_cuts() {
    for corpus in fixtures::all(20_000) {
        for seed in 0..20 {
            let mut random = Random(seed);
            let count = random.below(40);
            let mut positions: Vec<usize> =
                (0..count).map(|_| random.below(corpus.stream.len() + 1)).collect();
            positions.sort_unstable();
            check(&corpus.stream, &positions);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_stream_is_read_the_same_at_every_cut(stream in stream()) {
        for position in 0..=stream.len() {
            check(&stream, &[position]);
        }
        check(&stream, &(0..=stream.len()).collect::<Vec<_>>());
    }

    #[test]
    fn any_stream_is_read_the_same_at_random_cuts(
        stream in stream(),
        positions in proptest::collection::vec(0_usize..400, 0..12),
    ) {
        let mut positions = positions;
        positions.sort_unstable();
        check(&stream, &positions);
    }

    #[test]
    fn the_oracle_decodes_utf8_as_the_standard_library_does(
        bytes in proptest::collection::vec(byte(), 0..40)
    ) {
        prop_assert_eq!(oracle::decode_utf8(&bytes), String::from_utf8_lossy(&bytes));
    }
}

fn check(stream: &[u8], positions: &[usize]) {
    let expected = oracle::read(stream);
    let chunks = cut(stream, positions);
    let mut decoder = Decoder::new(Limits::default()).with_comments();
    let (reading, error) = read_chunks(&mut decoder, chunks.iter().copied());
    assert_eq!(error, None);
    if reading != expected {
        // The lossy text first, as it is what a person can read.
        let text = String::from_utf8_lossy(stream);
        panic!("{text:?}\n{stream:?} cut at {positions:?}:\n{reading:#?}\nnot\n{expected:#?}");
    }
    let owned = read_owned_items(chunks.iter().copied());
    assert_eq!(owned, expected.seen, "{stream:?} at {positions:?}");
    let events = expected.seen.into_iter().filter(|seen| matches!(seen, Seen::Event { .. }));
    assert_eq!(read_events(chunks), events.collect::<Vec<_>>(), "{stream:?} at {positions:?}");
}

/// Streams of whole fields, of parts of them and of bytes that mean something.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => line_end(),
        4 => (name(), value(), line_end())
            .prop_map(|(name, value, end)| [name, b": ".to_vec(), value, end].concat()),
        2 => (name(), value()).prop_map(|(name, value)| [name, b":".to_vec(), value].concat()),
        1 => name(),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
        2 => proptest::collection::vec(byte(), 0..6),
        1 => proptest::collection::vec(Just(b'x'), 0..90),
    ];
    (any::<bool>(), proptest::collection::vec(piece, 0..14)).prop_map(|(bom, pieces)| {
        let start: &[u8] = if bom { b"\xef\xbb\xbf" } else { b"" };
        [start.to_vec(), pieces.concat()].concat()
    })
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => Just("data"), 2 => Just("event"), 2 => Just("id"), 2 => Just("retry"), 2 => Just(""),
        1 => Just("dat"), 1 => Just("Data"), 1 => Just("ids"), 1 => Just("data "), 1 => Just("x"),
    ]
    .prop_map(|name| name.as_bytes().to_vec())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => proptest::collection::vec(byte(), 0..8)
            .prop_map(|mut bytes| { bytes.retain(|byte| !b"\r\n".contains(byte)); bytes }),
        2 => "[0-9]{0,22}".prop_map(String::into_bytes),
        2 => "[ a-z:é🦀\u{2028}\u{85}]{0,12}".prop_map(String::into_bytes),
    ]
}

fn line_end() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just("\n"), Just("\r"), Just("\r\n"), Just("\n\n"), Just("\r\n\r\n"), Just("\r\r")]
        .prop_map(|end| end.as_bytes().to_vec())
}

/// Any byte, most often one that means something, or a part of a UTF-8 sequence.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => proptest::sample::select(b"\r\n: \0\tad5".to_vec()),
        3 => proptest::sample::select(
            b"\xef\xbb\xbf\xf0\x9f\xa6\x80\xed\xa0\xc2\xe2\x80\xa8\xf4\x90\xff\xc0".to_vec()),
        1 => any::<u8>(),
    ]
}
