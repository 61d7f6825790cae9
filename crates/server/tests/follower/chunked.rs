//! The chunked coding, read strictly (RFC 9112 7.1): anything that a shard does not write is
//! wrong.

/// Takes chunks apart, at whatever bytes they are cut.
#[derive(Debug, Default)]
pub struct Chunked {
    expected: Expected,
    size: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Expected {
    #[default]
    FirstDigit,
    Digit,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LastCr,
    LastLf,
    Nothing,
}

impl Chunked {
    /// Whether the last chunk is there.
    pub fn is_done(&self) -> bool {
        self.expected == Expected::Nothing
    }

    /// Whether a chunk's data is there, and its end is not.
    pub fn lacks_an_end(&self) -> bool {
        matches!(self.expected, Expected::DataCr | Expected::DataLf)
    }

    /// Appends the data in `bytes` to `data`.
    pub fn decode<'a>(&mut self, mut bytes: &'a [u8], data: &mut impl Extend<&'a u8>) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.expected == Expected::Data {
                let (chunk, rest) = bytes.split_at(self.size.min(bytes.len()));
                data.extend(chunk);
                self.size -= chunk.len();
                if self.size == 0 {
                    self.expected = Expected::DataCr;
                }
                bytes = rest;
                continue;
            }
            self.expected = match (self.expected, byte) {
                (Expected::FirstDigit, b'0') => Expected::Digit,
                (Expected::FirstDigit | Expected::Digit, b'0'..=b'9' | b'a'..=b'f') => {
                    let digit = char::from(byte).to_digit(16).unwrap();
                    assert!(self.expected == Expected::FirstDigit || self.size > 0, "0 in front");
                    self.size = 16 * self.size + digit as usize;
                    assert!(self.size < 1 << 24, "a chunk of {} bytes", self.size);
                    Expected::Digit
                }
                (Expected::Digit, b'\r') => Expected::SizeLf,
                (Expected::SizeLf, b'\n') if self.size == 0 => Expected::LastCr,
                (Expected::SizeLf, b'\n') => Expected::Data,
                (Expected::DataCr, b'\r') => Expected::DataLf,
                (Expected::DataLf, b'\n') => Expected::FirstDigit,
                (Expected::LastCr, b'\r') => Expected::LastLf,
                (Expected::LastLf, b'\n') => Expected::Nothing,
                (expected, _) => panic!("{:?} is not {expected:?}", bytes.escape_ascii()),
            };
            bytes = rest;
        }
    }
}
