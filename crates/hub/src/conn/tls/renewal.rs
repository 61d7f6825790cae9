//! Renewal: the certificate that is served, and its files, which are read again.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{TlsError, certificate::Pem};
use crate::config::TlsFiles;

/// The certificate that is served at present.
#[derive(Debug)]
pub(super) struct Served(RwLock<Arc<CertifiedKey>>);

impl Served {
    pub(super) fn new(certified: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(certified)))
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

/// Keeps the certificate as its files are.
pub(crate) struct Renewal {
    files: TlsFiles,
    // As they were when they were last served.
    pem: Pem,
    served: Arc<Served>,
    // What was last said of files that cannot be served.
    told: String,
}

/// What a look at the files found.
#[derive(Debug)]
enum Found {
    Same,
    Renewed,
    Bad(TlsError),
}

impl Renewal {
    const EVERY: Duration = Duration::from_secs(60);

    pub(super) fn new(files: TlsFiles, pem: Pem, served: Arc<Served>) -> Self {
        Self { files, pem, served, told: String::new() }
    }

    /// Looks at the files every minute, until the task is aborted.
    pub(crate) async fn run(mut self) {
        let mut every = interval(Self::EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        every.tick().await;
        loop {
            every.tick().await;
            let look = spawn_blocking(move || {
                self.look();
                self
            });
            match look.await {
                Ok(looked) => self = looked,
                // The runtime ends.
                Err(_) => return,
            }
        }
    }

    fn look(&mut self) {
        match self.renew() {
            Found::Same => self.told.clear(),
            Found::Renewed => {
                self.told.clear();
                tracing::info!("serving the renewed certificate of {}", self.files.cert.display());
            }
            Found::Bad(error) => {
                let text = with_cause(&error);
                // The same failure again is no news.
                if text != self.told {
                    tracing::warn!(
                        "the TLS certificate has changed and cannot be served, so the last one \
                         still is: {text}"
                    );
                    self.told = text;
                }
            }
        }
    }

    fn renew(&mut self) -> Found {
        let pem = match Pem::read(&self.files) {
            Ok(pem) if pem == self.pem => return Found::Same,
            Ok(pem) => pem,
            Err(error) => return Found::Bad(error),
        };
        match pem.certified_key(&self.files) {
            Ok(certified) => {
                *self.served.0.write() = Arc::new(certified);
                self.pem = pem;
                Found::Renewed
            }
            Err(error) => Found::Bad(error),
        }
    }
}

fn with_cause(error: &TlsError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey as Made, KeyPair, generate_simple_self_signed};

    use super::*;

    fn make() -> Made<KeyPair> {
        generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    #[test]
    fn files_are_served_again_only_when_they_fit_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        let (old, new) = (make(), make());
        let write = |made: &Made<KeyPair>| {
            fs::write(&files.cert, made.cert.pem()).unwrap();
            fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        };
        write(&old);
        let pem = Pem::read(&files).unwrap();
        let served = Arc::new(Served::new(pem.certified_key(&files).unwrap()));
        let mut renewal = Renewal::new(files.clone(), pem, Arc::clone(&served));
        let served = || served.0.read().cert[0].clone();
        assert!(matches!(renewal.renew(), Found::Same));

        // Half of it is renewed, then it is gone, and then whole.
        fs::write(&files.cert, new.cert.pem()).unwrap();
        assert!(matches!(renewal.renew(), Found::Bad(TlsError::NotAPair { .. })));
        fs::remove_file(&files.key).unwrap();
        renewal.look();
        assert!(renewal.told.contains("key.pem"), "{}", renewal.told);
        assert_eq!(&served(), old.cert.der());
        write(&new);
        renewal.look();
        assert_eq!((&served(), renewal.told.as_str()), (new.cert.der(), ""));
        assert!(matches!(renewal.renew(), Found::Same));
    }
}
