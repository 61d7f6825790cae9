//! Prints the answer of Anthropic's messages API as it is written.
//!
//! ```text
//! export ANTHROPIC_API_KEY=… ANTHROPIC_MODEL=…
//! cargo run --example anthropic_messages -- "Why is the sky blue?"
//! ```
//!
//! `ANTHROPIC_BASE_URL` names another server that speaks the same.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use futures_util::TryStreamExt;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;
use tidings_client::{AnswerError, EventStream, NetworkError, default_client};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Below what there is of the answer.
            eprintln!("\n{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let api = Api {
        base_url: env::var("ANTHROPIC_BASE_URL")
            .unwrap_or_else(|_| "https://api.anthropic.com".to_owned()),
        key: env::var("ANTHROPIC_API_KEY").map_err(|_| "set ANTHROPIC_API_KEY to your API key")?,
        model: env::var("ANTHROPIC_MODEL").map_err(|_| "set ANTHROPIC_MODEL to a model's name")?,
    };
    let prompt = env::args().nth(1).ok_or("give the question as the argument")?;
    ask(&api, &prompt, &mut io::stdout()).await
}

/// Asks, and writes the text of the answer as it arrives.
///
/// An answer that was cut off, and an error that the API reports within the stream, are errors;
/// the text before them is written.
pub async fn ask(api: &Api, prompt: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let url = format!("{}/v1/messages", api.base_url);
    let question = json!({
        "model": api.model,
        "max_tokens": 1024,
        "messages": [{ "role": "user", "content": prompt }],
        "stream": true,
    });
    let response = default_client(&url.parse()?)?
        .post(url)
        .header("x-api-key", &api.key)
        .header("anthropic-version", "2023-06-01")
        .header(CONTENT_TYPE, "application/json")
        .body(question.to_string())
        .send()
        .await
        .map_err(NetworkError::from)?;

    let events = EventStream::from_response(response).await?;
    let answer = events.answer().error_event("error").end_after("message_stop");
    let mut parts = answer.json::<Part>();
    while let Some(part) = parts.try_next().await.map_err(told)? {
        if let Part::ContentBlockDelta { delta: Delta::TextDelta { text } } = part.value {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// What the API says about an error that it reports, if this is one.
fn told<E: Error + 'static>(error: AnswerError<E>) -> Box<dyn Error> {
    if let AnswerError::Reported { data, .. } = &error
        && let Ok(Failure { error }) = serde_json::from_str(data)
    {
        return format!("{}: {}", error.kind, error.message).into();
    }
    error.into()
}

/// Where to ask, and as whom.
pub struct Api {
    /// The URL before the path of the request.
    pub base_url: String,
    /// The API key.
    pub key: String,
    /// The name of the model.
    pub model: String,
}

/// What an event says. There are more types than are of use here, and there will be others yet.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    ContentBlockDelta {
        delta: Delta,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    TextDelta {
        text: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Failure {
    error: ApiError,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(rename = "type")]
    kind: String,
    message: String,
}
