//! Idempotency keys as text.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::{Digest, Sha256};
use url::Url;

use crate::text::public;

/// The key of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    text: String,
    is_lasting: bool,
}

impl Key {
    /// 1 to 255 visible ASCII characters, none of which JSON escapes.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the event gets the same key when it comes again.
    pub(super) const fn is_lasting(&self) -> bool {
        self.is_lasting
    }
}

/// Makes the keys of one relay.
#[derive(Debug)]
pub(super) struct Mint {
    lasting: String,
    passing: String,
    passed: u64,
}

impl Mint {
    /// For the relay of this name into this topic. The seed tells its runs apart.
    pub(super) fn new(name: &str, topic: &str, seed: u128) -> Self {
        // The topic counts: a relay that is pointed to another one publishes everything there.
        let lasting = format!("relay:{}:{}", encoded(name), encoded(topic));
        Self { lasting, passing: format!("relay-run:{seed:032x}"), passed: 0 }
    }

    /// The key of the event at this place of the upstream, the same at every run: `relay:`, then
    /// name, topic, id and ordinal with a colon between them, and percent signs for what is not
    /// visible ASCII. If that is longer than a key may be, `relay-sha256:` and its hash.
    pub(super) fn lasting(&self, id: &str, ordinal: u64) -> Key {
        let mut text = format!("{}:{}:{ordinal}", self.lasting, encoded(id));
        if text.len() > KEY_BYTES_MAX {
            text = format!("relay-sha256:{}", hash(&text));
        }
        Key { text, is_lasting: true }
    }

    /// A key that no other event ever has.
    pub(super) fn passing(&mut self) -> Key {
        self.passed += 1;
        Key { text: format!("{}:{}", self.passing, self.passed), is_lasting: false }
    }
}

/// The name of a relay that is given none: the URL of its upstream. Passwords are left out, and of a
/// query, which may hold a token, there is the hash.
pub(super) fn usual_name(upstream: &Url) -> String {
    let mut url = public(upstream);
    url.set_fragment(None);
    if let Some(query) = upstream.query() {
        url.set_query(Some(&hash(query)[..16]));
    }
    url.into()
}

/// SHA-256 in hexadecimal digits.
fn hash(text: &str) -> String {
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

fn encoded(part: &str) -> impl std::fmt::Display {
    utf8_percent_encode(part, ENCODED)
}

/// What would not be visible, would end a part, or is escaped in JSON.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b':').add(b'"').add(b'\\');
/// What a hub takes.
const KEY_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_can_be_read() {
        let mint = Mint::new("prices", "rooms/42", 1);
        assert_eq!(mint.lasting("#k3-7", 0).as_str(), "relay:prices:rooms/42:#k3-7:0");
        let mint = Mint::new("http://h/é", "a b", 1);
        assert_eq!(mint.lasting("\"\\", 2).as_str(), "relay:http%3A//h/%C3%A9:a%20b:%22%5C:2");
    }

    #[test]
    fn places_that_differ_have_keys_that_differ() {
        let long = "é".repeat(100);
        let parts = ["", "a", "a:b", "b", "sha256", ":", "%3A", "\u{1}", &long];
        let mut texts = HashSet::new();
        for name in parts {
            for topic in parts {
                let mint = Mint::new(name, topic, 1);
                for id in parts {
                    for ordinal in [0, 10] {
                        let key = mint.lasting(id, ordinal);
                        let bytes = key.as_str().as_bytes();
                        assert!(bytes.len() <= KEY_BYTES_MAX);
                        assert!(bytes.iter().all(u8::is_ascii_graphic), "{key:?}");
                        assert_eq!(
                            serde_json::to_string(key.as_str()).unwrap().len(),
                            bytes.len() + 2
                        );
                        texts.insert(key.text);
                    }
                }
            }
        }
        assert_eq!(texts.len(), parts.len().pow(3) * 2);
    }

    #[test]
    fn the_usual_name_keeps_secrets() {
        let name = |url: &str| usual_name(&url.parse().unwrap());
        assert_eq!(name("http://u:p@h/a#b"), "http://h/a");
        let secret = name("http://h/a?token=s3cret");
        assert!(secret.starts_with("http://h/a?") && !secret.contains("s3cret"), "{secret}");
        assert_ne!(secret, name("http://h/a?token=other"));
    }

    #[test]
    fn a_passing_key_is_never_used_again() {
        let keys: HashSet<String> = [1, 2]
            .map(|seed| Mint::new("n", "t", seed))
            .iter_mut()
            .flat_map(|mint| [mint.passing().text, mint.passing().text])
            .collect();
        assert_eq!(keys.len(), 4);
    }
}
