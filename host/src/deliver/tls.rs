//! What TLS connections share: rustls with ring, the system's certificates and those of `ca`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::files;

/// Why TLS cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file of certificates cannot be used.
    #[error("`ca`: `{}`: {error}\nhint: `ca` names a PEM file (`-----BEGIN CERTIFICATE-----`)", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The library does not take what it was given.
    #[error("TLS cannot be set up: {error}")]
    Library {
        /// What it says.
        error: String,
    },
}

/// How a client speaks TLS: 1.2 or 1.3, to servers whose certificate the system or the file `ca` knows.
pub(super) fn client(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in ca.map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(|error| library(&error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| library(&error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The certificates of a PEM file; at least one, each fit to sign.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error: String| TlsError::Ca { path: path.to_owned(), error };
    let pem = files::read(path, files::LARGEST_PEM).map_err(|error| wrong(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(certificates)
}

/// What the library says.
pub(super) fn library(error: &dyn std::error::Error) -> TlsError {
    TlsError::Library { error: error.to_string() }
}
