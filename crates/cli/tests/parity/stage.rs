//! The server of one scenario: it does as the script says, and notes what it is asked.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Mutex, Notify, mpsc, watch},
};

use crate::{
    page,
    scenario::{Answer, Down, End, Piece, Scenario},
};

/// Two origins on ports of their own, and a third, which is no part of the scenario: it holds the
/// page's frames, gives signals, and takes the page's account.
pub(crate) struct Stage {
    set: Arc<Set>,
    reports: Mutex<mpsc::Receiver<Value>>,
}

struct Set {
    scenario: Scenario,
    here: String,
    there: String,
    wings: String,
    script: Mutex<BTreeMap<&'static str, VecDeque<Answer>>>,
    asked: watch::Sender<Vec<String>>,
    go: Notify,
    /// Rings when somebody is to listen again at the source's origin.
    up: Notify,
    /// Rings when nobody is to listen there any more, and when nobody does.
    down: Notify,
    is_down: Notify,
    report: mpsc::Sender<Value>,
}

impl Stage {
    pub(crate) async fn start(scenario: &Scenario) -> Self {
        let (here, there, wings) = (Port::bind(), Port::bind(), Port::bind());
        let (report, reports) = mpsc::channel(1);
        let set = Arc::new(Set {
            here: here.origin(),
            there: there.origin(),
            wings: wings.origin(),
            script: Mutex::new(scenario.script.clone()),
            scenario: scenario.clone(),
            asked: watch::Sender::new(Vec::new()),
            go: Notify::new(),
            up: Notify::new(),
            down: Notify::new(),
            is_down: Notify::new(),
            report,
        });
        for (port, place) in [(here, "{here}"), (there, "{there}"), (wings, WINGS)] {
            if scenario.url.starts_with(place) {
                port.serve_in_turns(&set, place);
            } else {
                port.serve(&set, place);
            }
        }
        Self { set, reports: Mutex::new(reports) }
    }

    /// Where the scenario's page is.
    pub(crate) fn page(&self) -> String {
        format!("{}/page", self.set.here)
    }

    /// Where an empty page is.
    pub(crate) fn blank(&self) -> String {
        format!("{}/blank", self.set.wings)
    }

    /// The text with the origins and the cookie's name in it.
    pub(crate) fn filled(&self, text: &str) -> String {
        self.set.filled(text)
    }

    /// The text with none of what is only this run's.
    pub(crate) fn emptied(&self, text: &str) -> String {
        self.set.emptied(text)
    }

    /// The source has told of a message `go`.
    pub(crate) fn go(&self) {
        self.set.go.notify_one();
    }

    /// Has somebody listen again at the source's origin.
    pub(crate) fn listen_again(&self) {
        self.set.up.notify_one();
    }

    /// Returns when the first request has come.
    pub(crate) async fn is_asked(&self) {
        self.set.is_asked().await;
    }

    /// What the page has told, once it is done.
    pub(crate) async fn report(&self) -> Value {
        self.reports.lock().await.recv().await.expect("the stage stands")
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.set.asked.borrow().clone()
    }

    /// Returns when the last request is noted, and the leaving of whoever was held.
    pub(crate) async fn is_quiet(&self) {
        let is_quiet = |asked: &Vec<String>| {
            asked.iter().filter(|line| *line == HELD).count()
                == asked.iter().filter(|line| *line == LEFT).count()
        };
        self.set.asked.subscribe().wait_for(is_quiet).await.unwrap();
    }
}

impl Set {
    fn filled(&self, text: &str) -> String {
        text.replace("{here}", &self.here)
            .replace("{there}", &self.there)
            .replace("{host}", self.here.trim_start_matches("http://"))
            .replace("{jar}", &self.jar())
    }

    fn emptied(&self, text: &str) -> String {
        text.replace(&self.here, "{here}")
            .replace(&self.there, "{there}")
            .replace(&self.jar(), "{jar}")
    }

    fn jar(&self) -> String {
        format!("jar{}", self.here.rsplit_once(':').unwrap().1)
    }

    async fn is_asked(&self) {
        self.asked.subscribe().wait_for(|asked| !asked.is_empty()).await.unwrap();
    }

    fn note(&self, line: String) {
        self.asked.send_modify(|asked| asked.push(line));
    }

    /// Answers one request.
    async fn handle(&self, mut stream: TcpStream, place: &str) -> io::Result<()> {
        let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
        let text = match (place, request.path.as_str()) {
            ("{here}", "/page") => page::html(&self.scenario, &self.here, &self.there, &self.wings),
            (WINGS, "/report") => {
                let _ = self.report.send(serde_json::from_slice(&request.body)?).await;
                String::new()
            }
            (WINGS, "/go") => {
                self.go.notify_one();
                String::new()
            }
            (WINGS, "/listen") => {
                self.up.notify_one();
                String::new()
            }
            (WINGS, "/asked") => {
                self.is_asked().await;
                String::new()
            }
            (WINGS, "/blank") => String::new(),
            (WINGS, _) => {
                return stream.write_all(b"HTTP/1.1 204 Over\r\nConnection: close\r\n\r\n").await;
            }
            _ => return self.play(stream, place, &request).await,
        };
        let length = text.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all((head + &text).as_bytes()).await
    }

    /// Does as the script says.
    async fn play(&self, mut stream: TcpStream, place: &str, request: &Request) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.note(self.line(place, request));
        let url = format!("{place}{}", request.path);
        let scripted = match request.method.as_str() {
            "GET" => self.script.lock().await.get_mut(&*url).and_then(VecDeque::pop_front),
            _ => None,
        };
        if self.scenario.down == Down::AfterFirst && scripted.is_some() {
            self.down.notify_one();
            self.is_down.notified().await;
        }
        let answer = scripted.unwrap_or_else(|| self.last_answer(request));
        if answer.end != End::Hold {
            return self.send(&mut stream, &answer).await;
        }
        self.note(HELD.to_owned());
        if self.send(&mut stream, &answer).await.is_ok() {
            // Zero bytes or an error: either way the client has left.
            let _ = stream.read(&mut [0]).await;
        }
        self.note(LEFT.to_owned());
        Ok(())
    }

    async fn send(&self, stream: &mut TcpStream, answer: &Answer) -> io::Result<()> {
        if !answer.head.is_empty() {
            let head = format!("{}\r\n", self.filled(&answer.head));
            // Heads of the script may be cut off.
            let head = head.strip_suffix("{cut}\r\n\r\n").unwrap_or(&head);
            stream.write_all(head.as_bytes()).await?;
        }
        for piece in &answer.body {
            match piece {
                Piece::Bytes(bytes) => {
                    stream.write_all(bytes).await?;
                    // Most clients then read pieces apart. No result hangs on it.
                    tokio::time::sleep(PACE).await;
                }
                Piece::Go => self.go.notified().await,
            }
        }
        match answer.end {
            End::Close => stream.shutdown().await,
            End::Reset => stream.set_zero_linger(),
            End::Hold => Ok(()),
        }
    }

    /// After the script, sources are ended, wherever they come from.
    fn last_answer(&self, request: &Request) -> Answer {
        let origin = request.text("origin").unwrap_or_default();
        crate::scenario::status(204)
            .allows(&origin)
            .allows_credentials()
            .header("Access-Control-Allow-Headers: Last-Event-ID")
    }

    /// A request as it is compared: what is as it should be in all of them is left out.
    fn line(&self, place: &str, request: &Request) -> String {
        let mut line = format!("{} {place}{}", request.method, request.path);
        for (name, usual) in [("accept", "text/event-stream"), ("cache-control", "no-cache")] {
            match request.text(name) {
                Some(value) if value == usual => {}
                Some(value) => line.push_str(&format!(", {name} {value:?}")),
                None => line.push_str(&format!(", no {name}")),
            }
        }
        let names = ["last-event-id", "origin", "access-control-request-headers"];
        for name in names.iter().chain(self.scenario.headers) {
            if let Some(value) = request.text(name) {
                line.push_str(&format!(", {name} {}", brief(&self.emptied(&value))));
            }
        }
        let jar = format!("{}=", self.jar());
        for cookie in request.text("cookie").unwrap_or_default().split("; ") {
            if let Some(value) = cookie.strip_prefix(&jar) {
                line.push_str(&format!(", cookie {{jar}}={value}"));
            }
        }
        line
    }
}

/// A long text by its length.
pub(crate) fn brief(text: &str) -> String {
    match text.len() {
        0..100 => format!("{text:?}"),
        length => format!("{:?}… ({length} bytes)", text.chars().take(5).collect::<String>()),
    }
}

/// A port that is nobody else's, and refuses connections while nobody listens.
struct Port {
    first: TcpSocket,
    again: TcpSocket,
}

impl Port {
    fn bind() -> Self {
        let first = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let again = bound(first.local_addr().unwrap());
        Self { first, again }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.first.local_addr().unwrap())
    }

    fn serve(self, set: &Arc<Set>, place: &'static str) {
        tokio::spawn(serve(Arc::clone(set), self.first.listen(BACKLOG).unwrap(), place));
    }

    /// Listens but for when the scenario's source is to find nobody.
    fn serve_in_turns(self, set: &Arc<Set>, place: &'static str) {
        let set = Arc::clone(set);
        let first = self.first;
        let first = (set.scenario.down != Down::AtFirst).then(|| first.listen(BACKLOG).unwrap());
        tokio::spawn(async move {
            if let Some(listener) = first {
                tokio::select! {
                    () = serve(Arc::clone(&set), listener, place) => {}
                    () = set.down.notified() => {}
                }
                set.is_down.notify_one();
            }
            set.up.notified().await;
            serve(set, self.again.listen(BACKLOG).unwrap(), place).await;
        });
    }
}

/// A socket beside which another may be bound to the same port, as long as neither listens.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Accepts connections for as long as the test runs.
async fn serve(set: Arc<Set>, listener: TcpListener, place: &'static str) {
    while let Ok((stream, _)) = listener.accept().await {
        let set = Arc::clone(&set);
        tokio::spawn(async move {
            // A client that leaves early is part of some scenarios.
            let _ = set.handle(stream, place).await;
        });
    }
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// Nothing if the connection is closed unused.
    async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            // The one space that is written by convention: others are seen.
            let value = &line[colon + 1..];
            Some((name, value.strip_prefix(b" ").unwrap_or(value).to_vec()))
        });
        let headers = headers.collect();
        let mut request = Self { method, path, headers, body: bytes.split_off(end + 4) };
        let length = request.text("content-length").and_then(|length| length.parse().ok());
        while request.body.len() < length.unwrap_or(0) {
            if stream.read_buf(&mut request.body).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(request))
    }

    /// The value of a header, what is not ASCII as escapes.
    fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(
            value
                .iter()
                .flat_map(|byte| match byte {
                    b' '..=b'~' => vec![char::from(*byte)],
                    _ => byte.escape_ascii().map(char::from).collect(),
                })
                .collect(),
        )
    }
}

/// What is behind the scenes.
const WINGS: &str = "{wings}";
const BACKLOG: u32 = 64;
const HELD: &str = "held";
const LEFT: &str = "left";
const PACE: Duration = Duration::from_millis(5);
