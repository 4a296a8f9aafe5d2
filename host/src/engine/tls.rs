//! TLS to an engine: whom we trust, and how we prove who we are.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::Fault;
use crate::config::EngineTls;
use crate::files;

/// What the handshakes need, made once; the files are read now.
pub(super) fn client(tls: &EngineTls) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::Tls(error.to_string()))?
        .with_root_certificates(authorities(tls.ca.as_deref())?);
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| unusable(key, &error))?,
    };
    Ok(Arc::new(config))
}

fn authorities(ca: Option<&Path>) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    if let Some(file) = ca {
        for certificate in certificates(file)? {
            store.add(certificate).map_err(|error| unusable(file, &error))?;
        }
        return Ok(store);
    }
    let native = rustls_native_certs::load_native_certs();
    let (added, _) = store.add_parsable_certificates(native.certs);
    if added == 0 {
        let reason = native.errors.first().map_or_else(|| "the system has none".to_owned(), ToString::to_string);
        return Err(Fault::NoAuthorities(reason));
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = read(file)?;
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| unreadable(file, &error))?;
    if found.is_empty() {
        return Err(unusable(file, &"there is no certificate in it"));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| unreadable(file, &error))
}

fn read(file: &Path) -> Result<Vec<u8>, Fault> {
    files::read(file, files::LARGEST_PEM).map_err(|error| unusable(file, &error))
}

fn unreadable(file: &Path, error: &rustls::pki_types::pem::Error) -> Fault {
    match error {
        rustls::pki_types::pem::Error::NoItemsFound => unusable(file, &"what is wanted is not in it"),
        other => unusable(file, other),
    }
}

fn unusable(file: &Path, reason: &dyn std::fmt::Display) -> Fault {
    Fault::Certificate { file: file.to_owned(), reason: reason.to_string() }
}
