//! Subjects: where in the stream a message goes.

use std::fmt::Write as _;

use tidings_server::topic::Topic;

use super::StreamName;

/// The subjects of a stream.
///
/// | subject | what goes there |
/// | --- | --- |
/// | `NAME.topic.` and the topic | events of that topic |
/// | `NAME.topics` | events of several topics |
/// | `NAME.tick` | nothing but the time, which trims what is too old |
/// | `NAME.state` | parts of the state at a checkpoint |
/// | `NAME.checkpoint` | checkpoints |
/// | `NAME.carried` | older records that are still kept, out of messages that are deleted |
///
/// A topic's segments between `/` are the tokens between `.`; in a token, letters, digits, `-` and
/// `_` stand for themselves, and every other byte is `%` and two hexadecimal digits. An empty
/// segment is `%`. So no two topics have one subject, and the topic can be read from it.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    topic: String,
    pub(super) topics: String,
    pub(super) tick: String,
    pub(super) state: String,
    pub(super) checkpoint: String,
    pub(super) carried: String,
}

impl Subjects {
    pub(super) fn of(stream: &StreamName) -> Self {
        Self {
            topic: format!("{stream}.topic."),
            topics: format!("{stream}.topics"),
            tick: format!("{stream}.tick"),
            state: format!("{stream}.state"),
            checkpoint: format!("{stream}.checkpoint"),
            carried: format!("{stream}.carried"),
        }
    }

    /// The subject of events of `topic`.
    pub(super) fn topic(&self, topic: &Topic) -> String {
        let text = topic.as_str();
        let mut subject = String::with_capacity(self.topic.len() + text.len());
        subject.push_str(&self.topic);
        for (at, segment) in text.split('/').enumerate() {
            if at > 0 {
                subject.push('.');
            }
            if segment.is_empty() {
                subject.push('%');
            }
            for byte in segment.bytes() {
                if is_plain(byte) {
                    subject.push(char::from(byte));
                } else {
                    // Writing to a string cannot fail.
                    let _ = write!(subject, "%{byte:02X}");
                }
            }
        }
        subject
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn decoded(subject: &str) -> String {
        let tokens = subject.strip_prefix("hub.topic.").expect("a topic's subject");
        let segments = tokens.split('.').map(|token| {
            if token == "%" {
                return String::new();
            }
            percent_encoding::percent_decode_str(token).decode_utf8().expect("text").into_owned()
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn subject(topic: &str) -> String {
        let subjects = Subjects::of(&StreamName::new("hub").expect("a name"));
        subjects.topic(&Topic::new(topic).expect("a topic"))
    }

    #[test]
    fn a_subject_has_a_token_for_each_segment() {
        for (topic, expected) in [
            ("news", "hub.topic.news"),
            ("rooms/42", "hub.topic.rooms.42"),
            ("a.b/c d", "hub.topic.a%2Eb.c%20d"),
            ("a//b/", "hub.topic.a.%.b.%"),
            ("ü%>", "hub.topic.%C3%BC%25%3E"),
        ] {
            assert_eq!(subject(topic), expected);
        }
    }

    #[test]
    fn topics_that_look_alike_have_their_own_subjects() {
        let topics = ["a/b", "a.b", "a%2Eb", "a", "a/", "/a", "a//", "a/%", "A", "a /", "%"];
        let subjects: HashSet<_> = topics.iter().map(|topic| subject(topic)).collect();
        assert_eq!(subjects.len(), topics.len());
    }

    proptest! {
        #[test]
        fn a_topic_can_be_read_from_its_subject(text in r"[ -~/üß.%>]{1,40}") {
            prop_assume!(Topic::new(&*text).is_ok());
            let subject = subject(&text);
            prop_assert_eq!(decoded(&subject), text);
            let is_legal = |token: &str| !token.is_empty()
                && token.bytes().all(|byte| is_plain(byte) || byte == b'%');
            prop_assert!(subject.split('.').all(is_legal));
        }
    }
}
