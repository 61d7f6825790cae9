//! Prints the answer of an OpenAI-style chat API as it is written.
//!
//! ```text
//! export OPENAI_API_KEY=…
//! cargo run --example openai_chat -- "Why is the sky blue?"
//! ```
//!
//! `OPENAI_BASE_URL` names another server that speaks the same, `OPENAI_MODEL` another model.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use futures_util::TryStreamExt;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;
use tidings_client::{EventStream, NetworkError, default_client};

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
        base_url: env::var("OPENAI_BASE_URL")
            .unwrap_or_else(|_| "https://api.openai.com/v1".to_owned()),
        key: env::var("OPENAI_API_KEY").map_err(|_| "set OPENAI_API_KEY to your API key")?,
        model: env::var("OPENAI_MODEL").unwrap_or_else(|_| "gpt-4o-mini".to_owned()),
    };
    let prompt = env::args().nth(1).ok_or("give the question as the argument")?;
    chat(&api, &prompt, &mut io::stdout()).await
}

/// Asks, and writes the text of the answer as it arrives.
///
/// An answer that was cut off, and an error that the API reports within the stream, are errors;
/// the text before them is written.
pub async fn chat(api: &Api, prompt: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let url = format!("{}/chat/completions", api.base_url);
    let question = json!({
        "model": api.model,
        "messages": [{ "role": "user", "content": prompt }],
        "stream": true,
    });
    let response = default_client(&url.parse()?)?
        .post(url)
        .bearer_auth(&api.key)
        .header(CONTENT_TYPE, "application/json")
        .body(question.to_string())
        .send()
        .await
        .map_err(NetworkError::from)?;

    let events = EventStream::from_response(response).await?;
    // The API gives errors no event type.
    let answer = events.answer().end_at_data("[DONE]").error_member("error");
    let mut chunks = answer.json::<Chunk>();
    while let Some(chunk) = chunks.try_next().await? {
        for text in chunk.value.choices.into_iter().filter_map(|choice| choice.delta.content) {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
    writeln!(out)?;
    Ok(())
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

/// A part of the answer.
#[derive(Deserialize)]
struct Chunk {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

/// What is new: the first has only a role, the last nothing.
#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}
