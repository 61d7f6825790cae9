//! The NATS servers that a hub goes to, as one writes them.

use std::fmt;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use url::Url;

use super::{Auth, Secret};

/// The servers, of which any one leads to the others. Their URLs have no user and no password: what
/// holds them may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<ServerAddr>);

/// Why texts are no servers. No message repeats what may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServersError {
    /// There is none.
    #[error("there is no URL; it is like nats://localhost:4222")]
    None,
    /// There are more than a hub looks through.
    #[error("there are {count} URLs, and at most {} are taken", Servers::COUNT_MAX)]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// One is no URL.
    #[error(
        "URL {number} is none: {cause}; a URL is like nats://localhost:4222 or \
         tls://USER:PASSWORD@nats.example:4222, and in USER and PASSWORD the signs @ : / , ? # % \
         are written as %40 %3A %2F %2C %3F %23 %25"
    )]
    Url {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        cause: url::ParseError,
    },
    /// One is not a URL of NATS.
    #[error("URL {number} begins with {scheme}://, and a hub takes nats:// and tls://")]
    Scheme {
        /// Which one, counted from 1.
        number: usize,
        /// How it begins.
        scheme: String,
    },
    /// One has more than a server.
    #[error(
        "URL {number} has something after the host and its port; it ends there, as \
         nats://localhost:4222 does, and in a password the signs / ? # are written as %2F %3F %23"
    )]
    Rest {
        /// Which one, counted from 1.
        number: usize,
    },
    /// One has a user or a password that is no text.
    #[error("URL {number} has a user or a password that is not UTF-8 behind its % signs")]
    User {
        /// Which one, counted from 1.
        number: usize,
    },
    /// Two name different users.
    #[error("URL {number} has another user than one before it; a hub is one user to all servers")]
    Users {
        /// Which one, counted from 1.
        number: usize,
    },
}

impl Servers {
    /// The most servers that are taken.
    pub const COUNT_MAX: usize = 100;
    const PORT: u16 = 4222;

    /// Reads URLs such as `nats://user:password@host:4222`, and who the hub is to them, if one says
    /// so. `nats://` and the port may be left out, as NATS's own tools let one.
    ///
    /// # Errors
    /// [`ServersError`]; it is the operator's to mend.
    pub fn parse(texts: &[Secret]) -> Result<(Self, Option<Auth>), ServersError> {
        if texts.len() > Self::COUNT_MAX {
            return Err(ServersError::TooMany { count: texts.len() });
        }
        let (mut servers, mut auth) = (Vec::new(), None);
        for (index, text) in texts.iter().enumerate() {
            let number = index + 1;
            let text = text.reveal().trim();
            if text.is_empty() {
                continue;
            }
            let text = match text.contains("://") {
                true => text,
                false => &format!("nats://{text}"),
            };
            let url = Url::parse(text).map_err(|cause| ServersError::Url { number, cause })?;
            let (server, user) = server(url, number)?;
            if user.is_some() && auth.is_some() && user != auth {
                return Err(ServersError::Users { number });
            }
            auth = auth.or(user);
            servers.push(server);
        }
        if servers.is_empty() {
            return Err(ServersError::None);
        }
        Ok((Self(servers), auth))
    }

    /// The servers one by one.
    pub fn as_slice(&self) -> &[ServerAddr] {
        &self.0
    }

    /// Whether one of them is to be spoken to over TLS. Then all are: those that a server names of
    /// its cluster come without a scheme.
    pub fn ask_for_tls(&self) -> bool {
        self.0.iter().any(ServerAddr::tls_required)
    }
}

/// The server of a URL without its user, and the user.
fn server(mut url: Url, number: usize) -> Result<(ServerAddr, Option<Auth>), ServersError> {
    if !matches!(url.scheme(), "nats" | "tls") {
        return Err(ServersError::Scheme { number, scheme: url.scheme().to_owned() });
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(ServersError::Rest { number });
    }
    let no_host = ServersError::Url { number, cause: url::ParseError::EmptyHost };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(no_host);
    }
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(String::from).map_err(|_| ServersError::User { number })
    };
    let auth = match (url.username(), url.password()) {
        ("", None) => None,
        (token, None) => Some(Auth::Token(decode(token)?.into())),
        (name, Some(password)) => {
            Some(Auth::User { name: decode(name)?, password: decode(password)?.into() })
        }
    };
    let port = url.port().unwrap_or(Servers::PORT);
    // They fail for URLs without a host alone.
    let bare = url.set_username("").is_ok()
        && url.set_password(None).is_ok()
        && url.set_port(Some(port)).is_ok();
    url.set_path("");
    match ServerAddr::from_url(url) {
        Ok(server) if bare => Ok((server, auth)),
        _ => Err(no_host),
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(server.as_url_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<(String, Option<Auth>), ServersError> {
        let texts: Vec<_> = texts.iter().map(|&text| Secret::from(text)).collect();
        Servers::parse(&texts).map(|(servers, auth)| (servers.to_string(), auth))
    }

    #[test]
    fn servers_are_written_as_nats_users_do() {
        for (texts, servers) in [
            (&["nats://a"][..], "nats://a:4222"),
            (&["a", "b:1", " tls://c ", ""], "nats://a:4222,nats://b:1,tls://c:4222"),
            (&["nats://[::1]:4223/"], "nats://[::1]:4223"),
        ] {
            assert_eq!(parse(texts), Ok((servers.to_owned(), None)), "{texts:?}");
        }
    }

    #[test]
    fn a_user_is_taken_from_the_urls_and_not_shown() {
        let user = Auth::User { name: "hub".into(), password: "a@b:c/,".into() };
        let (servers, auth) = parse(&["nats://x", "nats://hub:a%40b%3Ac%2F%2C@y"]).unwrap();
        assert_eq!((servers.as_str(), &auth), ("nats://x:4222,nats://y:4222", &Some(user)));
        assert!(!format!("{auth:?}").contains("a@b"), "{auth:?}");
        let (_, token) = parse(&["nats://s3cr3t@x", "nats://s3cr3t@y"]).unwrap();
        assert_eq!(token, Some(Auth::Token("s3cr3t".into())));
        let both = parse(&["nats://a:b@x", "nats://c:d@y"]);
        assert_eq!(both, Err(ServersError::Users { number: 2 }));
    }

    #[test]
    fn what_is_wrong_is_said_without_what_may_be_a_password() {
        for (texts, why) in [
            (&[""][..], "there is no URL"),
            (&["http://hub:hunter2@x"], "URL 1 begins with http://"),
            (&["x", "nats://hub:hunter2"], "URL 2 is none: invalid port"),
            (&["nats://hub:hunter2/z@x"], "URL 1 is none: invalid port"),
            (&["nats://hub:12/hunter2@x"], "URL 1 has something after the host"),
            (&["nats://"], "URL 1 is none: empty host"),
            (&["nats://hub:%ffhunter2@x"], "URL 1 has a user or a password"),
        ] {
            let error = parse(texts).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{texts:?}: {error}");
        }
        let many = parse(&["x"; 101]);
        assert_eq!(many, Err(ServersError::TooMany { count: 101 }));
    }
}
