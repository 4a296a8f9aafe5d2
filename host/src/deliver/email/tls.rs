//! How a connection is protected: rustls with ring, the system's certificates and those of `ca`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::error::EmailError;
use crate::config::{SmtpServer, SmtpTls};

/// How a connection is protected.
#[derive(Clone)]
pub(super) enum Security {
    None,
    StartTls(TlsParameters),
    Implicit(TlsConnector, ServerName<'static>),
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::StartTls(_) => "StartTls",
            Self::Implicit(..) => "Implicit",
        })
    }
}

impl Security {
    pub(super) fn new(server: &SmtpServer) -> Result<Self, EmailError> {
        if server.tls == SmtpTls::None {
            return Ok(Self::None);
        }
        // lettre takes the provider of the whole process; an error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong_name = || EmailError::ServerName { host: server.host.clone() };
        let name = ServerName::try_from(server.host.clone()).map_err(|_| wrong_name())?;
        let ca = server.ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
        if server.tls == SmtpTls::StartTls {
            let mut parameters = TlsParameters::builder(server.host.clone());
            for certificate in ca {
                let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| tls(&error))?;
                parameters = parameters.add_root_certificate(certificate);
            }
            return parameters.build().map(Self::StartTls).map_err(|error| tls(&error));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in ca {
            roots.add(certificate).map_err(|error| tls(&error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::Implicit(TlsConnector::from(Arc::new(config)), name))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::None => "no encryption",
            Self::StartTls(_) => "STARTTLS",
            Self::Implicit(..) => "TLS",
        }
    }
}

/// The certificates of a PEM file; at least one, each fit to sign.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, EmailError> {
    let wrong = |error: String| EmailError::Ca { path: path.to_owned(), error };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
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

fn tls(error: &dyn std::error::Error) -> EmailError {
    EmailError::Tls { error: error.to_string() }
}
