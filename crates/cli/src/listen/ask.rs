//! What the listener asks the server for, and as whom.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tidings_client::Builder;

use crate::command_error::CommandError;
use crate::header::Header;
use crate::text::parsed_duration;

/// The options that shape the request.
#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// Send this header with every request, such as 'Authorization: Bearer …'; may be given several
    /// times. Redirects to another origin go without.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,

    /// Ask with this method. Without it, GET, or POST if there is a --body. The answer to a method
    /// that changes things, such as POST, is followed to its end and not asked for again.
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,

    /// Send this body with the request, or with @FILE what is in that file. It is sent as
    /// application/json, unless a --header says otherwise.
    #[arg(long, value_name = "TEXT|@FILE")]
    body: Option<String>,

    /// Take the connection for dead when nothing has come for this long, comments included; 0 waits
    /// for ever. Without it, five minutes, or for ever with --strict.
    #[arg(long, value_name = "DURATION", value_parser = parsed_duration)]
    idle_timeout: Option<Duration>,

    /// Ask as a web page of this origin would, which is a scheme and a host, and stop if the server
    /// does not allow it by the rules of CORS.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,

    /// With --origin, ask as an EventSource with credentials would.
    #[arg(long, requires = "origin")]
    with_credentials: bool,
}

impl Ask {
    /// The builder with these options.
    pub(super) fn apply(self, mut builder: Builder) -> Result<Builder, CommandError> {
        let has_type = self.header.iter().any(|header| header.name == CONTENT_TYPE);
        for Header { name, value } in self.header {
            builder = builder.header(name, value);
        }
        let method = match (self.method, &self.body) {
            (Some(method), _) => method,
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        builder = builder.method(method);
        if let Some(body) = self.body {
            if !has_type {
                builder = builder.header(CONTENT_TYPE, "application/json");
            }
            builder = builder.body(read(body)?);
        }
        if let Some(idle_timeout) = self.idle_timeout {
            builder = builder.idle_timeout(Some(idle_timeout).filter(|time| !time.is_zero()));
        }
        if let Some(origin) = self.origin {
            builder = builder.origin(origin).with_credentials(self.with_credentials);
        }
        Ok(builder)
    }
}

/// The body as it was given, or out of a file.
fn read(body: String) -> Result<Vec<u8>, CommandError> {
    let Some(path) = body.strip_prefix('@') else { return Ok(body.into_bytes()) };
    std::fs::read(path)
        .map_err(|error| CommandError::failed(format!("the body {path} cannot be read: {error}")))
}
