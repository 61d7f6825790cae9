//! The server of one scenario: it does as the script says, and notes what it is asked.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
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
    port::{BACKLOG, Port},
    request::Request,
    scenario::{Answer, Down, End, Piece, Scenario, status},
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
            let down = if scenario.url.starts_with(place) { scenario.down } else { Down::Never };
            let first = (down != Down::AtFirst).then(|| port.first.listen(BACKLOG).unwrap());
            tokio::spawn(Arc::clone(&set).serve(first, port.again, place));
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
            .replace(self.here.trim_start_matches("http://"), "{host}")
            .replace(&self.jar(), "{jar}")
    }

    fn jar(&self) -> String {
        format!("jar{}", self.here.rsplit_once(':').unwrap().1)
    }

    async fn is_asked(&self) {
        self.asked.subscribe().wait_for(|asked| !asked.is_empty()).await.unwrap();
    }

    /// Accepts connections for as long as the test runs, but for when it is to be down.
    async fn serve(
        self: Arc<Self>,
        first: Option<TcpListener>,
        again: TcpSocket,
        place: &'static str,
    ) {
        if let Some(first) = first {
            let goes_down =
                self.scenario.down == Down::AfterFirst && self.scenario.url.starts_with(place);
            tokio::select! {
                () = self.accept(&first, place) => {}
                () = self.down.notified(), if goes_down => {}
            }
            drop(first);
            self.is_down.notify_one();
        }
        self.up.notified().await;
        self.accept(&again.listen(BACKLOG).unwrap(), place).await;
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener, place: &'static str) {
        while let Ok((stream, _)) = listener.accept().await {
            let set = Arc::clone(self);
            tokio::spawn(async move {
                // A client that leaves early is part of some scenarios.
                let _ = set.handle(stream, place).await;
            });
        }
    }

    /// Answers one request.
    async fn handle(&self, mut stream: TcpStream, place: &str) -> io::Result<()> {
        let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
        let text = match (place, request.path.as_str()) {
            ("{here}", "/page") => {
                page::html(&self.scenario, &self.filled(self.scenario.url), &self.wings)
            }
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
        let url = format!("{place}{}", request.path);
        let scripted = match request.method.as_str() {
            "GET" => self.script.lock().await.get_mut(&*url).and_then(VecDeque::pop_front),
            _ => None,
        };
        let goes_down = self.scenario.down == Down::AfterFirst && scripted.is_some();
        let answer = scripted.unwrap_or_else(|| self.last_answer(request));
        let holds = answer.end == End::Hold;
        // At once, as whoever is held may leave at once.
        self.asked.send_modify(|asked| {
            asked.push(self.line(place, request));
            asked.extend(holds.then(|| HELD.to_owned()));
        });
        if goes_down {
            self.down.notify_one();
            self.is_down.notified().await;
        }
        let sent = self.send(&mut stream, &answer).await;
        if holds {
            // Zero bytes or an error: either way the client has left.
            let _ = stream.read(&mut [0]).await;
            self.asked.send_modify(|asked| asked.push(LEFT.to_owned()));
        }
        sent
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
        status(204)
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

/// The place behind the scenes.
const WINGS: &str = "{wings}";
const HELD: &str = "held";
const LEFT: &str = "left";
const PACE: Duration = Duration::from_millis(5);
