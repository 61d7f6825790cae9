//! The name of a subscriber, by which it is known again when it comes back.

use std::fmt;

use smol_str::SmolStr;

use crate::topic::is_control_or_format;

/// The name of a subscriber: its own, or one that the fan-out gave it.
///
/// It has 1 to [`BYTES_MAX`](Self::BYTES_MAX) bytes and no control or format characters. It is no
/// secret and proves nothing: whoever comes with the same name is taken for the same subscriber.
/// Cloning is cheap; one of up to 23 bytes takes no memory of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberName(SmolStr);

impl SubscriberName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 128;
    const GIVEN_CHARACTERS: usize = 10;

    /// Checks `name` and makes a subscriber's name of it.
    ///
    /// # Errors
    /// [`SubscriberNameError`] says which rule the name breaks; it is the caller's to mend.
    pub fn new(name: impl Into<SmolStr>) -> Result<Self, SubscriberNameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(SubscriberNameError::Empty);
        }
        if name.len() > Self::BYTES_MAX {
            return Err(SubscriberNameError::TooLong { bytes: name.len() });
        }
        if let Some(character) = name.chars().find(|&c| is_control_or_format(c)) {
            return Err(SubscriberNameError::Control { character });
        }
        Ok(Self(name))
    }

    /// A name for one that has none: ten letters and digits. `seed` must be uniformly random.
    pub fn from_random(seed: u64) -> Self {
        let digits = (0..Self::GIVEN_CHARACTERS).scan(seed, |rest, _| {
            let digit = char::from_digit((*rest % 36) as u32, 36);
            *rest /= 36;
            digit
        });
        Self(digits.collect())
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SubscriberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no subscriber's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriberNameError {
    /// The text is empty.
    #[error("a name must not be empty; leave it out to be given one")]
    Empty,
    /// The text is longer than [`SubscriberName::BYTES_MAX`].
    #[error("a name has at most {} bytes, this one has {bytes}", SubscriberName::BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text has a control or format character.
    #[error("a name must not contain control or format characters (found {character:?})")]
    Control {
        /// The first one.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_the_rules() {
        for good in ["a", "ann-phone", "Ann's téléphone", &"x".repeat(128)] {
            assert_eq!(SubscriberName::new(good).unwrap().as_str(), good);
        }
        assert_eq!(SubscriberName::new(""), Err(SubscriberNameError::Empty));
        let long = SubscriberName::new("x".repeat(129));
        assert_eq!(long, Err(SubscriberNameError::TooLong { bytes: 129 }));
        for bad in ["a\nb", "\0", "a\u{7f}", "\u{202e}a"] {
            let refused = SubscriberName::new(bad);
            assert!(matches!(refused, Err(SubscriberNameError::Control { .. })), "{bad:?}");
        }
    }

    #[test]
    fn given_names_are_short_and_differ() {
        for seed in [0, 1, u64::MAX] {
            let name = SubscriberName::from_random(seed);
            assert_eq!(name.as_str().len(), 10);
            assert_eq!(SubscriberName::new(name.as_str()), Ok(name));
        }
        assert_ne!(SubscriberName::from_random(1), SubscriberName::from_random(2));
    }
}
