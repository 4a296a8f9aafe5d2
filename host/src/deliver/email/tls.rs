//! How a connection to a mail server is protected.

use std::fmt;
use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::error::EmailError;
use crate::config::{SmtpServer, SmtpTls};
use crate::deliver::tls;

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
        if server.tls == SmtpTls::StartTls {
            let mut parameters = TlsParameters::builder(server.host.clone());
            for certificate in server.ca.as_deref().map(tls::certificates).transpose()?.unwrap_or_default() {
                let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| tls::library(&error))?;
                parameters = parameters.add_root_certificate(certificate);
            }
            return Ok(Self::StartTls(parameters.build().map_err(|error| tls::library(&error))?));
        }
        let config = tls::client(server.ca.as_deref())?;
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
