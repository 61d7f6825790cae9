//! One attempt's way through redirects, and what may go along on it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::call::is_safe;
use super::cors::{Checked, is_safelisted_method, unsafe_names};
use super::request::is_carried;
use super::{
    Call, Cause, Config, CorsError, Preflight, RedirectError, Request, ResponseHead, Target,
};

/// An attempt from its call to its response.
///
/// Standard: Fetch, of which it has the redirects, the credentials mode and CORS.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) target: Target,
    method: Arc<str>,
    /// Not any more once a redirect has turned the call into a GET.
    pub(super) sends_body: bool,
    /// Whether the URL is the caller's own, and so holds for this attempt alone.
    pub(super) is_own: bool,
    pub(super) replays: bool,
    redirects: u32,
    /// Whether all redirects so far were permanent.
    pub(super) is_permanent: bool,
    /// Whether redirects have left the origin that the caller named. What has crossed once stays
    /// crossed: who redirects there and back has learnt nothing.
    pub(super) crossed_origin: bool,
    /// Whether the caller's headers were for another origin.
    drops_headers: bool,
    /// Whether the response is another origin's, by the rules of CORS: the tainting "cors".
    is_tainted: bool,
    /// Whether redirects have blurred who asks: the redirect-tainted origin.
    is_origin_blurred: bool,
    /// The headers of the call that need leave.
    unsafe_names: Vec<String>,
    /// Whether this URL has given leave.
    has_leave: bool,
    /// Whether a request went out that may change something.
    pub(super) is_unsafe_sent: bool,
}

impl Fetch {
    pub(super) fn new(config: &Config, call: Call<'_>, is_own: bool, crossed_origin: bool) -> Self {
        let unsafe_names = match &config.cors {
            Some(cors) => unsafe_names(call.headers, cors.preflights_last_event_id),
            None => Vec::new(),
        };
        Self {
            target: call.target,
            method: call.method.into(),
            sends_body: true,
            is_own,
            replays: call.replays,
            redirects: 0,
            is_permanent: true,
            crossed_origin,
            drops_headers: false,
            is_tainted: false,
            is_origin_blurred: false,
            unsafe_names,
            has_leave: false,
            is_unsafe_sent: false,
        }
    }

    /// The next request.
    pub(super) fn request(&mut self, config: &Config) -> Request {
        if let Some(cors) = &config.cors {
            self.is_tainted |= self.target.origin != cors.origin;
        }
        let is_other_origin =
            if config.cors.is_some() { self.is_tainted } else { self.crossed_origin };
        let mut request = Request {
            target: self.target.clone(),
            method: Arc::clone(&self.method),
            sends_body: self.sends_body,
            sends_credentials: config.with_credentials || !is_other_origin,
            preflight: None,
            sends_headers: !self.drops_headers,
            origin: self
                .origin(config)
                .filter(|_| self.is_tainted || !matches!(&*self.method, "GET" | "HEAD")),
        };
        let names = self.asked_names();
        if self.is_tainted
            && !self.has_leave
            && !(is_safelisted_method(&self.method) && names.is_empty())
        {
            let headers = (!names.is_empty()).then(|| names.join(","));
            let method = core::mem::replace(&mut request.method, "OPTIONS".into());
            request.preflight = Some(Preflight { method, headers });
            request.sends_body = false;
            request.sends_credentials = false;
        } else {
            self.is_unsafe_sent |= !is_safe(&self.method);
        }
        request
    }

    /// The names that need leave, of the headers that go along.
    fn asked_names(&self) -> Vec<String> {
        let is_asked = |name: &&String| is_carried(name, !self.drops_headers, self.sends_body);
        self.unsafe_names.iter().filter(is_asked).cloned().collect()
    }

    /// The answer to a preflight: leave, or the reason why there is none.
    pub(super) fn handle_preflight(
        &mut self,
        config: &Config,
        head: &ResponseHead<'_>,
    ) -> Result<(), CorsError> {
        let origin = self.origin(config).unwrap_or_default();
        let checked = Checked { origin: &origin, with_credentials: config.with_credentials };
        checked.preflight(head, &self.method, &self.asked_names())?;
        self.has_leave = true;
        Ok(())
    }

    /// Whether CORS lets the source read this response.
    pub(super) fn check(&self, config: &Config, head: &ResponseHead<'_>) -> Result<(), CorsError> {
        if !self.is_tainted {
            return Ok(());
        }
        let origin = self.origin(config).unwrap_or_default();
        Checked { origin: &origin, with_credentials: config.with_credentials }.response(head)
    }

    /// No connection was made: the last request has done nothing. But one that a server has answered
    /// by sending the source elsewhere for the result has.
    pub(super) fn handle_unreachable(&mut self) {
        self.is_unsafe_sent &= !self.sends_body;
    }

    /// Goes where a redirect with this status leads.
    pub(super) fn follow(
        &mut self,
        config: &Config,
        status: u16,
        target: Target,
    ) -> Result<(), Cause> {
        let redirects_max = config.redirects_max;
        if self.redirects >= redirects_max {
            return Err(Cause::Redirect(RedirectError::TooMany { redirects_max }));
        }
        if self.target.is_https() && !target.is_https() {
            return Err(Cause::Redirect(RedirectError::Downgrade));
        }
        let crosses = target.origin != self.target.origin;
        if let Some(cors) = &config.cors {
            if target.has_credentials && (self.is_tainted || target.origin != cors.origin) {
                return Err(Cause::Cors(CorsError::UrlCredentials));
            }
            self.is_origin_blurred |= crosses && self.target.origin != cors.origin;
        }
        self.redirects += 1;
        self.is_permanent &= matches!(status, 301 | 308);
        self.crossed_origin |= crosses;
        self.drops_headers |= crosses && !config.headers_cross_origins;
        let becomes_get = match status {
            301 | 302 => &*self.method == "POST",
            303 => !matches!(&*self.method, "GET" | "HEAD"),
            _ => false,
        };
        if becomes_get {
            self.method = "GET".into();
            self.sends_body = false;
        }
        self.has_leave = false;
        self.target = target;
        Ok(())
    }

    /// The origin to name, if there is one.
    fn origin(&self, config: &Config) -> Option<Arc<str>> {
        let cors = config.cors.as_ref()?;
        Some(if self.is_origin_blurred { "null".into() } else { Arc::clone(&cors.origin) })
    }
}
