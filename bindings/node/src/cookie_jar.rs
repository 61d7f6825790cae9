//! The cookie jar, which several sources may share.

use std::sync::Arc;

use napi_derive::napi;
use tidings_client::{
    reqwest::cookie::{CookieStore, Jar},
    url::Url,
};

/// Cookies, kept as a browser keeps them until it is closed.
#[napi]
pub struct CookieJar {
    jar: Arc<Jar>,
}

#[napi]
impl CookieJar {
    /// An empty jar.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self { jar: Arc::default() }
    }

    /// Keeps a cookie, written as in `Set-Cookie`, as if a response of `url` had set it.
    ///
    /// # Errors
    /// `url` is not an absolute URL.
    #[napi]
    pub fn set_cookie(&self, cookie: String, url: String) -> napi::Result<()> {
        self.jar.add_cookie_str(&cookie, &parsed(&url)?);
        Ok(())
    }

    /// The cookies that go with a request to `url`, written as in `Cookie`; empty if there are none.
    ///
    /// # Errors
    /// `url` is not an absolute URL.
    #[napi]
    pub fn cookies_for(&self, url: String) -> napi::Result<String> {
        let cookies = self.jar.cookies(&parsed(&url)?);
        Ok(cookies.map_or_else(String::new, |cookies| {
            String::from_utf8_lossy(cookies.as_bytes()).into_owned()
        }))
    }
}

impl CookieJar {
    pub(crate) fn store(&self) -> Arc<dyn CookieStore> {
        Arc::clone(&self.jar) as _
    }
}

fn parsed(url: &str) -> napi::Result<Url> {
    Url::parse(url).map_err(|error| {
        napi::Error::from_reason(format!("{url:?} is not an absolute URL: {error}"))
    })
}
