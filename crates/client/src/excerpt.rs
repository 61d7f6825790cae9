//! A part of a text that is fit for a message to a person.

/// At most `chars_max` characters from the start of `text`, and an ellipsis if that is not all.
///
/// Control characters become spaces: what a peer sends shall not draw on somebody's terminal.
pub(crate) fn excerpt(text: &str, chars_max: usize) -> String {
    let mut excerpt: String = text
        .chars()
        .take(chars_max)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    if text.chars().nth(chars_max).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// The beginning of what a server said with its refusal, as it goes on after the cause; nothing, if it
/// said nothing.
pub(crate) fn said(body: &str) -> String {
    match excerpt(body.trim(), SAID_CHARS_MAX) {
        body if body.is_empty() => body,
        body => format!(": {body}"),
    }
}

/// Enough for what a server has to say, too little to fill a log with the page of a proxy.
pub(crate) const SAID_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_as_long_as_the_limit_is_whole() {
        assert_eq!(excerpt("", 3), "");
        assert_eq!(excerpt("añb", 3), "añb");
        assert_eq!(excerpt("añbc", 3), "añb…");
    }

    #[test]
    fn control_characters_are_left_out() {
        assert_eq!(excerpt("a\n\u{1b}[2J\u{9b}b", 80), "a  [2J b");
    }
}
