//! Any stream, cut in any way, is read as the oracle reads it.
//!
//! The first byte says how many of the next give sizes of chunks, which are used in turn; the rest
//! is the stream. A size of 0 is an empty chunk.

#![no_main]

#[path = "../../crates/proto/tests/shared/mod.rs"]
mod shared;

use libfuzzer_sys::fuzz_target;
use shared::cuts::{read_chunks, read_events, read_owned_items};
use shared::oracle::{self, Seen};
use tidings_proto::decode::{Decoder, Limits};

fuzz_target!(|input: &[u8]| {
    let Some((count, input)) = input.split_first() else { return };
    let Some((sizes, stream)) = input.split_at_checked(usize::from(count % 8)) else { return };
    let chunks = chunks(sizes, stream);

    let expected = oracle::read(stream);
    let mut decoder = Decoder::new(Limits::default()).with_comments();
    let (reading, error) = read_chunks(&mut decoder, chunks.iter().copied());
    assert_eq!(error, None);
    assert_eq!(reading, expected);

    assert_eq!(read_owned_items(chunks.iter().copied()), expected.seen);
    let events = expected.seen.into_iter().filter(|seen| matches!(seen, Seen::Event { .. }));
    assert_eq!(read_events(chunks.iter().copied()), events.collect::<Vec<_>>());

    // With limits that the first byte chooses, the end is the same as of the stream in one piece.
    let max = usize::from(*count) / 4;
    let limits = Limits {
        line_bytes_max: max + 8,
        event_data_bytes_max: max,
        event_id_bytes_max: max / 2,
        event_type_bytes_max: max / 2,
        event_fields_max: max / 4 + 1,
        buffered_bytes_max: max + 4,
    };
    let whole = read_chunks(&mut Decoder::new(limits), [stream]);
    assert_eq!(read_chunks(&mut Decoder::new(limits), chunks), whole);
});

fn chunks<'c>(sizes: &[u8], stream: &'c [u8]) -> Vec<&'c [u8]> {
    let mut chunks = Vec::new();
    let mut rest = stream;
    // Sizes that are all 0 would never get anywhere.
    if sizes.iter().any(|size| *size > 0) {
        for size in sizes.iter().cycle() {
            let Some((chunk, after)) = rest.split_at_checked(usize::from(*size)) else { break };
            chunks.push(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    chunks.push(rest);
    chunks
}
