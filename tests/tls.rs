//! Certificates that people make themselves, at each place where dockbell speaks TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dockbell::config::{EngineConfig, EngineTls, Host, SmtpTls};
use dockbell::deliver::http::Client;
use dockbell::engine::{Engine, Fault};
use dockbell_tests::deliver::{email_over, sink};
use dockbell_tests::http_server::ScriptedHttp;
use dockbell_tests::smtp::{Certificate, Options, ScriptedSmtp, Tls};

const HERE: &[&str] = &["localhost", "127.0.0.1"];

/// Connects to a server with this certificate in each way there is, and returns what went wrong in each.
async fn each_way(certificate: &Certificate, ca: &str) -> [(&'static str, Result<(), String>); 4] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, ca).unwrap();
    [
        ("smtps", mail(SmtpTls::Implicit, Tls::Implicit(certificate.clone()), &path).await),
        ("STARTTLS", mail(SmtpTls::StartTls, Tls::StartTls(certificate.clone()), &path).await),
        ("HTTPS", https(certificate, &path).await),
        ("engine", engine(certificate, &path).await),
    ]
}

async fn mail(mode: SmtpTls, tls: Tls, ca: &Path) -> Result<(), String> {
    let server = ScriptedSmtp::start_with(Options { tls, ..Options::default() }).await;
    let config = email_over(mode, server.port(), Some(ca.to_owned()));
    sink(&config).check().await.map(drop).map_err(|error| error.to_string())
}

async fn https(certificate: &Certificate, ca: &Path) -> Result<(), String> {
    let server = ScriptedHttp::start_with(Some(certificate.clone())).await;
    let url = format!("https://127.0.0.1:{}/", server.address().port()).parse().unwrap();
    let client = Client::new(Some(ca), true).unwrap();
    client.reach(&url).await.map(drop).map_err(|error| error.failure().to_string())
}

/// The server is none of an engine; what counts is that it is asked.
async fn engine(certificate: &Certificate, ca: &Path) -> Result<(), String> {
    let server = ScriptedHttp::start_with(Some(certificate.clone())).await;
    let host = Host::Tcp { host: "127.0.0.1".to_owned(), port: Some(server.address().port()) };
    let tls = EngineTls { ca: Some(ca.to_owned()), client: None };
    let engine = Engine::new(Arc::from("local"), &EngineConfig { host, tls: Some(tls) }).unwrap();
    match engine.describe().await {
        Err(error) if matches!(error.fault, Fault::Tls(_)) => Err(error.to_string()),
        _ if server.received().is_empty() => panic!("the engine was not asked"),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_certificate_of_openssl_req_x509_is_trusted_where_ca_names_it() {
    let certificate = Certificate::self_signed(HERE, false);
    for (way, reached) in each_way(&certificate, &certificate.pem).await {
        assert_eq!(reached, Ok(()), "{way}");
    }
}

#[tokio::test]
async fn a_servers_own_certificate_is_trusted_where_ca_names_it_without_its_signer() {
    let certificate = Certificate::valid();
    let others = Certificate::self_signed(HERE, false);
    for (way, reached) in each_way(&certificate, &format!("{}{}", others.pem, certificate.pem)).await {
        assert_eq!(reached, Ok(()), "{way}");
    }
}

#[tokio::test]
async fn a_named_certificate_must_still_be_of_that_host_and_in_time() {
    let signed = Certificate::expired();
    for (certificate, error, hint) in [
        (Certificate::self_signed(HERE, true), "expired", "must be renewed"),
        (signed, "expired", "must be renewed"),
        (Certificate::self_signed(&["mail.other.example"], false), "not valid for name", "`subjectAltName`"),
        (Certificate::of_another_host(), "not valid for name", "`subjectAltName`"),
    ] {
        for (way, reached) in each_way(&certificate, &certificate.pem).await {
            let told = reached.expect_err(way);
            assert!(told.contains(error) && told.contains(hint), "{way}: {told}");
        }
    }
}

#[tokio::test]
async fn who_shows_a_named_certificate_must_have_its_key() {
    let certificate = Certificate::self_signed(HERE, false).without_its_key();
    for (way, reached) in each_way(&certificate, &certificate.pem).await {
        let told = reached.expect_err(way);
        assert!(told.contains("BadSignature"), "{way}: {told}");
    }
}

#[tokio::test]
async fn an_authority_s_certificate_that_is_not_named_is_refused_with_the_way_out() {
    let certificate = Certificate::self_signed(HERE, false);
    let others = Certificate::self_signed(HERE, false);
    for (way, reached) in each_way(&certificate, &others.pem).await {
        let told = reached.expect_err(way);
        assert!(told.contains("CaUsedAsEndEntity"), "{way}: {told}");
        assert!(told.contains("hint: ") && told.contains("ca = ") && told.contains("CA:FALSE"), "{way}: {told}");
    }
}
