//! Whether a `Content-Type` says event stream.

/// Whether the MIME type that `content_type` carries has the essence `text/event-stream`.
///
/// Letter case and parameters do not count. A value with several types, as when the header was sent
/// twice, means the last valid one.
///
/// Standard: "extract a MIME type" of Fetch, and "parse a MIME type" of MIME Sniffing.
#[must_use]
pub(super) fn is_event_stream(content_type: &[u8]) -> bool {
    let mut rest = content_type;
    let mut found = false;
    loop {
        let (value, after) = split_value(rest);
        if let Some((kind, subtype)) = essence(value)
            && (kind, subtype) != (b"*", b"*")
        {
            found =
                kind.eq_ignore_ascii_case(b"text") && subtype.eq_ignore_ascii_case(b"event-stream");
        }
        match after {
            Some(after) => rest = after,
            None => return found,
        }
    }
}

/// Splits at the first comma that is not within a quoted string.
fn split_value(values: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in values.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return (&values[..at], Some(&values[at + 1..])),
            _ => {}
        }
    }
    (values, None)
}

/// The type and subtype, if they are those of a valid MIME type.
fn essence(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
    let slash = essence.iter().position(|byte| *byte == b'/')?;
    let (kind, subtype) = (&essence[..slash], &essence[slash + 1..]);
    (is_token(kind) && is_token(subtype)).then_some((kind, subtype))
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_parameters_and_space_do_not_count() {
        for content_type in [
            "text/event-stream",
            "Text/Event-Stream",
            "text/event-stream;",
            "text/event-stream;charset=windows-1252",
            "text/event-stream ; charset=\"a,b\" ; x",
            "\t text/event-stream \t",
            "text/html, text/event-stream",
            "text/event-stream, */*",
            "text/event-stream, nonsense",
            "text/event-stream;a=\"\\\",text/html\"",
        ] {
            assert!(is_event_stream(content_type.as_bytes()), "{content_type}");
        }
    }

    #[test]
    fn nothing_else_is_an_event_stream() {
        for content_type in [
            "",
            "text",
            "text/",
            "/event-stream",
            "text/event-streams",
            "text/event-stream x",
            "text /event-stream",
            "text/x-event-stream",
            "text/event-stream, text/html",
            "text/html;a=\",text/event-stream\"",
            "application/json",
            "text/event-stream\u{e9}",
            "*/*",
        ] {
            assert!(!is_event_stream(content_type.as_bytes()), "{content_type}");
        }
    }
}
