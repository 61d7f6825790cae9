//! The head of a response, and what it says about the body.

use tidings_client::Cause;
use tidings_proto::source::ResponseHead;

use super::failure::Failure;
use super::transfer::Transfer;

/// What is read of a response before its body.
#[derive(Debug)]
pub(super) struct Head {
    /// How many bytes it has.
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) transfer: Transfer,
    /// Where it redirects to.
    location: Option<String>,
    /// Whether it opens an event stream.
    opens: Result<(), Cause>,
}

impl Head {
    /// Reads the head at the beginning of `bytes`; `None` while it is not all there.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) =
            response.parse(bytes).map_err(|_| Failure::NotHttp)?
        else {
            if bytes.len() >= HEAD_BYTES_MAX {
                return Err(Failure::NotHttp);
            }
            return Ok(None);
        };
        let status = response.code.ok_or(Failure::NotHttp)?;
        let mut transfer = Transfer::UntilClose;
        let mut location = None;
        let names: Vec<String> =
            response.headers.iter().map(|header| header.name.to_ascii_lowercase()).collect();
        let pairs: Vec<(&str, &[u8])> = names
            .iter()
            .zip(response.headers.iter())
            .map(|(name, header)| (name.as_str(), header.value))
            .collect();
        for (name, value) in &pairs {
            match *name {
                // It goes before a length.
                "transfer-encoding" if ends_chunked(value) => transfer = Transfer::chunked(),
                "content-length" if transfer == Transfer::UntilClose => {
                    let length =
                        std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                    transfer = match length.ok_or(Failure::NotHttp)? {
                        0 => Transfer::Ended,
                        length => Transfer::Length(length),
                    };
                }
                "location" => location = Some(String::from_utf8_lossy(value).into_owned()),
                _ => {}
            }
        }
        let opens = ResponseHead::new(status, &pairs).opens();
        Ok(Some(Self { length, status, transfer, location, opens }))
    }

    /// Whether it only announces another one.
    pub(super) const fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199)
    }

    /// Whether the body is worth a look for what it says is wrong.
    pub(super) const fn is_refusal(&self) -> bool {
        self.status >= 400
    }

    /// The body's framing, if it is an event stream. `said` is what the body of a refusal says.
    pub(super) fn judge(self, said: Option<String>) -> Result<Transfer, Failure> {
        let Self { status, location, .. } = self;
        match self.opens {
            Ok(()) => Ok(self.transfer),
            Err(Cause::Status { .. }) => {
                let location = location.filter(|_| matches!(status, 300..=399));
                Err(Failure::Status { status, location, said })
            }
            Err(cause) => Err(Failure::NotAStream(cause)),
        }
    }
}

fn ends_chunked(value: &[u8]) -> bool {
    let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

const HEADERS_MAX: usize = 64;
/// More is no head.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        let bytes = text.as_bytes();
        for end in 0..bytes.len() {
            assert!(Head::parse(&bytes[..end]).unwrap().is_none(), "{end}");
        }
        Head::parse(bytes).unwrap().unwrap()
    }

    #[test]
    fn the_framing_is_what_the_head_says() {
        for (fields, transfer) in [
            ("", Transfer::UntilClose),
            ("Transfer-Encoding: Chunked\r\n", Transfer::chunked()),
            ("Content-Length: 12\r\n", Transfer::Length(12)),
            ("Content-Length: 12\r\nTransfer-Encoding: chunked\r\n", Transfer::chunked()),
            ("Transfer-Encoding: chunked\r\nContent-Length: 12\r\n", Transfer::chunked()),
        ] {
            let text =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}\r\n");
            assert_eq!(head(&text).judge(None).unwrap(), transfer, "{fields}");
        }
    }

    #[test]
    fn what_is_no_stream_is_told() {
        let sentence = |text| {
            let failure = head(text).judge(None).unwrap_err();
            failure.sentence(&"http://h/e".parse().unwrap())
        };
        for (text, part) in [
            ("HTTP/1.1 204 X\r\n\r\n", "ended its stream for good"),
            ("HTTP/1.1 401 X\r\n\r\n", "Give credentials with --header"),
            ("HTTP/1.1 404 X\r\n\r\n", "There is no event stream at http://h/e"),
            ("HTTP/1.1 500 X\r\n\r\n", "answered with status 500"),
            ("HTTP/1.1 302 X\r\nLocation: /x\x7f\r\n\r\n", "does not answer as HTTP"),
            ("HTTP/1.1 302 X\r\nLocation: /x\r\n\r\n", "redirects to /x"),
            ("HTTP/1.1 200 X\r\nContent-Type: text/html\r\n\r\n", "answers with text/html"),
            ("HTTP/1.1 200 X\r\n\r\n", "something of no type"),
        ] {
            if part.starts_with("does not") {
                assert!(matches!(Head::parse(text.as_bytes()), Err(Failure::NotHttp)));
            } else {
                assert!(sentence(text).contains(part), "{}", sentence(text));
            }
        }
    }

    #[test]
    fn what_is_no_head_is_not_waited_for() {
        assert!(matches!(Head::parse(b"SSH-2.0-x\r\n"), Err(Failure::NotHttp)));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(HEAD_BYTES_MAX));
        assert!(matches!(Head::parse(endless.as_bytes()), Err(Failure::NotHttp)));
        let bad = b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n";
        assert!(matches!(Head::parse(bad), Err(Failure::NotHttp)));
    }
}
