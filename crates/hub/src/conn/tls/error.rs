//! Why TLS cannot be served.

use std::{io, path::PathBuf};

/// Why TLS cannot be served. All but the last are the operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error(
        "the file {}, which --{option} names, could not be read; give the path of one that \
         the hub may read",
        .path.display()
    )]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// There is no certificate in the file.
    #[error(
        "the file {}, which --tls-cert names, has no certificate in PEM; it must have the \
         server's own between the lines BEGIN CERTIFICATE and END CERTIFICATE, and after it those \
         that lead to its root",
        .path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in the file, or it is encrypted.
    #[error(
        "the file {}, which --tls-key names, has no private key in PEM that can be used; it must \
         have one between the lines BEGIN PRIVATE KEY and END PRIVATE KEY (or EC PRIVATE KEY, or \
         RSA PRIVATE KEY), without a passphrase",
        .path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that cannot be used, or the certificate is malformed.
    #[error("the file {}, which --{option} names, cannot be used", .path.display())]
    Unusable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: rustls::Error,
    },
    /// The key is not the certificate's.
    #[error(
        "the private key in {} is not that of the first certificate in {}; give files that were \
         issued together, with the server's own certificate first",
        .key.display(), .cert.display()
    )]
    NotAPair {
        /// The file with the certificate.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The system has no random numbers. The environment's fault.
    #[error("TLS could not be set up on this system")]
    Unavailable(#[source] rustls::Error),
}
