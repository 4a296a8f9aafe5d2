//! Certificates made in the test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// A server's certificate, and the one that signed it.
#[derive(Clone)]
pub struct Certificate {
    /// What a client must know to trust the server, as a PEM file.
    pub ca_pem: String,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

impl Certificate {
    /// For `localhost` and 127.0.0.1, valid.
    #[must_use]
    pub fn valid() -> Self {
        Self::new(&["localhost", "127.0.0.1"], false)
    }

    /// For `localhost` and 127.0.0.1, valid until the end of 2001.
    #[must_use]
    pub fn expired() -> Self {
        Self::new(&["localhost", "127.0.0.1"], true)
    }

    /// For `mail.other.example` alone.
    #[must_use]
    pub fn of_another_host() -> Self {
        Self::new(&["mail.other.example"], false)
    }

    /// For these hosts, valid.
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        Self::new(names, false)
    }

    fn new(names: &[&str], expired: bool) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a CA");
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).expect("names");
        if expired {
            leaf.not_before = date_time_ymd(2001, 1, 1);
            leaf.not_after = date_time_ymd(2001, 12, 31);
        }
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf.signed_by(&key, &authority).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .expect("a usable certificate");
        Self { ca_pem: authority.pem(), config: Arc::new(config) }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}
