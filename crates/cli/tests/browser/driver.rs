//! A browser under WebDriver, with a driver process of its own.

use std::{process::Stdio, time::Duration};

use fantoccini::{Client, ClientBuilder, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A driver that can open one page at a time.
pub(crate) struct Browser {
    name: &'static str,
    _driver: Child,
    url: String,
    capabilities: Capabilities,
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
        Self { name, _driver: driver, url, capabilities }
    }

    pub(crate) async fn open(&self, url: &str) -> Page {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(self.capabilities.clone());
        let client = timeout(DEADLINE, builder.connect(&self.url)).await;
        let client = client.expect("a session in time").unwrap();
        let timeouts =
            fantoccini::wd::TimeoutConfiguration::new(Some(DEADLINE), Some(DEADLINE), None);
        client.update_timeouts(timeouts).await.unwrap();
        client.goto(url).await.unwrap();
        Page { client, browser: self.name, driver: self.url.clone() }
    }
}

/// An open page.
pub(crate) struct Page {
    client: Client,
    browser: &'static str,
    driver: String,
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

    /// A command of the driver that WebDriver's standard does not have, or the client does not.
    pub(crate) async fn command(&self, path: &str, body: Value) -> Value {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let session = self.client.session_id().await.unwrap().expect("a session");
        let url = format!("{}/session/{session}/{path}", self.driver);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = timeout(DEADLINE, http.post(url).body(body.to_string()).send()).await;
        let answer = answer.expect("an answer in time").unwrap().bytes().await.unwrap();
        serde_json::from_slice::<Value>(&answer).unwrap()["value"].clone()
    }

    /// What the browser has told of errors since it was last asked: Chromium's alone.
    pub(crate) async fn errors(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("Chromium has a log").iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    /// Presses keys one after the other, as WebDriver names them.
    pub(crate) async fn press(&self, keys: &str) {
        let press = |key: char| [("keyDown", key), ("keyUp", key)];
        let actions: Vec<_> = keys.chars().flat_map(press).collect();
        let actions: Vec<_> =
            actions.iter().map(|(kind, key)| json!({ "type": kind, "value": key })).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("actions", json!({ "actions": [keyboard] })).await;
    }

    /// Lays the page out as on a screen of this width: Chromium's alone.
    pub(crate) async fn width(&self, width: u32) {
        let params =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    async fn heard(&self) -> Value {
        let script = "return [window.seen, window.errors, document.body.innerText]";
        self.client.execute(script, vec![]).await.unwrap_or_default()
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
