//! The kinds of problems, and what each of them means.

use http::StatusCode;

/// What kind of problem it is. Each has a page of its own at `/problems/{slug}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    UnknownField,
    InvalidField,
    KeyReused,
    KeyUnderWay,
    BodyTooLarge,
    BodyTimeout,
    ContentType,
    NotAcceptable,
    NotFound,
    UnknownEvent,
    UnknownSubscriber,
    MethodNotAllowed,
    ForeignHost,
    ForeignOrigin,
    LocalOnly,
    Crowded,
    LogAway,
    Leaving,
    OutcomeUnknown,
}

/// What there is to say of a kind.
pub(super) struct Entry {
    pub(super) slug: &'static str,
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    explanation: &'static str,
}

impl Kind {
    pub(crate) const ALL: [Self; 20] = [
        Self::Malformed,
        Self::UnknownField,
        Self::InvalidField,
        Self::KeyReused,
        Self::KeyUnderWay,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::ContentType,
        Self::NotAcceptable,
        Self::NotFound,
        Self::UnknownEvent,
        Self::UnknownSubscriber,
        Self::MethodNotAllowed,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::LocalOnly,
        Self::Crowded,
        Self::LogAway,
        Self::Leaving,
        Self::OutcomeUnknown,
    ];

    pub(super) fn entry(self) -> Entry {
        let (slug, status, title, explanation) = match self {
            Self::Malformed => (
                "malformed-request",
                StatusCode::BAD_REQUEST,
                "The request cannot be read",
                "A part of the request is not written as it must be: a percent sign without two \
                 hexadecimal digits, text that is not UTF-8, a line that is not a JSON object, a \
                 Host header that is missing or is no host. Nothing was changed.",
            ),
            Self::UnknownField => (
                "unknown-field",
                StatusCode::BAD_REQUEST,
                "The request has a field that is not known here",
                "A query parameter or a key of a JSON object is not one that this request has; \
                 usually its name is misspelt. Nothing was changed.",
            ),
            Self::InvalidField => (
                "invalid-field",
                StatusCode::UNPROCESSABLE_ENTITY,
                "A field of the request breaks a rule",
                "`field` names it and `rule` says what holds for it. In a batch, `line` is the \
                 line of the body, counted from 1. Nothing was changed: of a batch, no event was \
                 published.",
            ),
            Self::KeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key was used for another event",
                "An idempotency key stands for one event: with it, only the same data, topics, \
                 event type, id, reconnection time and privacy may be sent again. Give every \
                 event a key of its own. In a batch, `line` is the line of the body, counted from \
                 1. Nothing was changed: of a batch, no event was published.",
            ),
            Self::KeyUnderWay => (
                "idempotency-key-under-way",
                StatusCode::CONFLICT,
                "A publish with this idempotency key is under way",
                "The hub is still handling a request with the same idempotency key. Nothing was \
                 changed by this one; send it again after the time in Retry-After to learn what \
                 became of the event. In a batch, `line` is the line of the body, counted from 1.",
            ),
            Self::BodyTooLarge => (
                "body-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "The body of the request is larger than the hub takes (option \
                 --body-bytes-max), or the batch larger than its log takes at once. Nothing was \
                 changed.",
            ),
            Self::BodyTimeout => (
                "body-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body took too long to arrive",
                "The whole body must arrive within the time that option --body-timeout sets. \
                 Nothing was changed. A streamed publish has no such limit, but ends when no byte \
                 of it came for the time that option --stream-idle-timeout sets; a comment line \
                 keeps it alive.",
            ),
            Self::ContentType => (
                "content-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The content type does not go with this request",
                "A batch goes to /events as application/x-ndjson. A stream of events goes to \
                 /events/{topic}, or to /events?topic=…, as text/event-stream. A single event goes \
                 to /events/{topic} with any other content type. Nothing was changed.",
            ),
            Self::NotAcceptable => (
                "not-acceptable",
                StatusCode::NOT_ACCEPTABLE,
                "The events are not offered in the form that was asked for",
                "Events are sent as text/event-stream or application/x-ndjson; the Accept header \
                 must allow one of them.",
            ),
            Self::NotFound => (
                "not-found",
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "Events are published to and followed at /events/{topic}.",
            ),
            Self::UnknownEvent => (
                "unknown-event",
                StatusCode::NOT_FOUND,
                "The log has no event with this id",
                "`reason` says why: `trimmed` (the history's limits removed it), `other_epoch` \
                 (the id is of another incarnation of the log), `ahead` (no event has come so \
                 far), or `unknown_id` (no event has the id: it never had, or was trimmed). The \
                 id of an event is what its publisher was answered, and what subscribers see. \
                 Ephemeral events have none.",
            ),
            Self::UnknownSubscriber => (
                "unknown-subscriber",
                StatusCode::NOT_FOUND,
                "No subscriber of this name is known",
                "A subscriber names itself with ?subscriber=NAME when it follows, and is given a \
                 name otherwise; the opening of its stream and the header Tidings-Subscriber \
                 tell it, and GET /subscribers lists all that are known: those that are \
                 connected, and the last 1,000 connections that ended since the hub started, of \
                 one name the last four.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The method is not offered here",
                "The Allow header names the methods that are.",
            ),
            Self::ForeignHost => (
                "foreign-host",
                StatusCode::FORBIDDEN,
                "The hub does not answer to this host name",
                "A hub without keys answers only to loopback names in the Host header \
                 (localhost, 127.0.0.0/8, [::1]) and to the host of its --public-url, so that no \
                 web page can reach it by pointing a name of its own at this machine (DNS \
                 rebinding). Nothing was changed.",
            ),
            Self::ForeignOrigin => (
                "foreign-origin",
                StatusCode::FORBIDDEN,
                "Pages of this origin may not use the hub",
                "The request comes from a web page of another origin, and that origin was not \
                 given with --cors-origin. Nothing was changed.",
            ),
            Self::LocalOnly => (
                "local-only",
                StatusCode::FORBIDDEN,
                "This is told on the hub's own machine only",
                "Who is subscribed, and what was delivered to whom, is for the operator. Ask from \
                 the machine that the hub runs on, at a loopback address such as 127.0.0.1 and \
                 not through a proxy: for instance `ssh HOST curl http://127.0.0.1:8080/…`.",
            ),
            Self::Crowded => (
                "crowded",
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub has too much to do",
                "A limit that holds for all clients together is reached. Nothing was changed; \
                 try again after the time in Retry-After. An event stream gets 200 with `retry:` \
                 instead, because an EventSource gives up on any other status.",
            ),
            Self::LogAway => (
                "log-away",
                StatusCode::SERVICE_UNAVAILABLE,
                "The log takes no events at present",
                "A write to the log failed, and it takes no more until it was reopened, which \
                 the hub tries by itself. Nothing was changed; try again after the time in \
                 Retry-After.",
            ),
            Self::Leaving => (
                "leaving",
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub is about to stop",
                "Nothing was changed; try again after the time in Retry-After.",
            ),
            Self::OutcomeUnknown => (
                "outcome-unknown",
                StatusCode::GATEWAY_TIMEOUT,
                "It is not known whether the events were published",
                "The log did not say in time whether it took the events. They may be published, \
                 now or later, all of them or none. Publishing them again may publish them \
                 twice, unless they have idempotency keys: then it is safe.",
            ),
        };
        Entry { slug, status, title, explanation }
    }

    pub(crate) fn slug(self) -> &'static str {
        self.entry().slug
    }

    /// The problem's page, for people.
    pub(crate) fn page(self) -> String {
        let Entry { slug, status, title, explanation } = self.entry();
        let streamed = if self.may_end_a_stream() { STREAMED } else { "" };
        format!("{slug} ({})\n{title}.\n\n{explanation}\n{streamed}", status.as_u16())
    }

    /// Whether it may come after a part of a streamed publish was published.
    fn may_end_a_stream(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::InvalidField
                | Self::KeyReused
                | Self::KeyUnderWay
                | Self::BodyTooLarge
                | Self::BodyTimeout
                | Self::Crowded
                | Self::LogAway
                | Self::Leaving
                | Self::OutcomeUnknown
        )
    }
}

const STREAMED: &str = "\n\
    When it ends a streamed publish, `published` says how many of its events, from the first on, \
    were published before, `last_id` is the id of the last of them, and `event` the number of the \
    event that it is about, counted from 1.\n";
