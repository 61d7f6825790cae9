//! Other origins, with and without credentials.
//!
//! What is known to differ: the client asks leave, with a preflight, for an id that is long or has
//! unsafe bytes, as is proposed for Fetch and held by the browsers' shared tests. The browsers do not
//! yet.

use crate::scenario::{Answer, SOON, Scenario, scenario, status, stream};

pub(super) fn all() -> Vec<Scenario> {
    let there = |name| scenario(name).url("{there}/events");
    let with = |name| there(name).with_credentials();
    let read = || stream(&[b"id:1\ndata:a\n\n", SOON]);
    let set = |answer: Answer, value: &str| {
        answer.header(&format!("Set-Cookie: {{jar}}={value}; Path=/"))
    };
    vec![
        there("all origins are allowed").answer(read().allows("*")),
        there("this origin is allowed").answer(read().allows("{here}")),
        there("no origin is allowed").answer(read()),
        there("null is allowed").answer(read().allows("null")),
        there("another origin is allowed").answer(read().allows("{there}")),
        there("all origins are allowed twice").answer(read().allows("*").allows("*")),
        there("an origin with a slash is allowed").answer(read().allows("{here}/")),
        there("two origins are allowed").answer(read().allows("{here}, {there}")),
        there("a refusal that allows").answer(status(404).allows("*")),
        there("a refusal that allows none").answer(status(500)),
        there("no longer allowed").answer(read().allows("*")).answer(read()),
        with("with credentials, all origins are allowed").answer(read().allows("*")),
        with("with credentials, all origins and credentials are allowed")
            .answer(read().allows("*").allows_credentials()),
        with("with credentials, this origin is allowed").answer(read().allows("{here}")),
        with("with credentials, both are allowed")
            .answer(read().allows("{here}").allows_credentials()),
        with("with credentials, allowed in capitals")
            .answer(read().allows("{here}").header("Access-Control-Allow-Credentials: TRUE")),
        scenario("with credentials at the same origin").with_credentials().answer(read()),
        with("cookies of another origin, with credentials")
            .answer(set(read().allows("{here}").allows_credentials(), "1"))
            .answer(set(read().allows("{here}").allows_credentials(), "2")),
        there("cookies of another origin, without")
            .answer(set(read().allows("{here}"), "1"))
            .answer(set(read().allows("{here}"), "2")),
        with("a refusal sets a cookie")
            .answer(set(read().allows("{here}").allows_credentials(), "1"))
            .answer(set(read(), "2")),
        there("an id of 128 bytes to another origin").answer(id(&"1".repeat(128))),
        there("an id of 129 bytes to another origin")
            .answer(id(&"1".repeat(129)))
            .in_both(&[], &[PREFLIGHT]),
        there("an unsafe id to another origin").answer(id("{\"a\":1}")).in_both(&[], &[PREFLIGHT]),
        there("an id beyond ASCII to another origin").answer(id("\u{e9}")),
    ]
}

fn id(id: &str) -> Answer {
    stream(&[format!("id:{id}\ndata:a\n\n").as_bytes(), SOON]).allows("*")
}

const PREFLIGHT: &str = concat!(
    r#"OPTIONS {there}/events, accept "*/*", no cache-control, origin "{here}", a"#,
    r#"ccess-control-request-headers "last-event-id""#,
);
