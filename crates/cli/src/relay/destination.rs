//! Where a relay publishes, and whether that is where it follows.

use percent_encoding::percent_decode_str;
use tidings_server::matcher::Pattern;
use tidings_server::topic::Topic;
use url::{Host, Url};

use crate::target::{Target, TargetError};

/// The topic that `to` names: of `hub` if that is given, else the URL of a topic, else a topic of
/// the hub of this machine.
pub(super) fn destination(to: &str, hub: Option<&str>) -> Result<Target, TargetError> {
    let is_url = to.starts_with("http://") || to.starts_with("https://");
    match hub {
        Some(hub) => Target::on_hub(hub, to),
        None if is_url => Target::new(to, &[]),
        None => Target::on_hub(HUB, to),
    }
}

/// Whether what is published to `target` is seen to come back by `upstream`, as far as the two URLs
/// tell.
pub(super) fn is_loop(upstream: &Url, target: &Target) -> bool {
    let events = &target.events_url;
    let Some(rest) = upstream.path().strip_prefix(events.path()) else { return false };
    if !is_same_server(upstream, events) || !(rest.is_empty() || rest.starts_with('/')) {
        return false;
    }
    let Some(topic) = target.topics.first() else { return false };
    let in_path =
        percent_decode_str(rest.strip_prefix('/').unwrap_or_default()).decode_utf8_lossy();
    let mut hub_url = events.clone();
    hub_url.set_path("/");
    in_path == *topic
        || upstream.query_pairs().any(|(name, value)| match &*name {
            "topic" => value == *topic,
            "pattern" => is_matched(topic, &value, &hub_url),
            _ => false,
        })
}

fn is_same_server(one: &Url, other: &Url) -> bool {
    let is_same_host = one.host() == other.host() || is_loopback(one) && is_loopback(other);
    is_same_host && one.port_or_known_default() == other.port_or_known_default()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn is_matched(topic: &str, pattern: &str, hub: &Url) -> bool {
    let (Ok(topic), Ok(pattern)) = (Topic::new(topic), Pattern::parse(pattern, hub)) else {
        return false;
    };
    pattern.matches(&topic)
}

/// The hub of this machine, as it listens by default.
const HUB: &str = "http://127.0.0.1:8080";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_as_for_publish_or_by_itself() {
        let url = |to, hub| destination(to, hub).map(|target| target.topic_url.to_string());
        assert_eq!(url("a/b", None).unwrap(), "http://127.0.0.1:8080/events/a%2Fb");
        assert_eq!(url("https://h/events/a/b", None).unwrap(), "https://h/events/a/b");
        assert_eq!(
            url("https://h/a", Some("http://hub")).unwrap(),
            "http://hub/events/https%3A%2F%2Fh%2Fa"
        );
        assert!(matches!(url("https://h/a", None), Err(TargetError::NoTopic(_))));
    }

    #[test]
    fn a_loop_is_seen() {
        let target = destination("rooms/42", Some("http://127.0.0.1:8080/hub")).unwrap();
        for upstream in [
            "http://127.0.0.1:8080/hub/events/rooms/42",
            "http://localhost:8080/hub/events/rooms%2F42?cursor=off",
            "http://[::1]:8080/hub/events/other?topic=rooms/42",
            "http://127.0.0.1:8080/hub/events?pattern=rooms/:id",
            "http://127.0.0.1:8080/hub/events?pattern=*",
        ] {
            assert!(is_loop(&upstream.parse().unwrap(), &target), "{upstream}");
        }
        for upstream in [
            "http://127.0.0.1:8081/hub/events/rooms/42",
            "http://127.0.0.1:8080/events/rooms/42",
            "http://127.0.0.1:8080/hub/eventsrooms/42",
            "http://127.0.0.1:8080/hub/events/rooms/4",
            "http://127.0.0.1:8080/hub/events?pattern=halls/:id&topic=rooms",
            "http://h.example:8080/hub/events/rooms/42",
        ] {
            assert!(!is_loop(&upstream.parse().unwrap(), &target), "{upstream}");
        }
        let target = destination("a", Some("https://h.example")).unwrap();
        assert!(is_loop(&"https://h.example:443/events/a".parse().unwrap(), &target));
    }
}
