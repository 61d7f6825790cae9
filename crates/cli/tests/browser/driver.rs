//! A browser under WebDriver, with a driver process of its own.

use std::{process::Stdio, time::Duration};

use fantoccini::{
    Client, ClientBuilder,
    actions::{InputSource as _, KeyAction, KeyActions},
    key::Key,
    wd::{Capabilities, WebDriverCompatibleCommand, WindowHandle},
};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use url::Url;

const DEADLINE: Duration = Duration::from_secs(60);

/// A driver that can open one page at a time.
pub(crate) struct Browser {
    name: &'static str,
    driver: Child,
    url: String,
    capabilities: Capabilities,
}

/// A test that fails leaves its page open, and a driver that is killed its browser running.
impl Drop for Browser {
    fn drop(&mut self) {
        let Some(driver) = self.driver.id() else { return };
        let threads = std::fs::read_dir(format!("/proc/{driver}/task")).into_iter().flatten();
        for thread in threads.flatten() {
            let children = std::fs::read_to_string(thread.path().join("children"));
            let children = children.unwrap_or_default();
            for child in children.split(' ').filter_map(|id| Pid::from_raw(id.parse().ok()?)) {
                // It may be gone already.
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }
}

impl Browser {
    pub(crate) async fn chromium() -> Self {
        // As root in a container there is no sandbox; the rest keeps it from the network.
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,800",
        ];
        let options = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        Self::start("chromium", "chromedriver", &["--port=0"], "successfully on port ", options)
            .await
    }

    pub(crate) async fn firefox() -> Self {
        let options = json!({ "moz:firefoxOptions": {
            "binary": "/usr/bin/firefox-esr",
            "args": ["-headless", "-width=1280", "-height=800"],
            "prefs": {
                "datareporting.policy.dataSubmissionEnabled": false,
                "datareporting.healthreport.uploadEnabled": false,
                "toolkit.telemetry.enabled": false,
                "app.normandy.enabled": false,
            },
        } });
        let listening = "Listening on 127.0.0.1:";
        Self::start("firefox", "geckodriver", &["--port", "0"], listening, options).await
    }

    async fn start(
        name: &'static str,
        program: &str,
        args: &[&str],
        before_port: &str,
        capabilities: Value,
    ) -> Self {
        let mut driver = Command::new(program)
            .args(args)
            .stdout(Stdio::piped())
            // Browsers talk of much that is no concern of the tests.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program} does not start ({error}): run scripts/test, which installs it")
            });
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = timeout(DEADLINE, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the driver tells its port");
                if let Some((_, port)) = line.split_once(before_port) {
                    return port.trim_end_matches('.').to_owned();
                }
            }
        });
        let url = format!("http://127.0.0.1:{}", port.await.expect("the driver starts in time"));
        // Read on, so that the driver never waits for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        Self { name, driver, url, capabilities }
    }

    /// Opens a page. It must be closed before the next one.
    pub(crate) async fn open(&self, url: &str) -> Page {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(self.capabilities.clone());
        let client = timeout(DEADLINE, builder.connect(&self.url)).await;
        let client = client.expect("a session in time").unwrap();
        let timeouts =
            fantoccini::wd::TimeoutConfiguration::new(Some(DEADLINE), Some(DEADLINE), None);
        client.update_timeouts(timeouts).await.unwrap();
        client.goto(url).await.unwrap();
        Page { client, browser: self.name }
    }
}

/// An open page.
pub(crate) struct Page {
    pub(crate) client: Client,
    browser: &'static str,
}

impl Page {
    pub(crate) async fn run(&self, script: &str, args: Value) -> Value {
        let Value::Array(args) = args else { panic!("arguments are an array") };
        self.client.execute(script, args).await.unwrap()
    }

    /// Runs a script that calls its last argument with the answer.
    pub(crate) async fn run_async(&self, script: &str, args: Value) -> Value {
        let Value::Array(args) = args else { panic!("arguments are an array") };
        match self.client.execute_async(script, args).await {
            Ok(answer) => answer,
            Err(error) => panic!("{error}; the page has heard: {}", self.heard().await),
        }
    }

    /// Waits until the script's expression is true.
    pub(crate) async fn wait(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0]; const look = () => \
             (() => {{ {condition} }})() ? done(true) : setTimeout(look, 10); look();"
        );
        self.run_async(&script, json!([])).await;
    }

    async fn heard(&self) -> Value {
        let script = "return [window.seen, window.errors, document.body.innerText]";
        self.client.execute(script, vec![]).await.unwrap_or_default()
    }

    /// Presses a key, with Control held or not.
    pub(crate) async fn press(&self, key: char, control: bool) {
        let mut keys = KeyActions::new("keys".to_owned());
        let held = char::from(Key::Control);
        if control {
            keys = keys.then(KeyAction::Down { value: held });
        }
        keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        if control {
            keys = keys.then(KeyAction::Up { value: held });
        }
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Types a text into what has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        for key in text.chars() {
            self.press(key, false).await;
        }
    }

    /// Errors in the browser's log since it was last asked (Chromium only).
    pub(crate) async fn logged_errors(&self) -> Vec<Value> {
        let log = self.post("se/log", json!({ "type": "browser" })).await;
        let log = log.as_array().unwrap().clone();
        log.into_iter().filter(|entry| entry["level"] == "SEVERE").collect()
    }

    /// Has the page as wide as a phone (Chromium only).
    pub(crate) async fn narrow(&self, width: u32) {
        let size =
            json!({ "width": width, "height": 740, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Gives a command to the browser's own protocol (Chromium only).
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn post(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Post { path, body }).await.unwrap()
    }

    /// Opens another tab in front of this one, and answers what `show` takes to come back.
    pub(crate) async fn cover(&self) -> WindowHandle {
        let covered = self.client.window().await.unwrap();
        let cover = self.client.new_window(true).await.unwrap();
        self.client.switch_to_window(cover.handle).await.unwrap();
        covered
    }

    /// Closes the tab in front, and shows the one that was covered.
    pub(crate) async fn uncover(&self, covered: WindowHandle) {
        self.client.close_window().await.unwrap();
        self.client.switch_to_window(covered).await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    pub(crate) async fn screenshot(&self, name: &str) {
        let png = self.client.screenshot().await.unwrap();
        let folder = env!("CARGO_TARGET_TMPDIR");
        std::fs::write(format!("{folder}/{name}-{}.png", self.browser), png).unwrap();
    }

    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// A command of a driver's own.
#[derive(Debug)]
struct Post {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.body.to_string()))
    }
}
