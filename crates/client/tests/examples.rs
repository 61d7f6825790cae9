//! The examples against a server that says what the APIs say.
#![cfg(feature = "json")]

#[allow(dead_code, unreachable_pub, reason = "its main is not run here")]
#[path = "../examples/anthropic_messages.rs"]
mod anthropic_messages;
#[allow(dead_code, unreachable_pub, reason = "its main is not run here")]
#[path = "../examples/clock.rs"]
mod clock;
#[allow(dead_code, unreachable_pub, reason = "its main is not run here")]
#[path = "../examples/openai_chat.rs"]
mod openai_chat;
mod peer;

use peer::{Exchange, Peer, soon};

/// What the example wrote, and the error it ended with.
type Outcome = (String, Option<String>);

/// Runs the chat against a server that answers its request with `stream`, and waits until the
/// connection is closed if `closes`.
async fn chat(stream: &[&str], closes: bool) -> Outcome {
    let peer = Peer::start().await;
    let client = async {
        let api = openai_chat::Api {
            base_url: peer.url("/v1"),
            key: "sk-1".to_owned(),
            model: "small".to_owned(),
        };
        let mut out = Vec::new();
        let result = soon(openai_chat::chat(&api, "Why?", &mut out)).await;
        outcome(out, result)
    };
    let server = async {
        let exchange = peer.accept().await;
        assert_eq!(exchange.line(), "POST /v1/chat/completions");
        assert_eq!(exchange.header("authorization"), Some("Bearer sk-1"));
        let question: serde_json::Value = serde_json::from_str(exchange.text()).unwrap();
        assert_eq!(question["stream"], true);
        assert_eq!(question["messages"][0]["content"], "Why?");
        answer(exchange, stream, closes).await;
    };
    tokio::join!(client, server).0
}

/// The same for Anthropic's API.
async fn ask(stream: &[&str], closes: bool) -> Outcome {
    let peer = Peer::start().await;
    let client = async {
        let api = anthropic_messages::Api {
            base_url: peer.origin().to_owned(),
            key: "sk-1".to_owned(),
            model: "small".to_owned(),
        };
        let mut out = Vec::new();
        let result = soon(anthropic_messages::ask(&api, "Why?", &mut out)).await;
        outcome(out, result)
    };
    let server = async {
        let exchange = peer.accept().await;
        assert_eq!(exchange.line(), "POST /v1/messages");
        assert_eq!(exchange.header("x-api-key"), Some("sk-1"));
        answer(exchange, stream, closes).await;
    };
    tokio::join!(client, server).0
}

fn outcome(out: Vec<u8>, result: Result<(), Box<dyn std::error::Error>>) -> Outcome {
    (String::from_utf8(out).unwrap(), result.err().map(|error| error.to_string()))
}

async fn answer(mut exchange: Exchange, stream: &[&str], closes: bool) {
    exchange.open().await;
    for part in stream {
        exchange.send(part).await;
    }
    if closes {
        exchange.closed().await;
    }
}

const CHUNKS: [&str; 3] = [
    concat!(r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#, "\n\n",),
    concat!(
        r#"data: {"choices":[{"index":0,"delta":{"content":"Because"}}]}"#,
        "\n\n",
        r#"data: {"cho"#,
    ),
    concat!(r#"ices":[{"index":0,"delta":{"content":" it is."},"finish_reason":null}]}"#, "\n\n",),
];
const CHUNKS_END: &str = concat!(
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"choices":[],"usage":{"total_tokens":9}}"#,
    "\n\ndata: [DONE]\n\n",
);

#[tokio::test]
async fn the_chat_writes_the_answer_and_leaves_at_done() {
    let stream = [&CHUNKS[..], &[CHUNKS_END]].concat();
    assert_eq!(chat(&stream, true).await, ("Because it is.\n".to_owned(), None));
}

#[tokio::test]
async fn the_chat_tells_an_answer_that_was_cut_off() {
    let (text, error) = chat(&CHUNKS, false).await;
    assert_eq!(text, "Because it is.");
    assert_eq!(error.unwrap(), "the answer was cut off: the stream ended before its end mark");
}

#[tokio::test]
async fn the_chat_tells_an_error_in_the_stream() {
    let stream =
        [CHUNKS[0], "data: {\"error\":{\"message\":\"Too busy.\",\"type\":\"server_error\"}}\n\n"];
    let error = "the server reported an error in the stream: Too busy.".to_owned();
    assert_eq!(chat(&stream, true).await, (String::new(), Some(error)));
}

#[tokio::test]
async fn the_chat_tells_a_refusal() {
    let peer = Peer::start().await;
    let api = openai_chat::Api {
        base_url: peer.url("/v1"),
        key: "sk-1".to_owned(),
        model: "small".to_owned(),
    };
    let mut out = Vec::new();
    let client = soon(openai_chat::chat(&api, "Why?", &mut out));
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.answer(401, "content-type: application/json\r\n", "{\"error\":1}").await;
        exchange
    };
    let (result, _exchange) = tokio::join!(client, server);
    assert_eq!(
        result.unwrap_err().to_string(),
        "the server answered with status 401, not 200: {\"error\":1}"
    );
}

#[tokio::test]
async fn the_chat_says_why_nobody_answers() {
    let api = openai_chat::Api {
        base_url: peer::nobody(),
        key: "sk-1".to_owned(),
        model: "a".to_owned(),
    };
    let error = soon(openai_chat::chat(&api, "Why?", &mut Vec::new())).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

const PARTS: [&str; 6] = [
    concat!(
        "event: message_start\ndata: ",
        r#"{"type":"message_start","message":{"id":"m","content":[]}}"#,
        "\n\n",
    ),
    concat!(
        "event: content_block_start\ndata: ",
        r#"{"type":"content_block_start","content_block":{"type":"text"}}"#,
        "\n\n",
    ),
    concat!("event: ping\ndata: ", r#"{"type": "ping"}"#, "\n\n",),
    concat!(
        "event: content_block_delta\ndata: ",
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Because"}}"#,
        "\n\n",
    ),
    concat!(
        "event: content_block_delta\ndata: ",
        r#"{"type":"content_block_delta","delta":{"type":"later_delta","x":1}}"#,
        "\n\n",
    ),
    concat!(
        "event: content_block_delta\ndata: ",
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":" it is."}}"#,
        "\n\n",
    ),
];
const PARTS_END: &str = concat!(
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: ",
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[tokio::test]
async fn the_messages_are_written_and_left_at_message_stop() {
    let stream = [&PARTS[..], &[PARTS_END]].concat();
    assert_eq!(ask(&stream, true).await, ("Because it is.\n".to_owned(), None));
}

#[tokio::test]
async fn the_messages_tell_an_answer_that_was_cut_off() {
    let (text, error) = ask(&PARTS, false).await;
    assert_eq!(text, "Because it is.");
    assert_eq!(error.unwrap(), "the answer was cut off: the stream ended before its end mark");
}

#[tokio::test]
async fn the_messages_tell_an_error_in_the_stream() {
    let stream = [
        PARTS[3],
        concat!(
            "event: error\ndata: ",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            "\n\n",
        ),
    ];
    let error = "overloaded_error: Overloaded".to_owned();
    assert_eq!(ask(&stream, true).await, ("Because".to_owned(), Some(error)));
}

/// Takes what an example writes, for the test to see.
#[derive(Clone, Default)]
struct Page(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_clock_is_followed_as_a_page_would() {
    let peer = Peer::start().await;
    let page = Page::default();
    let url = peer.url("/clock");
    let client = clock::follow(&url, page.clone());
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("retry: 100\nid: 1\ndata: 12:00:00\n\nevent: heartbeat\ndata\n\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("1"));
        exchange.open().await;
        exchange.send("event: heartbeat\ndata\n\ndata: 12:00:02\n\n").await;
        exchange.send("event: bye\ndata\n\ndata: too late\n\n").await;
        exchange.closed().await;
    };
    let (result, ()) = soon(async { tokio::join!(client, server) }).await;
    result.unwrap();
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "The connection stands.",
            "It is 12:00:00.",
            "Its heart beats.",
            "Connecting: the stream ended; connecting again in 0.1 s.",
            "The connection stands.",
            "It is 12:00:02.",
            "Closed.",
        ]
    );
}

#[tokio::test]
async fn a_clock_that_is_refused_says_why() {
    let peer = Peer::start().await;
    let page = Page::default();
    let url = peer.url("/clock");
    let client = clock::follow(&url, page.clone());
    let server = async { peer.accept().await.answer(404, "", "").await };
    let (result, ()) = soon(async { tokio::join!(client, server) }).await;
    assert!(result.is_err());
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text, "Closed: the server answered with status 404, not 200; this is final.\n");
}
