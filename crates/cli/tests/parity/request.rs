//! A request as it came, byte for byte.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// The head of a request, and its body if it has a length.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Nothing if the connection is closed unused.
    pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            // The one space that is written by convention: others are seen.
            let value = &line[colon + 1..];
            Some((name, value.strip_prefix(b" ").unwrap_or(value).to_vec()))
        });
        let headers = headers.collect();
        let mut request = Self { method, path, headers, body: bytes.split_off(end + 4) };
        let length = request.text("content-length").and_then(|length| length.parse().ok());
        while request.body.len() < length.unwrap_or(0) {
            if stream.read_buf(&mut request.body).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(request))
    }

    /// The value of a header, what is not ASCII as escapes.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(
            value
                .iter()
                .flat_map(|byte| match byte {
                    b' '..=b'~' => vec![char::from(*byte)],
                    _ => byte.escape_ascii().map(char::from).collect(),
                })
                .collect(),
        )
    }
}
