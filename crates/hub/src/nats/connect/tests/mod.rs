//! Against real servers.

mod identity;
mod permissions;
mod start;
mod streams;
mod tls;

use std::time::Duration;

use tidings_testing_nats::{Options as ServerOptions, Server};
use tokio::time::timeout;

use super::Link;
use crate::nats::{OpenError, Options, Secret, Servers, Site};

const DEADLINE: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it happens in time")
}

/// A server with these further lines of configuration.
async fn server(config: &str) -> Server {
    Server::start_with(&ServerOptions::with_config(config)).await
}

/// The site at these URLs, with little patience.
fn site(urls: &[String]) -> Site {
    let urls: Vec<_> = urls.iter().map(|url| Secret::from(url.as_str())).collect();
    let (servers, auth) = Servers::parse(&urls).unwrap();
    Site { auth, wait: Duration::from_secs(5), ..Site::new(servers) }
}

/// The site at this server for a user, such as `name:password`.
fn site_as(server: &Server, user: &str) -> Site {
    site(&[server.url().replace("nats://", &format!("nats://{user}@"))])
}

async fn open(site: Site) -> Result<Link, OpenError> {
    soon(Link::open(&Options::new(site))).await
}

/// The error, which tells no secret.
async fn refusal(site: Site) -> OpenError {
    let error = open(site).await.expect_err("it is refused");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    error
}

#[track_caller]
fn says(error: &OpenError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}
