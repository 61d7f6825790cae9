//! Where requests go, and what goes along: redirects, credentials and CORS.

use super::*;

const OTHER: &str = "http://b.example/";
const PAGE: &str = "https://page.example";

fn allowing(origin: &'static str) -> (&'static str, &'static [u8]) {
    ("access-control-allow-origin", origin.as_bytes())
}

const ALLOWING_CREDENTIALS: (&str, &[u8]) = ("access-control-allow-credentials", b"true");

fn cors(origin: &str) -> Config {
    let cors = Cors { origin: origin.into(), preflights_last_event_id: true };
    Config { cors: Some(cors), ..Config::strict() }
}

fn cors_with_credentials(origin: &str) -> Config {
    Config { with_credentials: true, ..cors(origin) }
}

fn origin_error(origin: &str, allowed: Option<&str>) -> Output {
    let allowed = allowed.map(Into::into);
    failed(Cause::Cors(CorsError::Origin { origin: origin.into(), allowed }))
}

#[test]
fn redirects_are_followed_with_the_same_headers() {
    for status in [301, 302, 303, 307, 308] {
        let mut play = Play::open(Config::strict());
        play.bytes("id: 3\n\n");
        play.end();
        play.headers = vec![("authorization", b"Bearer x")];
        play.wait();
        assert_eq!(play.redirect(status, "http://a.example/moved"), []);
        let request = play.request();
        assert_eq!(&*request.target.url, "http://a.example/moved");
        assert_eq!(play.last_event_id(&request).as_deref(), Some("3"));
        assert_eq!(play.header(&request, "authorization").unwrap(), b"Bearer x");
        assert!(request.sends_credentials);
        assert_eq!(play.respond(200), [Output::Open]);
        play.end();
        assert_eq!(&*play.wait().target.url, "http://a.example/moved");
    }
}

#[test]
fn a_redirect_without_location_is_a_refusal() {
    for status in [301, 302, 303, 307, 308] {
        let mut play = Play::new(Config::resilient());
        play.request();
        assert_eq!(play.respond(status), [failed(refused(status))]);
    }
}

#[test]
fn what_the_caller_adds_stays_away_once_an_origin_is_crossed() {
    let mut play = Play::new(Config::strict());
    play.headers = vec![("authorization", b"Bearer x"), ("x-secret", b"y")];
    let withheld = |play: &Play, request: &Request| {
        assert_eq!(play.header(request, "accept").unwrap(), b"text/event-stream");
        play.header(request, "authorization").is_none()
            && play.header(request, "x-secret").is_none()
            && !request.sends_credentials
    };
    let request = play.request();
    assert!(!withheld(&play, &request));
    play.redirect(302, OTHER);
    let request = play.request();
    assert!(withheld(&play, &request));
    play.redirect(302, "http://b.example/2");
    let request = play.request();
    assert!(withheld(&play, &request));
    // There and back again.
    play.redirect(302, URL);
    let request = play.request();
    assert!(withheld(&play, &request));
    play.error();
    play.pass();
    let attempt = play.source.poll_attempt().unwrap();
    assert!(attempt.crossed_origin);
    // What the caller gives for this very attempt, it gives for where it goes.
    play.call_to(attempt.target.clone(), &attempt);
    let request = play.request();
    assert_eq!(play.header(&request, "authorization").unwrap(), b"Bearer x");
    assert!(!request.sends_credentials);
}

#[test]
fn another_url_of_the_origin_that_redirects_led_to_has_crossed_as_well() {
    let mut play = Play::new(Config::strict());
    play.request();
    play.redirect(302, OTHER);
    play.request();
    play.error();
    for (url, sends_credentials) in
        [("http://b.example/events?after=1", false), ("http://c.example/", true)]
    {
        play.pass();
        let attempt = play.source.poll_attempt().unwrap();
        play.call_to(target(url), &attempt);
        assert_eq!(play.request().sends_credentials, sends_credentials, "{url}");
        play.error();
    }
}

#[test]
fn the_caller_may_allow_its_headers_and_credentials_to_cross() {
    let config = Config { headers_cross_origins: true, with_credentials: true, ..Config::strict() };
    let mut play = Play::new(config);
    play.headers = vec![("authorization", b"Bearer x")];
    play.request();
    play.redirect(302, OTHER);
    let request = play.request();
    assert_eq!(play.header(&request, "authorization").unwrap(), b"Bearer x");
    assert!(request.sends_credentials);
    play.error();
    play.pass();
    assert!(!play.source.poll_attempt().unwrap().crossed_origin);
}

#[test]
fn where_to_reconnect_is_an_option() {
    for (reconnect_url, expected) in [
        (ReconnectUrl::Current, "http://a.example/3"),
        (ReconnectUrl::Permanent, "http://a.example/1"),
        (ReconnectUrl::Original, URL),
    ] {
        let mut play = Play::new(Config { reconnect_url, ..Config::strict() });
        play.request();
        for (number, status) in [308, 307, 301].into_iter().enumerate() {
            play.redirect(status, &format!("http://a.example/{}", number + 1));
            play.request();
        }
        play.respond(200);
        play.end();
        assert_eq!(&*play.wait().target.url, expected);
    }
}

#[test]
fn twenty_redirects_are_followed_but_not_one_more() {
    let mut play = Play::new(Config::resilient());
    for round in 0..2 {
        for _ in 0..20 {
            play.request();
            assert_eq!(play.redirect(302, URL), []);
        }
        play.request();
        if round == 0 {
            // The next attempt counts afresh.
            play.error();
            play.pass();
        }
    }
    let cause = Cause::Redirect(RedirectError::TooMany { redirects_max: 20 });
    assert_eq!(play.redirect(302, URL), [failed(cause)]);
}

#[test]
fn a_redirect_that_cannot_be_followed_is_final() {
    let mut play = Play::at(target("https://a.example/"), Config::resilient());
    play.request();
    assert_eq!(
        play.redirect(301, "http://a.example/"),
        [failed(Cause::Redirect(RedirectError::Downgrade))]
    );
    let mut play = Play::new(Config::resilient());
    play.request();
    let head = ResponseHead::new(301, &[]).with_location(Location::Invalid);
    play.source.handle_response(ZERO, head);
    assert_eq!(play.outputs(), [failed(Cause::Redirect(RedirectError::Location))]);
}

#[test]
fn redirects_change_the_method_as_fetch_says() {
    for (status, method, expected) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
    ] {
        let mut play = Play::new(Config::strict());
        play.method = method;
        play.headers = vec![("content-type", b"application/json"), ("x-a", b"b")];
        assert!(play.request().sends_body);
        play.redirect(status, "http://a.example/2");
        let request = play.request();
        assert_eq!(&*request.method, expected, "{status} {method}");
        assert_eq!(request.sends_body, method == expected);
        assert_eq!(play.header(&request, "content-type").is_some(), method == expected);
        assert!(play.header(&request, "x-a").is_some());
    }
}

#[test]
fn within_the_origin_cors_asks_nothing() {
    let mut play = Play::new(cors("http://a.example"));
    play.headers = vec![("x-a", b"b")];
    let request = play.request();
    assert_eq!(play.header(&request, "origin"), None);
    assert_eq!(request.preflight, None);
    assert!(request.sends_credentials);
    assert_eq!(play.respond(200), [Output::Open]);
}

#[test]
fn another_origin_must_allow_this_one() {
    for (config, headers, expected) in [
        (cors(PAGE), vec![allowing(PAGE)], Output::Open),
        (cors(PAGE), vec![allowing("*")], Output::Open),
        (cors(PAGE), vec![], origin_error(PAGE, None)),
        (
            cors(PAGE),
            vec![allowing("http://a.example")],
            origin_error(PAGE, Some("http://a.example")),
        ),
        (cors_with_credentials(PAGE), vec![allowing("*")], origin_error(PAGE, Some("*"))),
        (
            cors_with_credentials(PAGE),
            vec![allowing(PAGE)],
            failed(Cause::Cors(CorsError::Credentials)),
        ),
        (cors_with_credentials(PAGE), vec![allowing(PAGE), ALLOWING_CREDENTIALS], Output::Open),
    ] {
        let with_credentials = config.with_credentials;
        let mut play = Play::new(config);
        let request = play.request();
        assert_eq!(play.header(&request, "origin").unwrap(), PAGE.as_bytes());
        assert_eq!(request.sends_credentials, with_credentials);
        let headers: Vec<_> = headers.into_iter().chain([EVENT_STREAM]).collect();
        assert_eq!(play.respond_with(200, &headers), [expected]);
    }
}

#[test]
fn a_refusal_may_be_read_only_with_leave() {
    let mut play = Play::new(cors(PAGE));
    play.request();
    assert_eq!(play.respond(404), [origin_error(PAGE, None)]);
    // But a server that is down is given time, though it knows nothing of CORS.
    let mut play = Play::new(Config { cors: cors(PAGE).cors, ..Config::resilient() });
    play.request();
    assert!(matches!(play.respond(503)[..], [Output::Disconnected { .. }]));
}

#[test]
fn a_redirect_needs_leave_and_blurs_the_origin() {
    // From one's own origin, no leave is needed, and the next server sees who asks.
    let mut play = Play::new(cors("http://a.example"));
    play.request();
    assert_eq!(play.redirect(302, OTHER), []);
    let request = play.request();
    assert_eq!(play.header(&request, "origin").unwrap(), b"http://a.example");
    assert!(!request.sends_credentials);
    // From another, leave is needed,
    assert_eq!(play.redirect(302, "http://c.example/"), [origin_error("http://a.example", None)]);
    let mut play = Play::new(cors("http://a.example"));
    play.request();
    play.redirect(302, OTHER);
    play.request();
    // and given, the third server does not learn whose request this is, even if it is home again.
    assert_eq!(play.redirect_with(302, target(URL), &[allowing("*")]), []);
    let request = play.request();
    assert_eq!(play.header(&request, "origin").unwrap(), b"null");
    assert_eq!(play.respond(200), [origin_error("null", None)]);
}

#[test]
fn a_redirect_with_credentials_in_the_url_does_not_cross() {
    let with_credentials = || target("http://user:pass@b.example/");
    let mut play = Play::new(cors("http://a.example"));
    play.request();
    assert_eq!(
        play.redirect_with(302, with_credentials(), &[]),
        [failed(Cause::Cors(CorsError::UrlCredentials))]
    );
    let mut play = Play::new(Config::strict());
    play.request();
    assert_eq!(play.redirect_with(302, with_credentials(), &[]), []);
    assert!(!play.request().sends_credentials);
}

#[test]
fn headers_and_methods_that_need_leave_ask_for_it() {
    let mut play = Play::new(cors_with_credentials(PAGE));
    play.headers = vec![("x-b", b""), ("authorization", b"Bearer x")];
    play.method = "REPORT";
    let request = play.request();
    let preflight = request.preflight.clone().unwrap();
    assert_eq!((&*request.method, &*preflight.method), ("OPTIONS", "REPORT"));
    assert!(!request.sends_body && !request.sends_credentials);
    assert_eq!(play.header(&request, "authorization"), None);
    assert_eq!(play.header(&request, "accept").unwrap(), b"*/*");
    assert_eq!(play.header(&request, "access-control-request-method").unwrap(), b"REPORT");
    assert_eq!(
        play.header(&request, "access-control-request-headers").unwrap(),
        b"authorization,x-b"
    );
    assert_eq!(play.header(&request, "origin").unwrap(), PAGE.as_bytes());
    let leave: [(&str, &[u8]); 4] = [
        allowing(PAGE),
        ALLOWING_CREDENTIALS,
        ("access-control-allow-headers", b"X-B, Authorization"),
        ("access-control-allow-methods", b"REPORT"),
    ];
    assert_eq!(play.respond_with(204, &leave), []);
    let request = play.request();
    assert_eq!((&*request.method, request.preflight.is_some()), ("REPORT", false));
    assert!(request.sends_body && request.sends_credentials);
    assert_eq!(play.header(&request, "authorization").unwrap(), b"Bearer x");
    let headers = [allowing(PAGE), ALLOWING_CREDENTIALS, EVENT_STREAM];
    assert_eq!(play.respond_with(200, &headers), [Output::Open]);
    // A call that may not be replayed ends with its connection.
    let finality = Finality::NotReplayed;
    assert_eq!(play.end(), [Output::Failed { cause: Cause::Ended, finality }]);
}

#[test]
fn a_preflight_that_is_not_answered_well_is_final() {
    for (status, headers, cause) in [
        (403, vec![allowing(PAGE)], CorsError::PreflightStatus { status: 403 }),
        (301, vec![allowing(PAGE)], CorsError::PreflightStatus { status: 301 }),
        (200, vec![allowing(PAGE)], CorsError::Header { name: "x-a".into() }),
        (200, vec![], CorsError::Origin { origin: PAGE.into(), allowed: None }),
    ] {
        let mut play = Play::new(cors(PAGE));
        play.headers = vec![("x-a", b"b")];
        assert!(play.request().preflight.is_some());
        assert_eq!(play.respond_with(status, &headers), [failed(Cause::Cors(cause))]);
    }
    // One that is not answered at all is a network error, as any.
    let mut play = Play::new(cors(PAGE));
    play.headers = vec![("x-a", b"b")];
    play.request();
    assert_eq!(play.error(), [disconnected(Cause::Network, 3 * SECOND)]);
    assert!(play.wait().preflight.is_some());
}

#[test]
fn a_long_or_unsafe_last_event_id_needs_leave() {
    for (id, asks, needs) in [
        ("17", true, false),
        ("{\"place\":17}", true, true),
        (&"1".repeat(128), true, false),
        (&"1".repeat(129), true, true),
        (&"1".repeat(129), false, false),
    ] {
        let cors = Cors { origin: PAGE.into(), preflights_last_event_id: asks };
        let last_event_id = id.parse().unwrap();
        let mut play = Play::new(Config { cors: Some(cors), last_event_id, ..Config::strict() });
        let request = play.request();
        assert_eq!(request.preflight.is_some(), needs, "{id}");
        if needs {
            let leave: [(&str, &[u8]); 2] =
                [allowing("*"), ("access-control-allow-headers", b"last-event-id")];
            assert_eq!(play.respond_with(200, &leave), []);
        }
        if needs {
            let request = play.request();
            assert_eq!(play.last_event_id(&request).as_deref(), Some(id));
        } else {
            assert_eq!(play.last_event_id(&request).as_deref(), Some(id));
        }
    }
}

#[test]
fn each_server_on_the_way_gives_its_own_leave() {
    let mut play = Play::new(cors(PAGE));
    play.headers = vec![("content-type", b"application/json")];
    play.method = "POST";
    let leave: [(&str, &[u8]); 2] = [allowing("*"), ("access-control-allow-headers", b"*")];
    assert!(play.request().preflight.is_some());
    play.respond_with(200, &leave);
    assert!(play.request().preflight.is_none());
    play.redirect_with(307, target(OTHER), &[allowing("*")]);
    assert!(play.request().preflight.is_some());
    play.respond_with(200, &leave);
    let request = play.request();
    assert!(request.preflight.is_none() && request.sends_body);
    // As a GET it needs none any more.
    play.redirect_with(303, target("http://c.example/"), &[allowing("*")]);
    let request = play.request();
    assert_eq!((&*request.method, request.preflight.is_some()), ("GET", false));
}
