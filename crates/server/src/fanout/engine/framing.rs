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
    /// Appends what stands before so many bytes, which are not none, that are framed on their own.
    pub fn before(self, out: &mut Vec<u8>, bytes: usize) {
        match self {
            // Writing to a vector does not fail.
            Self::Chunked => drop(write!(out, "{bytes:x}\r\n")),
            Self::UntilClose => {}
        }
    }

    /// What stands after them.
    pub fn after(self) -> &'static [u8] {
        match self {
            Self::Chunked => b"\r\n",
            Self::UntilClose => b"",
        }
    }

    /// The end of the body.
    pub fn last(self) -> &'static [u8] {
        match self {
            Self::Chunked => b"0\r\n\r\n",
            Self::UntilClose => b"",
        }
    }

    /// Appends `bytes`, which are not empty, framed on their own.
    pub(super) fn frame(self, out: &mut Vec<u8>, bytes: &[u8]) {
        self.before(out, bytes.len());
        out.extend_from_slice(bytes);
        out.extend_from_slice(self.after());
    }

    /// Appends the end of the body.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.last());
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
