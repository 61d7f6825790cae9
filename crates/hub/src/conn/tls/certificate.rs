//! The certificate and its key, from their files.

use std::{fs::File, io, io::Read as _, path::Path};

use rustls::{
    Error, InconsistentKeys,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::TlsError;
use crate::config::TlsFiles;

/// The text of both files.
#[derive(PartialEq, Eq)]
pub(super) struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    // A chain has a few KiB.
    const FILE_BYTES_MAX: u64 = 1 << 20;

    /// Reads the files.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |option, path: &Path| {
            let unreadable = |cause| TlsError::Unreadable { option, path: path.to_owned(), cause };
            read(path).map_err(unreadable)
        };
        Ok(Self { cert: read("tls-cert", &files.cert)?, key: read("tls-key", &files.key)? })
    }

    /// What they say, if that can be served.
    pub(super) fn certified_key(&self, files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
        let TlsFiles { cert, key } = files;
        let chain = CertificateDer::pem_slice_iter(&self.cert).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| TlsError::NoCertificate { path: cert.clone() })?;
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::NoKey { path: key.clone() })?;
        let private = ring::default_provider()
            .key_provider
            .load_private_key(private)
            .map_err(|cause| unusable("tls-key", key, cause))?;
        let certified = CertifiedKey::new(chain, private);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                Err(TlsError::NotAPair { cert: cert.clone(), key: key.clone() })
            }
            Err(cause) => Err(unusable("tls-cert", cert, cause)),
        }
    }
}

fn unusable(option: &'static str, path: &Path, cause: Error) -> TlsError {
    TlsError::Unusable { option, path: path.to_owned(), cause }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(Pem::FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > Pem::FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    Ok(text)
}
