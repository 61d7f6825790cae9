//! Who the hub is, read from its files.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;

use super::super::{Auth, OpenError, Secret, Site, TlsFiles};

/// Who the hub is to the servers, and whom it trusts, with all files read and looked at: what is
/// wrong with them is told before any server is asked.
pub(super) struct Credentials {
    identity: Identity,
    tls: TlsFiles,
    requires_tls: bool,
}

enum Identity {
    Nobody,
    User { name: String, password: Secret },
    Token(Secret),
    Creds(Secret),
    Seed(Secret),
}

impl Credentials {
    pub(super) async fn read(site: &Site) -> Result<Self, OpenError> {
        let identity = match &site.auth {
            None => Identity::Nobody,
            Some(Auth::User { name, password }) => {
                Identity::User { name: name.clone(), password: password.clone() }
            }
            Some(Auth::Token(token)) => Identity::Token(token.clone()),
            Some(Auth::Credentials(path)) => Identity::Creds(creds(path).await?),
            Some(Auth::Nkey(path)) => Identity::Seed(seed(path).await?),
        };
        let tls = site.tls.clone();
        if let Some(ca) = &tls.ca {
            has_pem("nats-ca", ca, "CERTIFICATE-----", NO_CERTIFICATE).await?;
        }
        if let Some((cert, key)) = &tls.client {
            has_pem("nats-cert", cert, "CERTIFICATE-----", NO_CERTIFICATE).await?;
            has_pem("nats-key", key, "PRIVATE KEY-----", NO_KEY).await?;
        }
        // Or else a server that asks for no TLS would be talked to without, though its certificate
        // was to be checked.
        let requires_tls = site.servers.ask_for_tls() || tls != TlsFiles::default();
        Ok(Self { identity, tls, requires_tls })
    }

    /// The options of a connection with these.
    pub(super) fn show(&self, options: ConnectOptions) -> ConnectOptions {
        let mut options = options.require_tls(self.requires_tls);
        if let Some(ca) = &self.tls.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((cert, key)) = &self.tls.client {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        match &self.identity {
            Identity::Nobody => options,
            Identity::User { name, password } => {
                options.user_and_password(name.clone(), password.reveal().to_owned())
            }
            Identity::Token(token) => options.token(token.reveal().to_owned()),
            Identity::Seed(seed) => options.nkey(seed.reveal().to_owned()),
            Identity::Creds(text) => {
                options.credentials(text.reveal()).expect("it was looked at when it was read")
            }
        }
    }

    /// What to look at when a server refuses them.
    pub(super) fn advice(&self) -> &'static str {
        match &self.identity {
            Identity::Nobody => {
                "it wants to know who that is: give --nats nats://USER:PASSWORD@HOST, \
                 nats://TOKEN@HOST, --nats-creds or --nats-nkey"
            }
            Identity::User { .. } => "see that the user and the password in --nats are right",
            Identity::Token(_) => {
                "see that the token in --nats is right; a user with a password is written \
                 nats://USER:PASSWORD@HOST"
            }
            Identity::Creds(_) => {
                "see that the file of --nats-creds is of a user of an account that this server \
                 knows, and that it has not expired"
            }
            Identity::Seed(_) => {
                "see that the public key to the seed of --nats-nkey is one of its users"
            }
        }
    }
}

const NO_CERTIFICATE: &str = "has no certificate in PEM (-----BEGIN CERTIFICATE-----)";
const NO_KEY: &str = "has no private key in PEM (-----BEGIN PRIVATE KEY-----)";

async fn creds(path: &Path) -> Result<Secret, OpenError> {
    let text = read("nats-creds", path).await?;
    // The client's own parser; it tells nothing of what it read.
    match ConnectOptions::with_credentials(&text) {
        Ok(_) => Ok(text.into()),
        Err(_) => {
            let lack = "is not a credentials file as `nsc generate creds` writes it: a JWT and the \
                        seed of its key";
            Err(OpenError::Content { option: "nats-creds", path: path.into(), lack })
        }
    }
}

async fn seed(path: &Path) -> Result<Secret, OpenError> {
    let text = read("nats-nkey", path).await?;
    // As `nk -gen user` writes it; a comment may follow, and in a decorated file lines around it.
    let line = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
    let seed = line.filter(|line| line.len() == SEED_CHARS && line.chars().all(is_base32));
    match seed {
        Some(seed) => Ok(seed.into()),
        None => {
            let lack = "holds no seed of a user's NKEY, which begins with SU, as `nk -gen user` \
                        writes it";
            Err(OpenError::Content { option: "nats-nkey", path: path.into(), lack })
        }
    }
}

const SEED_CHARS: usize = 58;

fn is_base32(c: char) -> bool {
    c.is_ascii_uppercase() || ('2'..='7').contains(&c)
}

async fn has_pem(
    option: &'static str,
    path: &Path,
    label: &str,
    lack: &'static str,
) -> Result<(), OpenError> {
    if read(option, path).await?.contains(label) {
        return Ok(());
    }
    Err(OpenError::Content { option, path: path.into(), lack })
}

async fn read(option: &'static str, path: &Path) -> Result<String, OpenError> {
    let path = PathBuf::from(path);
    let reading = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || std::fs::read_to_string(path))
    };
    let text = reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    text.map_err(|cause| OpenError::File { option, path, cause })
}
