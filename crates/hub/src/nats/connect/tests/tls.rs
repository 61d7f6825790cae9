//! TLS, from either side.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tidings_testing_nats::Server;

use super::{open, refusal, says, server, site};
use crate::nats::{Fault, Site, TlsFiles};

/// An authority, and the files of what it issued.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for this name, and its key.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind: &str| self.dir.path().join(format!("{name}.{kind}"));
        std::fs::write(path("pem"), cert.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("pem"), path("key"))
    }

    /// A server with a certificate for 127.0.0.1.
    async fn server(&self, more: &str) -> Server {
        let (cert, key) = self.issue("127.0.0.1");
        let tls =
            format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {:?}", self.ca());
        server(&format!("{tls}, {more} }}")).await
    }
}

fn with(server: &Server, scheme: &str, ca: &Path, client: Option<(PathBuf, PathBuf)>) -> Site {
    let url = server.url().replace("nats", scheme);
    Site { tls: TlsFiles { ca: Some(ca.into()), client }, ..site(&[url]) }
}

#[tokio::test]
async fn the_server_shows_whom_to_trust() {
    let authority = Authority::new();
    let server = authority.server("").await;
    for scheme in ["tls", "nats"] {
        open(with(&server, scheme, &authority.ca(), None)).await.unwrap();
    }
    let error = refusal(with(&server, "tls", &Authority::new().ca(), None)).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["TLS with NATS", "certificate", "--nats-ca"]);
    // What the system trusts does not help.
    let untrusted = site(&[server.url()]);
    says(&refusal(untrusted).await, &["TLS with NATS", "--nats-ca"]);
    // The certificate names the address alone.
    let named = site(&[server.url().replace("127.0.0.1", "localhost")]);
    let tls = TlsFiles { ca: Some(authority.ca()), client: None };
    says(&refusal(Site { tls, ..named }).await, &["localhost", "the host in the URL"]);
}

#[tokio::test]
async fn the_hub_shows_a_certificate_of_its_own() {
    let authority = Authority::new();
    let server = authority.server("verify: true").await;
    let client = authority.issue("hub");
    open(with(&server, "tls", &authority.ca(), Some(client))).await.unwrap();

    let stranger = Authority::new();
    for client in [None, Some(stranger.issue("hub"))] {
        let error = refusal(with(&server, "tls", &authority.ca(), client)).await;
        assert_eq!(error.fault(), Fault::Refused);
        says(&error, &["TLS with NATS", "--nats-cert and --nats-key"]);
    }
    let swapped = authority.issue("hub");
    let swapped = Some((swapped.1, swapped.0));
    let error = refusal(with(&server, "tls", &authority.ca(), swapped)).await;
    says(&error, &["--nats-cert", "has no certificate in PEM"]);
}

#[tokio::test]
async fn nothing_is_said_without_tls_once_it_is_asked_for() {
    let authority = Authority::new();
    let server = server("authorization { user: hub, password: hunter2 }").await;
    let user = server.url().replace("nats://", "nats://hub:hunter2@");
    let tls = TlsFiles { ca: Some(authority.ca()), client: None };
    for site in
        [Site { tls, ..site(std::slice::from_ref(&user)) }, site(&[user.replace("nats:", "tls:")])]
    {
        let error = refusal(site).await;
        assert_eq!(error.fault(), Fault::Refused);
        says(&error, &["TLS with NATS", "seems to speak none", "nats://"]);
    }
}
