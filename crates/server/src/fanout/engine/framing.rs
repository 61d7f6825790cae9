//! Framing: how the bytes of a stream lie in an HTTP/1 response (RFC 9112 7.1 and 6.3).

use std::io::Write as _;

/// How the end of the response's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`, for HTTP/1.1.
    Chunked,
    /// By closing the connection, for HTTP/1.0.
    UntilClose,
}

impl Framing {
    /// Appends `bytes`, which are not empty, framed on their own.
    pub(super) fn frame(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Self::Chunked => {
                // Writing to a vector does not fail.
                let _ = write!(out, "{:x}\r\n", bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::UntilClose => out.extend_from_slice(bytes),
        }
    }

    /// Appends the end of the body.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        match self {
            Self::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            Self::UntilClose => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_a_chunk_of_its_own() {
        let mut out = Vec::new();
        Framing::Chunked.frame(&mut out, b"data: 1\n\n");
        Framing::Chunked.frame(&mut out, &[b'x'; 16]);
        Framing::Chunked.end(&mut out);
        assert_eq!(out, b"9\r\ndata: 1\n\n\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
        let mut out = Vec::new();
        Framing::UntilClose.frame(&mut out, b"data: 1\n\n");
        Framing::UntilClose.end(&mut out);
        assert_eq!(out, b"data: 1\n\n");
    }
}
