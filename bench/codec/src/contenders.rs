//! How each decoder is driven.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tidings_proto::decode::{Decoder, Item, Limits};

use crate::{Check, Contender, Count, Kind, Sink};

macro_rules! contender {
    ($name:literal, $kind:expr, $run:ident) => {
        Contender {
            name: $name,
            kind: $kind,
            count: |chunks| {
                let mut count = Count::default();
                $run(chunks, &mut count);
                count
            },
            check: |chunks, corpus| {
                let mut check = Check::new(corpus);
                $run(chunks, &mut check);
                check.passed()
            },
        }
    };
}
/// All contenders, in the order of the table.
pub const ALL: [Contender; 8] = [
    contender!("tidings borrowed", Kind::Borrowed, tidings_borrowed),
    contender!("tidings owned", Kind::Owned, tidings_owned),
    contender!("sse-core", Kind::Peer, sse_core),
    contender!("sse-stream", Kind::Peer, sse_stream),
    contender!("sseer", Kind::Peer, sseer),
    contender!("eventsource-stream", Kind::Peer, eventsource_stream),
    contender!("eventsource-client", Kind::Peer, eventsource_client),
    contender!("memchr scan", Kind::Scan, memchr_scan),
];

fn tidings_borrowed(chunks: &[Bytes], sink: &mut impl Sink) {
    let mut decoder = Decoder::new(Limits::default());
    for chunk in chunks {
        let mut chunk = &chunk[..];
        while let Some(item) = decoder.poll_item(&mut chunk).expect("within the limits") {
            if let Item::Event(event) = item {
                sink.event(event.event_type(), event.data(), event.last_event_id());
            }
        }
    }
}

fn tidings_owned(chunks: &[Bytes], sink: &mut impl Sink) {
    let mut decoder = Decoder::new(Limits::default());
    for chunk in chunks {
        let mut chunk = &chunk[..];
        while let Some(event) = decoder.poll_event(&mut chunk).expect("within the limits") {
            sink.event(event.event_type.as_str(), &event.data, event.last_event_id.as_str());
        }
    }
}

/// The decoder itself, without its stream; slices are the cheapest `Buf` there is.
fn sse_core(chunks: &[Bytes], sink: &mut impl Sink) {
    let mut decoder = sse_core::SseDecoder::new();
    for chunk in chunks {
        let mut chunk = &chunk[..];
        while let Some(event) = decoder.next(&mut chunk) {
            if let sse_core::SseEvent::Message(event) = event.expect("within the limits") {
                let id = event.last_event_id.as_deref().unwrap_or_default();
                sink.event(&event.event, &event.data, id);
            }
        }
    }
}

/// Its parser has no other public interface than the stream. Its blocks stand for themselves; no
/// corpus has an event that relies on an earlier one's id, so that they can be compared.
fn sse_stream(chunks: &[Bytes], sink: &mut impl Sink) {
    let bytes = stream::iter(chunks.iter().map(|chunk| Ok::<_, Infallible>(&chunk[..])));
    drive(pin!(sse_stream::SseByteStream::new(bytes)), |block| match block {
        Ok(sse_stream::Sse { event, data: Some(data), id, .. }) => {
            let event = event.as_deref().unwrap_or("message");
            sink.event(event, &data, id.as_deref().unwrap_or_default());
            true
        }
        Ok(_) => true,
        Err(_) => false,
    });
}

/// Its stream takes what becomes `Bytes`, so that a chunk costs a reference count.
fn sseer(chunks: &[Bytes], sink: &mut impl Sink) {
    let bytes = stream::iter(chunks.iter().map(|chunk| Ok::<_, Infallible>(chunk.clone())));
    drive(pin!(sseer::EventStream::new(bytes)), |event| match event {
        Ok(event) => {
            sink.event(&event.event, &event.data, &event.id);
            true
        }
        Err(_) => false,
    });
}

/// Its parser has no other public interface than the stream.
fn eventsource_stream(chunks: &[Bytes], sink: &mut impl Sink) {
    let bytes = stream::iter(chunks.iter().map(|chunk| Ok::<_, Infallible>(&chunk[..])));
    drive(pin!(eventsource_stream::EventStream::new(bytes)), |event| match event {
        Ok(event) => {
            sink.event(&event.event, &event.data, &event.id);
            true
        }
        Err(_) => false,
    });
}

/// Its parser is private. The lightest public path is its client over a transport that answers at
/// once with the chunks: one request in all, then the parser and an empty state machine.
fn eventsource_client(chunks: &[Bytes], sink: &mut impl Sink) {
    use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
    let client = ClientBuilder::for_url("http://bench.invalid/")
        .expect("a URL")
        .reconnect(ReconnectOptions::reconnect(false).retry_initial(false).build())
        .build_with_transport(Answer(chunks.to_vec()));
    let mut last_event_id = String::new();
    drive(client.stream().as_mut(), |event| match event {
        Ok(SSE::Event(event)) => {
            if let Some(id) = event.id {
                last_event_id = id;
            }
            sink.event(&event.event_type, &event.data, &last_event_id);
            true
        }
        Ok(_) => true,
        Err(_) => false,
    });
}

/// A transport that answers every request with the same chunks.
#[derive(Clone)]
struct Answer(Vec<Bytes>);

impl launchdarkly_sdk_transport::HttpTransport for Answer {
    fn request(
        &self,
        _: http::Request<Option<Bytes>>,
    ) -> launchdarkly_sdk_transport::ResponseFuture {
        let chunks = self.0.clone().into_iter().map(Ok);
        let body: launchdarkly_sdk_transport::ByteStream = Box::pin(stream::iter(chunks));
        Box::pin(std::future::ready(Ok(http::Response::new(body))))
    }
}

/// Counts line ends, and reports no event.
fn memchr_scan(chunks: &[Bytes], sink: &mut impl Sink) {
    let ends: usize =
        chunks.iter().map(|chunk| memchr::memchr2_iter(b'\n', b'\r', chunk).count()).sum();
    if ends == 0 {
        sink.event("no line end", "", "");
    }
}

/// Polls a stream that never waits to its end, or until `each` has enough.
fn drive<S: Stream + ?Sized>(mut stream: Pin<&mut S>, mut each: impl FnMut(S::Item) -> bool) {
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut context) {
        if !each(item) {
            break;
        }
    }
}
