//! A certificate and its files, and a client that trusts nothing but it.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tempfile::TempDir;
use tidings_hub::config::{Config, TlsFiles};
use tokio::{io::BufReader, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Connection, Hub, soon};

pub(super) type TlsConnection = Connection<TlsStream<TcpStream>>;

/// A root, which the client trusts, and one between it and the hub's certificate.
pub(super) struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    issuer_pem: String,
    dir: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let ca = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let key = KeyPair::generate().unwrap();
        let root = ca().self_signed(&key).unwrap();
        let root_issuer = Issuer::new(ca(), key);
        let key = KeyPair::generate().unwrap();
        let between = ca().signed_by(&key, &root_issuer).unwrap();
        Self {
            root: root.der().clone(),
            issuer_pem: between.pem(),
            issuer: Issuer::new(ca(), key),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A hub that serves a certificate of this authority.
    pub(super) async fn hub(&self, change: impl FnOnce(&mut Config)) -> Hub {
        self.issue();
        Hub::with(|config| {
            config.tls = Some(self.files());
            change(config);
        })
        .await
    }

    pub(super) fn files(&self) -> TlsFiles {
        TlsFiles { cert: self.dir.path().join("cert.pem"), key: self.dir.path().join("key.pem") }
    }

    /// Writes a new certificate, and those that lead to its root, and its key.
    pub(super) fn issue(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let TlsFiles { cert: cert_file, key: key_file } = self.files();
        fs::write(cert_file, cert.pem() + &self.issuer_pem).unwrap();
        fs::write(key_file, key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    pub(super) async fn connect(&self, hub: &Hub) -> TlsConnection {
        let stream = TcpStream::connect(hub.address).await.unwrap();
        Connection(BufReader::new(self.over(stream, &[b"http/1.1"]).await))
    }

    /// Shakes hands over a connection, and offers these protocols.
    pub(super) async fn over(&self, stream: TcpStream, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let session = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let session = soon(session).await.unwrap();
        assert_eq!(session.get_ref().1.alpn_protocol(), alpn.first().copied());
        session
    }
}
