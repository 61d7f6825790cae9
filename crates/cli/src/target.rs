//! Where events go.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// The topics of a hub, taken from the URL of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The URL of the one topic, for a single event.
    pub(crate) topic_url: Url,
    /// The hub's `/events`, for batches.
    pub(crate) events_url: Url,
    /// The topic of the URL and then the others, for batches.
    pub(crate) topics: Vec<String>,
}

/// Why a URL is not that of a topic.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("this is not an absolute URL, which begins with http:// or https://: {0}")]
    Url(#[from] url::ParseError),
    #[error("the URL must be http or https, not {0}")]
    Scheme(String),
    #[error(
        "the path of the URL must be that of a topic, such as /events/rooms/42; this one is {0}"
    )]
    NoTopic(String),
    #[error("the topic in the URL is not UTF-8 when its percent signs are decoded")]
    NotUtf8,
    #[error("the URL has a query; give topics and options as arguments instead")]
    Query,
    #[error("the URL of a hub has no query")]
    HubQuery,
}

impl Target {
    pub(crate) fn new(url: &str, more_topics: &[String]) -> Result<Self, TargetError> {
        let mut topic_url = Url::parse(url)?;
        if !matches!(topic_url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme(topic_url.scheme().to_owned()));
        }
        if topic_url.query().is_some() {
            return Err(TargetError::Query);
        }
        topic_url.set_fragment(None);
        let path = topic_url.path();
        let (base, topic) = path
            .split_once(EVENTS)
            .filter(|(_, topic)| !topic.is_empty())
            .ok_or_else(|| TargetError::NoTopic(path.to_owned()))?;
        let topic =
            percent_decode_str(topic).decode_utf8().map_err(|_| TargetError::NotUtf8)?.into_owned();
        let mut events_url = topic_url.clone();
        events_url.set_path(&format!("{base}/events"));
        let topics = std::iter::once(topic).chain(more_topics.iter().cloned()).collect();
        Ok(Self { topic_url, events_url, topics })
    }

    /// The one topic `topic` of the hub at the URL `hub`, whatever the topic looks like.
    pub(crate) fn on_hub(hub: &str, topic: &str) -> Result<Self, TargetError> {
        let mut events_url = Url::parse(hub)?;
        if !matches!(events_url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme(events_url.scheme().to_owned()));
        }
        if events_url.query().is_some() {
            return Err(TargetError::HubQuery);
        }
        events_url.set_fragment(None);
        let path = format!("{}/events", events_url.path().trim_end_matches('/'));
        events_url.set_path(&path);
        let mut topic_url = events_url.clone();
        // Slashes too, as dots between them would be resolved.
        topic_url.set_path(&format!("{path}/{}", utf8_percent_encode(topic, NON_ALPHANUMERIC)));
        Ok(Self { topic_url, events_url, topics: vec![topic.to_owned()] })
    }
}

const EVENTS: &str = "/events/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_and_the_topic_come_from_the_url() {
        for (url, events_url, topic) in [
            ("http://h/events/rooms/42", "http://h/events", "rooms/42"),
            ("https://h:1/hub/events/a%20b%2Fc#x", "https://h:1/hub/events", "a b/c"),
            ("http://h/events/events/1", "http://h/events", "events/1"),
            ("http://u:p@h/events/é", "http://u:p@h/events", "é"),
        ] {
            let target = Target::new(url, &["more".into()]).unwrap();
            assert_eq!(target.events_url.as_str(), events_url);
            assert_eq!(target.topics, [topic, "more"]);
        }
    }

    #[test]
    fn the_hub_and_the_topic_may_be_given_apart() {
        for (hub, topic, topic_url) in [
            ("http://h", "rooms/42", "http://h/events/rooms%2F42"),
            ("https://h:1/hub/", "a/../b", "https://h:1/hub/events/a%2F%2E%2E%2Fb"),
            (
                "http://h/",
                "https://e.example/é",
                "http://h/events/https%3A%2F%2Fe%2Eexample%2F%C3%A9",
            ),
        ] {
            let target = Target::on_hub(hub, topic).unwrap();
            assert_eq!(target.topic_url.as_str(), topic_url);
            assert_eq!(Target::new(topic_url, &[]).unwrap(), target);
        }
        assert_eq!(Target::on_hub("http://h?x", "a"), Err(TargetError::HubQuery));
        assert_eq!(Target::on_hub("ftp://h", "a"), Err(TargetError::Scheme("ftp".into())));
    }

    #[test]
    fn other_urls_are_refused() {
        let refused = |url| Target::new(url, &[]).unwrap_err();
        assert_eq!(refused("http://h/rooms/42"), TargetError::NoTopic("/rooms/42".into()));
        assert_eq!(refused("http://h/events/"), TargetError::NoTopic("/events/".into()));
        assert_eq!(refused("http://h/events/%ff"), TargetError::NotUtf8);
        assert_eq!(refused("http://h/events/a?b"), TargetError::Query);
        assert_eq!(refused("ftp://h/events/a"), TargetError::Scheme("ftp".into()));
        assert!(matches!(refused("events/a"), TargetError::Url(_)));
    }
}
