//! The console and the demos: pages that are part of the program, and the files that they load.

use axum::response::{IntoResponse, Response};
use http::header;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($content_type:ident { $($path:literal)* })*) => {
        &[$($(($path, $content_type, include_str!(concat!("../../../web/", $path)))),*),*]
    };
}

/// What lies below `/assets/`: the path, which is that below `web/`, its content type and its text.
const ASSETS: &[(&str, &str, &str)] = assets! {
    CSS { "style.css" "console.css" "demos.css" }
    SCRIPT {
        "console/ask.js" "console/chart.js" "console/code.js" "console/connection.js"
        "console/draw.js" "console/element.js" "console/following.js" "console/gap.js"
        "console/history.js" "console/intro.js" "console/list.js" "console/main.js"
        "console/pairing.js" "console/publish.js" "console/query.js" "console/row.js"
        "console/second.js" "console/subscribers.js" "console/table.js" "console/tabs.js"
        "console/topics.js" "console/why.js"
        "demos/chat.js" "demos/clock.js" "demos/counter.js" "demos/feed.js" "demos/heartbeat.js"
        "demos/list.js" "demos/talk.js" "demos/visitor.js"
        "demos/page/ask.js" "demos/page/card.js" "demos/page/chat-card.js" "demos/page/code.js"
        "demos/page/feed-card.js" "demos/page/lines.js" "demos/page/main.js"
        "demos/page/stages.js" "demos/page/streams.js" "demos/page/visitor-card.js"
    }
};

/// A page that connects to nobody but the hub.
pub(crate) fn page(html: &'static str) -> Response {
    page_connecting_to(None, html)
}

/// A page that may connect to another origin as well.
pub(crate) fn page_connecting_to(origin: Option<&str>, html: &'static str) -> Response {
    file(HTML, html, &policy(origin))
}

/// The file at `path` below `/assets/`, if there is one.
pub(crate) fn asset(path: &str) -> Option<Response> {
    let (_, content_type, text) = ASSETS.iter().find(|(known, ..)| *known == path)?;
    Some(file(content_type, text, &policy(None)))
}

// No script, style or connection but the hub's own, and no frame around it.
fn policy(origin: Option<&str>) -> String {
    let connect = ["'self'"].into_iter().chain(origin).collect::<Vec<_>>().join(" ");
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn file(content_type: &'static str, text: &'static str, policy: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn walk(dir: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension != "html") {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_pages_is_served() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
        let mut found = BTreeSet::new();
        walk(&web, &web, &mut found);
        let served: BTreeSet<_> = ASSETS.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(served, found);
        assert_eq!(served.len(), ASSETS.len(), "each once");
    }
}
