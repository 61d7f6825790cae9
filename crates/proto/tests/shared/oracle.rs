//! The standard's algorithm written down as it reads, over the whole stream at once: slow, and
//! plain enough to be believed.

/// One thing that a stream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Event { event_type: String, data: String, last_event_id: String },
    Comment(String),
    RetryMilliseconds(u64),
}

/// All that a stream said, and the last event id after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    pub seen: Vec<Seen>,
    pub last_event_id: String,
}

/// Reads a whole stream.
pub fn read(stream: &[u8]) -> Reading {
    let text = decode_utf8(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);

    let mut reading = Reading::default();
    let mut data = String::new();
    let mut event_type = String::new();
    let mut id = String::new();
    for line in lines(text) {
        if line.is_empty() {
            reading.last_event_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                reading.seen.push(Seen::Event {
                    event_type: if event_type.is_empty() {
                        "message".to_owned()
                    } else {
                        event_type.clone()
                    },
                    data: data.clone(),
                    last_event_id: id.clone(),
                });
            }
            data.clear();
            event_type.clear();
            continue;
        }
        if let Some(comment) = line.strip_prefix(':') {
            reading.seen.push(Seen::Comment(comment.to_owned()));
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "event" => event_type = value.to_owned(),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                let time = value.parse().unwrap_or(u64::MAX);
                reading.seen.push(Seen::RetryMilliseconds(time));
            }
            _ => {}
        }
    }
    reading
}

/// The lines that have ended. What comes after the last line end is no line.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                lines.push(std::mem::take(&mut line));
            }
            '\n' => lines.push(std::mem::take(&mut line)),
            c => line.push(c),
        }
    }
    lines
}

/// The UTF-8 decoder of the Encoding standard, with its variables under their own names, in
/// replacement mode and without BOM handling.
pub fn decode_utf8(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut code_point = 0_u32;
    let mut bytes_needed = 0;
    let mut bytes_seen = 0;
    let (mut lower_boundary, mut upper_boundary) = (0x80, 0xbf);
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if bytes_needed == 0 {
            match byte {
                0x00..=0x7f => out.push(char::from(byte)),
                0xc2..=0xdf => {
                    bytes_needed = 1;
                    code_point = u32::from(byte & 0x1f);
                }
                0xe0..=0xef => {
                    match byte {
                        0xe0 => lower_boundary = 0xa0,
                        0xed => upper_boundary = 0x9f,
                        _ => {}
                    }
                    bytes_needed = 2;
                    code_point = u32::from(byte & 0xf);
                }
                0xf0..=0xf4 => {
                    match byte {
                        0xf0 => lower_boundary = 0x90,
                        0xf4 => upper_boundary = 0x8f,
                        _ => {}
                    }
                    bytes_needed = 3;
                    code_point = u32::from(byte & 0x7);
                }
                _ => out.push('\u{fffd}'),
            }
            continue;
        }
        let in_range = (lower_boundary..=upper_boundary).contains(&byte);
        (lower_boundary, upper_boundary) = (0x80, 0xbf);
        if !in_range {
            (code_point, bytes_needed, bytes_seen) = (0, 0, 0);
            out.push('\u{fffd}');
            // The byte is prepended to the input: it may begin something valid.
            at -= 1;
            continue;
        }
        code_point = (code_point << 6) | u32::from(byte & 0x3f);
        bytes_seen += 1;
        if bytes_seen == bytes_needed {
            out.push(char::from_u32(code_point).expect("the boundaries keep surrogates out"));
            (code_point, bytes_needed, bytes_seen) = (0, 0, 0);
        }
    }
    if bytes_needed != 0 {
        out.push('\u{fffd}');
    }
    out
}
