//! TLS of all outgoing connections, to engines, mail servers and HTTP services: rustls with ring, TLS 1.2 or 1.3.
//!
//! A server is trusted if an authority that is trusted has signed its certificate, or if the certificate itself is in the
//! file `ca`, byte for byte. The second is what people expect who make a certificate with `openssl req -x509`, which is marked
//! as an authority's (`CA:TRUE`), so that rustls takes it for no server's.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};

use crate::files;

/// Why TLS cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file of certificates or a key cannot be used.
    #[error("`{key}`: `{}`: {error}\nhint: `{key}` names a PEM file (`-----BEGIN …`)", path.display())]
    File {
        /// Configuration key that names the file: `ca`, `cert` or `key`.
        key: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The library refuses what it was given.
    #[error("TLS cannot be set up: {error}")]
    Library {
        /// The library's own words.
        error: String,
    },
}

/// The certificates that a client trusts.
#[derive(Debug)]
pub struct Trust {
    authorities: RootCertStore,
    /// Those of the file `ca`, which may be a server's own.
    named: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Returns the authorities of the system; there may be none.
    #[must_use]
    pub fn system() -> Self {
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self { authorities, named: Vec::new() }
    }

    /// Returns the certificates of the PEM file `ca` alone.
    ///
    /// # Errors
    /// Fails if the file cannot be read, holds no certificate, or one that cannot be used.
    pub fn only(ca: &Path) -> Result<Self, TlsError> {
        Self { authorities: RootCertStore::empty(), named: Vec::new() }.with(ca)
    }

    /// Adds the certificates of the PEM file `ca`.
    ///
    /// # Errors
    /// As [`Trust::only`].
    pub fn with(mut self, ca: &Path) -> Result<Self, TlsError> {
        for certificate in certificates("ca", ca)? {
            let added = self.authorities.add(certificate.clone());
            added.map_err(|error| TlsError::File { key: "ca", path: ca.to_owned(), error: error.to_string() })?;
            self.named.push(certificate);
        }
        Ok(self)
    }

    /// Returns whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// Returns the configuration of a client. `identity` names the PEM files of its own certificate and of the key to it.
    ///
    /// # Errors
    /// Fails if a file of `identity` cannot be used.
    pub fn client(self, identity: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| library(&error))?;
        let builder = if self.named.is_empty() {
            builder.with_root_certificates(self.authorities)
        } else {
            let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(self.authorities), provider);
            let usual = usual.build().map_err(|error| library(&error))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { usual, named: self.named }))
        };
        let Some((cert, key)) = identity else { return Ok(builder.with_no_client_auth()) };
        let wrong = |error: String| TlsError::File { key: "key", path: key.to_owned(), error };
        let private = PrivateKeyDer::from_pem_slice(&read("key", key)?).map_err(|error| wrong(error.to_string()))?;
        builder.with_client_auth_cert(certificates("cert", cert)?, private).map_err(|error| wrong(error.to_string()))
    }
}

/// Returns the configuration of a client that trusts the authorities of the system and the certificates of the file `ca`.
///
/// # Errors
/// As [`Trust::only`].
pub fn client(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let trust = Trust::system();
    let trust = match ca {
        Some(ca) => trust.with(ca)?,
        None => trust,
    };
    trust.client(None)
}

/// The usual verifier, and beside it the certificates that are trusted themselves.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // It looks at the dates before it looks for the issuer: with these errors they are right.
            Err(error) if is_of_issuer(&error) && self.named.iter().any(|named| named == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Returns whether all that is wrong with a certificate is who signed it; another signer of the same name makes a bad signature.
fn is_of_issuer(error: &rustls::Error) -> bool {
    use CertificateError as Wrong;
    matches!(error, rustls::Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature))
        || is_authority(error)
}

/// Returns whether a certificate was refused as a server's because it is marked as an authority's.
fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else { return false };
    matches!(error.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error: String| TlsError::File { key, path: path.to_owned(), error };
    let found = CertificateDer::pem_slice_iter(&read(key, path)?).collect::<Result<Vec<_>, _>>();
    match found.map_err(|error| wrong(error.to_string()))? {
        found if found.is_empty() => Err(wrong("there is no certificate in it".to_owned())),
        found => Ok(found),
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unusable = |error: std::io::Error| TlsError::File { key, path: path.to_owned(), error: error.to_string() };
    files::read(path, files::LARGEST_PEM).map_err(unusable)
}

fn library(error: &dyn fmt::Display) -> TlsError {
    TlsError::Library { error: error.to_string() }
}

/// The configuration keys that hints speak of.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Key that names the server, such as `` `server` ``.
    pub server: &'static str,
    /// Line that names the file of certificates, such as `ca = "/path/to/ca.pem"`.
    pub ca: &'static str,
    /// What to write if the server does not speak TLS on this port.
    pub plain: &'static str,
}

/// Returns how to mend what failed in a handshake, in one line. `None` if nothing is known.
#[must_use]
pub fn hint(error: &rustls::Error, keys: Keys) -> Option<String> {
    use CertificateError as Wrong;
    let Keys { server, ca, plain } = keys;
    Some(match error {
        error if is_authority(error) => format!(
            "the certificate is an authority's (CA:TRUE); name exactly this one as `{ca}`, or make one for a server: \
             `openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=HOST -addext subjectAltName=DNS:HOST \
             -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem`"
        ),
        rustls::Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => {
            format!("who signed the certificate is not known here; name the signer's PEM file: {ca}")
        }
        rustls::Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            "the certificate has expired; it must be renewed there, or the clock here is wrong".to_owned()
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) => {
            "the certificate is not valid yet: the clock here or there is wrong".to_owned()
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => format!(
            "{server} must name the host as its certificate does; one made anew must hold this name or address as \
             `subjectAltName`"
        ),
        rustls::Error::InvalidMessage(_) => plain.to_owned(),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            "the server must speak TLS 1.2 or 1.3".to_owned()
        }
        _ => return None,
    })
}
