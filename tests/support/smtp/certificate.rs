//! Certificates made in the test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// A server's certificate, and the one that signed it.
#[derive(Clone)]
pub struct Certificate {
    /// What a client must know to trust the server, as a PEM file.
    pub ca_pem: String,
    /// The server's own certificate, as a PEM file.
    pub pem: String,
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

    /// As `openssl req -x509` makes it: signed by itself and marked as an authority's (`CA:TRUE`).
    #[must_use]
    pub fn self_signed(names: &[&str], expired: bool) -> Self {
        let mut params = params(names, expired);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self::with(certificate.pem(), certificate.pem(), certificate.der(), &key)
    }

    /// The same certificate, shown by somebody who has not its key.
    #[must_use]
    pub fn without_its_key(&self) -> Self {
        let key = KeyPair::generate().expect("a key");
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        Self::with(self.ca_pem.clone(), self.pem.clone(), &der, &key)
    }

    fn new(names: &[&str], expired: bool) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a CA");
        let key = KeyPair::generate().expect("a key");
        let leaf = params(names, expired).signed_by(&key, &authority).expect("a certificate");
        Self::with(authority.pem(), leaf.pem(), leaf.der(), &key)
    }

    fn with(ca_pem: String, pem: String, der: &CertificateDer<'static>, key: &KeyPair) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing = provider.key_provider.load_private_key(private).expect("a usable key");
        // Whether the two belong together is for the client to find out.
        let shown = Shown(Arc::new(CertifiedKey::new(vec![der.clone()], signing)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        Self { ca_pem, pem, config: Arc::new(config) }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// Shows the same certificate to each client.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn params(names: &[&str], expired: bool) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    if expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2001, 12, 31);
    }
    params
}
