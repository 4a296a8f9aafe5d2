//! TLS to an engine: whom we trust, and how we prove who we are.

use std::sync::Arc;

use rustls::ClientConfig;

use super::error::{Fault, TlsFault};
use crate::config::EngineTls;
use crate::tls::{TlsError, Trust};

/// Reads the files and makes what the handshakes need. With `ca` its certificates alone are trusted, else the system's.
pub(super) fn client(tls: &EngineTls) -> Result<Arc<ClientConfig>, Fault> {
    let trust = match &tls.ca {
        Some(ca) => Trust::only(ca).map_err(unusable)?,
        None => Trust::system(),
    };
    if trust.is_empty() {
        return Err(Fault::NoAuthorities("the system has none".to_owned()));
    }
    let identity = tls.client.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
    trust.client(identity).map(Arc::new).map_err(unusable)
}

fn unusable(error: TlsError) -> Fault {
    match error {
        TlsError::File { path, error, .. } => Fault::Certificate { file: path, reason: error },
        TlsError::Library { error } => Fault::Tls(TlsFault::other(error)),
    }
}
