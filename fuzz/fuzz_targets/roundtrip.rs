//! Any event that can be made is encoded to bytes that decode to it and to nothing else.
//!
//! The input is text: an id, an event type and a comment, each up to a U+001F, then the data.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_proto::decode::{Decoder, Item, Limits};
use tidings_proto::{EventId, EventName, encode};

fuzz_target!(|input: &str| {
    let mut parts = input.splitn(4, '\u{1f}');
    let mut next = || parts.next().unwrap_or_default();
    let (id, name, comment, data) = (next(), next(), next(), next());

    let refused = id.contains(['\r', '\n', '\0']);
    let id = EventId::new(id);
    assert_eq!(id.is_err(), refused);
    let refused = name.is_empty() || name.contains(['\r', '\n']);
    let name = EventName::new(name);
    assert_eq!(name.is_err(), refused);

    let (id, name) = (id.ok(), name.ok());
    let mut frames = Vec::new();
    encode::comment(&mut frames, comment);
    encode::event(&mut frames, id.as_ref(), name.as_ref(), None, data);

    let mut decoder = Decoder::new(Limits::default()).with_comments();
    let mut chunk = &frames[..];
    for line in normalised(comment).split('\n') {
        assert_eq!(decoder.poll_item(&mut chunk), Ok(Some(Item::Comment(line))));
    }
    let event = decoder.poll_event(&mut chunk).unwrap().unwrap();
    assert_eq!(event.data, normalised(data));
    assert_eq!(event.event_type, name.unwrap_or_default());
    assert_eq!(event.last_event_id, id.unwrap_or_default());
    assert_eq!(decoder.poll_item(&mut chunk), Ok(None));
});

fn normalised(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
