//! Follows a feed as a page would: with handlers and listeners.
//!
//! ```text
//! cargo run --example clock -- https://example.com/events
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tidings_client::{Dispatch, EventSource, ListenerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the URL of an event stream as the argument")?;
    follow(&url, io::stdout()).await
}

/// Writes what comes until the server closes the stream for good, or says `bye`.
pub async fn follow(url: &str, out: impl Write + Send + 'static) -> Result<(), Box<dyn Error>> {
    let out = Arc::new(Mutex::new(out));
    let say = move |line: String| {
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell if this fails.
        let _ = writeln!(out, "{line}");
    };

    let source = EventSource::new(url)?;
    let handle = source.handle();

    handle.on_open({
        let say = say.clone();
        move |_| say("The connection stands.".to_owned())
    });
    handle.on_message({
        let say = say.clone();
        move |message| say(format!("It is {}.", message.data))
    });
    handle.on_error({
        let (say, handle) = (say.clone(), handle.clone());
        move |event| match event {
            Dispatch::Disconnected(why) => say(format!("{:?}: {why}.", handle.ready_state())),
            Dispatch::Failed(error) => say(format!("{:?}: {error}.", handle.ready_state())),
            _ => {}
        }
    });
    handle.add_event_listener_with("heartbeat", ListenerOptions::ONCE, {
        let say = say.clone();
        move |_| say("Its heart beats.".to_owned())
    });
    handle.add_event_listener("bye", {
        let handle = handle.clone();
        move |_| handle.close()
    });

    source.run().await?;
    say("Closed.".to_owned());
    Ok(())
}
