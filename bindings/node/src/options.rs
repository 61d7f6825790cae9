//! What a source is set up with, as JavaScript hands it over.

use std::{sync::Arc, time::Duration};

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use tidings_client::{EventSource, Profile, http::Method, url::Url};

use crate::{asking::Asking, cookie_jar::CookieJar, headers, inbox::Inbox, runtime};

/// What a source is set up with. JavaScript has looked at the types of all.
#[napi(object, object_to_js = false)]
pub struct Options {
    /// An absolute http or https URL.
    pub url: String,
    /// As in the browsers' interface.
    pub with_credentials: bool,
    /// Names and values, one after the other.
    pub headers: Vec<String>,
    /// Whether each attempt's headers are asked for.
    pub asks_headers: bool,
    /// The method, GET if there is none.
    pub method: Option<String>,
    /// What every request sends.
    pub body: Option<Uint8Array>,
    /// Certificate authorities to trust besides the platform's, as PEM.
    pub ca: Option<Uint8Array>,
    /// The origin for which the source acts.
    pub origin: Option<String>,
    /// Whether the profile is the resilient one.
    pub is_resilient: bool,
    /// Whether a refusal waits for its body, to say why.
    pub waits_for_refusal: bool,
    /// The id to resume after.
    pub last_event_id: Option<String>,
}

impl Options {
    /// The source, which has not connected yet.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn source(
        self,
        cookies: Option<&CookieJar>,
        asking: &Arc<Asking>,
        inbox: &Arc<Inbox>,
    ) -> Result<EventSource, String> {
        let url = Url::parse(&self.url).map_err(|error| error.to_string())?;
        let client = runtime::http_client(&url, self.ca.as_deref())?;
        let profile = if self.is_resilient { Profile::Resilient } else { Profile::Strict };
        let mut builder = EventSource::builder(url)
            .client(client)
            .profile(profile)
            .with_credentials(self.with_credentials);
        for (name, value) in headers::parsed(&self.headers)? {
            builder = builder.header(name, value);
        }
        if self.asks_headers {
            let (asking, inbox) = (Arc::clone(asking), Arc::clone(inbox));
            builder = builder.on_request(move |attempt| asking.ask(&inbox, attempt));
        }
        if !self.waits_for_refusal {
            builder = builder.refusal_wait(Duration::ZERO);
        }
        if let Some(method) = self.method {
            let parsed = Method::from_bytes(method.as_bytes());
            builder = builder.method(parsed.map_err(|_| format!("{method:?} is not a method"))?);
        }
        if let Some(body) = self.body {
            builder = builder.body(body.to_vec());
        }
        if let Some(origin) = self.origin {
            builder = builder.origin(origin);
        }
        if let Some(id) = self.last_event_id {
            builder = builder.last_event_id(id);
        }
        if let Some(cookies) = cookies {
            builder = builder.cookies(cookies.store());
        }
        builder.build().map_err(|error| error.to_string())
    }
}
