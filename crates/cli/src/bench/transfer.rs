//! The body of a response out of the bytes of its connection (RFC 9112, section 6).

/// Where the body is in the bytes, and how far they have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// All until the connection ends.
    UntilClose,
    /// This many bytes are to come.
    Length(u64),
    /// In chunks, each with its size before it.
    Chunked(Chunk),
    /// The body has ended.
    Ended,
}

/// What comes next of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The rest of a size, of which this much and this many digits are known.
    Size { size: u64, digits: u8 },
    /// The rest of the line of a size, which may have an extension.
    Line { size: u64 },
    /// This many bytes of data.
    Data { left: u64 },
    /// The line end after the data.
    End,
}

/// The server does not keep to the framing that it announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the response are broken")]
pub(super) struct BrokenChunks;

impl Transfer {
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunk::Size { size: 0, digits: 0 })
    }

    /// Takes the next part of the body off the front of `bytes`; `None` when they are used up or the
    /// body has ended.
    pub(super) fn take<'b>(
        &mut self,
        bytes: &mut &'b [u8],
    ) -> Result<Option<&'b [u8]>, BrokenChunks> {
        loop {
            if bytes.is_empty() {
                return Ok(None);
            }
            match self {
                Self::UntilClose => return Ok(Some(std::mem::take(bytes))),
                Self::Length(left) | Self::Chunked(Chunk::Data { left }) => {
                    let length =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let (part, rest) = bytes.split_at(length);
                    *bytes = rest;
                    *left -= length as u64;
                    if *left == 0 {
                        *self = match self {
                            Self::Length(_) => Self::Ended,
                            _ => Self::Chunked(Chunk::End),
                        };
                    }
                    if length > 0 {
                        return Ok(Some(part));
                    }
                }
                Self::Chunked(chunk) => {
                    let byte = bytes[0];
                    *bytes = &bytes[1..];
                    match chunk.after(byte)? {
                        Some(next) => *chunk = next,
                        // Trailers may follow; nobody asks for them, or for the connection.
                        None => *self = Self::Ended,
                    }
                }
                Self::Ended => return Ok(None),
            }
        }
    }
}

impl Chunk {
    /// What comes after a byte that is not data; `None` after the last chunk.
    fn after(self, byte: u8) -> Result<Option<Self>, BrokenChunks> {
        Ok(Some(match (self, byte) {
            (Self::Size { size, digits }, _) if char::from(byte).is_ascii_hexdigit() => {
                // Fifteen digits are more than any stream, and cannot overflow.
                if digits == 15 {
                    return Err(BrokenChunks);
                }
                let digit = char::from(byte).to_digit(16).ok_or(BrokenChunks)?;
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(BrokenChunks),
            (Self::Size { size: 0, .. } | Self::Line { size: 0 }, b'\n') => return Ok(None),
            (Self::Size { size, .. } | Self::Line { size }, b'\n') => Self::Data { left: size },
            (Self::Size { size, .. }, b'\r' | b';' | b' ' | b'\t') => Self::Line { size },
            (Self::Line { size }, _) => Self::Line { size },
            (Self::End, b'\r') => Self::End,
            (Self::End, b'\n') => Self::Size { size: 0, digits: 0 },
            _ => return Err(BrokenChunks),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` in pieces of `size`.
    fn read(
        mut transfer: Transfer,
        bytes: &[u8],
        size: usize,
    ) -> Result<(String, Transfer), BrokenChunks> {
        let mut body = Vec::new();
        for mut piece in bytes.chunks(size) {
            while let Some(part) = transfer.take(&mut piece)? {
                body.extend_from_slice(part);
            }
        }
        Ok((String::from_utf8(body).unwrap(), transfer))
    }

    #[test]
    fn chunks_are_joined_however_they_are_cut() {
        let bytes =
            b"3\r\nabc\r\n0010;x=\"y\"\r\n0123456789abcdef\r\n1 \r\n\n\r\n0\r\nTrailer: 1\r\n\r\n";
        for size in 1..=bytes.len() {
            let (body, end) = read(Transfer::chunked(), bytes, size).unwrap();
            assert_eq!((body.as_str(), end), ("abc0123456789abcdef\n", Transfer::Ended), "{size}");
        }
        let (body, _) = read(Transfer::chunked(), b"5\r\nab", 1).unwrap();
        assert_eq!(body, "ab");
    }

    #[test]
    fn broken_chunks_are_told() {
        for bytes in
            ["\r\n", "x\r\n", "2\r\nabc\r\n", "-1\r\n", "1111111111111111\r\n", "3q\r\nabc"]
        {
            assert_eq!(
                read(Transfer::chunked(), bytes.as_bytes(), 1),
                Err(BrokenChunks),
                "{bytes}"
            );
        }
    }

    #[test]
    fn a_length_ends_the_body() {
        let (body, end) = read(Transfer::Length(3), b"abcd", 2).unwrap();
        assert_eq!((body.as_str(), end), ("abc", Transfer::Ended));
        let (body, end) = read(Transfer::UntilClose, b"abcd", 3).unwrap();
        assert_eq!((body.as_str(), end), ("abcd", Transfer::UntilClose));
        // A body that is empty has ended with the first byte that is not its.
        assert_eq!(read(Transfer::Length(0), b"", 1).unwrap().0, "");
    }
}
