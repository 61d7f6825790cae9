//! The origin of a message.

use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

/// The origin of the URL that a message came from, serialised: such as `https://example.com`.
///
/// Cloning it is cheap: one of up to 23 bytes is held in place, as every message has one, and to
/// count the owners of a shared text cost a tenth of a message's time in the bench of clients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Origin(SmolStr);

impl Origin {
    /// The text of the origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<T> for Origin {
    fn from(text: T) -> Self {
        Self(SmolStr::new(text))
    }
}

impl Deref for Origin {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Origin {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Origin {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
