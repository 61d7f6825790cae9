//! Idempotency keys as text.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::{Digest, Sha256};
use url::Url;

use crate::text::public;

/// The key of an event. Its text has 1 to 255 visible ASCII characters, none of which JSON escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// That of a place in the upstream, whenever an event comes there: its text.
    Placed(String),
    /// That of an id at a count. The text is made when the event is sent, as it counts what is sent
    /// before.
    Counted,
    /// One that no other event ever has: its text.
    Passing(String),
}

impl Key {
    /// Whether the event may get the same key when it comes again.
    pub(super) const fn is_lasting(&self) -> bool {
        !matches!(self, Self::Passing(_))
    }
}

/// What counted keys count in: the events of one cursor file, from its first on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// Tells the file from others.
    pub(super) name: String,
    /// Events with counted keys that are published.
    pub(super) count: u64,
}

impl Scope {
    /// The scope of a new cursor file. The seed tells it from others.
    pub(super) fn new(seed: u64) -> Self {
        Self { name: format!("{seed:016x}"), count: 0 }
    }

    pub(super) const fn count_on(&mut self, events: u64) {
        self.count = self.count.wrapping_add(events);
    }
}

/// Makes the keys of one relay.
#[derive(Debug)]
pub(super) struct Mint {
    placed: String,
    counted: String,
    passing: String,
    passed: u64,
}

impl Mint {
    /// For the relay of this name into this topic. The seed tells its runs apart.
    pub(super) fn new(name: &str, topic: &str, seed: u128) -> Self {
        // The topic counts: a relay that is pointed to another one publishes everything there.
        let stream = format!("{}:{}", encoded(name), encoded(topic));
        Self {
            placed: format!("relay:{stream}"),
            counted: format!("relay-count:{stream}"),
            passing: format!("relay-run:{seed:032x}"),
            passed: 0,
        }
    }

    /// The key of the event at this place of the upstream, the same at every run: `relay:`, then
    /// name, topic, id and ordinal with a colon between them, and percent signs for what is not
    /// visible ASCII. If that is longer than a key may be, `relay-sha256:` and its hash.
    pub(super) fn placed(&self, id: &str, ordinal: u64) -> Key {
        Key::Placed(fitting(format!("{}:{}:{ordinal}", self.placed, encoded(id))))
    }

    /// The text of the counted key of the event with this id, when the scope has come to it:
    /// `relay-count:`, then name, topic, the scope's name and count, and the id, in the same way.
    pub(super) fn counted(&self, scope: &Scope, id: &str) -> String {
        let Scope { name, count } = scope;
        fitting(format!("{}:{}:{count}:{}", self.counted, encoded(name), encoded(id)))
    }

    /// A key that no other event ever has.
    pub(super) fn passing(&mut self) -> Key {
        self.passed += 1;
        Key::Passing(format!("{}:{}", self.passing, self.passed))
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

/// `text`, or its hash if it is longer than a key may be.
fn fitting(text: String) -> String {
    if text.len() <= KEY_BYTES_MAX { text } else { format!("relay-sha256:{}", hash(&text)) }
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
        let scope = Scope { count: 8, ..Scope::new(0xabc) };
        let mint = Mint::new("prices", "rooms/42", 1);
        assert_eq!(mint.placed("#k3-7", 0), Key::Placed("relay:prices:rooms/42:#k3-7:0".into()));
        assert_eq!(
            mint.counted(&scope, "#k3-7"),
            "relay-count:prices:rooms/42:0000000000000abc:8:#k3-7"
        );
        let mint = Mint::new("http://h/é", "a b", 1);
        let stream = "http%3A//h/%C3%A9:a%20b";
        let placed = format!("relay:{stream}:%22%5C:2");
        assert_eq!(mint.placed("\"\\", 2), Key::Placed(placed));
        assert_eq!(
            mint.counted(&scope, "\"\\"),
            format!("relay-count:{stream}:0000000000000abc:8:%22%5C")
        );
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
                    for count in [0, 10] {
                        let Key::Placed(placed) = mint.placed(id, count) else { panic!() };
                        texts.insert(placed);
                        for scope in ["a", "a:10", &long] {
                            let scope = Scope { name: scope.to_owned(), count };
                            texts.insert(mint.counted(&scope, id));
                        }
                    }
                }
            }
        }
        assert_eq!(texts.len(), parts.len().pow(3) * 2 * 4);
        for text in texts {
            assert!(text.len() <= KEY_BYTES_MAX);
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            assert_eq!(serde_json::to_string(&text).unwrap().len(), text.len() + 2);
        }
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
        let mut texts = HashSet::new();
        for mut mint in [1, 2].map(|seed| Mint::new("n", "t", seed)) {
            for _ in 0..2 {
                let Key::Passing(text) = mint.passing() else { panic!() };
                texts.insert(text);
            }
        }
        assert_eq!(texts.len(), 4);
    }
}
