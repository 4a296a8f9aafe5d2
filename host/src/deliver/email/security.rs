//! How a connection to a mail server is protected.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::error::EmailError;
use crate::config::{SmtpServer, SmtpTls};
use crate::tls;

/// How a connection is protected.
#[derive(Clone)]
pub(super) enum Security {
    None,
    StartTls(TlsConnector, ServerName<'static>),
    Implicit(TlsConnector, ServerName<'static>),
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Security {
    pub(super) fn new(server: &SmtpServer) -> Result<Self, EmailError> {
        let mode = match server.tls {
            SmtpTls::None => return Ok(Self::None),
            SmtpTls::StartTls => Self::StartTls,
            SmtpTls::Implicit => Self::Implicit,
        };
        let name = ServerName::try_from(server.host.clone())
            .map_err(|_| EmailError::ServerName { host: server.host.clone() })?;
        Ok(mode(TlsConnector::from(Arc::new(tls::client(server.ca.as_deref())?)), name))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::None => "no encryption",
            Self::StartTls(..) => "STARTTLS",
            Self::Implicit(..) => "TLS",
        }
    }
}
