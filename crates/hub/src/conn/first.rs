//! The first request of a connection, looked at before anything else is made for it: most
//! connections follow a stream, and one that does needs little.

use std::{future::poll_fn, io, mem::MaybeUninit, pin::Pin, task::ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};
use tokio::io::{AsyncRead, ReadBuf};

/// What a connection begins with, and what it is by that.
#[derive(Debug)]
pub(super) enum First {
    /// HTTP/2, with prior knowledge.
    Http2,
    /// HTTP/1 with a request that may be one for a stream.
    Stream(Box<Request<()>>),
    /// HTTP/1 with anything else, a bad request among it.
    Other,
}

// The preface of HTTP/2 (RFC 9113 3.4) begins with a method that HTTP/1.1 does not have.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
// As many as hyper reads.
const HEADERS_MAX: usize = 100;
const READ_BYTES: usize = 1 << 10;

/// Reads until it is clear what the connection begins with. Gives what was read, too; none if the
/// peer went away.
pub(super) async fn read<S: AsyncRead + Unpin>(
    io: &mut S,
    bytes_max: usize,
) -> Option<(First, Bytes)> {
    let mut ahead = Vec::new();
    loop {
        if read_some(io, &mut ahead).await.ok()? == 0 {
            return None;
        }
        let known = first(&ahead).or_else(|| (ahead.len() >= bytes_max).then_some(First::Other));
        if let Some(first) = known {
            return Some((first, ahead.into()));
        }
    }
}

// Has a buffer only while it reads: a connection that says nothing yet needs none.
async fn read_some<S: AsyncRead + Unpin>(io: &mut S, ahead: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer))?;
        ahead.extend_from_slice(buffer.filled());
        Ok(buffer.filled().len()).into()
    })
    .await
}

fn first(ahead: &[u8]) -> Option<First> {
    if ahead.starts_with(PREFACE) {
        return Some(First::Http2);
    }
    if PREFACE.starts_with(ahead) {
        return None;
    }
    // Without a look at the rest: whoever reads it will see.
    let stream = b"GET /events";
    if !ahead.starts_with(stream) && !stream.starts_with(ahead) {
        return Some(First::Other);
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(ahead) {
        Ok(httparse::Status::Partial) => None,
        Ok(httparse::Status::Complete(end)) if end == ahead.len() => {
            Some(request(&head).map_or(First::Other, |request| First::Stream(Box::new(request))))
        }
        // There is more than this request, or it is a bad one.
        Ok(_) | Err(_) => Some(First::Other),
    }
}

fn request(head: &httparse::Request<'_, '_>) -> Option<Request<()>> {
    let version = match head.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = head.path?.parse().ok()?;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    is_simple(&request).then_some(request)
}

/// Whether the request has no body and asks for nothing but an answer.
pub(super) fn is_simple<B>(request: &Request<B>) -> bool {
    let others = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::EXPECT,
        header::UPGRADE,
        header::TE,
    ];
    request.method() == Method::GET && !others.iter().any(|o| request.headers().contains_key(o))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<First> {
        first(text.as_bytes())
    }

    #[test]
    fn a_connection_is_known_by_its_first_bytes() {
        assert!(of("PRI").is_none() && of("GET /ev").is_none());
        assert!(matches!(of("PRI * HTTP/2.0\r\n"), Some(First::Http2)));
        assert!(matches!(of("PRIX"), Some(First::Other)));
        assert!(matches!(of("POST"), Some(First::Other)));
        assert!(matches!(of("GET /topics"), Some(First::Other)));
        assert!(of("GET /events/a HTTP/1.1\r\nHost: b\r\n").is_none());
        let whole = "GET /events/a?topic=b HTTP/1.1\r\nHost: c\r\nLast-Event-ID: \u{e9}\r\n\r\n";
        let Some(First::Stream(request)) = of(whole) else { panic!("a stream") };
        assert_eq!((request.uri().path(), request.uri().query()), ("/events/a", Some("topic=b")));
        assert_eq!(request.headers()["last-event-id"], "\u{e9}".as_bytes());
        assert_eq!(request.version(), Version::HTTP_11);
        let Some(First::Stream(request)) = of("GET /events HTTP/1.0\r\n\r\n") else {
            panic!("a stream")
        };
        assert_eq!(request.version(), Version::HTTP_10);
        for other in [
            "GET /events HTTP/1.1\r\n\r\nGET /more",
            "GET /events HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
            "GET /events HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET /events HTTP/1.1\r\nbad name: x\r\n\r\n",
            "GET /events HTTP/3\r\n\r\n",
        ] {
            assert!(matches!(of(other), Some(First::Other)), "{other}");
        }
    }
}
