//! What a server does to a source, and what the source is made with.

use std::collections::{BTreeMap, VecDeque};

/// A server's script, the source that meets it, and what is known to differ.
///
/// In URLs and headers, `{here}` is the origin of the page, `{host}` its host and port, and `{there}`
/// another origin; `{jar}` is a cookie's name of its own, as browsers keep cookies of a host whatever
/// the port.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) url: &'static str,
    pub(crate) with_credentials: bool,
    /// Types of events to listen for, beside `open`, `message` and `error`.
    pub(crate) listens: &'static [&'static str],
    /// Closes the source when it has told of so many errors.
    pub(crate) closes_at_error: Option<usize>,
    pub(crate) closes: Close,
    /// Whether a second listener tells of messages, too.
    pub(crate) has_second: bool,
    pub(crate) down: Down,
    /// Headers of requests to compare, beside those that always are.
    pub(crate) headers: &'static [&'static str],
    /// What is answered to each URL, request by request. After that it is 204, which ends a source.
    pub(crate) script: BTreeMap<&'static str, VecDeque<Answer>>,
    pub(crate) deviations: Vec<Deviation>,
}

/// When a source is closed, if not by its listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    Never,
    /// As soon as it is made.
    AtOnce,
    /// When the server has its first request.
    WhenAsked,
}

/// When nobody listens at the origin of the source's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    Never,
    /// Until the source has told of an error. Not for `{here}`, where the page is.
    AtFirst,
    /// From its first request on, until it has told of a second error.
    AfterFirst,
}

impl Down {
    /// At which of the source's errors somebody listens again.
    pub(crate) fn ends_at_error(self) -> Option<usize> {
        match self {
            Self::Never => None,
            Self::AtFirst => Some(1),
            Self::AfterFirst => Some(2),
        }
    }
}

/// A browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
}

/// How a browser differs from the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deviation {
    pub(crate) engine: Engine,
    /// What of the browser's account is other, line by line.
    pub(crate) theirs: Lines,
    /// The client's lines for it.
    pub(crate) ours: Lines,
}

/// Lines of an account.
pub(crate) type Lines = &'static [&'static str];

/// What a server sends to a request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<Piece>,
    pub(crate) end: End,
}

#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Waits until the source has told of a message `go`.
    Go,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    /// As when the server's machine has lost all memory of it.
    Reset,
    /// Not by the server: it notes when the client has left.
    Hold,
}

/// A source at `{here}/events`.
pub(crate) fn scenario(name: &'static str) -> Scenario {
    Scenario {
        name,
        url: "{here}/events",
        with_credentials: false,
        listens: &[],
        closes_at_error: None,
        closes: Close::Never,
        has_second: false,
        down: Down::Never,
        headers: &[],
        script: BTreeMap::new(),
        deviations: Vec::new(),
    }
}

impl Scenario {
    pub(crate) fn url(self, url: &'static str) -> Self {
        Self { url, ..self }
    }

    pub(crate) fn with_credentials(self) -> Self {
        Self { with_credentials: true, ..self }
    }

    pub(crate) fn listens(self, listens: &'static [&'static str]) -> Self {
        Self { listens, ..self }
    }

    pub(crate) fn closes_at_error(self, errors: usize) -> Self {
        Self { closes_at_error: Some(errors), ..self }
    }

    pub(crate) fn closes(self, closes: Close) -> Self {
        Self { closes, ..self }
    }

    pub(crate) fn has_second(self) -> Self {
        Self { has_second: true, ..self }
    }

    pub(crate) fn down(self, down: Down) -> Self {
        Self { down, ..self }
    }

    pub(crate) fn headers(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    /// What the next request for the source's URL is answered.
    pub(crate) fn answer(self, answer: Answer) -> Self {
        let url = self.url;
        self.at(url, answer)
    }

    /// What the next request for this URL is answered.
    pub(crate) fn at(mut self, url: &'static str, answer: Answer) -> Self {
        self.script.entry(url).or_default().push_back(answer);
        self
    }

    /// The next request for the source's URL is answered with this stream, after which the source
    /// is to come back soon.
    pub(crate) fn stream(self, body: impl AsRef<[u8]>) -> Self {
        self.answer(stream(&[body.as_ref(), SOON]))
    }

    /// The same with a stream that comes piece by piece.
    pub(crate) fn pieces(self, pieces: &[&[u8]]) -> Self {
        let mut pieces = pieces.to_vec();
        pieces.push(SOON);
        self.answer(stream(&pieces))
    }

    /// In Chromium, the lines `theirs` stand where the client's account has `ours`. What differs and
    /// why is said beside it.
    pub(crate) fn in_chromium(self, theirs: Lines, ours: Lines) -> Self {
        self.deviates(Engine::Chromium, theirs, ours)
    }

    /// The same in Firefox.
    pub(crate) fn in_firefox(self, theirs: Lines, ours: Lines) -> Self {
        self.deviates(Engine::Firefox, theirs, ours)
    }

    /// The same in both: it is the client that differs.
    pub(crate) fn in_both(self, theirs: Lines, ours: Lines) -> Self {
        self.in_chromium(theirs, ours).in_firefox(theirs, ours)
    }

    fn deviates(mut self, engine: Engine, theirs: Lines, ours: Lines) -> Self {
        self.deviations.push(Deviation { engine, theirs, ours });
        self
    }
}

/// An event stream that ends after these pieces.
pub(crate) fn stream(pieces: &[&[u8]]) -> Answer {
    Answer {
        body: pieces.iter().map(|piece| Piece::Bytes(piece.to_vec())).collect(),
        ..status(200).header("Content-Type: text/event-stream")
    }
}

/// An answer with this status, and no more.
pub(crate) fn status(status: u16) -> Answer {
    Answer {
        head: format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n"),
        body: Vec::new(),
        end: End::Close,
    }
}

/// A redirect.
pub(crate) fn redirect(code: u16, location: &str) -> Answer {
    status(code).header(&format!("Location: {location}"))
}

impl Answer {
    pub(crate) fn header(mut self, line: &str) -> Self {
        self.head.push_str(line);
        self.head.push_str("\r\n");
        self
    }

    /// Lets pages of this origin read it.
    pub(crate) fn allows(self, origin: &str) -> Self {
        self.header(&format!("Access-Control-Allow-Origin: {origin}"))
    }

    pub(crate) fn allows_credentials(self) -> Self {
        self.header("Access-Control-Allow-Credentials: true")
    }

    pub(crate) fn body(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.push(Piece::Bytes(bytes.as_ref().to_vec()));
        self
    }

    /// The rest comes when the source has told of a message `go`.
    pub(crate) fn go(mut self) -> Self {
        self.body.push(Piece::Go);
        self
    }

    pub(crate) fn ends(self, end: End) -> Self {
        Self { end, ..self }
    }
}

/// Makes the wait for the next request as short as each engine allows.
pub(crate) const SOON: &[u8] = b"\nretry:1\n\n";
