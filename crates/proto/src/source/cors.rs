//! The rules of CORS, by which a server decides which pages may read it.
//!
//! Standard: Fetch, "CORS protocol", "CORS check" and "CORS-preflight fetch".

use alloc::string::String;
use alloc::vec::Vec;

use super::ResponseHead;
use super::call::{ACCEPT, CACHE_CONTROL, LAST_EVENT_ID};

/// What a server did not allow. Its configuration is at fault, or the origin is not one it knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CorsError {
    /// The response does not allow the origin: its `Access-Control-Allow-Origin` is missing or names
    /// another, or it is `*`, which does not count for requests with credentials.
    #[error(
        "the server does not allow the origin {origin}: Access-Control-Allow-Origin {}",
        described(.allowed.as_deref())
    )]
    Origin {
        /// The origin of the request, `null` when redirects have blurred it.
        origin: String,
        /// What the response allows.
        allowed: Option<String>,
    },
    /// The response does not allow credentials: it lacks `Access-Control-Allow-Credentials: true`.
    #[error("the server does not allow credentials: Access-Control-Allow-Credentials is not true")]
    Credentials,
    /// The preflight was not answered with a status of 200 to 299.
    #[error("the server answered the CORS preflight with status {status}")]
    PreflightStatus {
        /// The status.
        status: u16,
    },
    /// The preflight's `Access-Control-Allow-Methods` does not name the method.
    #[error("the server does not allow the method {method}: see Access-Control-Allow-Methods")]
    Method {
        /// The method.
        method: String,
    },
    /// The preflight's `Access-Control-Allow-Headers` does not name a header.
    #[error("the server does not allow the header {name}: see Access-Control-Allow-Headers")]
    Header {
        /// The name, in lower case.
        name: String,
    },
    /// A redirect leads to a URL with a user name or password, where CORS allows none.
    #[error("a redirect between origins leads to a URL with a user name or password")]
    UrlCredentials,
}

/// What the checks know of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked<'a> {
    /// The origin as it was sent.
    pub(super) origin: &'a str,
    /// Whether credentials are to go to other origins: the mode "include".
    pub(super) with_credentials: bool,
}

impl Checked<'_> {
    /// The CORS check.
    pub(super) fn response(self, head: &ResponseHead<'_>) -> Result<(), CorsError> {
        let allowed = head.header("access-control-allow-origin");
        if allowed.as_deref() == Some(b"*") && !self.with_credentials {
            return Ok(());
        }
        if allowed.as_deref() != Some(self.origin.as_bytes()) {
            return Err(CorsError::Origin {
                origin: self.origin.into(),
                allowed: allowed.map(|allowed| String::from_utf8_lossy(&allowed).into_owned()),
            });
        }
        let allows_credentials = head.header("access-control-allow-credentials");
        if self.with_credentials && allows_credentials.as_deref() != Some(b"true") {
            return Err(CorsError::Credentials);
        }
        Ok(())
    }

    /// Whether the answer to a preflight allows a request with this method and these headers.
    pub(super) fn preflight(
        self,
        head: &ResponseHead<'_>,
        method: &str,
        names: &[String],
    ) -> Result<(), CorsError> {
        self.response(head)?;
        if !(200..=299).contains(&head.status) {
            return Err(CorsError::PreflightStatus { status: head.status });
        }
        let is_any = |list: &[Vec<u8>]| !self.with_credentials && list.iter().any(|v| v == b"*");
        let methods = list(head, "access-control-allow-methods");
        if !methods.iter().any(|allowed| allowed == method.as_bytes())
            && !is_safelisted_method(method)
            && !is_any(&methods)
        {
            return Err(CorsError::Method { method: method.into() });
        }
        let headers = list(head, "access-control-allow-headers");
        for name in names {
            let named = headers.iter().any(|allowed| allowed.eq_ignore_ascii_case(name.as_bytes()));
            // A wildcard never stands for it.
            let is_any = name != "authorization" && is_any(&headers);
            if !named && !is_any {
                return Err(CorsError::Header { name: name.clone() });
            }
        }
        Ok(())
    }
}

/// Whether a method needs no leave.
pub(super) fn is_safelisted_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST")
}

/// The names of the headers that need leave, sorted.
///
/// The source's own do not count, but for a `Last-Event-ID` that is long or has unsafe bytes, if
/// `preflights_last_event_id`.
pub(super) fn unsafe_names(
    headers: &[(&str, &[u8])],
    preflights_last_event_id: bool,
) -> Vec<String> {
    let is_unsafe = |name: &str, value: &[u8]| match name {
        // Browsers write these themselves, after the check.
        "cookie" | "host" | "origin" | "referer" | "user-agent" => false,
        CACHE_CONTROL => value != b"no-cache",
        LAST_EVENT_ID => {
            preflights_last_event_id
                && (value.len() > VALUE_BYTES_MAX || value.iter().any(is_unsafe_byte))
        }
        ACCEPT => value.len() > VALUE_BYTES_MAX || value.iter().any(is_unsafe_byte),
        "accept-language" | "content-language" => {
            value.len() > VALUE_BYTES_MAX || !value.iter().all(is_language_byte)
        }
        "content-type" => {
            value.len() > VALUE_BYTES_MAX
                || value.iter().any(is_unsafe_byte)
                || !is_form_type(value)
        }
        _ => true,
    };
    let mut names: Vec<String> = headers
        .iter()
        .filter(|(name, value)| is_unsafe(name, value))
        .map(|(name, _)| (*name).into())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The types that a form could always send anywhere.
fn is_form_type(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"application/x-www-form-urlencoded"[..], b"multipart/form-data", b"text/plain"]
        .iter()
        .any(|form| essence.eq_ignore_ascii_case(form))
}

/// Standard: "CORS-unsafe request-header byte" of Fetch.
const fn is_unsafe_byte(byte: &u8) -> bool {
    matches!(
        byte,
        0..=8
            | 10..=0x1f
            | b'"' | b'(' | b')' | b':' | b'<' | b'>' | b'?' | b'@' | b'[' | b'\\' | b']' | b'{'
            | b'}' | 0x7f
    )
}

const fn is_language_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'*' | b',' | b'-' | b'.' | b';' | b'=')
}

/// The values of a list header.
fn list(head: &ResponseHead<'_>, name: &str) -> Vec<Vec<u8>> {
    let value = head.header(name).unwrap_or_default();
    value.split(|byte| *byte == b',').map(|value| value.trim_ascii().to_vec()).collect()
}

fn described(allowed: Option<&str>) -> String {
    match allowed {
        Some("*") => "is *, which does not count with credentials".into(),
        Some(allowed) => {
            let mut text = String::from("is ");
            text.push_str(allowed);
            text
        }
        None => "is missing".into(),
    }
}

/// Longer values are not safelisted.
const VALUE_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const PLAIN: Checked<'static> =
        Checked { origin: "https://page.example", with_credentials: false };
    const CREDENTIALED: Checked<'static> = Checked { with_credentials: true, ..PLAIN };

    type Headers<'a> = &'a [(&'a str, &'a [u8])];

    #[test]
    fn an_origin_must_be_allowed_exactly() {
        let check = |request: Checked<'_>, headers: Headers<'_>| {
            request.response(&ResponseHead::new(200, headers)).is_ok()
        };
        const ORIGIN: &str = "access-control-allow-origin";
        const CREDENTIALS: &str = "access-control-allow-credentials";
        for (headers, plain, credentialed) in [
            (&[][..], false, false),
            (&[(ORIGIN, &b"https://page.example"[..])][..], true, false),
            (&[(ORIGIN, b"*")], true, false),
            (&[(ORIGIN, b"https://page.example"), (CREDENTIALS, b"true")], true, true),
            (&[(ORIGIN, b"https://page.example"), (CREDENTIALS, b"True")], true, false),
            (&[(ORIGIN, b"*"), (CREDENTIALS, b"true")], true, false),
            (&[(ORIGIN, b"https://PAGE.example")], false, false),
            (&[(ORIGIN, b"https://page.example/")], false, false),
            (&[(ORIGIN, b"null"), (CREDENTIALS, b"true")], false, false),
            // Twice is a list, which is no origin.
            (&[(ORIGIN, b"*"), (ORIGIN, b"*")], false, false),
        ] {
            assert_eq!(check(PLAIN, headers), plain, "{headers:?}");
            assert_eq!(check(CREDENTIALED, headers), credentialed, "{headers:?}");
        }
    }

    #[test]
    fn a_preflight_names_methods_and_headers() {
        const ALL: (&str, &[u8]) = ("access-control-allow-origin", b"https://page.example");
        const CREDENTIALS: (&str, &[u8]) = ("access-control-allow-credentials", b"true");
        const METHODS: &str = "access-control-allow-methods";
        const HEADERS: &str = "access-control-allow-headers";
        let check = |request: Checked<'_>, status, method, names: &[&str], headers: Headers<'_>| {
            let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
            request.preflight(&ResponseHead::new(status, headers), method, &names)
        };
        assert_eq!(check(PLAIN, 204, "GET", &[], &[ALL]), Ok(()));
        assert_eq!(
            check(PLAIN, 404, "GET", &[], &[ALL]),
            Err(CorsError::PreflightStatus { status: 404 })
        );
        assert_eq!(
            check(PLAIN, 200, "PUT", &[], &[ALL]),
            Err(CorsError::Method { method: "PUT".into() })
        );
        assert_eq!(check(PLAIN, 200, "PUT", &[], &[ALL, (METHODS, b"GET , PUT")]), Ok(()));
        assert_eq!(check(PLAIN, 200, "PUT", &[], &[ALL, (METHODS, b"*")]), Ok(()));
        assert!(
            check(CREDENTIALED, 200, "PUT", &[], &[ALL, CREDENTIALS, (METHODS, b"*")]).is_err()
        );
        let missing = |name: &str| Err(CorsError::Header { name: name.into() });
        assert_eq!(check(PLAIN, 200, "GET", &["x-a"], &[ALL]), missing("x-a"));
        assert_eq!(check(PLAIN, 200, "GET", &["x-a"], &[ALL, (HEADERS, b"x-b,X-A")]), Ok(()));
        assert_eq!(check(PLAIN, 200, "GET", &["x-a"], &[ALL, (HEADERS, b"*")]), Ok(()));
        assert_eq!(
            check(PLAIN, 200, "GET", &["authorization"], &[ALL, (HEADERS, b"*")]),
            missing("authorization")
        );
        assert_eq!(
            check(CREDENTIALED, 200, "GET", &["x-a"], &[ALL, CREDENTIALS, (HEADERS, b"*")]),
            missing("x-a")
        );
        assert!(check(PLAIN, 200, "GET", &[], &[]).is_err());
    }

    #[test]
    fn which_headers_need_leave() {
        let long = vec![b'1'; 129];
        for (name, value, expected) in [
            ("accept", &b"text/event-stream"[..], false),
            ("accept", b"text/event-stream; q=\"1\"", true),
            ("cache-control", b"no-cache", false),
            ("cache-control", b"max-age=0", true),
            ("last-event-id", b"17", false),
            ("last-event-id", "\u{e9}".as_bytes(), false),
            ("last-event-id", &long[..128], false),
            ("last-event-id", &long, true),
            ("last-event-id", b"{\"a\":1}", true),
            ("content-type", b"text/plain;charset=utf-8", false),
            ("content-type", b"application/json", true),
            ("accept-language", b"de, en;q=0.5", false),
            ("accept-language", b"de_AT", true),
            ("authorization", b"Bearer x", true),
            ("x-a", b"", true),
            ("cookie", b"a=b", false),
        ] {
            let names = unsafe_names(&[(name, value)], true);
            assert_eq!(!names.is_empty(), expected, "{name}: {value:?}");
        }
        assert_eq!(unsafe_names(&[("last-event-id", &long)], false), Vec::<String>::new());
        let both = unsafe_names(&[("x-b", b""), ("authorization", b""), ("x-b", b"")], true);
        assert_eq!(both, ["authorization", "x-b"]);
    }
}
